//! Levels: how many replicas a client wants to have answered.

use std::fmt;
use std::str::FromStr;

/// How many replicas have to answer a read, or to have a write, before the client is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// One, of any data centre.
    One,
    /// Two.
    Two,
    /// Three.
    Three,
    /// One of the coordinator's data centre.
    LocalOne,
    /// So many; never zero.
    Number(u8),
    /// A majority of all.
    Quorum,
    /// A majority of those in the coordinator's data centre.
    LocalQuorum,
    /// A majority of those in each data centre.
    EachQuorum,
    /// All.
    All,
}

/// A text that names no level that there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    /// It is a level that is known by name only.
    #[error("level {0} is not supported yet")]
    NotYet(&'static str),
    /// It is a number that no arc has so many replicas of.
    #[error("a level's number is from 1 to 255")]
    Number,
    /// It is nothing.
    #[error("unknown level '{0}': expected {names}, or a number of replicas", names = Level::names())]
    Unknown(String),
}

/// Longest part of an unknown level that is quoted, in characters.
const QUOTED_CHARS: usize = 32;

impl Level {
    /// The levels that have a name, in the order in which they ask for more.
    pub const NAMED: [Level; 8] = [
        Level::One,
        Level::LocalOne,
        Level::Two,
        Level::Three,
        Level::LocalQuorum,
        Level::Quorum,
        Level::EachQuorum,
        Level::All,
    ];

    /// Whether a write at this level first asks a majority what it has seen, so that together with reads at such a level it
    /// is linearizable. The others are one round.
    #[must_use]
    pub fn has_query(self) -> bool {
        matches!(self, Level::Quorum | Level::LocalQuorum | Level::EachQuorum | Level::All)
    }

    fn names() -> String {
        Level::NAMED.map(|level| level.to_string()).join(", ")
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::One => "ONE",
            Level::Two => "TWO",
            Level::Three => "THREE",
            Level::LocalOne => "LOCAL_ONE",
            Level::Number(number) => return write!(f, "{number}"),
            Level::Quorum => "QUORUM",
            Level::LocalQuorum => "LOCAL_QUORUM",
            Level::EachQuorum => "EACH_QUORUM",
            Level::All => "ALL",
        })
    }
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(level) = Level::NAMED.into_iter().find(|level| level.to_string().eq_ignore_ascii_case(text)) {
            return Ok(level);
        }
        if let Some(level) = ["SERIAL", "ANY"].into_iter().find(|level| level.eq_ignore_ascii_case(text)) {
            return Err(LevelError::NotYet(level));
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = text.parse().ok().filter(|number| *number > 0);
            return number.map(Level::Number).ok_or(LevelError::Number);
        }
        Err(LevelError::Unknown(text.chars().take(QUOTED_CHARS).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, LevelError};

    #[test]
    fn levels_read_back_in_any_case() {
        for level in Level::NAMED.into_iter().chain([Level::Number(1), Level::Number(255)]) {
            let text = level.to_string();
            assert_eq!((text.parse(), text.to_lowercase().parse()), (Ok(level), Ok(level)));
        }
        for (text, error) in [
            ("serial", LevelError::NotYet("SERIAL")),
            ("Any", LevelError::NotYet("ANY")),
            ("0", LevelError::Number),
            ("256", LevelError::Number),
            ("-1", LevelError::Unknown("-1".into())),
            ("+1", LevelError::Unknown("+1".into())),
            ("", LevelError::Unknown(String::new())),
        ] {
            assert_eq!(text.parse::<Level>(), Err(error), "{text}");
        }
        let unknown = "x".repeat(100).parse::<Level>().expect_err("no level").to_string();
        let names = "ONE, LOCAL_ONE, TWO, THREE, LOCAL_QUORUM, QUORUM, EACH_QUORUM, ALL";
        assert_eq!(unknown, format!("unknown level '{}': expected {names}, or a number of replicas", "x".repeat(32)));
        assert_eq!(LevelError::NotYet("ANY").to_string(), "level ANY is not supported yet");
    }
}
