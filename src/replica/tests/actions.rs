//! Every action on one key, and groups of them under locks.

use crate::replica::tests::life::{APPEND, Life, PAIR_BYTES};
use crate::replica::{
    Action, Answer, Change, Compared, Effect, Examine, Failure, Fingerprint, Locked, Operand, Outcome, Params,
    WatchedKey,
};
use crate::types::{Database, Stamp, slot_of};

#[test]
fn reads_show_what_was_written_last() {
    let life = Life::first(1);
    assert_eq!((life.get(0, "k"), life.delete(0, "k"), life.raw().len()), (None, false, 0));
    life.set(0, "k", b"one");
    life.set(1, "k", b"other");
    assert_eq!((life.get(0, "k"), life.get(1, "k")), (Some((b"one".into(), None)), Some((b"other".into(), None))));
    let (outcome, arena) = life.apply(0, "k", Action::Look, b"");
    assert!(matches!(outcome, Outcome::Found(found) if found.value.len == 3) && arena.is_empty());
    let length: Examine = |current, inputs, _| {
        Answer::Integer(current.map_or(-1, |current| (current.value.len() + inputs.operand.len()) as i64))
    };
    for (key, answer) in [("k", 5), ("none", -1)] {
        let (outcome, _) = life.apply(0, key, Action::Examine(length, Params::default()), b"xx");
        assert!(
            matches!(outcome, Outcome::Examined(Answer::Integer(length), _) if length == answer),
            "{key}: {outcome:?}"
        );
    }
    assert!(life.delete(0, "k"));
    assert_eq!((life.get(0, "k"), life.delete(0, "k"), life.get(1, "k").is_some()), (None, false, true));
    for (database, count) in [(0, 0), (1, 1)] {
        let slot = Action::CountSlot(slot_of(b"k").0);
        assert!(matches!(life.apply(database, "", slot, b"").0, Outcome::Count(counted) if counted == count));
        assert!(matches!(life.apply(database, "", Action::Count, b"").0, Outcome::Count(counted) if counted == count));
    }
}

#[test]
fn changes_compute_from_what_is_there() {
    let life = Life::first(1);
    let expiry = Some(life.now_ms() + 1000);
    for (operand, length) in [("ab", 2), ("c", 3)] {
        assert_eq!(life.change(0, "k", (APPEND, operand.as_bytes())), Answer::Integer(length));
    }
    life.set_until(0, "k", (b"v", expiry));
    life.change(0, "k", (APPEND, b"w"));
    assert_eq!(life.get(0, "k"), Some((b"vw".into(), expiry)), "a change keeps the expiry unless it says otherwise");
    let persist: Change = |_, _, draft| {
        draft.expiry = None;
        Effect::Touch
    };
    let keep: Change = |current, _, draft| {
        draft.answer_bytes(current.map_or(b"", |current| current.value));
        Effect::Keep
    };
    let remove: Change = |_, _, _| Effect::Remove;
    life.change(0, "k", (persist, b""));
    assert_eq!(life.get(0, "k"), Some((b"vw".into(), None)));
    let before = life.replica.shown();
    life.change(0, "none", (persist, b""));
    life.change(0, "none", (remove, b""));
    let (outcome, position, arena) =
        life.try_apply(0, "k", Action::Change(keep, Params::default()), b"").expect("read");
    assert!(matches!(outcome, Outcome::Changed(Answer::Bytes(span)) if span.of(&arena) == b"vw"));
    assert_eq!(life.replica.shown(), before, "nothing was written");
    assert!(position > Stamp(0) && position <= before, "what is shown has to be durable, though nothing was written");
    life.change(0, "k", (remove, b""));
    assert_eq!((life.get(0, "k"), life.count(0)), (None, 0));
}

#[test]
fn a_pair_that_is_too_large_is_refused_and_changes_nothing() {
    let life = Life::first(1);
    let long = vec![b'x'; PAIR_BYTES];
    let write = Action::Write { value: Operand::default(), expiry: None };
    assert!(matches!(life.try_apply(0, "k", write, &long), Err(Failure::PairTooLarge { .. })));
    life.set(0, "k", b"v");
    let append = Action::Change(APPEND, Params::default());
    assert!(matches!(life.try_apply(0, "k", append, &long[1..]), Err(Failure::PairTooLarge { .. })));
    assert_eq!(life.get(0, "k"), Some((b"v".into(), None)));
    life.set(0, "k", &long[1..]);
}

#[test]
fn what_expired_is_hidden_at_once_and_counted_until_it_is_reaped() {
    let mut life = Life::first(1);
    let expiry = life.now_ms() + 5;
    life.set_until(0, "k", (b"v", Some(expiry)));
    life.advance(4);
    assert!(life.get(0, "k").is_some());
    life.advance(1);
    assert_eq!((life.get(0, "k"), life.count(0)), (None, 1));
    assert_eq!(life.change(0, "k", (APPEND, b"w")), Answer::Integer(1), "an expired value is no value");
    life.set_until(0, "k", (b"v", Some(expiry + 1)));
    life.advance(10_000);
    life.reap();
    assert_eq!(life.count(0), 1, "not before the grace is over");
    life.advance(1);
    life.reap();
    assert_eq!((life.count(0), life.replica.reaped()), (0, 1));
    assert_eq!((life.raw()[0].entries, life.raw()[0].versions), (1, 0), "its dot stays");
}

