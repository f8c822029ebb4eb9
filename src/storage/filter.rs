//! What compaction may do with an entry: asked of the owner of the values, because the engine knows only bytes.

/// Decides the fate of entries that compaction passes.
pub trait Filter: Send + Sync {
    /// Judges one entry; `deepest` says that no older version of `key` can lie in a deeper table.
    fn judge(&self, key: &[u8], value: &[u8], deepest: bool) -> Judgement;
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
