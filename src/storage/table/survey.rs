//! Reads every byte of a table, whatever is wrong with it: each block's checksum, filters, index, order and counts.
//!
//! Data blocks are found by the index. What no sound index block names is followed from the last known boundary, block by
//! block, as long as their checksums fit; it is never searched for, because a value may hold bytes that look like a block.
//!
//! Invariant: entries are handed out in ascending order, and only from blocks whose checksum fits.

use std::path::Path;
use std::sync::Arc;

use crate::codec::Reader;
use crate::env::{Disk, File, OpenMode};
use crate::storage::error::Error;
use crate::storage::finding::Flaw;
use crate::storage::table::block;
use crate::storage::table::bloom::{Bloom, KeyHash};
use crate::storage::table::entries::EntriesCursor;
use crate::storage::table::format::{
    BLOCK_HEADER_BYTES, BadFooter, BlockKind, BlockPlace, FOOTER_BYTES, FORMAT_VERSION, Footer, MAX_CONTENT_BYTES,
    Properties,
};

/// Longest file that is taken for a table, far above what any writer makes.
const MAX_TABLE_BYTES: u64 = 1 << 40;

/// What was found in a table.
#[derive(Debug, Default)]
pub(crate) struct TableSurvey {
    /// Length of the file.
    pub(crate) bytes: u64,
    /// What is wrong; empty if nothing is.
    pub(crate) flaws: Vec<Flaw>,
    /// What the table says of itself, if that can be read.
    pub(crate) properties: Option<Properties>,
    /// Sound data blocks.
    pub(crate) blocks: u64,
    /// Entries in sound data blocks.
    pub(crate) keys: u64,
    /// Stretches of keys that are lost.
    pub(crate) lost: Vec<LostKeys>,
}

/// Engine keys between two others, of which nothing is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostKeys {
    /// The last key before that is there; `None`: from the table's first.
    pub after: Option<Vec<u8>>,
    /// The first key behind that is there; `None`: to the table's last.
    pub before: Option<Vec<u8>>,
}

/// What a survey calls with each sound entry.
pub(crate) type SeeStored<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), Error>;

/// Reads all of the table at `path` and hands its sound entries to `see`.
///
/// # Errors
/// If the file cannot be opened, or a later release wrote it. What cannot be read in it is a flaw.
pub(crate) fn survey(disk: &dyn Disk, path: &Path, see: SeeStored<'_>) -> Result<TableSurvey, Error> {
    let io = |source| Error::io(path, source);
    let file = disk.open(path, OpenMode::Read).map_err(io)?;
    let bytes = file.len().map_err(io)?;
    let found = TableSurvey { bytes, ..TableSurvey::default() };
    let mut surveyor = Surveyor { file, see, found, filters: Vec::new(), last: None, losing: false };
    if bytes > MAX_TABLE_BYTES {
        surveyor.flaw(0, "a table is never this long");
    } else {
        let layout = surveyor.layout(path)?;
        surveyor.data(&layout)?;
        surveyor.judge(&layout);
    }
    surveyor.end_loss(None);
    surveyor.found.flaws.sort_by_key(|flaw| flaw.offset);
    Ok(surveyor.found)
}

/// A data block that the index names.
struct Named {
    place: BlockPlace,
    /// A key above all before the block, and not above its first.
    separator: Vec<u8>,
}

/// Where things are, as far as it can be read.
#[derive(Default)]
struct Layout {
    /// Data blocks that sound index blocks name, by offset.
    data: Vec<Named>,
    /// All blocks that are not data.
    others: Vec<BlockPlace>,
    /// Whether every data block is named.
    whole: bool,
}

struct Surveyor<'a> {
    file: Box<dyn File>,
    see: SeeStored<'a>,
    found: TableSurvey,
    filters: Vec<(Vec<u8>, Option<Bloom>)>,
    last: Option<Vec<u8>>,
    losing: bool,
}

