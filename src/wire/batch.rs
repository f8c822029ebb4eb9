//! Messages of many items: writing them one after the other, reading them in place.

use std::marker::PhantomData;

use crate::codec::Reader;
use crate::types::{DATABASES, Database};
use crate::wire::format::Kind;
use crate::wire::{ITEMS_LIMIT, Message, WireError};

/// Bytes of the count before the items.
const COUNT_BYTES: usize = 2;

/// Something that can be written as an item.
pub trait Put {
    /// The message that it is an item of.
    const KIND: Kind;
    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);
}

/// An item as it is read: a view of the bytes.
pub trait Take<'a>: Sized {
    /// The next item.
    ///
    /// # Errors
    /// If the bytes are none.
    fn take(reader: &mut Reader<'a>) -> Result<Self, WireError>;
}

/// A message that grows item by item.
#[derive(Debug)]
pub struct Batch {
    kind: Kind,
    body: Vec<u8>,
    count: u16,
}

impl Batch {
    /// A message without items.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Batch { kind, body: vec![0; COUNT_BYTES], count: 0 }
    }

    /// Appends an item.
    ///
    /// # Panics
    /// If it is none of this kind of message, or there are [`ITEMS_LIMIT`] already.
    #[inline]
    pub fn push<T: Put>(&mut self, item: &T) {
        assert!(T::KIND == self.kind, "an item of {:?} in a message of {:?}", T::KIND, self.kind);
        assert!(usize::from(self.count) < ITEMS_LIMIT, "a message of more than {ITEMS_LIMIT} items");
        self.count += 1;
        item.put(&mut self.body);
    }

    /// Items so far.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Bytes so far.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// The message.
    #[must_use]
    pub fn finish(mut self) -> Message {
        if let Some(count) = self.body.first_chunk_mut::<COUNT_BYTES>() {
            *count = self.count.to_le_bytes();
        }
        Message { kind: self.kind, body: self.body }
    }
}

/// The items of a message, checked and readable in place, in their order.
#[derive(Clone, Debug)]
pub struct Items<'a, T> {
    reader: Reader<'a>,
    left: usize,
    item: PhantomData<T>,
}

impl<'a, T: Take<'a>> Items<'a, T> {
    /// Checks the body of a message.
    ///
    /// # Errors
    /// If it does not hold exactly the items that it announces.
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let count = usize::from(reader.u16()?);
        if count > ITEMS_LIMIT {
            return Err(WireError::TooMany { what: "items", announced: count as u64, most: ITEMS_LIMIT });
        }
        let items = Items { reader, left: count, item: PhantomData };
        for _ in 0..count {
            T::take(&mut reader)?;
        }
        reader.end()?;
        Ok(items)
    }
}

impl<'a, T: Take<'a>> Iterator for Items<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        // Cannot fail: all items were checked when this was made.
        T::take(&mut self.reader).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a, T: Take<'a>> ExactSizeIterator for Items<'a, T> {}

/// A database that there is.
#[inline]
pub(super) fn read_database(reader: &mut Reader<'_>) -> Result<Database, WireError> {
    let database = reader.u8()?;
    if database < DATABASES { Ok(Database(database)) } else { Err(WireError::value("database", database)) }
}
