//! The data directory: usable or refused; and the life of the node that begins with it.
//!
//! Invariant: a directory that holds anything is never founded over, and an empty one never by itself: a founder whose disk
//! was replaced would restart as an empty cluster on a known address.
//! Invariant: the incarnation is raised durably before anything can draw a dot.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::causality::{Actor, Hlc, Time};
use crate::config::Settings;
use crate::env::{Disk, Env};
use crate::ledger::{FILES as CANDIDATE_FILES, Ledger};
use crate::node::error::Error;

/// What filesystems put into an empty directory.
const LOST_AND_FOUND: &str = "lost+found";

/// What the user wants of an empty data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// `--found`: a new cluster of so many nodes.
    Found(u16),
    /// `--join`: a place in a cluster.
    Join,
    /// Neither: there has to be a ledger.
    Reopen,
}

impl Intent {
    /// What the settings say.
    pub(super) fn of(settings: &Settings) -> Intent {
        match settings.count("found") {
            0 if settings.join().is_empty() => Intent::Reopen,
            0 => Intent::Join,
            wanted => Intent::Found(wanted as u16),
        }
    }
}

/// Who the node is in this life.
pub(super) struct Life {
    /// Its durable facts.
    pub(super) ledger: Ledger,
    /// The name it writes under.
    pub(super) actor: Actor,
    /// Its clock.
    pub(super) hlc: Arc<Hlc>,
}

/// Whether `dir` can be used, looking only: `true` if it has a ledger, `false` if it has to be founded.
pub(super) fn check(disk: &dyn Disk, dir: &Path, intent: Intent) -> Result<bool, Error> {
    if Ledger::exists(disk, dir)? {
        return Ok(true);
    }
    let names = match disk.list(dir) {
        Ok(names) => names,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(Error::Machine { tried: "the data directory cannot be read", source }),
    };
    if let Some(found) =
        names.into_iter().find(|name| name != LOST_AND_FOUND && !CANDIDATE_FILES.contains(&name.as_str()))
    {
        return Err(Error::Foreign { path: dir.to_owned(), found });
    }
    match intent {
        Intent::Found(_) | Intent::Join => Ok(false),
        Intent::Reopen => Err(Error::Empty { path: dir.to_owned() }),
    }
}

/// Begins a new life of the node whose ledger this is.
pub(super) fn begin(env: &Env, ledger: Ledger) -> Result<Life, Error> {
    let now_ms = env.clock.wall_ms();
    let actor = ledger.raise(now_ms)?;
    let hlc = Hlc::new(ledger.facts().hlc_floor);
    hlc.pass(Time::from_ms(now_ms));
    Ok(Life { ledger, actor, hlc: Arc::new(hlc) })
}

#[cfg(test)]
mod tests {
    use super::{Intent, begin, check};
    use crate::env::memory::MemoryMachine;
    use crate::env::{Env, OpenMode};
    use crate::ledger::Ledger;
    use crate::node::error::Error;
    use crate::types::ArcLayout;
    use std::path::Path;
    use std::sync::Arc;

    fn look(env: &Env, dir: &str, intent: Intent) -> Result<bool, Error> {
        check(&*env.disk, Path::new(dir), intent)
    }

    #[test]
    fn an_empty_directory_is_used_only_when_asked() {
        let env = MemoryMachine::new(1).env();
        assert!(matches!(look(&env, "/data", Intent::Reopen), Err(Error::Empty { .. })));
        for intent in [Intent::Found(1), Intent::Found(3), Intent::Join] {
            assert!(matches!(look(&env, "/data", intent), Ok(false)));
        }
        let disk = Arc::clone(&env.disk);
        let ledger = Ledger::found(disk, &*env.random, Path::new("/data"), ArcLayout::default()).expect("a new node");
        assert!(matches!(look(&env, "/data", Intent::Reopen), Ok(true)));
        let first = begin(&env, ledger.clone()).expect("a sound disk");
        let second = begin(&env, ledger).expect("a sound disk");
        assert!(second.actor != first.actor && second.hlc.last().wall_ms() >= env.clock.wall_ms());
    }

    #[test]
    fn what_a_candidate_left_is_no_obstacle() {
        let env = MemoryMachine::new(1).env();
        let mut candidacy = crate::ledger::Candidacy::begin(Arc::clone(&env.disk), &*env.random, Path::new("/data"))
            .expect("a new node");
        candidacy.keep().expect("a sound disk");
        drop(candidacy);
        assert!(matches!(look(&env, "/data", Intent::Join), Ok(false)));
        assert!(matches!(look(&env, "/data", Intent::Reopen), Err(Error::Empty { .. })));
    }

    #[test]
    fn a_directory_of_something_else_is_left_alone() {
        let env = MemoryMachine::new(1).env();
        let dir = Path::new("/home");
        env.disk.make_dir(dir).expect("a memory disk makes directories");
        env.disk.open(&dir.join("letter.txt"), OpenMode::CreateNew).expect("a memory disk makes files");
        for intent in [Intent::Found(1), Intent::Join, Intent::Reopen] {
            assert!(matches!(look(&env, "/home", intent), Err(Error::Foreign { found, .. }) if found == "letter.txt"));
        }
    }
}
