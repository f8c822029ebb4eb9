//! Siblings: made by writes that had not seen each other, shown together, superseded by what has seen them.

use crate::causality::{Context, MAX_SIBLINGS, Record, RecordView};
use crate::codec::Reader;
use crate::replica::tests::life::{Life, PAIR_BYTES};
use crate::replica::{Action, Existed, Failure, Operand, Outcome};

const NOTHING: &[u8] = &[0];

fn record(life: &Life, key: &str) -> Record {
    let (outcome, arena) = life.apply(0, key, Action::Versions, b"");
    let Outcome::Record(span) = outcome else { panic!("{outcome:?}") };
    Record::decode(span.of(&arena).to_vec()).expect("a record")
}

fn values(life: &Life, key: &str) -> Vec<String> {
    let record = record(life, key);
    let mut values: Vec<_> =
        record.view().versions().map(|version| String::from_utf8_lossy(version.payload).into_owned()).collect();
    values.sort();
    values
}

fn token(record: &RecordView<'_>) -> Vec<u8> {
    let mut token = Vec::new();
    record.context().encode(&mut token);
    token
}

/// A VSET: siblings that are left, and the new token.
fn replace(
    life: &Life,
    key: &str,
    token: &[u8],
    (value, expiry): (&str, Option<u64>),
) -> Result<(usize, Option<Vec<u8>>), Failure> {
    let action = Action::ReplaceCovered { token: Operand::default(), value: Operand::default(), expiry };
    let operand = [&[token.len() as u8], token, value.as_bytes()].concat();
    let (outcome, _, arena) = life.try_apply(0, key, action, &operand)?;
    let Outcome::Replaced { versions, alone } = outcome else { panic!("{outcome:?}") };
    Ok((versions, alone.map(|span| span.of(&arena).to_vec())))
}

fn set(life: &Life, key: &str, token: &[u8], value: &str) -> (usize, Option<Vec<u8>>) {
    replace(life, key, token, (value, None)).expect("few siblings")
}

fn remove(life: &Life, key: &str, token: &[u8]) -> Existed {
    match life.apply(0, key, Action::RemoveCovered { token: Operand::default() }, token).0 {
        Outcome::Deleted(existed) => existed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn writes_that_have_not_seen_each_other_stand_beside_each_other() {
    let life = Life::first(1);
    assert_eq!(token(&record(&life, "k").view()), NOTHING);
    let (versions, first) = set(&life, "k", NOTHING, "a");
    assert_eq!((versions, values(&life, "k")), (1, vec!["a".to_owned()]));
    let first = first.expect("it stands alone");
    assert_eq!(set(&life, "k", &first, "b").0, 1, "it has seen a");
    assert_eq!(set(&life, "k", &first, "c"), (2, None), "it has not seen b");
    assert_eq!((values(&life, "k"), life.count(0)), (vec!["b".to_owned(), "c".to_owned()], 1));
    assert_eq!(life.get(0, "k"), Some((b"c".into(), None)), "the later one is shown");
    let all = token(&record(&life, "k").view());
    assert_eq!(set(&life, "k", &all, "d").0, 1);
    assert_eq!(values(&life, "k"), ["d"]);
    life.set(0, "k", b"e");
    assert_eq!((set(&life, "k", &all, "f").0, values(&life, "k")), (2, vec!["e".to_owned(), "f".to_owned()]));
    life.set(0, "k", b"g");
    assert_eq!(values(&life, "k"), ["g"], "a plain write covers what its replica has");
}

#[test]
fn a_delete_takes_away_what_was_seen() {
    let life = Life::first(1);
    assert_eq!((remove(&life, "k", NOTHING), life.raw().len()), (Existed::No, 0));
    let first = set(&life, "k", NOTHING, "a").1.expect("it stands alone");
    set(&life, "k", NOTHING, "b");
    let before = life.replica.shown();
    assert_eq!((remove(&life, "k", NOTHING), life.replica.shown()), (Existed::Yes, before), "it has seen nothing");
    assert_eq!((remove(&life, "k", &first), values(&life, "k")), (Existed::Yes, vec!["b".to_owned()]));
    let rest = token(&record(&life, "k").view());
    assert_eq!((remove(&life, "k", &rest), life.count(0)), (Existed::Yes, 0));
    assert_eq!(remove(&life, "k", &rest), Existed::No);
    assert_eq!(set(&life, "k", &first, "c").0, 1, "what is deleted does not come back");
}

#[test]
fn a_key_has_at_most_sixteen_siblings() {
    let life = Life::first(1);
    for count in 1..=MAX_SIBLINGS {
        assert_eq!(set(&life, "k", NOTHING, &format!("v{count}")).0, count);
    }
    let before = life.replica.shown();
    assert!(matches!(replace(&life, "k", NOTHING, ("more", None)), Err(Failure::Siblings)));
    assert_eq!(life.replica.shown(), before);
    let all = token(&record(&life, "k").view());
    assert_eq!(set(&life, "k", &all, "one").0, 1);
}

#[test]
fn an_expired_sibling_is_none() {
    let life = Life::first(1);
    let soon = Some(life.now_ms() + 10);
    assert_eq!(replace(&life, "k", NOTHING, ("a", soon)).expect("room").0, 1);
    assert_eq!(replace(&life, "k", NOTHING, ("b", None)).expect("room").0, 2);
    let late = replace(&life, "k", NOTHING, ("late", Some(1))).expect("nothing is added");
    assert_eq!(late, (2, None), "it has expired already");
    life.advance(10);
    assert_eq!(values(&life, "k"), ["b"]);
    let late = replace(&life, "k", NOTHING, ("late", Some(1))).expect("nothing is added");
    assert_eq!(late, (1, None), "no token for a version that the client has not seen");
    assert_eq!(remove(&life, "none", NOTHING), Existed::No);
}

#[test]
fn a_token_from_a_node_that_is_ahead_is_covered_by_a_later_dot() {
    let life = Life::first(1);
    let ahead = crate::causality::Time::from_ms(life.now_ms() + 400);
    let mut context = Context::new();
    context.insert(crate::causality::Dot::new(crate::causality::Actor::from_bits(9), ahead)).expect("few actors");
    let mut bytes = Vec::new();
    context.encode(&mut bytes);
    let new = set(&life, "k", &bytes, "a").1.expect("it stands alone");
    let new = Context::decode(&mut Reader::new(&new)).expect("a context");
    assert!(new.newest_time() > ahead && new.len() == 2);
}

#[test]
fn siblings_survive_a_restart_and_a_pair_too_large_is_refused() {
    let life = Life::first(1);
    set(&life, "k", NOTHING, "a");
    set(&life, "k", NOTHING, "b");
    let long = "x".repeat(PAIR_BYTES);
    assert!(matches!(replace(&life, "k", NOTHING, (&long, None)), Err(Failure::PairTooLarge { .. })));
    life.compact_all();
    let life = life.restart();
    assert_eq!((values(&life, "k"), life.count(0)), (vec!["a".to_owned(), "b".to_owned()], 1));
    life.flush(&[0]).expect("a sound disk");
    assert_eq!(values(&life, "k"), Vec::<String>::new());
}
