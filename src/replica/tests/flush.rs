//! Flushes: beside other databases, beside writers, and interrupted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::causality::Time;
use crate::replica::Answer;
use crate::replica::tests::life::{INCREMENT, Life};
use crate::types::Database;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("k{index}")).collect()
}

fn filled(seed: u64, databases: &[u8]) -> Life {
    let life = Life::first(seed);
    for database in databases {
        names(60).iter().for_each(|key| life.set(*database, key, b"value"));
    }
    life.sync();
    life
}

fn visible(life: &Life, database: u8) -> usize {
    names(60).iter().filter(|key| life.get(database, key).is_some()).count()
}

#[test]
fn a_flush_empties_its_databases_and_no_other() {
    for (flushed, compacts) in [(vec![0], false), (vec![0], true), (vec![0, 3], false), (vec![3], true)] {
        let mut life = filled(1, &[0, 3]);
        if compacts {
            life.compact();
        }
        life.flush(&flushed).expect("a sound disk");
        for _ in 0..2 {
            for database in [0, 3] {
                let left = if flushed.contains(&database) { 0 } else { 60 };
                assert_eq!((visible(&life, database), life.count(database)), (left, left as u64), "{flushed:?}");
            }
            assert!(life.ledger.facts().flushes.values().all(|flush| flush.is_carried_out));
            life = life.restart();
        }
        life.set(flushed[0], "k1", b"new");
        assert_eq!((visible(&life, flushed[0]), life.count(flushed[0])), (1, 1));
    }
}

#[test]
fn a_flush_is_newer_than_a_clock_that_was_ahead() {
    let life = filled(1, &[0]);
    life.machine.clock.set_wall_ms(life.now_ms() - 3_600_000);
    let life = life.restart();
    life.flush(&[0]).expect("a sound disk");
    assert_eq!((visible(&life, 0), life.count(0)), (0, 0));
    life.set(0, "k1", b"v");
    assert_eq!(visible(&life.restart(), 0), 1);
}

#[test]
fn a_flush_that_the_cluster_decided_takes_all_up_to_its_time_and_nothing_later() {
    for newer in [false, true] {
        let mut life = filled(1, &[0, 3]);
        life.compact();
        let time = Time::from_ms(life.now_ms() + 100);
        if newer {
            life.advance(200);
            life.set(0, "k1", b"newer");
        }
        life.replica.adopt_flushes([(Database(0), time)]).expect("a sound disk");
        let left = usize::from(newer);
        assert_eq!((visible(&life, 0), visible(&life, 3)), (left, 60));
        assert!(life.replica.reading() >= time, "no later write falls under it");
        life.reap();
        assert_eq!((life.count(0), life.count(3)), (left as u64, 60), "newer: {newer}");
        assert!(life.ledger.facts().flushes.values().all(|flush| flush.is_carried_out));
        life.set(0, "k2", b"v");
        let before = life.replica.shown();
        life.replica.adopt_flushes([(Database(0), time)]).expect("a sound disk");
        assert_eq!((life.replica.shown(), visible(&life.restart(), 0)), (before, left + 1), "once is enough");
    }
}

/// What one writer does until it is told to stop: each key counts up by one, or from one again after a flush.
fn count_up(life: &Life, (writer, database): (usize, u8), flushes: &AtomicU64, ends: &AtomicBool) -> u64 {
    let keys: Vec<String> = (0..7).map(|index| format!("{writer}:{index}")).collect();
    let mut last = vec![(0, 0); keys.len()];
    let mut resets = 0;
    for turn in 0.. {
        let index = turn % keys.len();
        let flushed = flushes.load(Ordering::SeqCst);
        let Answer::Integer(count) = life.change(database, &keys[index], (INCREMENT, b"")) else { panic!("no number") };
        let (before, since) = last[index];
        if count != before + 1 {
            assert_eq!(count, 1, "{} went from {before}", keys[index]);
            resets += 1;
        }
        // Odd while a flush is under way: the next one that begins after the last turn ends by this number.
        let next_over = since + 2 + (since & 1);
        assert!(count == 1 || database != 0 || flushed < next_over, "{count} survived a flush");
        last[index] = (count, flushes.load(Ordering::SeqCst));
        if ends.load(Ordering::SeqCst) {
            break;
        }
    }
    resets
}

