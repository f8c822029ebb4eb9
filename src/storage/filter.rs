//! What compaction may do with an entry: asked of the owner of the values, because the engine knows only bytes.

/// Decides the fate of entries that compaction passes.
pub trait Filter: Send + Sync {
    /// Judges one entry.
    fn judge(&self, key: &[u8], value: &[u8], depth: Depth) -> Judgement;
}

/// What lies below an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// No older value of its key: nothing comes back if it goes.
    Deepest,
    /// Tables that may hold one.
    Above,
}

/// What happens to an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It stays as it is.
    Keep,
    /// It goes; taken as [`Judgement::Keep`] where an older version could come back.
    Drop,
    /// Its value becomes this one.
    Replace(Vec<u8>),
}
