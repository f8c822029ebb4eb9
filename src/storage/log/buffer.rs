//! Records on their way to the log: appended under one short lock, taken away in chunks by whoever writes.
//!
//! Invariant: stamps are given in the order of the bytes; a chunk holds records of one generation and becomes one frame.
//! Invariant: an append never fails: limits are enforced by `Admission`, which is asked before a change runs, so that
//! they are exceeded by one record per running update at most.
//! Left out: files; the memtable's entries.

use std::collections::VecDeque;
use std::mem;

use crate::storage::log::debt::Debt;
use crate::storage::log::format::{FRAME_HEADER, MARKER, put_record};
use crate::storage::note::Note;
use crate::storage::options::Options;

/// Records of one generation that will be one frame.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Room for the frame's header, then records.
    pub(crate) bytes: Vec<u8>,
    /// Stamp before the first record.
    pub(crate) first: u64,
    /// Generation that the records belong to.
    pub(crate) generation: u64,
}

impl Chunk {
    /// Stamp of its last record.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.len() as u64
    }

    fn len(&self) -> usize {
        self.bytes.len() - FRAME_HEADER
    }
}

/// Whether writes are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Admission {
    /// They are.
    Open = 0,
    /// Background work is behind.
    Stalled = 1,
    /// The disk is full.
    Full = 2,
    /// A failure ended writing.
    Poisoned = 3,
}

/// A finished generation that waits for its flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    /// The generation.
    pub(crate) generation: u64,
    /// Stamp of its end.
    pub(crate) end: u64,
    /// Bytes that its entries take in memory.
    memory: u64,
}

/// Why writes may have to wait, besides what the buffer itself knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Troubles {
    /// An append found no space.
    pub(crate) append_full: bool,
    /// The next segment, or a flush, found no space.
    pub(crate) background_full: bool,
    /// Compaction is behind.
    pub(crate) tables_behind: bool,
    /// How far.
    pub(crate) tables_debt: Debt,
    /// Writing has ended for good.
    pub(crate) poisoned: bool,
}

/// What an append gives back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appended {
    /// Stamp of the record.
    pub(crate) stamp: u64,
    /// Generation that the entry belongs to.
    pub(crate) generation: u64,
    /// Whether that generation has begun just now: a flush is due.
    pub(crate) rotated: bool,
}

#[derive(Debug)]
struct Limits {
    memtable_bytes: u64,
    segment_bytes: u64,
    buffer_bytes: usize,
    frozen: usize,
}

/// The log's end in memory.
#[derive(Debug)]
pub(crate) struct Buffer {
    limits: Limits,
    current: Chunk,
    sealed: VecDeque<Chunk>,
    sealed_bytes: usize,
    spare: Option<Vec<u8>>,
    taken_bytes: usize,
    /// Bytes of the active generation's entries in memory.
    memory: u64,
    /// Bytes of the active generation's records in the log.
    logged: u64,
    finished: VecDeque<Finished>,
    /// Bytes of the flushed generation that stays for lookups; zero if none does.
    kept: u64,
    segments_ready: u64,
    records: u64,
    troubles: Troubles,
}

impl Buffer {
    /// An empty buffer at `stamp`, in `generation`, whose memtable holds `memory` bytes already.
    pub(crate) fn new(options: &Options, stamp: u64, generation: u64, memory: u64) -> Self {
        let limits = Limits {
            memtable_bytes: options.memtable_bytes,
            segment_bytes: options.segment_bytes,
            buffer_bytes: options.log_buffer_bytes,
            frozen: options.frozen_memtables,
        };
        Buffer {
            limits,
            current: Chunk { bytes: vec![0; FRAME_HEADER], first: stamp, generation },
            sealed: VecDeque::new(),
            sealed_bytes: 0,
            spare: None,
            taken_bytes: 0,
            memory,
            logged: 0,
            finished: VecDeque::new(),
            kept: 0,
            segments_ready: 0,
            records: 0,
            troubles: Troubles::default(),
        }
    }

    /// Appends the record of an entry that makes memory grow by `growth` bytes.
    #[inline]
    pub(crate) fn append(&mut self, note: &Note, entry: &[u8], growth: i64) -> Appended {
        let before = self.current.bytes.len();
        put_record(&mut self.current.bytes, note, entry);
        self.logged += (self.current.bytes.len() - before) as u64;
        self.memory = self.memory.saturating_add_signed(growth);
        self.records += 1;
        Appended { stamp: self.current.end(), generation: self.current.generation, rotated: false }
    }

    /// Takes a position of its own.
    pub(crate) fn append_marker(&mut self) -> Appended {
        self.current.bytes.push(MARKER);
        self.records += 1;
        Appended { stamp: self.current.end(), generation: self.current.generation, rotated: false }
    }

    /// Begins the next generation if the memtable or the segment has reached its limit and nothing is in the way.
    #[inline]
    pub(crate) fn rotate_if_due(&mut self) -> bool {
        self.is_due() && self.rotate()
    }