#[test]
fn writers_beside_a_flush_come_before_it_or_after_it() {
    let life = Life::first(5);
    let (flushes, ends) = (AtomicU64::new(0), AtomicBool::new(false));
    let resets = thread::scope(|scope| {
        let (life, flushes, ends) = (&life, &flushes, &ends);
        let writers: Vec<_> = (0..3)
            .map(|writer| scope.spawn(move || count_up(life, (writer, writer as u8 / 2), flushes, ends)))
            .collect();
        for _ in 0..200 {
            life.machine.pool.run_until_idle();
            flushes.fetch_add(1, Ordering::SeqCst);
            life.flush(&[0]).expect("a sound disk");
            flushes.fetch_add(1, Ordering::SeqCst);
        }
        ends.store(true, Ordering::SeqCst);
        writers.into_iter().map(|writer| writer.join().expect("a writer only counts")).collect::<Vec<_>>()
    });
    assert!(resets[0] > 0 && resets[1] > 0, "no flush came between: {resets:?}");
    assert_eq!(resets[2], 0, "nobody flushed database 1");
    for database in [0, 1] {
        let live = (0..3).flat_map(|writer| (0..7).map(move |index| format!("{writer}:{index}")));
        let visible = live.filter(|key| life.get(database, key).is_some()).count();
        assert_eq!(life.count(database), visible as u64, "database {database}");
    }
}

#[test]
fn a_flush_cut_off_at_any_moment_happened_or_did_not() {
    for other in [None, Some(3)] {
        let databases: Vec<u8> = [0].into_iter().chain(other).collect();
        let mut outcomes = [0, 0, 0];
        for change in 0.. {
            let life = filled(change, &databases);
            if change % 2 == 0 {
                life.compact();
            }
            life.machine.disk.crash_at(life.machine.disk.changes() + change);
            let flushed = life.flush(&[0]);
            let is_over = !life.machine.disk.is_dead();
            let next = life.machine.crash();
            drop(life);
            let mut life = Life::begin(next).expect("what a crash leaves can be opened");
            let left = visible(&life, 0);
            assert!(left == 60 || left == 0, "change {change}: {left} keys");
            assert!(flushed.is_err() || left == 0, "change {change}: an acknowledged flush was taken back");
            life.set(0, "k1", b"new");
            life.reap();
            let left = if left == 0 { 1 } else { 60 };
            assert_eq!((visible(&life, 0), life.count(0)), (left, left as u64), "change {change}");
            assert!(life.ledger.facts().flushes.values().all(|flush| flush.is_carried_out), "change {change}");
            if other.is_some() {
                assert_eq!((visible(&life, 3), life.count(3)), (60, 60), "change {change}");
            }
            let mut life = life.restart();
            life.reap();
            assert_eq!((visible(&life, 0), life.count(0)), (left, left as u64), "change {change}");
            outcomes[if flushed.is_ok() { 2 } else { usize::from(left == 1) }] += 1;
            if is_over {
                break;
            }
        }
        assert!(outcomes.iter().all(|count| *count > 0), "not done, done unacknowledged, acknowledged: {outcomes:?}");
    }
}

#[test]
fn a_flush_that_found_no_space_is_hidden_at_once_and_carried_out_later() {
    let mut seen = false;
    for calls in 0..60 {
        let mut life = filled(9, &[0, 3]);
        life.machine.disk.fail_at(life.machine.disk.operations() + calls, crate::env::memory::Fault::Full);
        let flushed = life.flush(&[0]);
        life.machine.disk.heal();
        let mut is_hidden = visible(&life, 0) == 0;
        seen |= flushed.is_err() && is_hidden && life.count(0) > 0;
        assert!(flushed.is_err() || life.count(0) == 0);
        // There is space again: the store finds out by itself.
        life.advance(1000);
        life.machine.pool.run_until_idle();
        if life.replica.failure().is_some() {
            // The node stops: nobody knows what the disk has. Its next start tells.
            let next = life.machine.kill();
            drop(life);
            life = Life::begin(next).expect("a sound machine");
            is_hidden = visible(&life, 0) == 0;
        }
        life.set(0, "k1", b"new");
        life.reap();
        let left = if is_hidden { 1 } else { 60 };
        assert_eq!((visible(&life, 0), life.count(0), visible(&life, 3)), (left, left as u64, 60), "call {calls}");
        let mut life = life.restart();
        life.reap();
        assert_eq!((visible(&life, 0), life.count(0), visible(&life, 3)), (left, left as u64, 60), "call {calls}");
    }
    assert!(seen, "no failure came between decision and drop");
}
