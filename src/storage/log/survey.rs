//! Reads every byte of the log, whatever is wrong with it: segment by segment, frame by frame.
//!
//! Where the chain of frames breaks, it is taken up again by the headers of the damaged frames. If a header is damaged too,
//! the next sound frame is searched for, and taken only if sound frames lead from it to the segment's end and its distance
//! fits the stamps that are missing: a value may hold bytes that look like a frame. Whether a break is damage or what a crash
//! left is judged as recovery does: by whether a later frame proves that it was durable.
//!
//! Invariant: records are handed out in stamp order, from frames whose checksum fits.
//! Left out: what the caller does with a break; recovery stops at the first (`recovery.rs`).

use std::path::{Path, PathBuf};

use crate::codec::Reader;
use crate::env::{Disk, File, OpenMode};
use crate::storage::error::Error;
use crate::storage::finding::Flaw;
use crate::storage::log::format::{
    FRAME_ALIGN, FRAME_HEADER, FrameHead, Header, Record, SEGMENT_HEADER, VERSION, judge_header, open_frame, read_head,
    read_record, segment_generation, segment_path,
};
use crate::storage::log::recovery::{Window, Write};
use crate::types::Stamp;

/// What is in tables already, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// Segments up to this generation do not count any more.
    pub(crate) generation: Option<u64>,
    /// Records up to this stamp do not count any more; the log has to go on from there.
    pub(crate) flushed_to: Option<Stamp>,
}

/// What was found in the log.
#[derive(Debug, Default)]
pub(crate) struct LogSurvey {
    /// Segments that count, oldest first.
    pub(crate) segments: Vec<SegmentSurvey>,
    /// Segments that are in tables.
    pub(crate) old: Vec<PathBuf>,
    /// Stamp of the last sound record.
    pub(crate) end: Stamp,
    /// Greatest generation of any segment.
    pub(crate) generation: u64,
}

/// What was found in one segment.
#[derive(Debug)]
pub(crate) struct SegmentSurvey {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its generation.
    pub(crate) generation: u64,
    /// Its length.
    pub(crate) bytes: u64,
    /// Sound frames.
    pub(crate) frames: u64,
    /// Records in them that are not in tables yet.
    pub(crate) records: u64,
    /// Damage.
    pub(crate) flaws: Vec<Flaw>,
    /// Where something is missing that a crash may have left so.
    pub(crate) torn: Vec<Flaw>,
    /// Stretches of stamps that are missing although they were durable.
    pub(crate) lost: Vec<(u64, Option<u64>)>,
    gaps: Vec<Gap>,
}

/// A break in the chain of frames.
#[derive(Clone, Copy, Debug)]
struct Gap {
    offset: u64,
    from: u64,
    to: Option<u64>,
}

/// What a surveyor calls with each record, and the generation of its segment.
pub(crate) type SeeWrite<'a> = &'a mut dyn FnMut(u64, Write<'_>) -> Result<(), Error>;

/// Reads the whole log and hands its records to `see`.
///
/// # Errors
/// If the directory cannot be listed, a later release wrote a segment, or `see` fails. What cannot be read is a flaw.
pub(crate) fn survey(disk: &dyn Disk, dir: &Path, known: Known, see: SeeWrite<'_>) -> Result<LogSurvey, Error> {
    let names = disk.list(dir).map_err(|source| Error::io(dir, source))?;
    let mut generations: Vec<_> = names.iter().filter_map(|name| segment_generation(name)).collect();
    generations.sort_unstable();
    let mut found = LogSurvey { generation: generations.last().copied().unwrap_or(0), ..LogSurvey::default() };
    // With nobody to tell which segments are in tables, the oldest may begin before what is.
    let start = known.generation.and(known.flushed_to).map(|stamp| stamp.0);
    let mut surveyor = Surveyor { known, expected: start, durable: 0, see };
    for generation in generations {
        let path = segment_path(dir, generation);
        if known.generation.is_some_and(|flushed| generation <= flushed) {
            found.old.push(path);
        } else {
            found.segments.push(surveyor.segment(disk, path, generation)?);
        }
    }
    found.end = Stamp(surveyor.expected.unwrap_or(0)).max(known.flushed_to.unwrap_or_default());
    found.segments.iter_mut().for_each(|segment| segment.judge(surveyor.durable));
    Ok(found)
}

struct Surveyor<'a> {
    known: Known,
    /// First stamp of the next frame; unknown before the first if nobody knows where the log begins.
    expected: Option<u64>,
    /// The greatest position that a frame says was durable.
    durable: u64,
    see: SeeWrite<'a>,
}

