//! Power is lost, or the process killed, during every change of the disk: what comes back is the state after some piece of
//! work, not before the last one that was durable; counters are those of that state.

use std::io::Write as _;
use std::time::Duration;

use annulus::env::memory::{MemoryMachine, Survival};
use annulus::env::os;
use annulus::storage::{Durability, Engine, Options};

use crate::history::{Dice, Life, keys};
use crate::store::{State, check, open, options, put, record};

fn machine_with(seed: u64, options: &Options, dice: &mut Dice) -> (MemoryMachine, State) {
    let machine = MemoryMachine::new(seed);
    let engine = open(&machine, options).unwrap();
    let mut life = Life::new(State::new());
    life.run(&machine, &engine, dice, 60);
    let state = life.states.pop().expect("there is a last state");
    engine.close().unwrap();
    (machine, state)
}

/// What the matrix has gone through.
#[derive(Debug, Default)]
struct Figure {
    histories: u64,
    crashes: u64,
    crashes_of_recovery: u64,
}

impl Figure {
    /// Opens after a crash, which is itself cut short some times: at changes that `dice` draws.
    fn reopen(&mut self, machine: MemoryMachine, options: &Options, dice: &mut Dice) -> (MemoryMachine, Engine) {
        let mut machine = machine;
        for _ in 0..2 {
            machine.disk.crash_at(dice.roll(12));
            let opened = open(&machine, options);
            if let Err(error) = &opened {
                assert!(machine.disk.is_dead(), "{error}");
            }
            drop(opened);
            self.crashes_of_recovery += u64::from(machine.disk.is_dead());
            machine = machine.crash();
        }
        let engine = open(&machine, options).unwrap();
        (machine, engine)
    }

    /// One life that ends at change `at`; `false` if it ended before.
    fn crash_at(&mut self, seed: u64, at: u64, options: &Options) -> bool {
        let mut dice = Dice::new(seed);
        let (machine, state) = machine_with(seed, options, &mut dice);
        let machine = machine.crash();
        machine.disk.crash_at(at);
        let mut life = Life::new(state);
        if let Ok(engine) = open(&machine, options) {
            life.run(&machine, &engine, &mut dice, 120);
        }
        let died = machine.disk.is_dead();
        let what = format!("seed {seed}, crash at change {at}");
        let (machine, engine) = self.reopen(machine.crash(), options, &mut dice);
        let state = life.judge(&engine, &what);
        // And it goes on from there.
        let mut life = Life::new(state);
        life.run(&machine, &engine, &mut dice, 30);
        check(&engine, life.last(), keys());
        self.crashes += u64::from(died);
        died
    }

    /// A history, crashed at each of its changes while there is time; how many that were.
    fn history(&mut self, seed: u64, options: &Options, is_time: &dyn Fn() -> bool) -> u64 {
        assert!(!self.crash_at(seed, u64::MAX, options));
        let crashed = (0..).take_while(|at| is_time() && self.crash_at(seed, *at, options)).count();
        self.histories += 1;
        crashed as u64
    }

    /// What a crash left, its recovery crashed at each of the changes that recovery makes.
    fn recovery(&mut self, seed: u64, options: &Options) {
        let what = |at| format!("seed {seed}, crash of the recovery at change {at}");
        for at in 0.. {
            let mut dice = Dice::new(seed);
            let (machine, state) = machine_with(seed, options, &mut dice);
            let mut life = Life::new(state);
            let engine = open(&machine, options).unwrap();
            life.run(&machine, &engine, &mut dice, 60);
            drop(engine);
            let machine = machine.crash();
            machine.disk.crash_at(at);
            let opened = open(&machine, options).map(drop);
            assert!(opened.is_ok() || machine.disk.is_dead(), "{}: {opened:?}", what(at));
            if !machine.disk.is_dead() {
                assert!(at > 2, "recovery makes some changes");
                return;
            }
            self.crashes_of_recovery += 1;
            life.judge(&open(&machine.crash(), options).unwrap(), &what(at));
        }
    }
}

/// Seconds that the matrix takes beyond its first two histories.
fn budget() -> Duration {
    let wanted = std::env::var("ANNULUS_CRASH_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(wanted.unwrap_or(5))
}

/// Two whole histories, then as many more as there is time for: `ANNULUS_CRASH_SECONDS` gives it more.
#[test]
fn after_power_loss_at_any_change_the_state_is_a_recent_one() {
    let clock = os::env(&os::Options::new()).clock;
    let mut figure = Figure::default();
    let options = options(Durability::Sync);
    for seed in [1, 2] {
        let crashed = figure.history(seed, &options, &|| true);
        assert!(crashed > 100, "the history is too short: {crashed} changes");
        figure.recovery(seed, &options);
    }
    let end = clock.monotonic() + budget();
    let is_time = || clock.monotonic() < end;
    for seed in (3..).take_while(|_| is_time()) {
        figure.history(seed, &options, &is_time);
        figure.recovery(seed, &options);
    }
    let Figure { histories, crashes, crashes_of_recovery } = figure;
    // Past the capture of the test runner, which shows what a test prints only if it fails.
    let _ = writeln!(
        std::io::stderr(),
        "crash matrix: {histories} histories, {crashes} changes crashed, {crashes_of_recovery} of recoveries"
    );
}

#[test]
fn after_a_kill_all_that_was_handed_over_is_there() {
    for durability in [Durability::Sync, Durability::EverySec, Durability::None] {
        let options = options(durability);
        let mut dice = Dice::new(9);
        let mut machine = MemoryMachine::new(9);
        let mut state = State::new();
        for life_number in 0..25 {
            let engine = open(&machine, &options).unwrap();
            let mut life = Life::new(state);
            let rounds = dice.roll(60) as usize;
            life.run(&machine, &engine, &mut dice, rounds);
            drop(engine);
            machine = machine.kill();
            let engine = open(&machine, &options).unwrap();
            state = life.judge(&engine, &format!("{durability:?}, life {life_number}"));
            drop(engine);
            machine = machine.kill();
        }
    }
}

#[test]
fn a_sync_covers_the_segments_before_the_last_too() {
    let mut options = options(Durability::Sync);
    options.log_buffer_bytes = 1 << 20;
    let machine = MemoryMachine::new(4);
    let engine = open(&machine, &options).unwrap();
    machine.pool.run_until_idle();
    let records: State = keys().map(|key| (key, record(1, &[7; 60]))).collect();
    for (key, record) in &records {
        put(&machine, &engine, (key, record)).unwrap();
    }
    assert_eq!(engine.stats().frozen_memtables, 1, "the records lie in two segments");
    engine.sync_to(engine.appended()).unwrap();
    drop(engine);
    let mut after = MemoryMachine::new(5);
    after.disk = machine.disk.crash_with(Survival::Nothing);
    check(&open(&after, &options).unwrap(), &records, keys());
}
