//! What a loss of power leaves of a series of changes that were not synced.
//!
//! Invariant: the same generator state gives the same outcome. Sectors of 512 bytes are written whole or not at all, as
//! disks promise; everything above a sector may tear.

use rand::RngExt as _;

use crate::env::memory::random::Generator;

/// The piece that a device writes whole.
pub(crate) const SECTOR: u64 = 512;

/// What a loss of power leaves of the changes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
    /// The changes before some moment.
    Prefix,
    /// The changes before some moment, and some sectors of the next one.
    Torn,
    /// Any of the changes, sector by sector.
    Reordered,
}

/// What happened to one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    Lost,
    /// Each sector for itself.
    Torn,
}

impl Survival {
    /// One of the five, by seed.
    pub(crate) fn draw(generator: &mut Generator) -> Survival {
        const ALL: [Survival; 5] =
            [Survival::Nothing, Survival::Everything, Survival::Prefix, Survival::Torn, Survival::Reordered];
        ALL[generator.random_range(0..ALL.len())]
    }

    /// The fate of each of `count` changes, in the order they were made.
    pub(crate) fn fates(self, count: usize, generator: &mut Generator) -> Vec<Fate> {
        let cut = generator.random_range(0..=count);
        let fate = |index: usize| match self {
            Survival::Nothing => Fate::Lost,
            Survival::Everything => Fate::Kept,
            Survival::Reordered => Fate::Torn,
            Survival::Torn if index == cut => Fate::Torn,
            Survival::Prefix | Survival::Torn if index < cut => Fate::Kept,
            Survival::Prefix | Survival::Torn => Fate::Lost,
        };
        (0..count).map(fate).collect()
    }
}
