//! Reading the log back after a stop or a crash.
//!
//! Frames are followed in stamp order through the segments. Where the chain breaks, everything later is searched for frames
//! that survived: if one of them was written when the missing position was already on stable storage, the log is damaged
//! and the open fails; else the rest never counted and is cut off, later segments first, so that a crash in between finds
//! the same break again. Sound frames that are cut off with the damage are told of: they may be what a power loss left
//! behind a frame that it tore, or acknowledged writes behind a damaged one, and nothing can tell which.
//!
//! Invariant: what was replayed is on stable storage before the open ends, so that later frames may rest on it.
//! Left out: what a record means; the caller applies it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::codec::Reader;
use crate::env::{Disk, File, OpenMode};
use crate::storage::error::Error;
use crate::storage::log::format::{
    FRAME_ALIGN, FRAME_HEADER, FrameHead, Header, Record, SEGMENT_HEADER, VERSION, judge_header, open_frame, read_head,
    read_record, segment_generation, segment_path,
};
use crate::storage::note::Note;
use crate::types::Stamp;

/// Bytes read at once.
const WINDOW: usize = 1 << 20;

/// What is in tables already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flushed {
    /// The newest flushed generation.
    pub(crate) generation: u64,
    /// Its end.
    pub(crate) to: Stamp,
}

/// What a replay ends with.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// Stamp of the last record.
    pub(crate) end: Stamp,
    /// Generation for the next segment.
    pub(crate) next_generation: u64,
    /// Segments that hold what was replayed.
    pub(crate) segments: Vec<(u64, PathBuf)>,
    /// What was cut off although it could be read.
    pub(crate) cut: Option<Cut>,
}

/// Sound frames that were cut off because one before them could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The segment with the frame that could not be read.
    pub(crate) path: PathBuf,
    /// Where that frame was.
    pub(crate) offset: u64,
    /// From there to the end of the last sound frame, in all segments.
    pub(crate) bytes: u64,
}

/// One replayed write.
pub(crate) struct Write<'a> {
    pub(crate) stamp: Stamp,
    pub(crate) note: Note,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// Where the chain of frames ends in a segment.
struct End {
    offset: u64,
    /// Whether only zeros follow.
    clean: bool,
}

/// Sound frames found behind a break.
#[derive(Clone, Copy, Default)]
struct Survivors {
    /// The greatest `durable_before` among them; `None` if there are none.
    durable: Option<u64>,
    /// Where the last one ends.
    end: u64,
}

struct Replay<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    expected: u64,
    cut: Option<Cut>,
    see: &'a mut dyn FnMut(Write<'_>),
}

