//! The names of a memory disk twice: as calls see them, and as a loss of power would find them.
//!
//! Invariant: a rename is one change; no loss of power leaves a file without both its names.
//! Names of directories are names too: they last once their parent is synced.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use rand::RngExt as _;

use crate::env::memory::random::Generator;
use crate::env::memory::survival::{Fate, Survival};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Directory,
    File(u64),
}

#[derive(Clone, Debug)]
enum Change {
    Add { path: PathBuf, node: Node },
    Move { from: PathBuf, to: PathBuf, inode: u64 },
    Remove { path: PathBuf, inode: u64 },
}

type Names = BTreeMap<PathBuf, Node>;

/// All names of a disk.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    current: Names,
    durable: Names,
    pending: Vec<Change>,
}

/// The path from the root without a leading slash: `/data/log`, `data/log` and `./data/log` are one.
pub(crate) fn normal(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn kind(kind: ErrorKind) -> io::Error {
    io::Error::from(kind)
}

impl Tree {
    pub(crate) fn file(&self, path: &Path) -> io::Result<u64> {
        match self.current.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Directory) => Err(kind(ErrorKind::IsADirectory)),
            None => Err(kind(ErrorKind::NotFound)),
        }
    }

    pub(crate) fn directory(&self, path: &Path) -> io::Result<()> {
        match self.current.get(path) {
            _ if path.as_os_str().is_empty() => Ok(()),
            Some(Node::Directory) => Ok(()),
            Some(Node::File(_)) => Err(kind(ErrorKind::NotADirectory)),
            None => Err(kind(ErrorKind::NotFound)),
        }
    }

    pub(crate) fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.directory(dir)?;
        let inside = self.current.keys().filter(|path| parent(path) == dir);
        let mut names: Vec<String> =
            inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
        names.sort_unstable();
        Ok(names)
    }

    pub(crate) fn add_file(&mut self, path: &Path, inode: u64) -> io::Result<()> {
        self.directory(parent(path))?;
        if self.current.contains_key(path) {
            return Err(kind(ErrorKind::AlreadyExists));
        }
        self.change(Change::Add { path: path.to_owned(), node: Node::File(inode) });
        Ok(())
    }

    pub(crate) fn add_directories(&mut self, path: &Path) -> io::Result<()> {
        let mut whole = PathBuf::new();
        for part in path.components() {
            whole.push(part);
            match self.directory(&whole) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.change(Change::Add { path: whole.clone(), node: Node::Directory });
                }
                other => other?,
            }
        }
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.file(from)?;
        self.directory(parent(to))?;
        if self.current.get(to) == Some(&Node::Directory) {
            return Err(kind(ErrorKind::IsADirectory));
        }
        if from != to {
            self.change(Change::Move { from: from.to_owned(), to: to.to_owned(), inode });
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.file(path)?;
        self.change(Change::Remove { path: path.to_owned(), inode });
        Ok(())
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.current, &change);
        self.pending.push(change);
    }

    /// Makes the names in `dir` durable; a file that came from or went to another directory with all its moves.
    pub(crate) fn sync(&mut self, dir: &Path) -> io::Result<()> {
        self.directory(dir)?;
        let here: BTreeSet<u64> = self.pending.iter().filter_map(|change| change.moved(dir)).collect();
        let (now, later) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|change| change.touches(dir) || change.inode().is_some_and(|inode| here.contains(&inode)));
        self.pending = later;
        let now: Vec<Change> = now;
        now.iter().for_each(|change| apply(&mut self.durable, change));
        Ok(())
    }

    /// After a loss of power only durable names are there, and of the others what `survival` leaves.
    pub(crate) fn lose_power(&mut self, survival: Survival, generator: &mut Generator) {
        let changes = std::mem::take(&mut self.pending);
        let fates = survival.fates(changes.len(), generator);
        for (change, fate) in changes.iter().zip(fates) {
            if fate == Fate::Kept || fate == Fate::Torn && generator.random_bool(0.5) {
                apply(&mut self.durable, change);
            }
        }
        self.prune();
        self.current = self.durable.clone();
    }

    /// What stood in a directory that was lost is lost with it.
    fn prune(&mut self) {
        let mut kept = Names::new();
        // Parents sort before what they hold.
        for (path, node) in std::mem::take(&mut self.durable) {
            let above = parent(&path);
            if above.as_os_str().is_empty() || kept.get(above) == Some(&Node::Directory) {
                kept.insert(path, node);
            }
        }
        self.durable = kept;
    }

    /// The inodes that some name, now or after a loss of power, stands for.
    pub(crate) fn reachable(&self) -> BTreeSet<u64> {
        let named = self.current.values().chain(self.durable.values());
        let named = named.filter_map(|node| if let Node::File(inode) = node { Some(*inode) } else { None });
        named.chain(self.pending.iter().filter_map(Change::inode)).collect()
    }

    /// The files that have a name now, with their inodes.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.current.iter().filter_map(|(path, node)| match node {
            Node::File(inode) => Some((path.as_path(), *inode)),
            Node::Directory => None,
        })
    }
}

impl Change {
    fn inode(&self) -> Option<u64> {
        match self {
            Change::Add { node: Node::File(inode), .. } | Change::Move { inode, .. } | Change::Remove { inode, .. } => {
                Some(*inode)
            }
            Change::Add { node: Node::Directory, .. } => None,
        }
    }

    fn touches(&self, dir: &Path) -> bool {
        match self {
            Change::Add { path, .. } | Change::Remove { path, .. } => parent(path) == dir,
            Change::Move { from, to, .. } => parent(from) == dir || parent(to) == dir,
        }
    }

    /// The inode, if this moves it into or out of `dir`.
    fn moved(&self, dir: &Path) -> Option<u64> {
        if let Change::Move { inode, .. } = self { self.touches(dir).then_some(*inode) } else { None }
    }
}

fn apply(names: &mut Names, change: &Change) {
    match change {
        Change::Add { path, node } => {
            names.insert(path.clone(), *node);
        }
        Change::Move { from, to, inode } => {
            remove(names, from, *inode);
            names.insert(to.clone(), Node::File(*inode));
        }
        Change::Remove { path, inode } => remove(names, path, *inode),
    }
}

/// Removes the name unless it stands for another file by now.
fn remove(names: &mut Names, path: &Path, inode: u64) {
    if names.get(path) == Some(&Node::File(inode)) {
        names.remove(path);
    }
}
