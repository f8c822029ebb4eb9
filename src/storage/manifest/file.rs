//! The manifest's file: appending frames, replaying them, and `CURRENT`, which names the file that counts.
//!
//! Invariant: a frame is synced before the next one is written, so that only the last can be torn: damage with a sound frame
//! behind it is corruption and reported; damage at the end is a torn tail and cut. A last frame that decayed after its sync
//! looks torn too; then files that it named are missing or too many: the open of the store reports the missing ones.
//! Invariant: after a failed sync, or a write that could not be cut back, nothing is appended any more.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::crc64;
use crate::env::{Disk, File, OpenMode};
use crate::storage::error::Error;
use crate::storage::manifest::format::{
    Edit, FORMAT_VERSION, FRAME_HEADER_BYTES, HEADER_BYTES, frame_at, header, header_version, put_frame,
};
use crate::storage::manifest::state::State;

/// Length past which a snapshot begins a new file, if the file is also twice as long as the snapshot was.
const MANIFEST_BYTES: u64 = 1 << 20;
/// Longest manifest that is read: far above what any number of tables needs.
pub(super) const MAX_MANIFEST_BYTES: u64 = 1 << 30;
pub(super) const CURRENT: &str = "CURRENT";
pub(super) const CURRENT_NEW: &str = "CURRENT.new";

/// An open manifest.
pub(crate) struct ManifestFile {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    path: PathBuf,
    number: u64,
    file: Box<dyn File>,
    len: u64,
    snapshot_len: u64,
    failure: Option<String>,
}

impl ManifestFile {
    /// Writes `state` as the first frame of manifest `number` and makes it the current one.
    pub(crate) fn create(disk: &Arc<dyn Disk>, dir: &Path, (number, state): (u64, &State)) -> Result<Self, Error> {
        let file = ManifestFile::prepare(disk, dir, (number, state))?;
        set_current(&**disk, dir)?;
        Ok(file)
    }

    /// Writes all that is needed before `CURRENT` is replaced.
    fn prepare(disk: &Arc<dyn Disk>, dir: &Path, (number, state): (u64, &State)) -> Result<Self, Error> {
        let path = manifest_path(dir, number);
        let mut bytes = header();
        put_frame(&mut bytes, HEADER_BYTES as u64, &state.snapshot());
        let file = write_new(&**disk, &path, &bytes)?;
        let new = dir.join(CURRENT_NEW);
        let _ = disk.remove(&new);
        write_new(&**disk, &new, current_text(number).as_bytes())?;
        disk.sync_dir(dir).map_err(|source| Error::io(dir, source))?;
        let len = bytes.len() as u64;
        let (disk, dir) = (Arc::clone(disk), dir.to_owned());
        Ok(ManifestFile { disk, dir, path, number, file, len, snapshot_len: len, failure: None })
    }

    /// Opens the current manifest and replays it; `None` if the directory never had one.
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Option<(Self, State)>, Error> {
        let Some(number) = current(&**disk, dir)? else { return Ok(None) };
        let path = manifest_path(dir, number);
        let file = disk.open(&path, OpenMode::ReadWrite).map_err(|source| Error::io(&path, source))?;
        let len = file.len().map_err(|source| Error::io(&path, source))?;
        if len > MAX_MANIFEST_BYTES {
            return Err(Error::corrupt(&path, 0, "a manifest is never this long"));
        }
        let mut bytes = vec![0; len as usize];
        file.read_at(&mut bytes, 0).map_err(|source| Error::io(&path, source))?;
        let (state, end) = replay(&path, &bytes)?;
        if end < len {
            file.truncate(end).map_err(|source| Error::io(&path, source))?;
            file.sync().map_err(|source| Error::io(&path, source))?;
        }
        let (disk, dir) = (Arc::clone(disk), dir.to_owned());
        // The first append past the limit makes a snapshot, whatever the length of the one before was.
        Ok(Some((ManifestFile { disk, dir, path, number, file, len: end, snapshot_len: 0, failure: None }, state)))
    }

    /// The file's number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether the file is long enough for a snapshot to begin a new one.
    pub(crate) fn is_long(&self) -> bool {
        self.len > MANIFEST_BYTES.max(2 * self.snapshot_len)
    }

    /// Makes `edit` durable.
    pub(crate) fn append(&mut self, edit: &Edit) -> Result<(), Error> {
        self.check()?;
        let mut frame = Vec::new();
        put_frame(&mut frame, self.len, edit);
        if let Err(source) = self.file.write_at(&frame, self.len) {
            // Part of a frame may be there. It goes now, for a later one must not have damage before it.
            let cut = self.file.truncate(self.len).and_then(|()| self.file.sync());
            let error = Error::io(&self.path, source);
            return Err(if cut.is_ok() { error } else { self.fail(error) });
        }
        if let Err(source) = self.file.sync() {
            let error = Error::io(&self.path, source);
            return Err(self.fail(error));
        }
        self.len += frame.len() as u64;
        Ok(())
    }

