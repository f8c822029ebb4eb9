//! What replicas take from each other and show each other.

use std::time::Duration;

use crate::causality::{Context, Record, RecordView, Time};
use crate::env::memory::MemoryMachine;
use crate::replica::tests::life::Life;
use crate::replica::{Action, Operand, Origin, Replica, Shown, Taken, put_record};
use crate::types::{Database, Stamp};

const REPAIR: Origin = Origin { fence: Time::ZERO, latest: None };

/// A replica whose writes have names of their own.
fn member(number: u64) -> Life {
    let machine = MemoryMachine::new(number);
    machine.clock.advance(Duration::from_millis(number));
    Life::begin(machine).expect("a sound machine")
}

fn set(life: &Life, key: &str, value: &[u8], seen: &Context) -> Record {
    let action = Action::Write { value: Operand::default(), expiry: None };
    Record::decode(life.replicate(key, (action, value), seen)).expect("a record")
}

fn shown(life: &Life, key: &str) -> Record {
    let mut bytes = Vec::new();
    let cell = Replica::cell(Database(0), key.as_bytes());
    let shown = life.replica.show(&cell, &[], &mut |record| put_record(record, &mut bytes)).expect("readable");
    assert!(matches!(shown, Shown::Done(_)));
    Record::decode(bytes).expect("a record")
}

fn take(life: &Life, key: &str, record: &RecordView<'_>, origin: Origin) -> Taken {
    let cell = Replica::cell(Database(0), key.as_bytes());
    let mut fetched = Vec::new();
    loop {
        match life.replica.take(&cell, (record, origin), &fetched).expect("room") {
            Taken::Cold => fetched = life.replica.fetch(vec![cell.clone()]).expect("a sound disk"),
            taken => return taken,
        }
    }
}

#[test]
fn a_record_goes_from_one_replica_to_another_and_back() {
    let (a, b) = (member(1), member(2));
    let none = Context::new();
    let sent = set(&a, "k", b"one", &none);
    assert_eq!(sent, shown(&a, "k"), "what is sent is what is stored");
    assert!(matches!(take(&b, "k", &sent.view(), REPAIR), Taken::Stored(stamp) if stamp > Stamp(0)));
    assert_eq!((b.get(0, "k"), shown(&b, "k")), (Some((b"one".into(), None)), sent.clone()));
    let before = b.replica.shown();
    assert!(matches!(take(&b, "k", &sent.view(), REPAIR), Taken::Stored(_)));
    assert_eq!(b.replica.shown(), before, "what teaches nothing is not written");
    let later = set(&b, "k", b"two", &none);
    assert!(matches!(take(&a, "k", &later.view(), REPAIR), Taken::Stored(_)));
    assert!(matches!(take(&a, "k", &sent.view(), REPAIR), Taken::Stored(_)), "an old copy is known already");
    assert_eq!((a.get(0, "k"), a.count(0)), (Some((b"two".into(), None)), 1));
}

#[test]
fn writes_side_by_side_stay_and_what_a_majority_has_seen_is_covered() {
    let (a, b) = (member(1), member(2));
    let none = Context::new();
    let (one, two) = (set(&a, "k", b"one", &none), set(&b, "k", b"two", &none));
    take(&a, "k", &two.view(), REPAIR);
    take(&b, "k", &one.view(), REPAIR);
    assert_eq!(shown(&a, "k"), shown(&b, "k"));
    assert_eq!(shown(&a, "k").view().versions().count(), 2, "neither knew of the other");
    // `SET k 1` acknowledged by a and others; then `DEL k` by way of c, which has not got it.
    let c = member(3);
    let tombstone = c.replicate("k", (Action::Delete, b""), &shown(&a, "k").view().context());
    let tombstone = Record::decode(tombstone).expect("a record");
    take(&a, "k", &tombstone.view(), REPAIR);
    assert_eq!((a.get(0, "k"), a.count(0)), (None, 0));
    assert!(c.replicate("none", (Action::Delete, b""), &none).is_empty(), "nobody has anything: nothing is stored");
    let next = set(&c, "k", b"next", &shown(&b, "k").view().context());
    take(&b, "k", &next.view(), REPAIR);
    assert_eq!((b.get(0, "k"), b.count(0)), (Some((b"next".into(), None)), 1));
}

#[test]
fn a_fresh_write_from_too_far_ahead_is_refused_and_a_repair_is_not() {
    let (a, b) = (member(1), member(2));
    a.advance(10_000);
    let sent = set(&a, "k", b"v", &Context::new());
    let fresh = Origin { latest: Some(Time::from_ms(b.now_ms() + 500)), ..REPAIR };
    assert_eq!(take(&b, "k", &sent.view(), fresh), Taken::Ahead);
    assert_eq!(b.get(0, "k"), None);
    assert!(matches!(take(&b, "k", &sent.view(), REPAIR), Taken::Stored(_)));
    assert!(b.replica.now_ms(0) < a.replica.now_ms(0), "it does not drag the clock");
    let covering = set(&b, "k", b"w", &Context::new());
    assert!(covering.view().newest_time() > sent.view().newest_time(), "but what covers it lies behind it");
}

#[test]
fn a_replica_that_has_purged_refuses_strays_from_one_that_has_not() {
    let (a, mut b) = (member(1), member(2));
    let stray = set(&a, "k", b"v", &Context::new());
    take(&b, "k", &stray.view(), REPAIR);
    b.delete(0, "k");
    b.advance(60_000);
    b.purge();
    b.compact_all();
    assert!(b.raw().is_empty(), "nothing is left that would know the copy");
    let fence = b.replica.fence(b.replica.arc_of(b"k"));
    assert!(fence > stray.view().newest_time() && fence == b.replica.floor(b.replica.arc_of(b"k")));
    assert!(matches!(take(&b, "k", &stray.view(), REPAIR), Taken::Ignored(_)));
    assert_eq!(b.get(0, "k"), None);
    // A sender that has fenced as far holds no strays: what it has was never deleted.
    assert!(matches!(take(&b, "k", &stray.view(), Origin { fence, ..REPAIR }), Taken::Stored(_)));
    assert_eq!(b.get(0, "k"), Some((b"v".into(), None)));
}
