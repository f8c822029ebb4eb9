//! A pool without threads: jobs and steps run when the test says so, in an order that a seed decides.
//!
//! Invariant: one thing runs at a time for each caller, and with one caller the same seed gives the same order.
//! Invariant: a wake during a step makes for one more step, as on the machine's pool.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rand::RngExt as _;

use crate::env::memory::random::{Generator, generator};
use crate::env::{Clock, Pool, PoolFull, Priority, Step, Wake};

/// More steps than this without a rest are a loop that never ends.
const STEPS_LIMIT: usize = 10_000_000;

/// When a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jobs {
    /// In its turn; so many may wait, and the next one is refused.
    Queued(usize),
    /// Inside the call that hands it in.
    AtOnce,
}

type Job = Box<dyn FnOnce() + Send>;
type StepOnce = Box<dyn FnMut() -> Step + Send>;

/// A pool that a test steps. Clones share it.
#[derive(Clone)]
pub struct SteppedPool {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    jobs: Jobs,
    state: Mutex<State>,
    /// Something that another thread ran has ended.
    ended: Condvar,
}

struct State {
    generator: Generator,
    jobs: Vec<Job>,
    driven: Vec<Driven>,
    running: usize,
}

struct Driven {
    name: &'static str,
    /// Away while it runs.
    step: Option<StepOnce>,
    wants: Wants,
    woken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    Now,
    At(Duration),
    Wake,
    Nothing,
}

/// How the caller takes pieces that asked for a pause.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// They come when their time has come.
    Wait,
    /// They come at once: nobody would move the clock.
    Skip,
}

enum Piece {
    Job(Job),
    Step(usize, StepOnce),
}

impl SteppedPool {
    /// A pool whose order follows from `seed` and whose pauses follow `clock`.
    #[must_use]
    pub fn new(seed: u64, clock: Arc<dyn Clock>, jobs: Jobs) -> Self {
        let state = State { generator: generator(seed), jobs: Vec::new(), driven: Vec::new(), running: 0 };
        SteppedPool { inner: Arc::new(Inner { clock, jobs, state: Mutex::new(state), ended: Condvar::new() }) }
    }

    /// Runs one job or one step that is due; `false` if none is.
    pub fn step(&self) -> bool {
        self.inner.step(Patience::Wait)
    }

    /// Runs jobs and steps until none is due; answers how many ran.
    ///
    /// # Panics
    /// After ten million: something never rests.
    pub fn run_until_idle(&self) -> usize {
        let count = (0..STEPS_LIMIT).take_while(|_| self.step()).count();
        assert!(count < STEPS_LIMIT, "{} never rests", self.inner.names(|driven| driven.wants == Wants::Now));
        count
    }

    /// The monotonic time at which the next paused piece is due: move the clock there and step.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        let state = self.inner.state.lock();
        let times = state.driven.iter().map(|driven| driven.wants);
        times.filter_map(|wants| if let Wants::At(due) = wants { Some(due) } else { None }).min()
    }
}

impl Pool for SteppedPool {
    fn run(&self, job: Job) -> Result<(), PoolFull> {
        match self.inner.jobs {
            Jobs::AtOnce => job(),
            Jobs::Queued(room) => {
                let mut state = self.inner.state.lock();
                if state.jobs.len() >= room {
                    return Err(PoolFull);
                }
                state.jobs.push(job);
            }
        }
        Ok(())
    }

    fn drive(&self, name: &'static str, _priority: Priority, step: StepOnce) -> Arc<dyn Wake> {
        let mut state = self.inner.state.lock();
        state.driven.push(Driven { name, step: Some(step), wants: Wants::Now, woken: false });
        Arc::new(SteppedWake { inner: Arc::clone(&self.inner), index: state.driven.len() - 1 })
    }

    /// Runs everything to its end here and now; pauses are skipped.
    ///
    /// # Panics
    /// If a piece is idle and nothing is left that could wake it.
    fn join(&self) {
        self.inner.run_until(|state| state.jobs.is_empty() && state.driven.iter().all(Driven::is_done));
    }
}

