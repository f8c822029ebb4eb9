//! The commit log: one buffer in memory, one file per memtable generation.
//!
//! Writers append to the buffer; whoever commits takes what has gathered, makes it one frame and writes it, without holding
//! the buffer's lock. Positions: `appended` >= `written` (the operating system has it) >= `synced` (stable storage has it).
//!
//! Invariant: frames are written in stamp order, so what survives a crash is a prefix of what was appended.
//! Invariant: a frame that found no space is cut off and kept, and is written before anything later; a failed sync, cut or
//! write of any other kind ends writing for good, because nobody knows what the device holds.
//! Lock order: syncing, writer, then files or buffer. The writer's lock is held during a write but never during a sync.
//! Left out: threads; when to commit is decided by `engine::commit`.

mod buffer;
mod debt;
pub(crate) mod format;
mod recovery;
mod segment;
mod survey;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::env::Disk;
use crate::storage::error::Error;
use crate::storage::log::buffer::{Buffer, Chunk};
use crate::storage::log::segment::Segment;
use crate::storage::note::Note;
use crate::storage::options::Options;

pub(crate) use crate::storage::log::buffer::{Admission, Appended, Finished};
pub(crate) use crate::storage::log::debt::Debt;
pub(crate) use crate::storage::log::format::segment_generation;
pub(crate) use crate::storage::log::recovery::{Cut, Flushed, Replayed, Write, replay};
pub(crate) use crate::storage::log::survey::{Known, SegmentSurvey, bytes_up_to, survey};

/// Space that is reserved in one step, at most and (with a memtable that is small) at least.
const RESERVE_STEP: u64 = 16 << 20;
const LEAST_RESERVE_STEP: u64 = 1 << 20;

/// The commit log.
pub(crate) struct Log {
    // Fixed after construction.
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    reserve_step: u64,
    // Synchronises itself.
    admission: AtomicU8,
    debt: AtomicU8,
    appended: AtomicU64,
    records: AtomicU64,
    written: AtomicU64,
    synced: AtomicU64,
    syncs: AtomicU64,
    failure: OnceLock<String>,
    // Guarded.
    buffer: Mutex<Buffer>,
    writer: Mutex<Writer>,
    files: Mutex<Files>,
    syncing: Mutex<()>,
}

/// Guarded by the writer's lock: the end of the log on disk.
struct Writer {
    segment: Arc<Segment>,
    offset: u64,
    /// Earlier segments that were not synced since their last write.
    unsynced: Vec<Arc<Segment>>,
    /// A frame that found no space.
    refused: Option<Frame>,
}

struct Frame {
    bytes: Vec<u8>,
    end: u64,
    generation: u64,
}

/// Files besides the one that is written.
struct Files {
    newest: u64,
    prepared: VecDeque<Arc<Segment>>,
    existing: BTreeMap<u64, PathBuf>,
}

impl Log {
    /// Begins a new generation behind what was replayed. `memory`: bytes that the replayed entries take.
    pub(crate) fn begin(disk: Arc<dyn Disk>, options: &Options, from: Replayed, memory: u64) -> Result<Self, Error> {
        let of_memtable = (options.memtable_bytes / 4).max(LEAST_RESERVE_STEP);
        let reserve_step = RESERVE_STEP.min(of_memtable).min(options.segment_bytes);
        let generation = from.next_generation;
        let segment = Arc::new(Segment::create(&*disk, &options.dir, generation, reserve_step)?);
        let mut existing: BTreeMap<_, _> = from.segments.into_iter().collect();
        existing.insert(generation, segment.path.clone());
        let end = from.end.0;
        Ok(Log {
            disk,
            dir: options.dir.clone(),
            reserve_step,
            admission: AtomicU8::new(Admission::Open as u8),
            debt: AtomicU8::new(0),
            appended: AtomicU64::new(end),
            records: AtomicU64::new(0),
            written: AtomicU64::new(end),
            synced: AtomicU64::new(end),
            syncs: AtomicU64::new(0),
            failure: OnceLock::new(),
            buffer: Mutex::new(Buffer::new(options, end, generation, memory)),
            writer: Mutex::new(Writer {
                segment,
                offset: format::SEGMENT_HEADER as u64,
                unsynced: Vec::new(),
                refused: None,
            }),
            files: Mutex::new(Files { newest: generation, prepared: VecDeque::new(), existing }),
            syncing: Mutex::new(()),
        })
    }

