//! The name of a node that is no member yet.
//!
//! A founding counts its candidates by name and puts them into the first topology. One that is killed before it has heard of
//! it must come back under the same name, or the cluster would wait for it for ever: so the name is durable, in a file of its
//! own, before anybody is told. With the ledger the file has served its purpose.
//!
//! ```text
//! candidate   node id, 40 hexadecimal digits | "\n"
//! ```
//!
//! Invariant: one process at a time, and no gap: the lock taken here is the ledger's.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::{Disk, FileLock, OpenMode, Random};
use crate::ledger::{Error, Facts, LOCK_NAME, Ledger, Membership, NAME, NEXT_NAME, make_dir, take_lock};
use crate::types::NodeId;

/// The file's name in the data directory.
const CANDIDATE_NAME: &str = "candidate";
/// The file beside it that the name is written to.
const NEXT_CANDIDATE_NAME: &str = "candidate.next";
/// Its length.
const BYTES: usize = 41;

/// What a node may have in its data directory before it is a member.
pub const FILES: [&str; 4] = [LOCK_NAME, NEXT_NAME, CANDIDATE_NAME, NEXT_CANDIDATE_NAME];

/// A data directory without a ledger, and the name of the node that it is to become.
pub struct Candidacy {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    lock: Box<dyn FileLock>,
    id: NodeId,
    is_kept: bool,
}

impl Candidacy {
    /// Makes `dir` if need be, and gives it a name: the one it was given before, if that was kept.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is a ledger, [`Error::Locked`], [`Error::Corrupt`] or [`Error::Io`].
    pub fn begin(disk: Arc<dyn Disk>, random: &dyn Random, dir: &Path) -> Result<Self, Error> {
        make_dir(&*disk, dir)?;
        let lock = take_lock(&*disk, dir)?;
        if Ledger::exists(&*disk, dir)? {
            return Err(Error::Exists { path: dir.join(NAME) });
        }
        let kept = read(&*disk, &dir.join(CANDIDATE_NAME))?;
        let id = kept.unwrap_or_else(|| {
            let mut id = NodeId([0; 20]);
            random.fill(&mut id.0);
            id
        });
        Ok(Candidacy { disk, dir: dir.to_owned(), lock, id, is_kept: kept.is_some() })
    }

    /// The node's name.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Makes the name durable. Before anybody is told of it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn keep(&mut self) -> Result<(), Error> {
        let (name, next) = (self.dir.join(CANDIDATE_NAME), self.dir.join(NEXT_CANDIDATE_NAME));
        if !self.is_kept {
            remove(&*self.disk, &next)?;
            let file = self.disk.open(&next, OpenMode::CreateNew)?;
            file.write_at(format!("{}\n", self.id).as_bytes(), 0)?;
            file.sync()?;
            self.disk.rename(&next, &name)?;
        }
        // Also for a name that was found: whoever wrote it may have been killed before it was durable.
        self.disk.sync_dir(&self.dir)?;
        self.is_kept = true;
        Ok(())
    }

    /// Makes the ledger, in one step: afterwards the node is a member.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Undecided`] or [`Error::Io`].
    ///
    /// # Panics
    /// If the membership is another node's.
    pub fn become_member(self, membership: Membership) -> Result<Ledger, Error> {
        assert_eq!(membership.node_id, self.id, "a membership goes to the node that it names");
        let ledger = Ledger::with(Arc::clone(&self.disk), &self.dir, self.lock, Facts::new(membership));
        let mut writer = ledger.inner.writer.lock();
        ledger.inner.replace(&mut writer, &ledger.facts())?;
        drop(writer);
        if self.is_kept {
            // It does no harm where it is: nobody reads it beside a ledger.
            drop(remove(&*self.disk, &self.dir.join(CANDIDATE_NAME)));
        }
        Ok(ledger)
    }
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<(), Error> {
    match disk.remove(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Option<NodeId>, Error> {
    let file = match disk.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = [0; BYTES];
    let is_whole = file.len()? == BYTES as u64;
    if is_whole {
        file.read_at(&mut bytes, 0)?;
    }
    let text = str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
    let id = text.filter(|_| is_whole).and_then(|text| text.parse().ok());
    id.map(Some).ok_or_else(|| Error::Corrupt { path: path.to_owned(), offset: 0, what: "is no node id".into() })
}

#[cfg(test)]
mod tests {
    use super::{CANDIDATE_NAME, Candidacy};
    use crate::env::memory::{MemoryDisk, SeededRandom};
    use crate::env::{Disk, OpenMode};
    use crate::ledger::{Error, Ledger, Membership, Secret, TopologyValue};
    use crate::types::{ArcLayout, ClusterId, Epoch, NodeId, NodeNumber};
    use std::path::Path;
    use std::sync::Arc;

    const DIR: &str = "srv/data";

    fn begin(disk: &MemoryDisk, seed: u64) -> Result<Candidacy, Error> {
        Candidacy::begin(Arc::new(disk.clone()), &SeededRandom::new(seed), Path::new(DIR))
    }

    fn membership(node_id: NodeId) -> Membership {
        Membership {
            node_id,
            node_number: NodeNumber(3),
            cluster_id: ClusterId([2; 20]),
            secret: Secret([3; 32]),
            layout: ArcLayout::default(),
            topology: Some(TopologyValue { epoch: Epoch(1), bytes: b"ring".to_vec() }),
        }
    }

    #[test]
    fn a_name_that_was_kept_outlives_a_loss_of_power() {
        let disk = MemoryDisk::new(1);
        let mut first = begin(&disk, 1).expect("an empty disk");
        assert!(matches!(begin(&disk, 2), Err(Error::Locked { .. })));
        first.keep().expect("a sound disk");
        let next = disk.crash();
        let second = begin(&next, 3).expect("the same directory");
        assert_eq!(second.id(), first.id());
        let ledger = second.become_member(membership(first.id())).expect("a sound disk");
        assert_eq!((ledger.facts().node_number, ledger.facts().epoch()), (NodeNumber(3), Epoch(1)));
        assert!(matches!(begin(&next, 4), Err(Error::Exists { .. } | Error::Locked { .. })));
        drop(ledger);
        assert!(matches!(begin(&next, 4), Err(Error::Exists { .. })));
        assert_eq!(next.list(Path::new(DIR)).expect("it is there"), ["ledger", "ledger.lock"]);
        let opened = Ledger::open(Arc::new(next), Path::new(DIR)).expect("a ledger");
        assert_eq!(opened.facts().secret, Secret([3; 32]));
    }

    #[test]
    fn a_name_is_kept_or_not_at_every_moment() {
        for change in 0..12 {
            let disk = MemoryDisk::new(change);
            disk.crash_at(change);
            let kept = begin(&disk, 1).and_then(|mut candidacy| candidacy.keep().map(|()| candidacy.id())).ok();
            let again = begin(&disk.crash(), 2).expect("a directory without a ledger");
            assert!(kept.is_none_or(|kept| kept == again.id()), "change {change}");
        }
    }

    #[test]
    fn a_damaged_name_is_told() {
        let disk = MemoryDisk::new(1);
        disk.make_dir(Path::new(DIR)).expect("a memory disk makes directories");
        let file = disk.open(&Path::new(DIR).join(CANDIDATE_NAME), OpenMode::CreateNew).expect("a new file");
        file.write_at(b"me\n", 0).expect("a memory disk takes bytes");
        let error = begin(&disk, 1).err().expect("no id").to_string();
        assert_eq!(error, "ledger srv/data/candidate is damaged at offset 0: is no node id");
    }
}
