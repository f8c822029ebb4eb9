//! A walk over a range of one table.
//!
//! Reads of a scan look into the cache, and read ahead twice as far at each miss up to 256 KB; only the first blocks go into
//! the cache, so that a long scan does not push out what lookups use. Reads of compaction go past the cache.

use std::sync::Arc;

use crate::storage::cursor::Cursor;
use crate::storage::error::Error;
use crate::storage::table::entries::EntriesCursor;
use crate::storage::table::format::BlockPlace;
use crate::storage::table::reader::{TableFile, TableWalk};

/// Bytes read ahead at most.
const AHEAD_BYTES: usize = 256 << 10;
/// Bytes read ahead by the second miss of a scan.
const FIRST_AHEAD_BYTES: usize = 8 << 10;
/// A scan that reads further ahead than this leaves the cache alone.
const KEEP_BYTES: usize = 32 << 10;

/// Who walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// A reader: what it reads may be read again.
    Scan,
    /// Compaction: everything is read once.
    Once,
}

/// Where a walk begins and ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    /// No key is below it.
    pub(crate) from: &'a [u8],
    /// All keys are below it; `None`: to the end.
    pub(crate) to: Option<&'a [u8]>,
}

/// A walk over a range of one table.
pub(crate) struct TableCursor {
    walk: TableWalk,
    access: Access,
    from: Option<Box<[u8]>>,
    to: Option<Box<[u8]>>,
    block: EntriesCursor,
    place: BlockPlace,
    stored: Vec<u8>,
    stored_offset: u64,
    ahead: usize,
}

impl TableCursor {
    /// Goes before the first key of `span`.
    pub(crate) fn new(table: &Arc<TableFile>, span: Span<'_>, access: Access) -> Result<Self, Error> {
        let mut walk = table.walk()?;
        walk.seek(span.from)?;
        Ok(TableCursor {
            walk,
            access,
            from: Some(Box::from(span.from)),
            to: span.to.map(Box::from),
            block: EntriesCursor::default(),
            place: BlockPlace { offset: 0, bytes: 0 },
            stored: Vec::new(),
            stored_offset: 0,
            ahead: if access == Access::Once { AHEAD_BYTES } else { 0 },
        })
    }

    #[cold]
    fn next_block(&mut self) -> Result<bool, Error> {
        let Some(place) = self.walk.next_place()? else { return Ok(false) };
        self.place = place;
        let contents = match self.access {
            Access::Scan => match self.walk.cached(place) {
                Some(contents) => contents,
                None => self.read(place)?,
            },
            Access::Once => self.read(place)?,
        };
        let opened = match self.from.take() {
            Some(from) => self.block.open_at(contents, &from),
            None => self.block.open(contents),
        };
        opened.map_err(|_| self.walk.damaged(place))?;
        Ok(true)
    }

    fn read(&mut self, place: BlockPlace) -> Result<Arc<[u8]>, Error> {
        if self.buffered(place).is_none() {
            self.walk.read_ahead(place, self.ahead, &mut self.stored)?;
            self.stored_offset = place.offset;
            self.ahead = (self.ahead * 2).clamp(FIRST_AHEAD_BYTES, AHEAD_BYTES);
        }
        let stored = self.buffered(place).unwrap_or(&[]);
        let contents = self.walk.contents(place, stored)?;
        if self.access == Access::Scan && self.ahead <= KEEP_BYTES {
            self.walk.keep(place, &contents);
        }
        Ok(contents)
    }

    fn buffered(&self, place: BlockPlace) -> Option<&[u8]> {
        let start = usize::try_from(place.offset.checked_sub(self.stored_offset)?).ok()?;
        self.stored.get(start..start.checked_add(place.bytes as usize)?)
    }
}

impl Cursor for TableCursor {
    #[inline]
    fn advance(&mut self) -> Result<bool, Error> {
        while !self.block.advance().map_err(|_| self.walk.damaged(self.place))? {
            if !self.next_block()? {
                return Ok(false);
            }
        }
        Ok(self.to.as_deref().is_none_or(|to| self.block.key() < to))
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.block.key()
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.block.value()
    }
}
