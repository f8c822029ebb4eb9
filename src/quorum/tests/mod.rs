//! The cores against models, in any order of what can come, and the schedules that break naive versions.

mod counting;
mod reading;
mod schedules;
mod writing;

use crate::causality::{Actor, Context, Dot, Plan, PurgeBounds, Record, RecordView, Time, Version, merge, overwrite};
use crate::quorum::{Dc, Lists, Seat};
use crate::types::NodeNumber;

pub(super) fn node(number: u16) -> NodeNumber {
    NodeNumber(number)
}

pub(super) fn nodes(numbers: &[u16]) -> Vec<NodeNumber> {
    numbers.iter().copied().map(NodeNumber).collect()
}

/// Seats of one data centre.
pub(super) fn seats(numbers: &[u16]) -> Vec<Seat> {
    numbers.iter().map(|number| Seat { node: NodeNumber(*number), dc: Dc(0) }).collect()
}

pub(super) fn lists<'a>(now: &'a [Seat], next: Option<&'a [Seat]>) -> Lists<'a> {
    Lists { now, next, local: Dc(0) }
}

pub(super) fn dot(actor: u64, time: u64) -> Dot {
    Dot::new(Actor::from_bits(actor), Time(time))
}

/// The record that a cell never written has.
pub(super) fn nothing() -> Record {
    Plan::unchanged(&RecordView::default()).to_record()
}

/// `old` after a SET by `actor` at `time` whose value is its own name and which covers `seen` too.
pub(super) fn set(old: &Record, seen: &Context, (actor, time): (u64, u64)) -> Record {
    let name = format!("v@{actor}:{time}");
    let version = Version { dot: dot(actor, time), payload: name.as_bytes(), expiry: None };
    overwrite(&old.view(), seen, Time::ZERO, version).expect("few actors").to_record()
}

/// `old` after a SET that covers nothing but what `old` does.
pub(super) fn blind(old: &Record, name: (u64, u64)) -> Record {
    set(old, &Context::new(), name)
}

pub(super) fn merged(a: &Record, b: &Record) -> Record {
    merge(&a.view(), &b.view(), PurgeBounds::default()).expect("few actors").plan.to_record()
}

/// The dots of the live versions.
pub(super) fn live(record: &Record) -> Vec<(u64, u64)> {
    record.view().versions().map(|version| (version.dot.actor.bits(), version.dot.time.0)).collect()
}