struct SteppedWake {
    inner: Arc<Inner>,
    index: usize,
}

impl Wake for SteppedWake {
    fn wake(&self) {
        self.inner.state.lock().driven[self.index].woken = true;
    }

    fn join(&self) {
        self.inner.run_until(|state| state.driven[self.index].is_done());
    }
}

impl State {
    /// The driven pieces that may take a step.
    fn due(&self, now: Duration, patience: Patience) -> Vec<usize> {
        let due = self.driven.iter().enumerate().filter(|(_, driven)| driven.is_due(now, patience));
        due.map(|(index, _)| index).collect()
    }
}

impl Driven {
    fn is_done(&self) -> bool {
        self.wants == Wants::Nothing
    }

    fn is_due(&self, now: Duration, patience: Patience) -> bool {
        let due = match self.wants {
            Wants::Now => true,
            Wants::At(due) => self.woken || due <= now || patience == Patience::Skip,
            Wants::Wake => self.woken,
            Wants::Nothing => false,
        };
        due && self.step.is_some()
    }
}

impl Inner {
    fn step(&self, patience: Patience) -> bool {
        let Some(piece) = self.take(patience) else { return false };
        match piece {
            Piece::Job(job) => {
                let _running = Running { inner: self, index: None };
                job();
            }
            Piece::Step(index, mut step) => {
                let running = Running { inner: self, index: Some(index) };
                let answer = step();
                running.put_back(index, step, answer);
            }
        }
        true
    }

    /// Draws one of the things that are due.
    fn take(&self, patience: Patience) -> Option<Piece> {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        let due = state.due(now, patience);
        let count = state.jobs.len() + due.len();
        if count == 0 {
            return None;
        }
        state.running += 1;
        let drawn = state.generator.random_range(0..count);
        let Some(place) = drawn.checked_sub(state.jobs.len()) else {
            return Some(Piece::Job(state.jobs.remove(drawn)));
        };
        let driven = &mut state.driven[due[place]];
        driven.woken = false;
        let step = driven.step.take().expect("what is due is not running");
        Some(Piece::Step(due[place], step))
    }

    fn run_until(&self, ended: impl Fn(&State) -> bool) {
        while !ended(&self.state.lock()) {
            if self.step(Patience::Skip) {
                continue;
            }
            // Another caller's step may have ended since: only what is seen under this one lock counts.
            let mut state = self.state.lock();
            if ended(&state) || !state.jobs.is_empty() || !state.due(Duration::ZERO, Patience::Skip).is_empty() {
                continue;
            }
            if state.running > 0 {
                self.ended.wait(&mut state);
                continue;
            }
            drop(state);
            panic!("{} would wait for ever", self.names(|driven| !driven.is_done()));
        }
    }

    fn names(&self, which: impl Fn(&Driven) -> bool) -> String {
        let state = self.state.lock();
        let names: Vec<&str> = state.driven.iter().filter(|driven| which(driven)).map(|driven| driven.name).collect();
        names.join(", ")
    }
}

/// Counts a running piece until it has ended, by panic too; a step that panics is done.
struct Running<'a> {
    inner: &'a Inner,
    index: Option<usize>,
}