impl Surveyor<'_> {
    fn segment(&mut self, disk: &dyn Disk, path: PathBuf, generation: u64) -> Result<SegmentSurvey, Error> {
        let mut found = SegmentSurvey::new(path, generation);
        let read = Window::open(disk, found.path.clone(), OpenMode::Read).and_then(|mut file| {
            found.bytes = file.len;
            self.frames(&mut file, &mut found)
        });
        match read {
            // A device that cannot read some of it: the rest of the segment is lost.
            Err(Error::Io { path, .. }) if path == found.path => {
                found.flaws.push(Flaw { offset: 0, what: "the disk cannot read the segment" });
            }
            other => other?,
        }
        Ok(found)
    }

    fn frames(&mut self, file: &mut Window, found: &mut SegmentSurvey) -> Result<(), Error> {
        match judge_header(file.get(0, SEGMENT_HEADER)?, found.generation) {
            Header::Good => {}
            Header::Future(version) => {
                return Err(Error::FutureFormat { path: file.path.clone(), version, supported: VERSION });
            }
            Header::Bad if file.is_zero_from(0)? => return Ok(()),
            Header::Bad => found.header_is_bad(self.expected),
        }
        let mut offset = SEGMENT_HEADER as u64;
        loop {
            let head = match file.head(offset)? {
                Some(head) if file.sound(offset, &head)? && self.is_next(&head) => head,
                _ if file.is_zero_from(offset)? => return Ok(()),
                _ => match self.resume(file, offset)? {
                    Some((next, head)) => {
                        found.gap(offset, self.expected, Some(head.first));
                        offset = next;
                        head
                    }
                    None => {
                        found.gap(offset, self.expected, None);
                        return Ok(());
                    }
                },
            };
            if let Some(expected) = self.expected.filter(|expected| head.first > *expected) {
                found.gap_once(offset, expected, head.first);
            }
            self.frame(file, found, (offset, &head))?;
            offset += head.stride() as u64;
        }
    }

    /// Whether a sound frame can be the next one: it goes on, or frames before it are missing.
    fn is_next(&self, head: &FrameHead) -> bool {
        self.expected.is_none_or(|expected| head.first >= expected)
    }

    /// The next sound frame behind a break at `offset`, if there is one that can be trusted to be a frame.
    fn resume(&self, file: &mut Window, offset: u64) -> Result<Option<(u64, FrameHead)>, Error> {
        if let Some(found) = self.by_headers(file, offset)? {
            return Ok(Some(found));
        }
        let mut next = offset + FRAME_ALIGN as u64;
        while next < file.len {
            if let Some(head) = file.head(next)?.filter(|head| self.fits(head, next - offset))
                && leads_to_end(file, next)?
            {
                return Ok(Some((next, head)));
            }
            next += FRAME_ALIGN as u64;
        }
        Ok(None)
    }

    /// Follows the headers of frames whose records are damaged, as long as each begins at the stamp where the one before ends.
    fn by_headers(&self, file: &mut Window, mut offset: u64) -> Result<Option<(u64, FrameHead)>, Error> {
        let mut expected = self.expected;
        while let Some(head) = file.head(offset)?.filter(|head| expected.is_none_or(|first| first == head.first)) {
            if offset > 0 && expected.is_some() && file.sound(offset, &head)? {
                return Ok(Some((offset, head)));
            }
            expected = Some(head.end());
            offset += head.stride() as u64;
        }
        Ok(None)
    }

    /// Whether frames that hold the missing stamps take `distance` bytes: each has a header and up to 7 bytes of padding.
    fn fits(&self, head: &FrameHead, distance: u64) -> bool {
        let (least, most) = (FRAME_HEADER as u64, (FRAME_HEADER + FRAME_ALIGN - 1) as u64);
        let plausible = head.durable_before <= head.first;
        let Some(expected) = self.expected else { return plausible };
        let missing = head.first.checked_sub(expected).filter(|missing| *missing > 0);
        let overhead = missing.and_then(|missing| distance.checked_sub(missing));
        plausible && overhead.is_some_and(|overhead| overhead >= least && overhead.div_ceil(most) <= overhead / least)
    }

    /// Hands out the records of a sound frame.
    fn frame(&mut self, file: &mut Window, found: &mut SegmentSurvey, at: (u64, &FrameHead)) -> Result<(), Error> {
        let (offset, head) = at;
        let bytes = file.get(offset, head.stride())?;
        let own = FRAME_HEADER + head.length as usize;
        if bytes.get(own..).is_some_and(|padding| padding.iter().any(|byte| *byte != 0)) {
            found.flaws.push(Flaw { offset: offset + own as u64, what: "bytes between two frames that are not zero" });
        }
        found.frames += 1;
        self.durable = self.durable.max(head.durable_before);
        let flushed = self.known.flushed_to.map_or(0, |stamp| stamp.0);
        let mut reader = Reader::new(open_frame(bytes).unwrap_or(&[]));
        while !reader.is_empty() {
            let start = offset + (FRAME_HEADER + reader.offset()) as u64;
            let Ok(Some(record)) = read_record(&mut reader) else {
                found.flaws.push(Flaw { offset: start, what: "a record of a sound frame makes no sense" });
                break;
            };
            let stamp = head.first + reader.offset() as u64;
            if stamp <= flushed {
                continue;
            }
            found.records += 1;
            if let Record::Put { note, key, value } = record {
                (self.see)(found.generation, Write { stamp: Stamp(stamp), note, key, value })?;
            }
        }
        self.expected = Some(head.end());
        Ok(())
    }
}

