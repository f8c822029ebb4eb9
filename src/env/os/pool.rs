//! Threads for work that may wait: a few that share a bounded queue, and one for each driven piece.
//!
//! Invariant: a wake-up is never lost. It is a flag first and an unpark second; the driven thread clears the flag before it
//! decides to wait, and takes another step if it was set.
//! Invariant: a job that panics takes no thread with it; a driven piece that panics makes its `join` panic.

#![expect(clippy::disallowed_types, reason = "deadlines of this machine's threads")]

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle, Thread};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::env::{Pool, PoolFull, Priority, Step, Wake};

/// How much a thread of [`Priority::Low`] gives way: a tenth of the processor beside one busy normal thread.
const NICE: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// Threads of the machine.
pub struct OsPool {
    queue: Arc<Queue>,
    driven: Mutex<Vec<Arc<Driven>>>,
}

impl OsPool {
    /// Starts `threads` threads that take jobs from a queue with room for `room` of them.
    ///
    /// # Panics
    /// If there is no thread, or the machine starts none.
    #[must_use]
    pub fn new(threads: usize, room: usize) -> Self {
        assert!(threads > 0, "a pool without threads runs nothing");
        let queue = Arc::new(Queue::new(room));
        for index in 0..threads {
            let queue = Arc::clone(&queue);
            spawn(format!("pool-{index}"), move || queue.serve());
        }
        OsPool { queue, driven: Mutex::new(Vec::new()) }
    }
}

/// Starts a thread; a machine that cannot start one cannot run a node.
pub(crate) fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    Builder::new().name(name).spawn(run).expect("the machine starts a thread")
}

impl Pool for OsPool {
    fn run(&self, job: Job) -> Result<(), PoolFull> {
        self.queue.push(job)
    }

    fn drive(&self, name: &'static str, priority: Priority, step: Box<dyn FnMut() -> Step + Send>) -> Arc<dyn Wake> {
        let woken = Arc::new(AtomicBool::new(false));
        let thread = {
            let woken = Arc::clone(&woken);
            spawn(name.to_owned(), move || {
                give_way(priority);
                run_steps(&woken, step);
            })
        };
        let driven = Arc::new(Driven { name, woken, thread: thread.thread().clone(), end: Mutex::new(Some(thread)) });
        self.driven.lock().push(Arc::clone(&driven));
        driven
    }

    fn join(&self) {
        // A piece may be driven while others end: look again until none is left.
        loop {
            let Some(driven) = self.driven.lock().pop() else { break };
            driven.join();
        }
        self.queue.wait_until_empty();
    }
}

impl Drop for OsPool {
    /// Lets the threads end once the queue is empty, without waiting: the last owner may be one of them.
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Jobs that wait for a thread.
struct Queue {
    room: usize,
    waiting: Mutex<Waiting>,
    filled: Condvar,
    emptied: Condvar,
}

struct Waiting {
    jobs: VecDeque<Job>,
    running: usize,
    closed: bool,
}

impl Queue {
    fn new(room: usize) -> Self {
        let waiting = Mutex::new(Waiting { jobs: VecDeque::with_capacity(room), running: 0, closed: false });
        Queue { room, waiting, filled: Condvar::new(), emptied: Condvar::new() }
    }

