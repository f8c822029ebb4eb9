//! Processes that run this same program: started, watched, told to stop; and their end with that of their parent.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};

/// A process of this program. Dropped, it goes on.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
}

impl Child {
    /// Starts this program again with other arguments; what it says is appended to the file `log`. It is in a process group of
    /// its own, so that Ctrl-C reaches only the process that started it.
    ///
    /// # Errors
    /// The file cannot be written, or the machine starts no process.
    pub fn start(arguments: &[String], log: &Path) -> io::Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        Ok(Child { process })
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// How it ended, in words, if it has.
    ///
    /// # Errors
    /// The machine does not tell.
    pub fn ended(&mut self) -> io::Result<Option<String>> {
        Ok(self.process.try_wait()?.map(|status| status.to_string()))
    }

    /// Asks it to stop; a second time, at once. Nothing happens if it has ended.
    pub fn stop(&mut self) {
        if let (Ok(None), Some(pid)) = (self.process.try_wait(), Pid::from_raw(self.process.id() as i32)) {
            // It may have ended just now; its number is still its own until it is waited for.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

/// Has this process told to stop when its parent, whose number is `parent`, ends; if that has ended already, answers an error.
///
/// # Errors
/// The parent is gone, or the machine does not offer this.
pub fn end_with_parent(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM))?;
    // Asked after, so that no end of the parent falls between.
    let now = getppid().map_or(0, |pid| pid.as_raw_nonzero().get() as u32);
    if now == parent { Ok(()) } else { Err(io::Error::other("the process that started this one has ended")) }
}
