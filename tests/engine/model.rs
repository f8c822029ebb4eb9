//! Random work with reopens in between equals an ordered map that was told the same.

use annulus::env::memory::MemoryMachine;
use annulus::storage::Durability;

use crate::history::{Dice, Work, keys};
use crate::store::{State, check, open, options};

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