/// Replays what tables do not hold, in stamp order, and makes the log end where the replay did.
///
/// # Errors
/// `Corrupt` if records are missing that were on stable storage; nothing is changed then.
pub(crate) fn replay(
    disk: &dyn Disk,
    dir: &Path,
    flushed: Flushed,
    see: &mut dyn FnMut(Write<'_>),
) -> Result<Replayed, Error> {
    let names = disk.list(dir).map_err(|source| Error::io(dir, source))?;
    let mut generations: Vec<_> = names.iter().filter_map(|name| segment_generation(name)).collect();
    generations.sort_unstable();
    let next_generation = generations.last().copied().unwrap_or(0).max(flushed.generation) + 1;
    let (old, live): (Vec<u64>, Vec<u64>) = generations.into_iter().partition(|number| *number <= flushed.generation);
    let mut replay = Replay { disk, dir, expected: flushed.to.0, cut: None, see };
    let segments = replay.run(&live)?;
    for generation in old {
        let path = segment_path(dir, generation);
        disk.remove(&path).map_err(|source| Error::io(&path, source))?;
    }
    Ok(Replayed { end: Stamp(replay.expected), next_generation, segments, cut: replay.cut })
}

impl Replay<'_> {
    fn run(&mut self, live: &[u64]) -> Result<Vec<(u64, PathBuf)>, Error> {
        let mut segments = Vec::new();
        for (index, generation) in live.iter().enumerate() {
            let mut file = Window::open(self.disk, segment_path(self.dir, *generation), OpenMode::ReadWrite)?;
            let end = self.segment(&mut file, *generation)?;
            let later = live.get(index + 1..).unwrap_or(&[]);
            if !end.clean || self.breaks_before(later)? {
                self.cut = self.judge_break(&mut file, end.offset, later)?;
                self.remove(later)?;
                self.settle(&file, end.offset)?;
                segments.push((*generation, file.path));
                return Ok(segments);
            }
            self.settle(&file, end.offset)?;
            segments.push((*generation, file.path));
        }
        Ok(segments)
    }

    /// Follows the frames of one segment.
    fn segment(&mut self, file: &mut Window, generation: u64) -> Result<End, Error> {
        match judge_header(file.get(0, SEGMENT_HEADER)?, generation) {
            Header::Good => {}
            Header::Future(version) => {
                return Err(Error::FutureFormat { path: file.path.clone(), version, supported: VERSION });
            }
            Header::Bad => return Ok(End { offset: 0, clean: file.is_zero_from(0)? }),
        }
        let mut offset = SEGMENT_HEADER as u64;
        while let Some(head) = file.head(offset)? {
            if head.first != self.expected || !self.frame(file, offset, &head)? {
                return Ok(End { offset, clean: false });
            }
            offset += head.stride() as u64;
        }
        Ok(End { offset, clean: file.is_zero_from(offset)? })
    }

    /// Applies one frame: `false` if its checksum does not fit.
    fn frame(&mut self, file: &mut Window, offset: u64, head: &FrameHead) -> Result<bool, Error> {
        let bytes = file.get(offset, FRAME_HEADER + head.length as usize)?;
        let Some(records) = open_frame(bytes) else { return Ok(false) };
        let mut reader = Reader::new(records);
        while !reader.is_empty() {
            let start = reader.offset() as u64 + FRAME_HEADER as u64;
            let Ok(Some(record)) = read_record(&mut reader) else {
                return Err(Error::corrupt(&file.path, offset + start, "a record of a sound frame makes no sense"));
            };
            if let Record::Put { note, key, value } = record {
                (self.see)(Write { stamp: Stamp(head.first + reader.offset() as u64), note, key, value });
            }
        }
        self.expected = head.end();
        Ok(true)
    }

    /// Whether the next frame of the later segments is not the one that is expected.
    fn breaks_before(&self, later: &[u64]) -> Result<bool, Error> {
        for generation in later {
            let mut file = Window::open(self.disk, segment_path(self.dir, *generation), OpenMode::ReadWrite)?;
            if judge_header(file.get(0, SEGMENT_HEADER)?, *generation) != Header::Good {
                return Ok(false);
            }
            if let Some(head) = file.head(SEGMENT_HEADER as u64)? {
                return Ok(head.first > self.expected && file.sound(SEGMENT_HEADER as u64, &head)?);
            }
        }
        Ok(false)
    }

    /// Fails if a later frame proves that what is missing at `offset` was on stable storage; else says what is to be cut.
    fn judge_break(&self, file: &mut Window, offset: u64, later: &[u64]) -> Result<Option<Cut>, Error> {
        let here = file.survivors(offset, self.expected)?;
        if offset == 0 && here.durable.is_some() {
            // It was durable before the first frame was written.
            return Err(Error::corrupt(&file.path, 0, "the header of a segment with frames makes no sense"));
        }
        let mut durable = here.durable;
        let mut bytes = here.end.saturating_sub(offset);
        for generation in later {
            let mut file = Window::open(self.disk, segment_path(self.dir, *generation), OpenMode::ReadWrite)?;
            let there = file.survivors(SEGMENT_HEADER as u64, self.expected)?;
            durable = durable.max(there.durable);
            bytes += there.end;
        }
        if durable > Some(self.expected) {
            return Err(Error::corrupt(&file.path, offset, "a frame of the log that was durable cannot be read"));
        }
        Ok(durable.map(|_| Cut { path: file.path.clone(), offset, bytes }))
    }

    fn remove(&self, later: &[u64]) -> Result<(), Error> {
        for generation in later.iter().rev() {
            let path = segment_path(self.dir, *generation);
            self.disk.remove(&path).map_err(|source| Error::io(&path, source))?;
        }
        if !later.is_empty() {
            self.disk.sync_dir(self.dir).map_err(|source| Error::io(self.dir, source))?;
        }
        Ok(())
    }

    /// Cuts a segment behind its last frame and makes it durable.
    fn settle(&self, file: &Window, offset: u64) -> Result<(), Error> {
        let settled = (|| {
            if file.len > offset {
                file.file.truncate(offset)?;
            }
            file.file.sync()
        })();
        settled.map_err(|source| Error::io(&file.path, source))
    }
}

/// A file read through a window that moves forward.
pub(super) struct Window {
    pub(super) path: PathBuf,
    file: Box<dyn File>,
    pub(super) len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(super) fn open(disk: &dyn Disk, path: PathBuf, mode: OpenMode) -> Result<Self, Error> {
        let opened = disk.open(&path, mode).and_then(|file| Ok((file.len()?, file)));
        match opened {
            Ok((len, file)) => Ok(Window { path, file, len, start: 0, bytes: Vec::new() }),
            Err(source) => Err(Error::io(&path, source)),
        }
    }

