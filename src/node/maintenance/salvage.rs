//! `annulus salvage`: makes a data directory sound again and says what that costs.
//!
//! Order: look at everything; give what will go a second name in a folder of its own; raise the incarnation, so that no dot
//! is issued twice whatever the log has lost; rebuild the store; look again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::Env;
use crate::ledger::Ledger;
use crate::node::error::Error;
use crate::node::maintenance::check::{check, open_ledger};
use crate::replica::{decode_key, recount};
use crate::storage::{
    Durability, FOLDER, Inspection, LossKind, LostKeys, Options, Salvaged, plan_salvage, salvage as rebuild,
};
use crate::types::ArcLayout;

/// Whether anything is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SalvageMode {
    /// Nothing is: what would be done is told.
    Tell,
    /// It is done.
    Write,
}

/// What to do with a ledger that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostLedger {
    /// Give up: the node's name and what it has promised are in it.
    Refuse,
    /// Make a new one: the data begins a new cluster of one node, which forgets flushes that were not carried out.
    Replace,
}

/// What a salvage did, or would do.
#[derive(Debug)]
pub struct Salvage {
    /// What was found before.
    pub before: Inspection,
    /// What is kept and lost; `None` if the store is sound.
    pub store: Option<Salvaged>,
    /// Whether the ledger is made anew.
    pub new_ledger: bool,
    /// Where copies of what was removed are, and what was found afterwards; `None` if nothing was changed.
    pub after: Option<(PathBuf, Inspection)>,
}

/// Salvages the data directory `dir`, or says what that would do.
///
/// # Errors
/// As [`check`]; [`Error::LostLedger`] if the ledger cannot be read and must not be replaced; what the disk says.
pub fn salvage(env: &Env, dir: &Path, (mode, lost): (SalvageMode, LostLedger)) -> Result<Salvage, Error> {
    let before = check(&env.disk, dir)?;
    let (ledger, flaw) = open_ledger(&env.disk, dir)?;
    if let Some(flaw) = &flaw
        && lost == LostLedger::Refuse
    {
        return Err(Error::LostLedger { path: flaw.path.clone(), what: flaw.what.clone() });
    }
    let layout = ledger.as_ref().map_or_else(ArcLayout::default, |ledger| ledger.facts().layout);
    let mut options = Options::new(dir.join(FOLDER), Durability::Sync);
    options.layout = layout;
    let is_of_store = |path: &Path| path.starts_with(&options.dir);
    let is_damaged = before.damages().any(|finding| is_of_store(&finding.path));
    let store = if is_damaged { Some(plan_salvage(env, &options)?) } else { None };
    let mut done = Salvage { before, store, new_ledger: ledger.is_none(), after: None };
    if mode == SalvageMode::Tell || (done.store.is_none() && !done.new_ledger) {
        return Ok(done);
    }
    let keep = make_keep(env, dir)?;
    let ledger = match ledger {
        Some(ledger) => ledger,
        None => replace_ledger(env, dir, (&keep, layout))?,
    };
    ledger.raise(env.clock.wall_ms())?;
    if done.store.is_some() {
        done.store = Some(rebuild(env, &options, &keep, &|_, value| recount(value))?);
    }
    drop(ledger);
    done.after = Some((keep, check(&env.disk, dir)?));
    Ok(done)
}

/// A new folder for copies.
fn make_keep(env: &Env, dir: &Path) -> Result<PathBuf, Error> {
    let machine = |source| Error::Machine { tried: "no folder can be made for copies of what is removed", source };
    let names = env.disk.list(dir).map_err(machine)?;
    let free = (1u32..).find(|number| !names.contains(&format!("salvage-{number}"))).unwrap_or(u32::MAX);
    let keep = dir.join(format!("salvage-{free}"));
    env.disk.make_dir(&keep).and_then(|()| env.disk.sync_dir(dir)).map_err(machine)?;
    Ok(keep)
}

fn replace_ledger(env: &Env, dir: &Path, (keep, layout): (&Path, ArcLayout)) -> Result<Ledger, Error> {
    let machine = |source| Error::Machine { tried: "the damaged ledger cannot be put aside", source };
    let names = env.disk.list(dir).map_err(machine)?;
    if names.iter().any(|name| name == "ledger") {
        let moved = env.disk.rename(&dir.join("ledger"), &keep.join("ledger"));
        moved.and_then(|()| env.disk.sync_dir(keep)).map_err(machine)?;
    }
    Ok(Ledger::found(Arc::clone(&env.disk), &*env.random, dir, layout)?)
}

impl Salvage {
    /// Whether all is sound now.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        match &self.after {
            Some((_, after)) => after.damages().next().is_none(),
            None => self.store.is_none() && !self.new_ledger,
        }
    }

    /// What people are told.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        for finding in self.before.damages() {
            lines.push(format!("damage: {} at {}: {}", finding.path.display(), finding.offset, finding.what));
        }
        if self.new_ledger {
            lines.push("lost: the ledger: the data becomes a new cluster of one node; a FLUSHALL that was not finished is forgotten".to_owned());
        }
        if let Some(store) = &self.store {
            lines
                .extend(store.losses.iter().map(|loss| format!("lost: {}: {}", loss.path.display(), told(&loss.what))));
            let Salvaged { kept, sound_tables, removed, .. } = store;
            lines.push(format!(
                "kept: {sound_tables} tables as they are, {kept} entries of damaged tables and of the log; replaced: {} files",
                removed.len()
            ));
        }
        lines.push(match &self.after {
            None if self.is_sound() => "nothing is damaged, nothing was changed".to_owned(),
            None => "nothing was changed; pass --write to do it".to_owned(),
            Some((keep, _)) if self.is_sound() => {
                format!("salvaged; copies of all that was removed are in {}", keep.display())
            }
            Some((keep, after)) => {
                format!(
                    "{} damages are left; copies of what was removed are in {}",
                    after.damages().count(),
                    keep.display()
                )
            }
        });
        lines.join("\n") + "\n"
    }
}

fn told(what: &LossKind) -> String {
    match what {
        LossKind::Entries { count, keys } => {
            let mut out = count.map_or_else(|| "entries".to_owned(), |count| format!("{count} entries"));
            for LostKeys { after, before } in keys {
                let line = write!(out, ", between {} and {}", shown(after.as_deref()), shown(before.as_deref()));
                line.expect("a string takes any text");
            }
            out + "; older values of these keys, and deleted keys, may show again"
        }
        LossKind::Writes { bytes: Some(bytes) } => {
            format!("{bytes} bytes of writes and deletes; later ones are kept, so older values may show again")
        }
        LossKind::Writes { bytes: None } => {
            "all later writes and deletes of this file; older values may show again".to_owned()
        }
        LossKind::Manifest => {
            "which tables count: told by their age instead; keys that were flushed or purged may show again".to_owned()
        }
        LossKind::Counters => "the counters of keys, which are counted anew".to_owned(),
    }
}

/// A key as people know it: its database and its bytes.
fn shown(key: Option<&[u8]>) -> String {
    match key {
        None => "the table's end".to_owned(),
        Some(key) => match decode_key(key) {
            Some(cell) => format!("\"{}\" (database {})", cell.key.escape_ascii(), cell.database.0),
            None => format!("\"{}\"", key.escape_ascii()),
        },
    }
}