    // ---- Appending ----

    /// Whether writes are let in.
    #[inline]
    pub(crate) fn admission(&self) -> Admission {
        match self.admission.load(Ordering::Relaxed) {
            0 => Admission::Open,
            1 => Admission::Stalled,
            2 => Admission::Full,
            _ => Admission::Poisoned,
        }
    }

    /// Whether writes are let in without a question.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.admission.load(Ordering::Relaxed) == Admission::Open as u8
    }

    /// How far background work is behind.
    #[inline]
    pub(crate) fn debt(&self) -> Debt {
        Debt(self.debt.load(Ordering::Relaxed))
    }

    /// The error that tells why writes are refused.
    pub(crate) fn refusal(&self) -> Option<Error> {
        match self.admission() {
            Admission::Open | Admission::Stalled => None,
            Admission::Full => Some(Error::Full { path: self.dir.clone() }),
            Admission::Poisoned => Some(self.poisoned()),
        }
    }

    /// Appends one record; its entry makes memory grow by `growth` bytes.
    #[inline]
    pub(crate) fn append(&self, note: &Note, entry: &[u8], growth: i64) -> Appended {
        let mut buffer = self.buffer.lock();
        let rotated = buffer.rotate_if_due();
        let appended = buffer.append(note, entry, growth);
        self.publish(&buffer);
        Appended { rotated, ..appended }
    }

    /// Appends records that will be in one frame, and tells the stamp of each to `stamped`.
    pub(crate) fn append_all<'a>(
        &self,
        records: impl Iterator<Item = (&'a Note, &'a [u8], i64)>,
        mut stamped: impl FnMut(Appended),
    ) -> bool {
        let mut buffer = self.buffer.lock();
        let rotated = buffer.rotate_if_due();
        records.for_each(|(note, entry, growth)| stamped(buffer.append(note, entry, growth)));
        self.publish(&buffer);
        rotated
    }

    /// Takes a position of its own and says which generation it is in.
    pub(crate) fn append_marker(&self) -> Appended {
        let mut buffer = self.buffer.lock();
        let appended = buffer.append_marker();
        self.publish(&buffer);
        appended
    }

    #[inline]
    fn publish(&self, buffer: &MutexGuard<'_, Buffer>) {
        self.appended.store(buffer.end(), Ordering::Release);
        self.records.store(buffer.records(), Ordering::Release);
        let admission = buffer.admission() as u8;
        if self.admission.load(Ordering::Relaxed) != admission {
            self.admission.store(admission, Ordering::Release);
        }
        let debt = buffer.debt().0;
        if self.debt.load(Ordering::Relaxed) != debt {
            self.debt.store(debt, Ordering::Relaxed);
        }
    }

    /// Changes what the buffer knows and decides anew whether writes are let in.
    pub(crate) fn with_buffer<T>(&self, change: impl FnOnce(&mut Buffer) -> T) -> T {
        let mut buffer = self.buffer.lock();
        let result = change(&mut buffer);
        self.publish(&buffer);
        result
    }

    // ---- Positions ----

    pub(crate) fn appended(&self) -> u64 {
        self.appended.load(Ordering::Acquire)
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    pub(crate) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    /// Records appended since the open.
    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Acquire)
    }

    /// Syncs since the open.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    // ---- Writing ----

    /// Hands everything appended to the operating system.
    ///
    /// # Errors
    /// `Full`: what was appended waits and is tried again by the next call. Anything else ends writing for good.
    pub(crate) fn write_out(&self) -> Result<u64, Error> {
        if self.written() == self.appended() {
            return Ok(self.written());
        }
        let mut writer = self.writer.lock();
        if self.failure.get().is_some() {
            return Err(self.poisoned());
        }
        while let Some(frame) = writer.refused.take().or_else(|| self.next_frame()) {
            if let Err(error) = self.write_frame(&mut writer, &frame) {
                writer.refused = Some(frame);
                return Err(self.refuse(error));
            }
            self.written.store(frame.end, Ordering::Release);
            self.with_buffer(|buffer| {
                buffer.give_back(frame.bytes);
                buffer.troubles().append_full = false;
            });
        }
        Ok(self.written())
    }

    fn next_frame(&self) -> Option<Frame> {
        let chunk = self.buffer.lock().take()?;
        let (end, Chunk { mut bytes, first, generation }) = (chunk.end(), chunk);
        format::seal_frame(&mut bytes, first, self.synced());
        Some(Frame { bytes, end, generation })
    }

    fn write_frame(&self, writer: &mut Writer, frame: &Frame) -> Result<(), Error> {
        while writer.segment.generation < frame.generation {
            let next = self.files.lock().prepared.pop_front().expect("a generation begins with its segment ready");
            let old = std::mem::replace(&mut writer.segment, next);
            writer.unsynced.push(old);
            writer.offset = format::SEGMENT_HEADER as u64;
        }
        let written = writer.segment.write(&frame.bytes, writer.offset);
        if let Err(error @ Error::Full { .. }) = written {
            writer.segment.cut(writer.offset).map_err(|_| Error::Poisoned { reason: error.to_string() })?;
            return Err(error);
        }
        writer.offset += frame.bytes.len() as u64;
        written
    }

    fn refuse(&self, error: Error) -> Error {
        if matches!(error, Error::Full { .. }) {
            self.with_buffer(|buffer| buffer.troubles().append_full = true);
        } else {
            self.poison(&error);
        }
        error
    }

    /// Hands everything appended to the operating system and waits until it is on stable storage.
    ///
    /// # Errors
    /// As `write_out`; a failed sync ends writing for good.
    pub(crate) fn sync(&self) -> Result<u64, Error> {
        // One at a time: a second sync must not overtake the first with an earlier segment in hand.
        let _syncing = self.syncing.lock();
        self.write_out()?;
        let (segments, end) = {
            let mut writer = self.writer.lock();
            let mut segments = std::mem::take(&mut writer.unsynced);
            segments.push(Arc::clone(&writer.segment));
            (segments, self.written())
        };
        if self.synced() >= end {
            return Ok(self.synced());
        }
        for segment in &segments {
            segment.sync().inspect_err(|error| self.poison(error))?;
        }
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.synced.fetch_max(end, Ordering::AcqRel);
        Ok(self.synced())
    }

    // ---- Failure ----

    /// Ends writing for good.
    pub(crate) fn poison(&self, error: &Error) {
        let _ = self.failure.set(error.to_string());
        self.with_buffer(|buffer| buffer.troubles().poisoned = true);
    }

    /// Why writing has ended.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    fn poisoned(&self) -> Error {
        Error::Poisoned { reason: self.failure().unwrap_or("closed").to_owned() }
    }

    // ---- Segments ----

    /// Files of the log.
    pub(crate) fn segments(&self) -> usize {
        self.files.lock().existing.len()
    }

    /// Whether the space or the segment that writes will need next is not there yet.
    pub(crate) fn wants_space(&self) -> bool {
        self.buffer.lock().wants_segment() || self.short_segment().is_some()
    }

    /// Reserves what writes will need next.
    ///
    /// # Errors
    /// `Full` leaves things as they are.
    pub(crate) fn make_space(&self) -> Result<(), Error> {
        if let Some((segment, bytes)) = self.short_segment() {
            segment.reserve(bytes)?;
        }
        if !self.buffer.lock().wants_segment() {
            return Ok(());
        }
        let generation = self.files.lock().newest + 1;
        let segment = Arc::new(Segment::create(&*self.disk, &self.dir, generation, self.reserve_step)?);
        let mut files = self.files.lock();
        files.newest = generation;
        files.existing.insert(generation, segment.path.clone());
        files.prepared.push_back(segment);
        drop(files);
        self.with_buffer(Buffer::segment_ready);
        Ok(())
    }

    /// The segment that is written, if less than half a step of its space is left, and how much it should have.
    fn short_segment(&self) -> Option<(Arc<Segment>, u64)> {
        let writer = self.writer.lock();
        let left = writer.segment.reserved().saturating_sub(writer.offset);
        (left < self.reserve_step / 2).then(|| (Arc::clone(&writer.segment), writer.offset + self.reserve_step))
    }

    /// Removes the segments whose records are all in tables.
    ///
    /// # Errors
    /// If a file could not be removed; it is removed by the next open.
    pub(crate) fn remove_up_to(&self, generation: u64) -> Result<(), Error> {
        let flushed = {
            let mut files = self.files.lock();
            let kept = files.existing.split_off(&(generation + 1));
            std::mem::replace(&mut files.existing, kept)
        };
        for path in flushed.values() {
            self.disk.remove(path).map_err(|source| Error::io(path, source))?;
        }
        Ok(())
    }
}