    /// Begins manifest `number` with `state` and removes this one. On a full disk this one stays in use, and grows to twice
    /// its length before the next attempt.
    pub(crate) fn begin_next(&mut self, number: u64, state: &State) -> Result<(), Error> {
        self.check()?;
        let next = match ManifestFile::prepare(&self.disk, &self.dir, (number, state)) {
            Ok(next) => next,
            Err(error) => {
                let _ = self.disk.remove(&manifest_path(&self.dir, number));
                self.snapshot_len = self.len;
                return if matches!(error, Error::Full { .. }) { Ok(()) } else { Err(error) };
            }
        };
        // If this fails, `CURRENT` may name either file after a crash: what is appended to this one could be lost.
        set_current(&*self.disk, &self.dir).map_err(|error| self.fail(error))?;
        let old = std::mem::replace(self, next);
        let _ = self.disk.remove(&old.path);
        Ok(())
    }

    /// Whether an append failed in a way that leaves unknown what is durable.
    pub(crate) fn is_failed(&self) -> bool {
        self.failure.is_some()
    }

    fn check(&self) -> Result<(), Error> {
        match &self.failure {
            Some(reason) => Err(Error::Poisoned { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Ends appending for good. No space is no longer something to wait for then: the edit may be in the file.
    fn fail(&mut self, error: Error) -> Error {
        let reason = error.to_string();
        self.failure = Some(reason.clone());
        if matches!(error, Error::Full { .. }) { Error::Poisoned { reason } } else { error }
    }
}

/// Path of manifest `number`.
pub(super) fn manifest_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.manifest"))
}

/// The state after all sound frames, and where they end.
pub(super) fn replay(path: &Path, bytes: &[u8]) -> Result<(State, u64), Error> {
    match header_version(bytes) {
        Some(FORMAT_VERSION) => {}
        Some(version) => return Err(Error::FutureFormat { path: path.to_owned(), version, supported: FORMAT_VERSION }),
        None => return Err(Error::corrupt(path, 0, "the header of the manifest is damaged")),
    }
    let mut state = State::default();
    let mut offset = HEADER_BYTES;
    while let Some(body) = frame_at(bytes, offset) {
        let edit = Edit::decode(body);
        let edit = edit.map_err(|_| Error::corrupt(path, offset as u64, "an edit of the manifest does not decode"))?;
        state.apply(&edit).map_err(|what| Error::corrupt(path, offset as u64, what))?;
        offset += FRAME_HEADER_BYTES + body.len();
    }
    if offset == HEADER_BYTES {
        return Err(Error::corrupt(path, offset as u64, "the first frame of the manifest is damaged"));
    }
    if (offset..bytes.len()).any(|later| frame_at(bytes, later).is_some()) {
        return Err(Error::corrupt(path, offset as u64, "a frame of the manifest is damaged"));
    }
    Ok((state, offset as u64))
}

/// The number that `CURRENT` names; `None` if there is no such file.
pub(super) fn current(disk: &dyn Disk, dir: &Path) -> Result<Option<u64>, Error> {
    let path = dir.join(CURRENT);
    let names = disk.list(dir).map_err(|source| Error::io(dir, source))?;
    if !names.iter().any(|name| name == CURRENT) {
        return match names.iter().find(|name| name.ends_with(".table")) {
            Some(_) => Err(Error::corrupt(&path, 0, "the file is missing although there are tables")),
            None => Ok(None),
        };
    }
    let file = disk.open(&path, OpenMode::Read).map_err(|source| Error::io(&path, source))?;
    let mut bytes = vec![0; current_text(0).len()];
    file.read_at(&mut bytes, 0).map_err(|source| Error::io(&path, source))?;
    let number = std::str::from_utf8(&bytes).ok().and_then(|text| text.get(..12)?.parse().ok());
    match number.filter(|number| current_text(*number).as_bytes() == bytes) {
        Some(number) => Ok(Some(number)),
        None => Err(Error::corrupt(&path, 0, "the file does not name a manifest")),
    }
}

fn set_current(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let path = dir.join(CURRENT);
    disk.rename(&dir.join(CURRENT_NEW), &path).map_err(|source| Error::io(&path, source))?;
    disk.sync_dir(dir).map_err(|source| Error::io(dir, source))
}

/// The contents of `CURRENT`: the number, and its checksum against decay.
pub(super) fn current_text(number: u64) -> String {
    let name = format!("{number:012}.manifest");
    format!("{name} {:016x}\n", crc64(name.as_bytes()))
}

/// Makes a file of `bytes`, durable but for its name.
pub(crate) fn write_new(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<Box<dyn File>, Error> {
    let write = || {
        let file = disk.open(path, OpenMode::CreateNew)?;
        file.write_at(bytes, 0)?;
        file.sync()?;
        Ok(file)
    };
    write().map_err(|source| Error::io(path, source))
}
