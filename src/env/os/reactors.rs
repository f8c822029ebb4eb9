//! Current-thread runtimes, one per thread, each with the tasks that stay on it.
//!
//! Invariant: a reactor ends with its one future; what that future left running on it is dropped.
//! Source: multi-thread tokio costs 25-50 % more processor time per command without pipelining, measured.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::env::os::pool::spawn;
use crate::env::{MakeReactor, Reactors};

/// Runtimes of the machine, on threads named `name-0`, `name-1` and so on.
pub struct OsReactors {
    name: &'static str,
    started: Box<[AtomicBool]>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl OsReactors {
    /// `count` reactors, none of them started.
    #[must_use]
    pub fn new(name: &'static str, count: usize) -> Self {
        let started = (0..count).map(|_| AtomicBool::new(false)).collect();
        OsReactors { name, started, threads: Mutex::new(Vec::new()) }
    }
}

impl Reactors for OsReactors {
    fn count(&self) -> usize {
        self.started.len()
    }

    fn run(&self, index: usize, make: MakeReactor) {
        let twice = self.started[index].swap(true, Ordering::Relaxed);
        assert!(!twice, "reactor {index} runs already");
        let thread = spawn(format!("{}-{index}", self.name), move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("the machine makes a runtime");
            LocalSet::new().block_on(&runtime, async move { make().await });
        });
        self.threads.lock().push(thread);
    }

    fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            assert!(thread.join().is_ok(), "{name} panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OsReactors;
    use crate::env::Reactors;
    use std::rc::Rc;
    use std::sync::mpsc;

    #[test]
    fn every_reactor_runs_its_local_tasks_on_its_own_thread() {
        let reactors = OsReactors::new("test", 2);
        let (send, receive) = mpsc::channel();
        for index in 0..reactors.count() {
            let send = send.clone();
            let make = move || -> crate::env::LocalFuture {
                Box::pin(async move {
                    let local = Rc::new(index);
                    let answer = tokio::task::spawn_local(async move { *local }).await.unwrap();
                    send.send((answer, std::thread::current().name().map(str::to_owned))).unwrap();
                })
            };
            reactors.run(index, Box::new(make));
        }
        reactors.join();
        drop(send);
        let mut seen: Vec<_> = receive.iter().collect();
        seen.sort();
        assert_eq!(seen, [(0, Some("test-0".to_owned())), (1, Some("test-1".to_owned()))]);
    }

    #[test]
    #[should_panic(expected = "reactor 0 runs already")]
    fn a_reactor_starts_once() {
        let reactors = OsReactors::new("test", 1);
        reactors.run(0, Box::new(|| Box::pin(async {})));
        reactors.run(0, Box::new(|| Box::pin(async {})));
    }
}