    fn push(&self, job: Job) -> Result<(), PoolFull> {
        let mut waiting = self.waiting.lock();
        if waiting.jobs.len() >= self.room {
            return Err(PoolFull);
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// Runs jobs until the queue is closed and empty.
    fn serve(&self) {
        let mut waiting = self.waiting.lock();
        loop {
            let Some(job) = waiting.jobs.pop_front() else {
                if waiting.closed {
                    return;
                }
                self.filled.wait(&mut waiting);
                continue;
            };
            waiting.running += 1;
            drop(waiting);
            // The panic hook has told it; whoever waits for the job's answer sees its channel closed.
            let _ = catch_unwind(AssertUnwindSafe(job));
            waiting = self.waiting.lock();
            waiting.running -= 1;
            if waiting.running == 0 && waiting.jobs.is_empty() {
                self.emptied.notify_all();
            }
        }
    }

    fn wait_until_empty(&self) {
        let mut waiting = self.waiting.lock();
        while waiting.running > 0 || !waiting.jobs.is_empty() {
            self.emptied.wait(&mut waiting);
        }
    }

    fn close(&self) {
        self.waiting.lock().closed = true;
        self.filled.notify_all();
    }
}

/// A thread that takes the steps of one piece of work.
struct Driven {
    name: &'static str,
    woken: Arc<AtomicBool>,
    thread: Thread,
    end: Mutex<Option<JoinHandle<()>>>,
}

impl Wake for Driven {
    fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }

    fn join(&self) {
        // The lock is held while waiting, so that a second caller waits for the end too.
        let mut end = self.end.lock();
        if let Some(thread) = end.take() {
            assert!(thread.join().is_ok(), "the driven thread {} panicked", self.name);
        }
    }
}

fn give_way(priority: Priority) {
    if priority == Priority::Low {
        // On Linux a nice value belongs to a thread. Refused, it costs smoothness and nothing else.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
    }
}

fn run_steps(woken: &AtomicBool, mut step: Box<dyn FnMut() -> Step + Send>) {
    loop {
        match step() {
            Step::Again => {}
            Step::After(pause) => wait(woken, Some(pause)),
            Step::Idle => wait(woken, None),
            Step::Done => return,
        }
    }
}

/// Waits until woken, or until `limit` has passed. Whatever else parked or unparked this thread does no harm: only the
/// flag and the deadline end the wait.
fn wait(woken: &AtomicBool, limit: Option<Duration>) {
    // A limit beyond all time is none.
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    while !woken.swap(false, Ordering::AcqRel) {
        let Some(deadline) = deadline else {
            std::thread::park();
            continue;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::OsPool;
    use crate::env::{Pool, PoolFull, Priority, Step};
    use parking_lot::{Condvar, Mutex};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn a_full_queue_refuses_and_join_waits_for_the_rest() {
        let pool = OsPool::new(1, 2);
        let (release, gate) = mpsc::channel::<()>();
        let (started, begun) = mpsc::channel();
        let first = move || {
            started.send(()).unwrap();
            gate.recv().unwrap();
        };
        pool.run(Box::new(first)).unwrap();
        begun.recv().unwrap();
        let done = Arc::new(AtomicUsize::new(0));
        let count = || {
            let done = Arc::clone(&done);
            Box::new(move || done.store(done.load(Ordering::Relaxed) + 1, Ordering::Relaxed))
        };
        assert_eq!([pool.run(count()), pool.run(count()), pool.run(count())], [Ok(()), Ok(()), Err(PoolFull)]);
        release.send(()).unwrap();
        pool.join();
        assert_eq!(done.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_job_that_panics_leaves_its_thread_to_the_next() {
        let pool = OsPool::new(1, 8);
        let (send, receive) = mpsc::channel();
        pool.run(Box::new(|| panic!("as the test wants"))).unwrap();
        pool.run(Box::new(move || send.send(7).unwrap())).unwrap();
        assert_eq!(receive.recv(), Ok(7));
        pool.join();
    }

    /// Ping and pong between this thread and a driven one: any lost wake-up would hang it.
    #[test]
    fn no_wake_up_is_lost() {
        const ROUNDS: usize = 20_000;
        let pool = OsPool::new(1, 1);
        let shared = Arc::new((Mutex::new((0, 0)), Condvar::new()));
        let seen = Arc::clone(&shared);
        let step = move || {
            let mut counts = seen.0.lock();
            counts.1 = counts.0;
            seen.1.notify_one();
            if counts.0 == ROUNDS { Step::Done } else { Step::Idle }
        };
        let wake = pool.drive("ping", Priority::Normal, Box::new(step));
        for round in 1..=ROUNDS {
            shared.0.lock().0 = round;
            wake.wake();
            let mut counts = shared.0.lock();
            while counts.1 < round {
                shared.1.wait(&mut counts);
            }
        }
        wake.join();
        wake.join();
        pool.join();
    }

    #[test]
    fn a_driven_piece_has_its_name_and_gives_way() {
        let pool = OsPool::new(1, 1);
        let (send, receive) = mpsc::channel();
        let mut steps = 0;
        let step = move || {
            steps += 1;
            let nice = rustix::process::getpriority_process(Some(rustix::thread::gettid()));
            send.send((std::thread::current().name().map(str::to_owned), nice.ok())).unwrap();
            if steps == 3 { Step::Done } else { Step::After(Duration::from_micros(1)) }
        };
        pool.drive("background", Priority::Low, Box::new(step)).join();
        let seen: Vec<_> = receive.iter().collect();
        assert_eq!(seen, vec![(Some("background".to_owned()), Some(10)); 3]);
    }

    #[test]
    #[should_panic(expected = "the driven thread broken panicked")]
    fn join_tells_of_a_driven_piece_that_panicked() {
        let pool = OsPool::new(1, 1);
        pool.drive("broken", Priority::Normal, Box::new(|| panic!("as the test wants")));
        pool.join();
    }
}