/// Bytes of an open segment up to the end of its last frame that ends by `end`; 0 if it has none.
///
/// # Errors
/// What the disk says.
pub(crate) fn bytes_up_to((file, path): (&dyn File, &Path), end: Stamp) -> Result<u64, Error> {
    let io = |source| Error::io(path, source);
    let len = file.len().map_err(io)?;
    let mut offset = SEGMENT_HEADER as u64;
    let mut header = [0; FRAME_HEADER];
    while offset + FRAME_HEADER as u64 <= len {
        file.read_at(&mut header, offset).map_err(io)?;
        match read_head(&header) {
            Ok(head) if head.length > 0 && head.end() <= end.0 => offset += head.stride() as u64,
            _ => break,
        }
    }
    Ok(if offset > SEGMENT_HEADER as u64 { offset } else { 0 })
}

/// Whether sound frames follow one another from `offset` to where the segment ends. Frames inside of a value do not.
fn leads_to_end(file: &mut Window, mut offset: u64) -> Result<bool, Error> {
    let mut first = None;
    while let Some(head) = file.head(offset)?.filter(|head| first.is_none_or(|first| first == head.first)) {
        if !file.sound(offset, &head)? {
            return Ok(false);
        }
        first = Some(head.end());
        offset += head.stride() as u64;
    }
    Ok(first.is_some() && file.is_zero_from(offset)?)
}

impl SegmentSurvey {
    fn new(path: PathBuf, generation: u64) -> Self {
        let (flaws, torn, lost, gaps) = Default::default();
        SegmentSurvey { path, generation, bytes: 0, frames: 0, records: 0, flaws, torn, lost, gaps }
    }

    fn header_is_bad(&mut self, expected: Option<u64>) {
        self.gaps.push(Gap { offset: 0, from: expected.unwrap_or(0), to: None });
    }

    fn gap(&mut self, offset: u64, from: Option<u64>, to: Option<u64>) {
        self.gaps.push(Gap { offset, from: from.unwrap_or(0), to });
    }

    /// A gap in front of a frame, unless the break that was just passed told of it.
    fn gap_once(&mut self, offset: u64, from: u64, to: u64) {
        if self.gaps.last().is_none_or(|gap| gap.to != Some(to)) {
            self.gaps.push(Gap { offset, from, to: Some(to) });
        }
    }

    /// Tells damage from what a crash left, once it is known how far the log was durable.
    fn judge(&mut self, durable: u64) {
        for gap in std::mem::take(&mut self.gaps) {
            let flaw = |what| Flaw { offset: gap.offset, what };
            if gap.offset == 0 && self.frames > 0 {
                self.flaws.push(flaw("the header of a segment with frames makes no sense"));
            } else if durable > gap.from {
                self.flaws.push(flaw("a frame of the log that was durable cannot be read"));
                self.lost.push((gap.from, gap.to));
            } else {
                self.torn.push(flaw("the log's end is torn, as a crash leaves it"));
            }
        }
        self.flaws.sort_by_key(|flaw| flaw.offset);
    }
}