    /// Begins the next generation: `false` if no segment is ready or too many memtables wait for their flush.
    pub(crate) fn rotate(&mut self) -> bool {
        if !self.can_rotate() {
            return false;
        }
        let (end, generation) = (self.current.end(), self.current.generation);
        self.finished.push_back(Finished { generation, end, memory: self.memory });
        self.segments_ready -= 1;
        (self.memory, self.logged) = (0, 0);
        let next = Chunk { bytes: self.fresh(), first: end, generation: generation + 1 };
        let old = mem::replace(&mut self.current, next);
        if old.len() > 0 {
            self.sealed_bytes += old.len();
            self.sealed.push_back(old);
        }
        true
    }

    /// Whether the active generation holds anything that a flush would write.
    pub(crate) fn is_used(&self) -> bool {
        self.memory > 0 || self.logged > 0
    }

    fn is_due(&self) -> bool {
        self.memory >= self.limits.memtable_bytes || self.logged >= self.limits.segment_bytes
    }

    fn can_rotate(&self) -> bool {
        self.segments_ready > 0 && self.finished.len() + usize::from(self.kept > 0) < self.limits.frozen
    }

    /// Whether memory for one more frozen memtable is left beside those that wait: else none may be kept for lookups.
    pub(crate) fn has_room(&self) -> bool {
        self.finished.len() + 2 < self.limits.frozen
    }

    /// Whether what is kept for lookups has to go, so that writes need not wait for its memory.
    pub(crate) fn wants_release(&self) -> bool {
        self.kept > 0 && !self.has_room()
    }

    /// The oldest records that nobody writes yet.
    pub(crate) fn take(&mut self) -> Option<Chunk> {
        let chunk = match self.sealed.pop_front() {
            Some(chunk) => {
                self.sealed_bytes -= chunk.len();
                chunk
            }
            None if self.current.len() == 0 => return None,
            None => {
                let (first, generation) = (self.current.end(), self.current.generation);
                let next = Chunk { bytes: self.fresh(), first, generation };
                mem::replace(&mut self.current, next)
            }
        };
        self.taken_bytes = chunk.len();
        Some(chunk)
    }

    /// Takes back a chunk's memory once it is written.
    pub(crate) fn give_back(&mut self, mut bytes: Vec<u8>) {
        self.taken_bytes = 0;
        // A transaction larger than the buffer must not keep its memory for ever.
        if bytes.capacity() <= 2 * self.limits.buffer_bytes {
            bytes.truncate(FRAME_HEADER);
            self.spare = Some(bytes);
        }
    }

    fn fresh(&mut self) -> Vec<u8> {
        self.spare.take().unwrap_or_else(|| vec![0; FRAME_HEADER])
    }

    /// Whether writes are let in now.
    #[inline]
    pub(crate) fn admission(&self) -> Admission {
        let blocked = self.is_due() && !self.can_rotate();
        match self.troubles {
            Troubles { poisoned: true, .. } => Admission::Poisoned,
            Troubles { append_full: true, .. } => Admission::Full,
            Troubles { background_full: true, .. } if blocked => Admission::Full,
            Troubles { tables_behind: true, .. } => Admission::Stalled,
            _ if blocked || self.pending() >= self.limits.buffer_bytes => Admission::Stalled,
            _ => Admission::Open,
        }
    }

    /// How far flushes or compaction are behind: writes are slowed down before they have to be stopped.
    #[inline]
    pub(crate) fn debt(&self) -> Debt {
        Debt::of(self.finished.len(), self.limits.frozen.div_ceil(2), self.limits.frozen).max(self.troubles.tables_debt)
    }

    /// Bytes appended and not written.
    pub(crate) fn pending(&self) -> usize {
        self.current.len() + self.sealed_bytes + self.taken_bytes
    }

    /// What is in the way of writes, to be changed.
    pub(crate) fn troubles(&mut self) -> &mut Troubles {
        &mut self.troubles
    }

    /// One more segment lies ready.
    pub(crate) fn segment_ready(&mut self) {
        self.segments_ready += 1;
    }

    /// Whether no segment lies ready for the next generation.
    pub(crate) fn wants_segment(&self) -> bool {
        self.segments_ready == 0
    }

    /// The oldest generation that waits for its flush.
    pub(crate) fn oldest_finished(&self) -> Option<Finished> {
        self.finished.front().copied()
    }

    /// Generations that wait for their flush.
    pub(crate) fn finished(&self) -> usize {
        self.finished.len()
    }

    /// Bytes that the entries of those take in memory.
    pub(crate) fn finished_memory(&self) -> u64 {
        self.finished.iter().map(|finished| finished.memory).sum()
    }

    /// The oldest finished generation is in tables; `true`: it stays for lookups, since there is room.
    pub(crate) fn flushed(&mut self) -> bool {
        let memory = self.finished.pop_front().map_or(0, |finished| finished.memory);
        let stays = self.has_room();
        self.kept = if stays { memory } else { 0 };
        stays
    }

    /// What was kept for lookups is gone.
    pub(crate) fn released(&mut self) {
        self.kept = 0;
    }

    /// Bytes that are kept for lookups.
    pub(crate) fn kept(&self) -> u64 {
        self.kept
    }

    /// Stamp of the last record.
    pub(crate) fn end(&self) -> u64 {
        self.current.end()
    }

    /// Records appended so far.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Bytes of the active generation's entries in memory.
    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }
}
