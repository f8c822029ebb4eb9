//! The data directory: founded, opened or refused; and the life of the node that begins with it.
//!
//! Invariant: a directory that holds anything is never founded over, and an empty one never by itself: a founder whose disk
//! was replaced would restart as an empty cluster on a known address.
//! Invariant: the incarnation is raised durably before anything can draw a dot.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::causality::{Actor, Hlc, Time};
use crate::env::{Disk, Env};
use crate::ledger::Ledger;
use crate::node::error::Error;
use crate::types::ArcLayout;

/// What the ledger leaves of a founding that was interrupted, and what filesystems put into an empty directory.
const IGNORED: [&str; 3] = ["ledger.lock", "ledger.next", "lost+found"];

/// Whether the user asked to found a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Founding {
    /// `--found` was given.
    Asked,
    /// It was not.
    NotAsked,
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
pub(super) fn check(disk: &dyn Disk, dir: &Path, founding: Founding) -> Result<bool, Error> {
    if Ledger::exists(disk, dir)? {
        return Ok(true);
    }
    let names = match disk.list(dir) {
        Ok(names) => names,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(Error::Machine { tried: "the data directory cannot be read", source }),
    };
    if let Some(found) = names.into_iter().find(|name| !IGNORED.contains(&name.as_str())) {
        return Err(Error::Foreign { path: dir.to_owned(), found });
    }
    match founding {
        Founding::Asked => Ok(false),
        Founding::NotAsked => Err(Error::Empty { path: dir.to_owned() }),
    }
}

/// Opens or founds the ledger of `dir`, and begins a new life of the node.
pub(super) fn begin(env: &Env, dir: &Path, founding: Founding) -> Result<Life, Error> {
    let ledger = if check(&*env.disk, dir, founding)? {
        if founding == Founding::Asked {
            tracing::info!(data = %dir.display(), "the data directory has a cluster already; --found is ignored");
        }
        Ledger::open(Arc::clone(&env.disk), dir)?
    } else {
        Ledger::found(Arc::clone(&env.disk), &*env.random, dir, ArcLayout::default())?
    };
    let now_ms = env.clock.wall_ms();
    let actor = ledger.raise(now_ms)?;
    let hlc = Hlc::new(ledger.facts().hlc_floor);
    hlc.pass(Time::from_ms(now_ms));
    Ok(Life { ledger, actor, hlc: Arc::new(hlc) })
}

#[cfg(test)]
mod tests {
    use super::{Founding, begin};
    use crate::env::OpenMode;
    use crate::env::memory::MemoryMachine;
    use crate::node::error::Error;
    use std::path::Path;

    #[test]
    fn an_empty_directory_is_founded_only_when_asked() {
        let env = MemoryMachine::new(1).env();
        let dir = Path::new("/data");
        assert!(matches!(begin(&env, dir, Founding::NotAsked), Err(Error::Empty { .. })));
        let first = begin(&env, dir, Founding::Asked).expect("an empty directory");
        let id = first.ledger.facts().node_id;
        assert!(matches!(begin(&env, dir, Founding::NotAsked), Err(Error::Ledger(_))), "it is in use");
        let actor = first.actor;
        drop(first);
        let second = begin(&env, dir, Founding::Asked).expect("its own directory");
        assert_eq!(second.ledger.facts().node_id, id, "asked to found, but opened");
        assert!(second.actor != actor && second.hlc.last().wall_ms() >= env.clock.wall_ms());
    }

    #[test]
    fn a_directory_of_something_else_is_left_alone() {
        let env = MemoryMachine::new(1).env();
        let dir = Path::new("/home");
        env.disk.make_dir(dir).expect("a memory disk makes directories");
        env.disk.open(&dir.join("letter.txt"), OpenMode::CreateNew).expect("a memory disk makes files");
        for founding in [Founding::Asked, Founding::NotAsked] {
            assert!(matches!(begin(&env, dir, founding), Err(Error::Foreign { found, .. }) if found == "letter.txt"));
        }
    }
}
