//! Reading arguments as Redis does: whole numbers, option words, and the four ways to say when a key expires.
//!
//! Leaves out: which options a command takes and in what order it checks them; that is the command's own.
//!
//! Source: Redis 7.0.15 `object.c` (`getLongLongFromObject`), `t_string.c` (`getExpireMillisecondsOrReply`).

use crate::command::error::{CommandError, Result, c_string};
use crate::resp::parse_i64;

/// The whole number that an argument spells.
#[inline]
pub(super) fn integer(argument: &[u8]) -> Result<i64> {
    parse_i64(argument).ok_or(CommandError::NOT_INTEGER)
}

/// Whether an argument is `word` in any case. Redis reads words as C strings, so what follows a zero byte is not seen.
pub(super) fn is_word(argument: &[u8], word: &str) -> bool {
    c_string(argument).eq_ignore_ascii_case(word.as_bytes())
}

/// How the number of an expiry is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExpiryForm {
    /// `EX`: seconds from now.
    Seconds,
    /// `PX`: milliseconds from now.
    Milliseconds,
    /// `EXAT`: seconds since the Unix epoch.
    AtSeconds,
    /// `PXAT`: milliseconds since the Unix epoch.
    AtMilliseconds,
}

impl ExpiryForm {
    /// The form that an option names.
    pub(super) fn named(argument: &[u8]) -> Option<ExpiryForm> {
        let forms = [
            ("EX", ExpiryForm::Seconds),
            ("PX", ExpiryForm::Milliseconds),
            ("EXAT", ExpiryForm::AtSeconds),
            ("PXAT", ExpiryForm::AtMilliseconds),
        ];
        forms.into_iter().find(|(word, _)| is_word(argument, word)).map(|(_, form)| form)
    }

    /// The moment that `argument` names for `command`, in milliseconds since the Unix epoch; `now_ms` is the time now.
    pub(super) fn moment(self, argument: &[u8], now_ms: u64, command: &str) -> Result<u64> {
        let number = integer(argument)?;
        self.moment_of(number, now_ms).ok_or_else(|| CommandError::invalid_expire(command))
    }

    fn moment_of(self, number: i64, now_ms: u64) -> Option<u64> {
        if number <= 0 {
            return None;
        }
        let milliseconds = match self {
            ExpiryForm::Seconds | ExpiryForm::AtSeconds => number.checked_mul(1000)?,
            ExpiryForm::Milliseconds | ExpiryForm::AtMilliseconds => number,
        };
        let from = match self {
            ExpiryForm::Seconds | ExpiryForm::Milliseconds => now_ms as i64,
            ExpiryForm::AtSeconds | ExpiryForm::AtMilliseconds => 0,
        };
        milliseconds.checked_add(from).map(|moment| moment as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::{ExpiryForm, is_word};

    #[test]
    fn words_are_read_as_c_strings() {
        for (argument, expected) in
            [(&b"keepttl"[..], true), (b"KeepTTL\0x", true), (b"KEEPTT", false), (b"KEEPTTLX", false), (b"", false)]
        {
            assert_eq!(is_word(argument, "KEEPTTL"), expected, "{argument:?}");
        }
    }

    #[test]
    fn moments_are_those_of_redis() {
        const NOW: u64 = 1_700_000_000_000;
        let invalid = Err("ERR invalid expire time in 'set' command".to_owned());
        let not_integer = Err("ERR value is not an integer or out of range".to_owned());
        for (form, argument, expected) in [
            ("EX", "10", Ok(NOW + 10_000)),
            ("px", "10", Ok(NOW + 10)),
            ("EXAT", "10", Ok(10_000)),
            ("pxat", "10", Ok(10)),
            ("EX", "0", invalid.clone()),
            ("PXAT", "-1", invalid.clone()),
            ("EX", "9223372036854776", invalid.clone()),
            ("EX", "9223372036854775", invalid.clone()),
            ("EXAT", "9223372036854775", Ok(9_223_372_036_854_775_000)),
            ("PX", "9223372036854775807", invalid.clone()),
            ("PXAT", "9223372036854775807", Ok(i64::MAX as u64)),
            ("EX", "x", not_integer.clone()),
            ("EX", "9223372036854775808", not_integer.clone()),
        ] {
            let form = ExpiryForm::named(form.as_bytes()).expect("a form");
            let moment = form
                .moment(argument.as_bytes(), NOW, "set")
                .map_err(|error| String::from_utf8_lossy(&error.0).into_owned());
            assert_eq!(moment, expected, "{form:?} {argument}");
        }
    }
}