impl Running<'_> {
    fn put_back(mut self, index: usize, step: StepOnce, answer: Step) {
        let now = self.inner.clock.monotonic();
        let mut state = self.inner.state.lock();
        let driven = &mut state.driven[index];
        driven.wants = match answer {
            Step::Again => Wants::Now,
            Step::After(pause) => Wants::At(now.saturating_add(pause)),
            Step::Idle => Wants::Wake,
            Step::Done => Wants::Nothing,
        };
        // What a finished piece holds is dropped after the lock is released: it may use the pool as it goes.
        let finished = if answer == Step::Done { Some(step) } else { driven.step.replace(step) };
        self.index = None;
        drop(state);
        drop(finished);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.inner.state.lock();
        state.running -= 1;
        if let Some(index) = self.index {
            state.driven[index].wants = Wants::Nothing;
        }
        drop(state);
        self.inner.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::{Jobs, SteppedPool};
    use crate::env::memory::ManualClock;
    use crate::env::{Pool, PoolFull, Priority, Step};
    use parking_lot::Mutex;
    use std::sync::Arc;
    use std::time::Duration;

    fn pool(seed: u64, jobs: Jobs) -> (SteppedPool, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(0));
        (SteppedPool::new(seed, Arc::<ManualClock>::clone(&clock), jobs), clock)
    }

    /// Drives a piece that notes its name at each step and then wants what `wants` says.
    fn drive(
        pool: &SteppedPool,
        name: &'static str,
        log: &Arc<Mutex<Vec<&'static str>>>,
        mut wants: Vec<Step>,
    ) -> Arc<dyn crate::env::Wake> {
        let log = Arc::clone(log);
        wants.reverse();
        let step = move || {
            log.lock().push(name);
            wants.pop().unwrap_or(Step::Done)
        };
        pool.drive(name, Priority::Low, Box::new(step))
    }

    #[test]
    fn the_seed_decides_the_order() {
        let run = |seed| {
            let (pool, _) = pool(seed, Jobs::Queued(9));
            let log = Arc::default();
            for name in ["a", "b", "c"] {
                drive(&pool, name, &log, vec![Step::Again; 3]);
            }
            let also = Arc::clone(&log);
            pool.run(Box::new(move || also.lock().push("job"))).unwrap();
            assert_eq!(pool.run_until_idle(), 13);
            pool.join();
            log.lock().clone()
        };
        assert_eq!(run(1), run(1));
        assert!((2..10).any(|seed| run(seed) != run(1)));
    }

    #[test]
    fn pauses_follow_the_clock_and_idle_pieces_their_wakes() {
        let (pool, clock) = pool(1, Jobs::AtOnce);
        let log = Arc::default();
        let wake = drive(&pool, "a", &log, vec![Step::After(Duration::from_secs(1)), Step::Idle]);
        assert_eq!((pool.run_until_idle(), pool.next_due()), (1, Some(Duration::from_secs(1))));
        clock.advance(Duration::from_secs(1));
        assert_eq!((pool.run_until_idle(), pool.next_due()), (1, None));
        wake.wake();
        wake.wake();
        assert_eq!((pool.run_until_idle(), pool.run_until_idle()), (1, 0));
        wake.wake();
        assert!(!pool.step(), "a finished piece takes no step");
        wake.join();
    }

    #[test]
    fn a_wake_during_a_step_makes_for_one_more() {
        let (pool, _) = pool(1, Jobs::AtOnce);
        let own = Arc::new(Mutex::new(None::<Arc<dyn crate::env::Wake>>));
        let (inside, mut steps) = (Arc::clone(&own), 0);
        let step = move || {
            steps += 1;
            inside.lock().as_ref().unwrap().wake();
            if steps == 3 { Step::Done } else { Step::Idle }
        };
        let wake = pool.drive("self", Priority::Normal, Box::new(step));
        *own.lock() = Some(wake);
        assert_eq!(pool.run_until_idle(), 3);
    }

    #[test]
    fn join_skips_pauses_and_runs_jobs() {
        let (pool, _) = pool(1, Jobs::Queued(1));
        let log = Arc::default();
        drive(&pool, "a", &log, vec![Step::After(Duration::from_secs(9)); 3]);
        assert_eq!([pool.run(Box::new(|| ())), pool.run(Box::new(|| ()))], [Ok(()), Err(PoolFull)]);
        pool.join();
        assert_eq!((log.lock().len(), pool.step()), (4, false));
    }

    #[test]
    #[should_panic(expected = "sleeper would wait for ever")]
    fn join_tells_who_would_wait_for_ever() {
        let (pool, _) = pool(1, Jobs::AtOnce);
        drive(&pool, "sleeper", &Arc::default(), vec![Step::Idle]);
        pool.join();
    }
}
