//! Purging: tombstones go, contexts stay short, and nothing comes back.

use crate::causality::Time;
use crate::replica::tests::life::{Life, Raw};
use crate::types::ArcId;
use crate::worker::Worker;

fn raw(key: &str, entries: usize, versions: usize) -> Raw {
    Raw { key: key.to_owned(), entries, versions }
}

#[test]
fn tombstones_go_once_they_are_old_and_deleted_keys_stay_deleted() {
    let mut life = Life::first(3);
    // Versions of the same keys in tables of all ages.
    for round in 0..4 {
        (0..20).for_each(|index| life.set(0, &format!("k{index}"), &[round; 50]));
        life.compact();
    }
    (0..19).for_each(|index| assert!(life.delete(0, &format!("k{index}"))));
    life.advance(9_999);
    life.purge();
    life.compact_all();
    assert_eq!(life.raw().len(), 20, "too young");
    life.advance(2);
    life.purge();
    life.compact_all();
    assert_eq!(life.raw(), [raw("k19", 1, 1)]);
    for _ in 0..3 {
        (0..19).for_each(|index| assert_eq!(life.get(0, &format!("k{index}")), None));
        assert_eq!(life.count(0), 1);
        life = life.restart();
        life.compact_all();
    }
}

#[test]
fn what_was_reaped_is_purged_like_what_was_deleted() {
    let mut life = Life::first(3);
    life.set_until(0, "k", (b"v", Some(life.now_ms() + 1)));
    life.compact();
    life.advance(20_000);
    life.purge();
    life.compact_all();
    assert_eq!(life.raw(), [raw("k", 1, 1)], "compaction does not reap: the key is counted");
    life.reap();
    life.compact_all();
    assert_eq!((life.raw(), life.count(0)), (vec![], 0));
}

#[test]
fn contexts_do_not_grow_over_a_thousand_restarts() {
    let mut life = Life::first(3);
    life.set(0, "rare", b"v");
    for index in 0..1000_u32 {
        life = life.restart();
        life.purge();
        life.set(0, "often", &index.to_le_bytes());
        if index % 50 == 0 {
            life.set(0, "rare", b"w");
        }
        if index % 7 == 0 {
            life.compact();
        }
        assert!(life.raw().iter().all(|raw| raw.entries <= 2), "life {index}: {:?}", life.raw());
        life.advance(10_001);
    }
    life.purge();
    life.compact_all();
    assert_eq!(life.raw().iter().map(|raw| (raw.entries, raw.versions)).collect::<Vec<_>>(), [(1, 1), (1, 1)]);
    assert_eq!(life.get(0, "often"), Some((999_u32.to_le_bytes().into(), None)));
}

#[test]
fn a_round_takes_only_arcs_that_were_written_to() {
    let mut life = Life::first(3);
    let purged = |life: &Life| life.purger.status().iter().map(|field| field.value).collect::<Vec<_>>();
    life.set(0, "k", b"v");
    life.purge();
    assert_eq!(purged(&life), [1, 256, 0], "earlier lives may have left something anywhere");
    life.advance(20_000);
    life.purge();
    assert_eq!(purged(&life), [2, 512, 0], "this life's beginning is behind now");
    life.advance(20_000);
    life.purge();
    assert_eq!(purged(&life), [2, 512, 0], "nothing was written since");
    life.set(0, "k", b"v");
    life.purge();
    life.advance(20_000);
    life.purge();
    life.purge();
    assert_eq!(purged(&life), [4, 514, 0]);
}

#[test]
fn floors_are_kept_and_no_later_dot_lies_below_them() {
    let mut life = Life::first(3);
    life.advance(60_000);
    life.set(0, "k", b"v");
    life.advance(60_000);
    let time = Time::from_ms(life.now_ms() - 10_000);
    life.purge();
    life.machine.clock.set_wall_ms(life.now_ms() - 3_600_000);
    life = life.restart();
    let facts = life.ledger.facts();
    let arc = facts.arc(ArcId(9));
    assert_eq!((arc.closed, arc.fence, arc.floor, facts.hlc_floor), (time, time, time, time));
    assert_eq!(life.replica.floors.of(ArcId(9)), time);
    life.set(0, "k", b"w");
    assert!(life.replica.hlc.last() > time);
}

#[test]
fn a_ledger_that_fails_raises_no_floor() {
    let mut life = Life::first(3);
    life.set(0, "k", b"v");
    life.advance(20_000);
    life.machine.disk.set_capacity(Some(0));
    life.purger.work();
    assert_eq!(life.replica.floors.of(ArcId(0)), Time::ZERO);
    life.machine.disk.set_capacity(None);
    life.purge();
    assert!(life.replica.floors.of(ArcId(0)) > Time::ZERO);
}
