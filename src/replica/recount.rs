//! What the counters hold of one record, for whoever counts all of them anew.

use crate::causality::RecordView;
use crate::replica::bucket_of;
use crate::storage::Note;

/// The note of a record as if nothing had been there before it; an empty one for what is no record.
#[must_use]
pub fn recount(value: &[u8]) -> Note {
    let Ok(record) = RecordView::of(Some(value)) else { return Note::default() };
    let presence = record.presence();
    Note { keys: i8::from(presence.is_live), expiry_in: bucket_of(presence.expiry), ..Note::default() }
}
