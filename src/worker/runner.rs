//! The runner: a driven place for each worker, and a list of what they last said.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::env::{Clock, Env, Pool, Priority, Step, Wake};
use crate::worker::{State, Status, Work, Worker};

/// Workers that one runner takes: each costs a thread.
pub const WORKERS_LIMIT: usize = 64;

/// Starts, lists, wakes and stops workers. Dropped, it stops them without waiting.
pub struct Runner {
    pool: Arc<dyn Pool>,
    clock: Arc<dyn Clock>,
    stopping: Arc<AtomicBool>,
    places: Mutex<Vec<Place>>,
}

/// Where a worker is driven, and what it said after its last unit.
struct Place {
    wake: Arc<dyn Wake>,
    said: Arc<Mutex<Status>>,
}

/// Wakes one worker.
#[derive(Clone)]
pub struct Waker {
    wake: Arc<dyn Wake>,
}

impl Waker {
    /// Makes the worker look for work soon, if it is idle.
    pub fn wake(&self) {
        self.wake.wake();
    }
}

impl Runner {
    /// A runner whose workers are driven by the pool of `env`.
    #[must_use]
    pub fn new(env: &Env) -> Self {
        Runner {
            pool: Arc::clone(&env.pool),
            clock: Arc::clone(&env.clock),
            stopping: Arc::new(AtomicBool::new(false)),
            places: Mutex::new(Vec::new()),
        }
    }

    /// Starts a worker; after [`Runner::stop`] it ends before its first unit.
    ///
    /// # Panics
    /// If there are [`WORKERS_LIMIT`] of them already.
    pub fn start(&self, priority: Priority, worker: Box<dyn Worker>) -> Waker {
        let name = worker.name();
        let said = Arc::new(Mutex::new(Status { name, ..Status::default() }));
        let mut places = self.places.lock();
        assert!(places.len() < WORKERS_LIMIT, "{name} is one worker too many");
        let mut turn = Turn {
            worker,
            said: Arc::clone(&said),
            clock: Arc::clone(&self.clock),
            stopping: Arc::clone(&self.stopping),
            not_before: Duration::ZERO,
        };
        let wake = self.pool.drive(name, priority, Box::new(move || turn.step()));
        places.push(Place { wake: Arc::clone(&wake), said });
        Waker { wake }
    }

    /// What every worker said last, in the order they were started.
    #[must_use]
    pub fn statuses(&self) -> Vec<Status> {
        self.places.lock().iter().map(|place| place.said.lock().clone()).collect()
    }

    /// Tells all workers to end after the unit under way.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.places.lock().iter().for_each(|place| place.wake.wake());
    }

    /// Waits until all workers that were started have ended; they do so after [`Runner::stop`].
    ///
    /// # Panics
    /// If a worker panicked.
    pub fn join(&self) {
        let wakes: Vec<Arc<dyn Wake>> = self.places.lock().iter().map(|place| Arc::clone(&place.wake)).collect();
        wakes.iter().for_each(|wake| wake.join());
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One worker with what its steps need.
struct Turn {
    worker: Box<dyn Worker>,
    said: Arc<Mutex<Status>>,
    clock: Arc<dyn Clock>,
    stopping: Arc<AtomicBool>,
    /// Monotonic time before which a throttled worker does nothing.
    not_before: Duration,
}

impl Turn {
    fn step(&mut self) -> Step {
        if self.stopping.load(Ordering::Acquire) {
            self.said.lock().state = State::Stopped;
            return Step::Done;
        }
        let begun = self.clock.monotonic();
        if begun < self.not_before {
            return Step::After(self.not_before - begun);
        }
        let work = self.worker.work();
        let ended = self.clock.monotonic();
        let (state, step) = match work {
            Work::Busy => (State::Busy, Step::Again),
            Work::Throttled(pause) => {
                self.not_before = ended.saturating_add(pause);
                (State::Throttled, Step::After(pause))
            }
            Work::Idle(pause) => (State::Idle, Step::After(pause)),
        };
        let fields = self.worker.status();
        let mut said = self.said.lock();
        (said.state, said.fields) = (state, fields);
        said.units += 1;
        said.busy += ended.saturating_sub(begun);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::Runner;
    use crate::env::memory::MemoryMachine;
    use crate::env::{Priority, os};
    use crate::worker::{Field, State, Work, Worker};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    /// Answers what the test has sent ahead, else that it is idle for an hour.
    struct Scripted {
        wants: Receiver<Work>,
        units: u64,
    }

    impl Worker for Scripted {
        fn name(&self) -> &'static str {
            "scripted"
        }

        fn work(&mut self) -> Work {
            self.units += 1;
            self.wants.try_recv().unwrap_or(Work::Idle(SECOND * 3600))
        }

        fn status(&self) -> Vec<Field> {
            vec![Field { name: "units_of_mine", value: self.units }]
        }
    }

    fn scripted(ahead: &[Work]) -> (Sender<Work>, Box<dyn Worker>) {
        let (send, wants) = channel();
        ahead.iter().for_each(|work| send.send(*work).unwrap());
        (send, Box::new(Scripted { wants, units: 0 }))
    }

    #[test]
    fn a_busy_worker_goes_on_and_an_idle_one_waits_or_wakes() {
        let machine = MemoryMachine::new(1);
        let runner = Runner::new(&machine.env());
        let (_send, worker) = scripted(&[Work::Busy, Work::Busy, Work::Idle(SECOND)]);
        let waker = runner.start(Priority::Low, worker);
        assert_eq!((runner.statuses()[0].state, runner.statuses()[0].units), (State::Busy, 0));
        assert_eq!((machine.pool.run_until_idle(), runner.statuses()[0].state), (3, State::Idle));
        machine.clock.advance(SECOND);
        assert_eq!(machine.pool.run_until_idle(), 1);
        waker.wake();
        assert_eq!(machine.pool.run_until_idle(), 1);
        let status = runner.statuses().remove(0);
        assert_eq!((status.name, status.units, status.fields[0].value), ("scripted", 5, 5));
    }

    #[test]
    fn a_throttled_worker_is_not_woken_early_but_stops_at_once() {
        let machine = MemoryMachine::new(1);
        let runner = Runner::new(&machine.env());
        let (_send, worker) = scripted(&[Work::Throttled(SECOND), Work::Throttled(SECOND)]);
        let waker = runner.start(Priority::Low, worker);
        machine.pool.run_until_idle();
        waker.wake();
        machine.pool.run_until_idle();
        assert_eq!((runner.statuses()[0].state, runner.statuses()[0].units), (State::Throttled, 1));
        machine.clock.advance(SECOND);
        machine.pool.run_until_idle();
        assert_eq!(runner.statuses()[0].units, 2);
        runner.stop();
        runner.join();
        assert_eq!((runner.statuses()[0].state, runner.statuses()[0].units), (State::Stopped, 2));
    }

    #[test]
    fn workers_end_on_threads_and_without_their_runner() {
        let env = os::env(&os::Options::new());
        let runner = Runner::new(&env);
        let senders = [(); 3].map(|()| {
            let (send, worker) = scripted(&[]);
            runner.start(Priority::Low, worker).wake();
            send
        });
        runner.stop();
        runner.join();
        assert!(runner.statuses().iter().all(|status| status.state == State::Stopped));
        assert!(senders.iter().all(|send| send.send(Work::Busy).is_err()), "a worker that ended is dropped");
        let other = Runner::new(&env);
        other.start(Priority::Normal, scripted(&[]).1);
        drop(other);
        env.pool.join();
    }
}