    /// `count` bytes from `offset`, or what there is of them.
    pub(super) fn get(&mut self, offset: u64, count: usize) -> Result<&[u8], Error> {
        let count = count.min(usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX));
        let end = offset + count as u64;
        if offset < self.start || end > self.start + self.bytes.len() as u64 {
            let ahead = usize::try_from(self.len - offset).unwrap_or(usize::MAX).min(WINDOW);
            self.bytes.resize(count.max(ahead), 0);
            self.start = offset;
            self.file.read_at(&mut self.bytes, offset).map_err(|source| Error::io(&self.path, source))?;
        }
        let from = (offset - self.start) as usize;
        Ok(self.bytes.get(from..from + count).unwrap_or(&[]))
    }

    /// The header of a frame that may stand at `offset`: it has a length, and the file is long enough for it.
    pub(super) fn head(&mut self, offset: u64) -> Result<Option<FrameHead>, Error> {
        let head = read_head(self.get(offset, FRAME_HEADER)?).ok().filter(|head| head.length > 0);
        let left = self.len.saturating_sub(offset + FRAME_HEADER as u64);
        Ok(head.filter(|head| u64::from(head.length) <= left))
    }

    pub(super) fn sound(&mut self, offset: u64, head: &FrameHead) -> Result<bool, Error> {
        Ok(open_frame(self.get(offset, FRAME_HEADER + head.length as usize)?).is_some())
    }

    pub(super) fn is_zero_from(&mut self, offset: u64) -> Result<bool, Error> {
        let zeros = self.walk(offset, WINDOW, |bytes| match bytes.iter().all(|byte| *byte == 0) {
            true => ControlFlow::Continue(bytes.len()),
            false => ControlFlow::Break(()),
        })?;
        Ok(zeros)
    }

    /// Calls `step` with bytes from `offset` on until it breaks or the file ends: whether the end was reached.
    fn walk(
        &mut self,
        mut offset: u64,
        count: usize,
        mut step: impl FnMut(&[u8]) -> ControlFlow<(), usize>,
    ) -> Result<bool, Error> {
        while offset < self.len {
            match step(self.get(offset, count)?) {
                ControlFlow::Continue(used) => offset += used as u64,
                ControlFlow::Break(()) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The sound frames from `offset` on that lie behind the stamp `expected`.
    fn survivors(&mut self, offset: u64, expected: u64) -> Result<Survivors, Error> {
        let mut found = Survivors::default();
        let mut offset = offset.next_multiple_of(FRAME_ALIGN as u64);
        while offset < self.len {
            let limit = expected.saturating_add(u64::from(u32::MAX) << 8);
            let plausible = self
                .head(offset)?
                .filter(|head| head.first >= expected && head.first < limit && head.durable_before <= head.first);
            match plausible {
                Some(head) if self.sound(offset, &head)? => {
                    found.durable = found.durable.max(Some(head.durable_before));
                    found.end = offset + FRAME_HEADER as u64 + u64::from(head.length);
                    offset += head.stride() as u64;
                }
                _ => offset += FRAME_ALIGN as u64,
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::{Cut, Flushed, replay};
    use crate::env::memory::MemoryMachine;
    use crate::storage::{Depth, Draft, Durability, Engine, Filter, Judgement, Options, Update, Verdict};

    struct KeepAll;

    impl Filter for KeepAll {
        fn judge(&self, _: &[u8], _: &[u8], _: Depth) -> Judgement {
            Judgement::Keep
        }
    }

    /// Replays a log of one frame per value, one bit of which is turned over.
    fn cut_by(bit: u64, durability: Durability) -> (u64, Option<Cut>) {
        let machine = MemoryMachine::new(1);
        let engine = Engine::open(&machine.env(), Options::new("data".into(), durability), Arc::new(KeepAll));
        let engine = engine.expect("an empty disk");
        let mut put = |_: Option<&[u8]>, draft: &mut Draft<'_>| {
            draft.value(28).extend_from_slice(&[7; 28]);
            Verdict::Put
        };
        for name in 1..=3u8 {
            let updated = engine.update(&[0, 1, 0, name], None, &mut put).expect("a sound disk");
            assert!(matches!(updated, Update::Done(_)));
            engine.write_out().expect("a sound disk");
        }
        drop(engine);
        let machine = machine.kill();
        let path = machine.disk.files().into_iter().find(|path| path.display().to_string().contains("log-"));
        machine.disk.flip_bit(&path.expect("a log"), bit);
        let mut records = 0;
        let replayed = replay(&*machine.env().disk, Path::new("data"), Flushed::default(), &mut |_| records += 1);
        (records, replayed.expect("nothing proves that it was durable").cut)
    }

    #[test]
    fn what_is_cut_is_told_with_its_place_if_sound_frames_follow() {
        for durability in [Durability::EverySec, Durability::None] {
            for (bit, kept, cut) in [(60, 0, Some((24, 191))), (124, 1, Some((88, 127))), (188, 2, None)] {
                let (records, told) = cut_by(bit * 8, durability);
                assert_eq!(records, kept, "{durability:?} {told:?}");
                assert_eq!(told.map(|cut| (cut.offset, cut.bytes)), cut, "{durability:?}");
            }
        }
    }
}
