//! Siblings of one cell: all of them read at once, and writes that supersede exactly what a client has seen.
//!
//! A token is a context that a client was given with the versions it covers. What it does not cover was written beside, by
//! somebody who had not seen what the client saw, and stays.
//!
//! Invariant: a record's context only comes to cover what the token and the record cover, and the dot of the write.

use crate::causality::{Context, Dot, RecordView, Time, Version, remove_covered, replace_covered};
use crate::replica::Failure;
use crate::replica::answer::versions;
use crate::replica::apply::Applied;
use crate::replica::cells::Cells;
use crate::replica::operation::Outcome;
use crate::replica::site::{Site, Steady, existed};
use crate::storage::Verdict;
use crate::types::Span;

impl<C: Cells> Site<'_, C> {
    /// Copies the record to the arena, without what is expired or flushed.
    pub(super) fn versions(&mut self, arena: &mut Vec<u8>) -> Result<Applied, Failure> {
        let at_ms = self.at_ms();
        self.see(|record| versions(record, at_ms, arena))
    }

    /// A write in the place of what `token` covers.
    pub(super) fn replace_covered(
        &mut self,
        token: &Context,
        (payload, expiry): (&[u8], Option<u64>),
        arena: &mut Vec<u8>,
    ) -> Result<Applied, Failure> {
        let at_ms = self.at_ms();
        self.alter(|site, old, draft| {
            let (dot, floor) = (dot_after(site, old, token), site.purge_floor());
            let plan = if expiry.is_some_and(|expiry| expiry <= at_ms) {
                remove_covered(old, token, floor, dot)?
            } else {
                replace_covered(old, token, floor, Version { dot, payload, expiry })?
            };
            site.store(&plan, draft);
            let left = || plan.versions().iter().filter(|version| !version.is_expired(at_ms));
            let versions = left().count();
            // A token covers the whole record, so none is given where a version is left that the client has not seen.
            let is_alone = versions == 1 && left().all(|version| version.dot == dot);
            let alone = is_alone.then(|| append(arena, |arena| plan.context().encode(arena)));
            Ok((Outcome::Replaced { versions, alone }, Verdict::Put))
        })
    }

    /// A delete of what `token` covers. Where that is nothing, and nothing new is learned, none is written.
    pub(super) fn remove_covered(&mut self, token: &Context) -> Result<Applied, Failure> {
        let at_ms = self.at_ms();
        self.alter(|site, old, draft| {
            let outcome = Outcome::Deleted(existed(old, at_ms));
            let removes = old.versions().any(|version| token.covers(version.dot));
            if !removes && token.iter().all(|entry| old.covers(entry)) {
                return Ok((outcome, Verdict::Keep));
            }
            let plan = remove_covered(old, token, site.purge_floor(), dot_after(site, old, token))?;
            site.store(&plan, draft);
            Ok((outcome, Verdict::Put))
        })
    }
}

/// The name of a write that covers `token` beside the record.
fn dot_after(site: &Steady<'_>, old: &RecordView<'_>, token: &Context) -> Dot {
    let covered: Time = old.newest_time().max(token.newest_time());
    site.next_dot_after(covered)
}

/// What `write` appends to the arena.
fn append(arena: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Span {
    let start = arena.len();
    write(arena);
    Span { start: start as u32, len: (arena.len() - start) as u32 }
}
