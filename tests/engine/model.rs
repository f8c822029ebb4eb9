//! Random work with reopens in between equals an ordered map that was told the same.

use annulus::env::memory::MemoryMachine;
use annulus::storage::Durability;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::TestCaseError;

use crate::history::{Dice, KEYS, Work, keys};
use crate::store::{State, check, contents, key, open, options, record};

fn run(seed: u64, durability: Durability) {
    let mut dice = Dice::new(seed);
    let mut machine = MemoryMachine::new(seed);
    let options = options(durability);
    let mut engine = open(&machine, &options).unwrap();
    let mut state = State::new();
    for round in 0..1_500 {
        let work = Work::draw(&mut dice);
        work.run(&machine, &engine).unwrap_or_else(|error| panic!("seed {seed}, round {round}, {work:?}: {error}"));
        work.apply(&mut state);
        if dice.roll(120) == 0 {
            check(&engine, &state, keys());
        }
        if dice.roll(150) == 0 {
            if dice.roll(2) == 0 {
                engine.close().unwrap();
            } else {
                // What was handed to the operating system outlives the process.
                engine.write_out().unwrap();
                drop(engine);
                machine = machine.kill();
            }
            engine = open(&machine, &options).unwrap_or_else(|error| panic!("seed {seed}, round {round}: {error}"));
            check(&engine, &state, keys());
        }
    }
    check(&engine, &state, keys());
    let stats = engine.stats();
    assert_eq!(stats.last_error, None);
    engine.close().unwrap();
}

#[test]
fn equals_an_ordered_map_over_reopens() {
    for seed in 0..6 {
        let durability = [Durability::Sync, Durability::EverySec, Durability::None][seed as usize % 3];
        run(seed, durability);
    }
}

/// One record: a key, and nothing (it is deleted) or an expiry bucket with a payload.
fn a_record() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let alive = (0..4u16, 0..150usize, any::<u8>()).prop_map(|(bucket, len, byte)| record(bucket, &vec![byte; len]));
    (0..KEYS, prop_oneof![5 => alive, 1 => proptest::strategy::Just(Vec::new())])
        .prop_map(|(number, record)| (key(number), record))
}

fn work() -> impl Strategy<Value = Work> {
    let range = |(slot, databases): (u16, u8)| {
        let slot = (slot * 2_000).to_be_bytes();
        Work::Drop([&slot[..], &[0]].concat(), [&slot[..], &[databases]].concat())
    };
    prop_oneof![
        20 => a_record().prop_map(|one| Work::Write(vec![one])),
        4 => proptest::collection::vec(a_record(), 2..6).prop_map(Work::Write),
        6 => (0..30u64).prop_map(Work::Steps),
        2 => proptest::strategy::Just(Work::Freeze),
        1 => proptest::strategy::Just(Work::Sync),
        1 => proptest::strategy::Just(Work::WriteOut),
        1 => (0..7u16, 1..3u8).prop_map(range),
    ]
}

/// Every piece of work, and its state afterwards; a reopen at the end.
fn follow(works: &[Work], seed: u64) -> Result<(), TestCaseError> {
    let (machine, options) = (MemoryMachine::new(seed), options(Durability::None));
    let engine = open(&machine, &options).unwrap();
    let mut state = State::new();
    for (round, work) in works.iter().enumerate() {
        work.run(&machine, &engine).map_err(|error| TestCaseError::fail(format!("{work:?}: {error}")))?;
        work.apply(&mut state);
        if round % 16 == 0 && contents(&engine, 7).unwrap() != state {
            return Err(TestCaseError::fail(format!("after piece {round}, {work:?}")));
        }
    }
    check(&engine, &state, keys());
    engine.close().unwrap();
    check(&open(&machine, &options).unwrap(), &state, keys());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    /// As above, but what fails is told as the fewest pieces of work that fail.
    #[test]
    fn any_work_equals_an_ordered_map(works in proptest::collection::vec(work(), 0..250), seed in any::<u64>()) {
        follow(&works, seed)?;
    }
}
