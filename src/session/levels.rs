//! The levels that a connection reads and writes at: the server's, its own, or those of the next command only.

use crate::quorum::Level;

/// The level of a connection that has chosen none.
pub const DEFAULT_LEVEL: Level = Level::Quorum;

/// A level for reads and one for writes, where they are said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelChoice {
    /// For reads.
    pub read: Option<Level>,
    /// For writes.
    pub write: Option<Level>,
}

/// Where a level comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelSource {
    /// The server's default.
    Default,
    /// This connection chose it.
    Connection,
    /// Chosen for the next command.
    Next,
}

impl LevelSource {
    /// The word that `CONSISTENCY` shows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LevelSource::Default => "default",
            LevelSource::Connection => "connection",
            LevelSource::Next => "next",
        }
    }
}

/// A connection's levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    connection: LevelChoice,
    next: LevelChoice,
    /// Whether anything is chosen: all that a command looks at where nothing is.
    are_chosen: bool,
}

impl Levels {
    /// Whether any level is chosen, so that it has to be looked at.
    #[inline]
    #[must_use]
    pub fn are_chosen(&self) -> bool {
        self.are_chosen
    }

    /// Chooses for the connection; what is not said stays.
    pub fn choose(&mut self, choice: LevelChoice) {
        self.connection = choice.or(self.connection);
        self.note();
    }

    /// Chooses for the next command that reads or writes keys.
    pub fn choose_next(&mut self, choice: LevelChoice) {
        self.next = choice;
        self.note();
    }

    /// Back to the server's default.
    pub fn reset(&mut self) {
        *self = Levels::default();
    }

    /// The level of reads, and where it comes from.
    #[must_use]
    pub fn read(&self) -> (Level, LevelSource) {
        source(self.next.read, self.connection.read)
    }

    /// The level of writes, and where it comes from.
    #[must_use]
    pub fn write(&self) -> (Level, LevelSource) {
        source(self.next.write, self.connection.write)
    }

    /// What was chosen for the next command has had its command.
    pub fn end_next(&mut self) {
        self.next = LevelChoice::default();
        self.note();
    }

    fn note(&mut self) {
        self.are_chosen = (self.connection, self.next) != Default::default();
    }
}

impl LevelChoice {
    fn or(self, other: LevelChoice) -> LevelChoice {
        LevelChoice { read: self.read.or(other.read), write: self.write.or(other.write) }
    }
}

fn source(next: Option<Level>, connection: Option<Level>) -> (Level, LevelSource) {
    match (next, connection) {
        (Some(level), _) => (level, LevelSource::Next),
        (None, Some(level)) => (level, LevelSource::Connection),
        (None, None) => (DEFAULT_LEVEL, LevelSource::Default),
    }
}

#[cfg(test)]
mod tests {
    use super::{LevelChoice, LevelSource, Levels};
    use crate::quorum::Level;

    #[test]
    fn the_next_command_comes_before_the_connection_and_that_before_the_server() {
        let mut levels = Levels::default();
        assert!(!levels.are_chosen());
        assert_eq!((levels.read(), levels.write()), ((Level::Quorum, LevelSource::Default), levels.read()));
        levels.choose(LevelChoice { read: Some(Level::One), write: None });
        levels.choose(LevelChoice { read: None, write: Some(Level::All) });
        levels.choose_next(LevelChoice { read: Some(Level::Two), write: None });
        assert_eq!((levels.read(), levels.write().0), ((Level::Two, LevelSource::Next), Level::All));
        levels.end_next();
        assert_eq!(levels.read(), (Level::One, LevelSource::Connection));
        assert!(levels.are_chosen());
        levels.reset();
        assert_eq!(levels, Levels::default());
        levels.choose_next(LevelChoice { read: None, write: Some(Level::One) });
        assert!(levels.are_chosen());
        levels.end_next();
        assert!(!levels.are_chosen());
    }
}