#[test]
fn a_wall_clock_that_is_set_back_neither_revives_nor_expires() {
    let life = Life::first(1);
    let now_ms = life.now_ms();
    life.set_until(0, "gone", (b"v", Some(now_ms + 1)));
    life.set_until(0, "there", (b"v", Some(now_ms + 10_000)));
    life.advance(1);
    life.set(0, "other", b"v");
    life.machine.clock.set_wall_ms(now_ms - 3_600_000);
    assert_eq!((life.get(0, "gone"), life.get(0, "there").is_some()), (None, true));
    let in_five_seconds = life.now_ms() + 5000;
    life.set_until(0, "new", (b"v", Some(in_five_seconds)));
    assert!(life.get(0, "new").is_some(), "an expiry counts from the time it is judged at");
}

fn fingerprint(life: &Life, key: &str) -> Fingerprint {
    match life.apply(0, key, Action::Fingerprint, b"").0 {
        Outcome::Fingerprint(seen) => seen,
        other => panic!("{other:?}"),
    }
}

fn has_changed(life: &Life, key: &str, seen: Fingerprint) -> bool {
    let mut locked = life.lock(&[key]);
    let watched = WatchedKey { database: Database(0), key: key.as_bytes(), seen };
    life.replica.compare(&mut locked, watched, life.now_ms()) != Compared::Unchanged
}

#[test]
fn a_watched_key_changes_with_every_write_and_with_nothing_else() {
    let mut life = Life::first(1);
    let expiry = life.now_ms() + 1000;
    life.set(0, "there", b"v");
    life.set(0, "deleted", b"v");
    life.delete(0, "deleted");
    life.set_until(0, "expiring", (b"v", Some(expiry)));
    life.set_until(0, "expired", (b"v", Some(expiry - 999)));
    life.advance(1);
    let keys = ["there", "deleted", "expiring", "expired", "none"];
    let seen = keys.map(|key| (key, fingerprint(&life, key)));
    let changed = |life: &Life| -> Vec<&str> {
        seen.iter().filter(|(key, seen)| has_changed(life, key, *seen)).map(|(key, _)| *key).collect()
    };
    life.delete(0, "none");
    life.delete(0, "deleted");
    assert_eq!(changed(&life), Vec::<&str>::new(), "a delete of nothing is no change");
    life.advance(100_000);
    assert_eq!(changed(&life), ["expiring"]);
    life.reap();
    life.purge();
    life.compact_all();
    assert_eq!(life.raw().len(), 1, "all but one are purged");
    assert_eq!(changed(&life), ["expiring"], "reaping and purging are no changes");
    life.set(0, "there", b"v");
    life.set(0, "none", b"v");
    life.delete(0, "none");
    life.set(0, "expired", b"v");
    assert_eq!(changed(&life), ["there", "expiring", "expired", "none"]);
    let seen = fingerprint(&life, "there");
    life.flush(&[0]).expect("a sound disk");
    assert!(has_changed(&life, "there", seen));
}

#[test]
fn an_absent_watched_key_changes_with_what_leaves_no_value() {
    let life = Life::first(1);
    let past = life.now_ms() - 1;
    let seen = fingerprint(&life, "k");
    life.set_until(0, "k", (b"v", Some(past)));
    assert!(has_changed(&life, "k", seen) && life.get(0, "k").is_none());
    assert_eq!(life.replica.count(Database(0)), 0, "it never was a key");
    let seen = fingerprint(&life, "k");
    life.flush(&[1]).expect("a sound disk");
    assert!(!has_changed(&life, "k", seen), "another database");
    life.flush(&[0]).expect("a sound disk");
    assert!(has_changed(&life, "k", seen), "it may have been made before");
    assert!(!has_changed(&life, "k", fingerprint(&life, "k")));
}

#[test]
fn a_changed_watched_key_tells_what_has_to_be_durable() {
    let life = Life::first(1);
    let seen = fingerprint(&life, "k");
    life.set(0, "k", b"v");
    let watched = WatchedKey { database: Database(0), key: b"k", seen };
    let compared = life.replica.compare(&mut life.lock(&["k"]), watched, life.now_ms());
    assert_eq!(compared, Compared::Changed(life.replica.shown()));
}

fn write(life: &Life, locked: &mut Locked<'_>, key: &str, value: &[u8]) {
    let write = Action::Write { value: Operand::default(), expiry: None };
    assert!(matches!(life.apply_locked(locked, (key, write), value), Outcome::Written));
}

#[test]
fn a_locked_group_takes_effect_as_a_whole_or_not_at_all() {
    let mut life = Life::first(1);
    life.set(0, "a", b"old");
    for commits in [false, true] {
        let mut locked = life.lock(&["b", "a"]);
        write(&life, &mut locked, "a", b"1");
        write(&life, &mut locked, "b", b"2");
        let action = ("a", Action::Change(APPEND, Params::default()));
        let outcome = life.apply_locked(&mut locked, action, b"x");
        assert!(matches!(outcome, Outcome::Changed(Answer::Integer(2))), "a group sees its own writes: {outcome:?}");
        if commits {
            assert_eq!(locked.commit().expect("a sound store"), life.replica.shown());
        } else {
            drop(locked);
            assert_eq!((life.get(0, "a"), life.get(0, "b")), (Some((b"old".into(), None)), None));
        }
    }
    assert_eq!((life.get(0, "a"), life.get(0, "b")), (Some((b"1x".into(), None)), Some((b"2".into(), None))));
    life.compact_all();
    life = life.restart();
    let mut locked = life.lock(&["a", "b", "c"]);
    write(&life, &mut locked, "c", b"3");
    assert!(matches!(life.apply_locked(&mut locked, ("b", Action::Delete), b""), Outcome::Deleted(_)));
    locked.commit().expect("a sound store");
    assert_eq!((life.get(0, "b"), life.get(0, "c"), life.count(0)), (None, Some((b"3".into(), None)), 2));
}