impl Surveyor<'_> {
    fn flaw(&mut self, offset: u64, what: &'static str) {
        self.found.flaws.push(Flaw { offset, what });
    }

    // ---- Footer, properties, index, filters ----

    fn layout(&mut self, path: &Path) -> Result<Layout, Error> {
        let mut layout = Layout::default();
        let Some(footer) = self.footer(path)? else { return Ok(layout) };
        layout.others = vec![footer.filters, footer.index, footer.properties];
        if let Some(contents) = self.block(footer.properties, BlockKind::Properties) {
            match Properties::decode(&contents) {
                Ok(properties) => self.found.properties = Some(properties),
                Err(_) => self.flaw(footer.properties.offset, "the properties do not decode"),
            }
        }
        for (first, place) in self.entries(footer.filters, BlockKind::Fence).unwrap_or_default() {
            layout.others.push(place);
            let filter = self.block(place, BlockKind::Filter).map(|contents| Bloom::decode(&contents));
            if let Some(Err(what)) = &filter {
                self.flaw(place.offset, what);
            }
            self.filters.push((first, filter.and_then(Result::ok)));
        }
        let fence = self.entries(footer.index, BlockKind::Fence);
        layout.whole = fence.is_some();
        for (_, place) in fence.unwrap_or_default() {
            layout.others.push(place);
            let named = self.entries(place, BlockKind::Index);
            layout.whole &= named.is_some();
            let named = named.unwrap_or_default().into_iter();
            layout.data.extend(named.map(|(separator, place)| Named { place, separator }));
        }
        layout.data.sort_by_key(|named| named.place.offset);
        Ok(layout)
    }

    fn footer(&mut self, path: &Path) -> Result<Option<Footer>, Error> {
        let Some(offset) = self.found.bytes.checked_sub(FOOTER_BYTES as u64) else {
            self.flaw(0, "the file is shorter than a table's footer");
            return Ok(None);
        };
        let mut bytes = [0; FOOTER_BYTES];
        if self.file.read_at(&mut bytes, offset).is_err() {
            self.flaw(offset, "the disk cannot read the footer");
            return Ok(None);
        }
        match Footer::decode(&bytes) {
            Ok(footer) => Ok(Some(footer)),
            Err(BadFooter::Damaged(what)) => {
                self.flaw(offset, what);
                Ok(None)
            }
            Err(BadFooter::Future(version)) => {
                Err(Error::FutureFormat { path: path.to_owned(), version, supported: FORMAT_VERSION })
            }
        }
    }

    /// Keys and places of a fence or index block; `None` and a flaw if it cannot be read.
    fn entries(&mut self, place: BlockPlace, kind: BlockKind) -> Option<Vec<(Vec<u8>, BlockPlace)>> {
        let contents = self.block(place, kind)?;
        let entries = places(contents);
        if entries.is_none() {
            self.flaw(place.offset, "a block of the index does not decode");
        }
        entries
    }

    /// The contents of a block; `None` and a flaw if it cannot be read.
    fn block(&mut self, place: BlockPlace, kind: BlockKind) -> Option<Arc<[u8]>> {
        let opened = self.stored(place).and_then(|stored| block::open(&stored, kind));
        opened.map_err(|what| self.flaw(place.offset, what)).ok()
    }

    fn stored(&self, place: BlockPlace) -> Result<Vec<u8>, &'static str> {
        let end = place.offset.checked_add(u64::from(place.bytes));
        if end.is_none_or(|end| end > self.found.bytes) {
            return Err("a block lies outside of the file");
        }
        let mut stored = vec![0; place.bytes as usize];
        self.file.read_at(&mut stored, place.offset).map_err(|_| "the disk cannot read a block")?;
        Ok(stored)
    }

    // ---- Data ----

    fn data(&mut self, layout: &Layout) -> Result<(), Error> {
        let mut position = 0;
        for named in &layout.data {
            if named.place.offset > position {
                self.unnamed((position, named.place.offset), layout)?;
            }
            match self.block(named.place, BlockKind::Data) {
                Some(contents) => self.pass(contents, (named.place.offset, Some(&named.separator)))?,
                None => self.losing = true,
            }
            position = position.max(named.place.offset.saturating_add(u64::from(named.place.bytes)));
        }
        let end = layout.others.iter().map(|place| place.offset).filter(|offset| *offset >= position).min();
        let end = end.unwrap_or_else(|| self.found.bytes.saturating_sub(FOOTER_BYTES as u64));
        if end > position {
            self.unnamed((position, end), layout)?;
        }
        Ok(())
    }

    /// A stretch that no index block names: its blocks are followed from its start.
    fn unnamed(&mut self, (mut position, end): (u64, u64), layout: &Layout) -> Result<(), Error> {
        if layout.whole {
            self.flaw(position, "bytes that belong to no block");
            return Ok(());
        }
        while position < end {
            let Some((contents, bytes)) = self.block_at(position, end) else {
                // Behind the data come filters and index; with neither fence readable they are not told apart.
                if !self.is_other(position, end) {
                    self.flaw(position, "no sound block, and no index that tells where the next one is");
                    self.losing = true;
                }
                return Ok(());
            };
            self.pass(contents, (position, None))?;
            position += bytes;
        }
        Ok(())
    }

    /// The data block that begins at `position`, and its length as stored.
    fn block_at(&self, position: u64, end: u64) -> Option<(Arc<[u8]>, u64)> {
        let stored = self.stored(self.place_at(position, end)?).ok()?;
        block::open(&stored, BlockKind::Data).ok().map(|contents| (contents, stored.len() as u64))
    }

    /// Where the block that begins at `position` ends, as its header says.
    fn place_at(&self, position: u64, end: u64) -> Option<BlockPlace> {
        let mut header = [0; BLOCK_HEADER_BYTES];
        self.file.read_at(&mut header, position).ok()?;
        let mut reader = Reader::new(&header);
        let (_crc, _kind, compression, len) =
            (reader.u64().ok()?, reader.u8().ok()?, reader.u8().ok()?, reader.u32().ok()?);
        let limit = (len as usize).min(MAX_CONTENT_BYTES) as u64 + BLOCK_HEADER_BYTES as u64;
        let bytes = u32::try_from(limit.min(end - position)).ok()?;
        let stored = self.stored(BlockPlace { offset: position, bytes }).ok()?;
        let bytes = block::stored_len(compression, len, stored.get(BLOCK_HEADER_BYTES..)?)?;
        Some(BlockPlace { offset: position, bytes })
    }

    /// Whether a sound filter or index block begins at `position`: the data ends there.
    fn is_other(&self, position: u64, end: u64) -> bool {
        let stored = self.place_at(position, end).and_then(|place| self.stored(place).ok());
        stored.is_some_and(|stored| {
            [BlockKind::Filter, BlockKind::Index, BlockKind::Fence]
                .into_iter()
                .any(|kind| block::open(&stored, kind).is_ok())
        })
    }

    /// Hands out the entries of a sound data block.
    fn pass(&mut self, contents: Arc<[u8]>, (offset, separator): (u64, Option<&[u8]>)) -> Result<(), Error> {
        let mut cursor = EntriesCursor::default();
        let mut more = cursor.open(contents).and_then(|()| cursor.advance());
        if let (Ok(true), Some(separator)) = (more, separator)
            && (separator > cursor.key() || self.last.as_deref().is_some_and(|last| last >= separator))
        {
            self.flaw(offset, "the index names the block by a key that does not fit");
        }
        self.found.blocks += 1;
        while let Ok(true) = more {
            if self.last.as_deref().is_some_and(|last| last >= cursor.key()) {
                self.flaw(offset, "keys that do not ascend");
                return Ok(());
            }
            self.entry(cursor.key(), cursor.value(), offset)?;
            more = cursor.advance();
        }
        if more.is_err() {
            self.flaw(offset, "a data block holds no entries");
            self.losing = true;
        }
        Ok(())
    }

    fn entry(&mut self, key: &[u8], value: &[u8], offset: u64) -> Result<(), Error> {
        self.end_loss(Some(key));
        let filter = self.filters.partition_point(|(first, _)| first.as_slice() <= key).checked_sub(1);
        let filter = filter.and_then(|index| self.filters.get(index));
        if let Some((_, Some(filter))) = filter
            && !filter.may_hold(KeyHash::of(key))
        {
            self.flaw(offset, "the filter denies a key of the block");
        }
        (self.see)(key, value)?;
        self.found.keys += 1;
        let last = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(key);
        Ok(())
    }

    fn end_loss(&mut self, before: Option<&[u8]>) {
        if std::mem::take(&mut self.losing) {
            self.found.lost.push(LostKeys { after: self.last.clone(), before: before.map(<[u8]>::to_vec) });
        }
    }

    // ---- The whole ----

    /// Whether blocks and footer make up the whole file, and the counts are right; asked only if nothing else is wrong.
    fn judge(&mut self, layout: &Layout) {
        if !self.found.flaws.is_empty() {
            return;
        }
        let mut places: Vec<_> = layout.data.iter().map(|named| named.place).chain(layout.others.clone()).collect();
        places.sort_by_key(|place| place.offset);
        let mut end = 0;
        for place in places {
            if place.offset != end {
                self.flaw(end, "bytes that belong to no block, or to two");
                return;
            }
            end += u64::from(place.bytes);
        }
        let properties = self.found.properties.as_ref();
        let fits = properties
            .is_some_and(|own| own.keys == self.found.keys && Some(own.last.as_slice()) == self.last.as_deref());
        if !fits {
            self.flaw(end, "the properties tell of other entries than there are");
        }
    }
}

fn places(contents: Arc<[u8]>) -> Option<Vec<(Vec<u8>, BlockPlace)>> {
    let mut cursor = EntriesCursor::default();
    cursor.open(contents).ok()?;
    let mut places = Vec::new();
    while cursor.advance().ok()? {
        places.push((cursor.key().to_vec(), BlockPlace::decode(cursor.value()).ok()?));
    }
    Some(places)
}
