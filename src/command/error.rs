//! Error lines of Redis: the one place where failures of lower layers become texts for clients.

use std::borrow::Cow;

use crate::causality::MAX_SIBLINGS;
use crate::quorum::{Names, Unavailable};
use crate::replica::Failure;
use crate::types::Args;

/// An error reply: the line with its code, without the leading dash. Bytes, for it may quote any argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError(pub Cow<'static, [u8]>);

/// What planning a command leads to.
pub type Result<T> = std::result::Result<T, CommandError>;

impl CommandError {
    /// `ERR syntax error`.
    pub const SYNTAX: CommandError = CommandError::text("ERR syntax error");
    /// `ERR value is not an integer or out of range`.
    pub const NOT_INTEGER: CommandError = CommandError::text("ERR value is not an integer or out of range");
    /// `ERR value is not a valid float`.
    pub const NOT_FLOAT: CommandError = CommandError::text("ERR value is not a valid float");

    /// A fixed line.
    #[must_use]
    pub const fn text(line: &'static str) -> CommandError {
        CommandError(Cow::Borrowed(line.as_bytes()))
    }

    /// A line made for the occasion.
    #[must_use]
    pub fn line(line: String) -> CommandError {
        CommandError(Cow::Owned(line.into_bytes()))
    }

    /// A line that quotes an argument between two texts, as Redis does: up to a zero byte, without line ends at its end.
    #[must_use]
    pub fn quoting(before: &str, argument: &[u8], after: &str) -> CommandError {
        let mut line = [before.as_bytes(), c_string(argument), after.as_bytes()].concat();
        let end = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
        line.truncate(end);
        CommandError(Cow::Owned(line))
    }

    /// Redis's line for a name that is no command, with the beginning of its arguments.
    #[must_use]
    pub fn unknown_command(args: Args<'_>) -> CommandError {
        let mut shown = Vec::new();
        for arg in args.iter().skip(1) {
            if shown.len() >= QUOTED_BYTES {
                break;
            }
            let arg = beginning(arg, QUOTED_BYTES - shown.len());
            shown.extend_from_slice(&[b"'", arg, b"' "].concat());
        }
        let name = beginning(args.get(0), QUOTED_BYTES);
        let parts = [b"ERR unknown command '", name, b"', with args beginning with: ", &shown];
        CommandError(Cow::Owned(parts.concat()))
    }

    /// Redis's line for a name that is no subcommand.
    #[must_use]
    pub fn unknown_subcommand(container: &str, name: &[u8]) -> CommandError {
        let container = container.to_ascii_uppercase();
        let name = beginning(name, QUOTED_BYTES);
        let parts = [b"ERR unknown subcommand '", name, b"'. Try ", container.as_bytes(), b" HELP."];
        CommandError(Cow::Owned(parts.concat()))
    }

    /// Redis's line for too few or too many arguments.
    #[must_use]
    pub fn wrong_arity(container: Option<&str>, name: &str) -> CommandError {
        let full = container.map_or_else(|| name.to_owned(), |container| format!("{container}|{name}"));
        CommandError::line(format!("ERR wrong number of arguments for '{full}' command"))
    }

    /// The line for a command that needs more replicas than can be reached.
    #[must_use]
    pub fn unavailable(short: &Unavailable, names: &dyn Names) -> CommandError {
        CommandError::line(format!("UNAVAILABLE {}", short.told(names)))
    }

    /// Redis's line for an expiry that is not after the epoch or too far ahead.
    #[must_use]
    pub fn invalid_expire(command: &str) -> CommandError {
        CommandError::line(format!("ERR invalid expire time in '{command}' command"))
    }
}

/// Bytes of a name, and of arguments together, that the line for an unknown command quotes.
const QUOTED_BYTES: usize = 128;

/// What Redis sees of an argument that it reads as a C string: all before the first zero byte.
pub(super) fn c_string(argument: &[u8]) -> &[u8] {
    argument.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// At most `bytes` bytes of what Redis sees of an argument.
fn beginning(argument: &[u8], bytes: usize) -> &[u8] {
    let seen = c_string(argument);
    seen.get(..bytes).unwrap_or(seen)
}

impl From<&Failure> for CommandError {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Siblings => CommandError::line(format!(
                "SIBLINGS key has {MAX_SIBLINGS} concurrent values; read them with VGET and resolve"
            )),
            Failure::Record(error) => CommandError::line(format!("ERR {error}")),
            Failure::PairTooLarge { bytes, limit } => {
                CommandError::line(format!("ERR value of {bytes} bytes exceeds max-pair-bytes ({limit})"))
            }
            Failure::Busy { waited_ms } => CommandError::line(format!(
                "BUSY the disk cannot keep up: the write waited {waited_ms} ms for room in memory and was not done"
            )),
            Failure::Unavailable(text) => CommandError::line(format!("UNAVAILABLE {text}")),
            Failure::TimedOut(text) => CommandError::line(format!("TIMEOUT {text}")),
            Failure::Storage(error) => CommandError::line(format!("MISCONF {error}")),
            Failure::Stopping => CommandError::text("ERR the server is shutting down"),
            Failure::TooManyKeys { limit } => {
                CommandError::line(format!("ERR more than {limit} keys (keys-reply-max); use SCAN"))
            }
            Failure::TooManyKeyBytes { limit } => {
                CommandError::line(format!("ERR more than {limit} bytes of keys; use SCAN"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CommandError;
    use crate::types::{Args, Span};

    #[test]
    fn arguments_are_quoted_as_c_strings() {
        for (argument, expected) in [(&b"x"[..], &b"ERR no x!"[..]), (b"\xff\0x", b"ERR no \xff!"), (b"", b"ERR no !")]
        {
            assert_eq!(&*CommandError::quoting("ERR no ", argument, "!").0, expected);
        }
        assert_eq!(&*CommandError::quoting("ERR no ", b"a\r\nb\r\n", "").0, b"ERR no a\r\nb");
    }

    #[test]
    fn unknown_names_are_shown_with_the_beginning_of_their_arguments() {
        let (name, long) = ("n".repeat(200), "x".repeat(100));
        let line = |words: &[&str]| {
            let input = words.concat();
            let mut start = 0;
            let span = |word: &&str| {
                let span = Span { start, len: word.len() as u32 };
                start += span.len;
                span
            };
            let spans: Vec<Span> = words.iter().map(span).collect();
            let error = CommandError::unknown_command(Args::new(input.as_bytes(), &spans));
            String::from_utf8(error.0.into_owned()).expect("ASCII")
        };
        assert_eq!(line(&["a\0b", "c\0d", ""]), "ERR unknown command 'a', with args beginning with: 'c' '' ");
        let shown = line(&[&name, &long, &long, "unseen"]);
        let expected = format!("'{}', with args beginning with: '{long}' '{}' ", &name[..128], &long[..25]);
        assert_eq!(shown, format!("ERR unknown command {expected}"));
        assert_eq!(
            &*CommandError::unknown_subcommand("object", b"\xff\0").0,
            b"ERR unknown subcommand '\xff'. Try OBJECT HELP."
        );
    }
}
