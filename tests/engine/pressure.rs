//! Background work that is behind: writes are slowed down before they stop, memory stays within its budget, and all of it
//! ends when the work is done.

use annulus::env::memory::MemoryMachine;
use annulus::storage::{Durability, Update, Verdict};

use crate::history::Dice;
use crate::store::{key, open, options, put, record, wait};

#[test]
fn writes_are_slowed_down_before_they_stop() {
    let options = options(Durability::None);
    let machine = MemoryMachine::new(1);
    let engine = open(&machine, &options).unwrap();
    let mut pauses = Vec::new();
    // Flushed by hand: nobody compacts meanwhile.
    for number in 0..options.stop_runs as u16 {
        put(&machine, &engine, (&key(number), &record(0, b"some"))).unwrap();
        engine.freeze().unwrap();
        pauses.push(engine.slow_down().map_or(0, |pause| pause.as_millis()));
    }
    assert_eq!(pauses, [0, 0, 0, 0, 4, 32]);
    let stats = engine.stats();
    assert_eq!((stats.slow_downs, stats.debt_percent), (2, 100));
    assert!(stats.compaction_bytes > 0);
    let refused = engine.update(&key(1), None, &mut |_, _| Verdict::Keep).unwrap();
    assert_eq!((refused, engine.stats().stalls), (Update::Stalled, 1));
    while engine.stats().levels[0].runs > 0 && wait(&machine) {}
    assert_eq!((engine.slow_down(), engine.stats().debt_percent, engine.stats().compaction_bytes), (None, 0, 0));
    put(&machine, &engine, (&key(1), &record(0, b"more"))).unwrap();
}

#[test]
fn a_load_that_outruns_the_disk_stays_within_its_memory() {
    let options = options(Durability::None);
    let machine = MemoryMachine::new(2);
    let engine = open(&machine, &options).unwrap();
    let mut dice = Dice::new(2);
    // The greatest record, by which limits may be exceeded.
    let slack = 300;
    for round in 0..4_000 {
        let payload = vec![round as u8; dice.roll(150) as usize];
        // Steps are taken only where a write has to wait for them.
        put(&machine, &engine, (&key(dice.roll(400) as u16), &record(0, &payload))).unwrap();
        let stats = engine.stats();
        let memory = stats.memtable_bytes + stats.frozen_bytes + stats.kept_bytes;
        let budget = (options.memtable_bytes + slack) * (options.frozen_memtables as u64 + 1);
        assert!(memory <= budget, "round {round}: {memory} bytes of {budget}");
        assert!(stats.log_buffer_bytes <= options.log_buffer_bytes + slack as usize, "round {round}");
        assert!(stats.cache_bytes <= stats.cache_limit_bytes + slack, "round {round}");
        assert!(stats.levels[0].runs <= options.stop_runs + options.frozen_memtables, "round {round}");
    }
    assert!(engine.stats().stalls > 0, "the load never outran the disk");
}
