//! Parts of a table's index and its filters: decoded once, then pinned to the open table or held by the cache.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::OnceLock;

use crate::storage::cache::Cached;
use crate::storage::table::bloom::Bloom;
use crate::storage::table::entries::EntriesCursor;
use crate::storage::table::fence::Fence;
use crate::storage::table::format::{BlockKind, BlockPlace};

/// A part of a table's index: the places of some data blocks by their first keys.
pub(crate) type IndexPart = Fence<BlockPlace>;

/// A filter or a part of the index: where it lies, and itself once it was read and pinned.
pub(crate) struct Part<T> {
    /// Where it lies.
    pub(crate) place: BlockPlace,
    /// Itself, once it is pinned.
    pub(crate) kept: OnceLock<Arc<T>>,
}

impl<T> Part<T> {
    /// A part that was not read yet.
    pub(crate) fn new(place: BlockPlace) -> Self {
        Part { place, kept: OnceLock::new() }
    }
}

impl<T: Kept> Part<T> {
    /// Bytes that are pinned for it.
    pub(crate) fn pinned_bytes(&self) -> usize {
        self.kept.get().map_or(0, |kept| kept.bytes())
    }
}

/// What a [`Part`] may be.
pub(crate) trait Kept: Sized {
    /// What its block holds.
    const KIND: BlockKind;

    /// From a block's contents, or what is wrong with them.
    fn decode(contents: Arc<[u8]>) -> Result<Self, &'static str>;
    /// Bytes of memory, about.
    fn bytes(&self) -> usize;
    /// As the cache holds it.
    fn to_cached(this: &Arc<Self>) -> Cached;
    /// What the cache held, if it is of this kind.
    fn of_cached(cached: Cached) -> Option<Arc<Self>>;
}

impl Kept for Bloom {
    const KIND: BlockKind = BlockKind::Filter;

    fn decode(contents: Arc<[u8]>) -> Result<Self, &'static str> {
        Bloom::decode(&contents)
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn to_cached(this: &Arc<Self>) -> Cached {
        Cached::Filter(Arc::clone(this))
    }

    fn of_cached(cached: Cached) -> Option<Arc<Self>> {
        if let Cached::Filter(filter) = cached { Some(filter) } else { None }
    }
}

impl Kept for IndexPart {
    const KIND: BlockKind = BlockKind::Index;

    fn decode(contents: Arc<[u8]>) -> Result<Self, &'static str> {
        decode_fence(contents, |place| place)
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn to_cached(this: &Arc<Self>) -> Cached {
        Cached::Index(Arc::clone(this))
    }

    fn of_cached(cached: Cached) -> Option<Arc<Self>> {
        if let Cached::Index(index) = cached { Some(index) } else { None }
    }
}

/// The items of a fence or an index block.
pub(crate) fn decode_fence<T>(contents: Arc<[u8]>, item: impl Fn(BlockPlace) -> T) -> Result<Fence<T>, &'static str> {
    let mut fence = Fence::new();
    let mut cursor = EntriesCursor::default();
    cursor.open(contents).map_err(|_| "an index holds no entries")?;
    while cursor.advance().map_err(|_| "an index holds no entries")? {
        let place = BlockPlace::decode(cursor.value()).map_err(|_| "an index entry does not decode")?;
        fence.push(cursor.key(), item(place));
    }
    fence.shrink();
    Ok(fence)
}

/// A part that is looked into: pinned, or held for this lookup.
pub(crate) enum Held<'a, T> {
    /// By the open table.
    Pinned(&'a T),
    /// By whoever looks.
    Shared(Arc<T>),
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self {
            Held::Pinned(part) => part,
            Held::Shared(part) => part,
        }
    }
}
