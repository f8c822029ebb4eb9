//! Random histories compared with a map.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof, proptest};

use crate::replica::Answer;
use crate::replica::tests::life::{APPEND, Life};

const DATABASES: u8 = 3;

#[derive(Clone, Debug)]
enum Act {
    Set { key: usize, lifetime_ms: Option<u64> },
    Append { key: usize },
    Delete { key: usize },
    Flush { databases: u8 },
    Advance { milliseconds: u64 },
    Reap,
    Purge,
    Compact,
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let key = 0..24_usize;
    let lifetime_ms = prop_oneof![
        3 => Just(None),
        2 => (1..20_000_u64).prop_map(Some),
        1 => (1..200_000_000_000_u64).prop_map(Some)
    ];
    let act = prop_oneof![
        20 => (key.clone(), lifetime_ms).prop_map(|(key, lifetime_ms)| Act::Set { key, lifetime_ms }),
        6 => key.clone().prop_map(|key| Act::Append { key }),
        10 => key.prop_map(|key| Act::Delete { key }),
        1 => (1..1_u8 << DATABASES).prop_map(|databases| Act::Flush { databases }),
        4 => (1..15_000_u64).prop_map(|milliseconds| Act::Advance { milliseconds }),
        1 => (1..5_000_000_000_u64).prop_map(|milliseconds| Act::Advance { milliseconds }),
        3 => Just(Act::Reap),
        2 => Just(Act::Purge),
        2 => Just(Act::Compact),
        1 => Just(Act::Restart),
    ];
    vec(act, 1..150)
}

type Pair = (u8, String);

/// What there is, with what expired and was not reaped.
#[derive(Default)]
struct Model {
    values: BTreeMap<Pair, (Vec<u8>, Option<u64>)>,
}

impl Model {
    fn get(&self, pair: &Pair, now_ms: u64) -> Option<(Vec<u8>, Option<u64>)> {
        self.values.get(pair).filter(|(_, expiry)| expiry.is_none_or(|expiry| expiry > now_ms)).cloned()
    }

    fn count(&self, database: u8) -> u64 {
        self.values.keys().filter(|(of, _)| *of == database).count() as u64
    }
}

fn pair(key: usize) -> Pair {
    // Some keys share a slot.
    (key as u8 % DATABASES, format!("{{{}}}{key}", key / 6))
}

fn check(life: &Life, model: &Model, act: &Act) {
    for key in 0..24 {
        let pair = pair(key);
        assert_eq!(life.get(pair.0, &pair.1), model.get(&pair, life.now_ms()), "{pair:?} after {act:?}");
    }
    for database in 0..DATABASES {
        assert_eq!(life.count(database), model.count(database), "database {database} after {act:?}");
    }
}

fn run(seed: u64, acts: &[Act]) {
    let (mut life, mut model) = (Life::first(seed), Model::default());
    for (turn, act) in acts.iter().enumerate() {
        let now_ms = life.now_ms();
        match act {
            Act::Set { key, lifetime_ms } => {
                let (pair, value) = (pair(*key), vec![turn as u8; turn % 90]);
                let expiry = lifetime_ms.map(|lifetime_ms| now_ms + lifetime_ms);
                life.set_until(pair.0, &pair.1, (&value, expiry));
                model.values.insert(pair, (value, expiry));
            }
            Act::Append { key } => {
                let pair = pair(*key);
                let (mut value, expiry) = model.get(&pair, now_ms).unwrap_or_default();
                value.push(turn as u8);
                let answer = life.change(pair.0, &pair.1, (APPEND, &[turn as u8]));
                assert_eq!(answer, Answer::Integer(value.len() as i64));
                model.values.insert(pair, (value, expiry));
            }
            Act::Delete { key } => {
                let pair = pair(*key);
                assert_eq!(life.delete(pair.0, &pair.1), model.get(&pair, now_ms).is_some());
                model.values.remove(&pair);
            }
            Act::Flush { databases } => {
                let databases: Vec<u8> = (0..DATABASES).filter(|database| databases >> database & 1 == 1).collect();
                life.flush(&databases).expect("a sound disk");
                model.values.retain(|(database, _), _| !databases.contains(database));
            }
            Act::Advance { milliseconds } => life.advance(*milliseconds),
            Act::Reap => {
                life.reap();
                let until_ms = life.now_ms() - 10_000;
                model.values.retain(|_, (_, expiry)| expiry.is_none_or(|expiry| expiry > until_ms));
            }
            Act::Purge => life.purge(),
            Act::Compact => life.compact(),
            Act::Restart => life = life.restart(),
        }
        check(&life, &model, act);
    }
    purge_everything(life, &model);
}

/// In the end only what is live is left, with one entry each.
fn purge_everything(mut life: Life, model: &Model) {
    life.advance(10_001);
    life.purge();
    life.compact_all();
    life.reap();
    life.compact_all();
    let live = model.values.values().filter(|(_, expiry)| expiry.is_none_or(|expiry| expiry > life.now_ms() - 10_000));
    let raw = life.raw();
    assert_eq!(raw.len(), live.count(), "{raw:?}");
    assert!(raw.iter().all(|raw| (raw.entries, raw.versions) == (1, 1)), "{raw:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn random_histories_agree_with_a_map(seed in 0..1000_u64, acts in acts()) {
        run(seed, &acts);
    }
}
