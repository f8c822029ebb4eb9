//! Values of settings: their kinds, how they are read from text, how they are written.
//!
//! Invariant: what a value is written as reads back as the same value.
//! Sizes are powers of 1024 whichever way they are spelled (`64MB`, `64MiB`), as in Redis's `mb`.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Most addresses of one setting.
const MAX_ADDRESSES: usize = 64;

/// What a setting's value looks like, and what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `IP:PORT`.
    Address,
    /// `IP:PORT`, or empty for the one that follows from `listen`.
    DerivedAddress,
    /// Like [`Kind::DerivedAddress`], or `off`.
    OptionalAddress,
    /// Any number of `IP:PORT`, with commas between them.
    Addresses,
    /// Any text.
    Text,
    /// A word of letters, digits, `-`, `_` and `.`, or empty.
    Word,
    /// A whole number between two others.
    Number(i64, i64),
    /// A number of bytes between two others, with a unit.
    Bytes(u64, u64),
    /// A length of time between two numbers of milliseconds, with a unit.
    Duration(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of an address.
    Address(SocketAddr),
    /// Of several addresses.
    Addresses(Vec<SocketAddr>),
    /// An address that follows from another setting.
    Derived,
    /// An address that is not used.
    Off,
    /// Of a text or a word.
    Text(String),
    /// Of a number.
    Number(i64),
    /// Of a number of bytes.
    Bytes(u64),
    /// Of a length of time.
    Duration(Duration),
    /// Of a choice.
    Choice(&'static str),
    /// Of a switch.
    Switch(bool),
}

/// Why a text is not a value of some kind, as Redis tells these cases apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Not a whole number where one is expected.
    NotANumber,
    /// A whole number outside the bounds.
    OutOfRange(i64, i64),
    /// None of these words.
    NotAChoice(&'static [&'static str]),
    /// Anything else; the kind says what is allowed.
    Malformed(Kind),
}

impl Kind {
    /// Reads a value.
    ///
    /// # Errors
    /// What is wrong with `text`.
    pub fn parse(self, text: &str) -> Result<Value, Flaw> {
        let malformed = Flaw::Malformed(self);
        match self {
            Kind::Text => Ok(Value::Text(text.to_owned())),
            Kind::Word if is_word(text) => Ok(Value::Text(text.to_owned())),
            Kind::DerivedAddress | Kind::OptionalAddress if text.is_empty() => Ok(Value::Derived),
            Kind::OptionalAddress if text == "off" => Ok(Value::Off),
            Kind::Address | Kind::DerivedAddress | Kind::OptionalAddress => {
                parse_address(text).map(Value::Address).ok_or(malformed)
            }
            Kind::Addresses => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                let addresses: Option<Vec<SocketAddr>> = parts.map(parse_address).collect();
                addresses.filter(|addresses| addresses.len() <= MAX_ADDRESSES).map(Value::Addresses).ok_or(malformed)
            }
            Kind::Number(least, most) => {
                let number = text.parse().map_err(|_| Flaw::NotANumber)?;
                let within = (least..=most).contains(&number);
                if within { Ok(Value::Number(number)) } else { Err(Flaw::OutOfRange(least, most)) }
            }
            Kind::Bytes(least, most) => {
                let bytes = parse_with_unit(text, SIZES).filter(|bytes| (least..=most).contains(bytes));
                bytes.map(Value::Bytes).ok_or(malformed)
            }
            Kind::Duration(least, most) => {
                let ms = parse_with_unit(text, TIMES).filter(|ms| (least..=most).contains(ms));
                ms.map(|ms| Value::Duration(Duration::from_millis(ms))).ok_or(malformed)
            }
            Kind::Choice(words) => {
                let word = words.iter().find(|word| word.eq_ignore_ascii_case(text));
                word.map(|word| Value::Choice(word)).ok_or(Flaw::NotAChoice(words))
            }
            Kind::Switch => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" => Ok(Value::Switch(true)),
                "false" | "no" => Ok(Value::Switch(false)),
                _ => Err(malformed),
            },
            Kind::Word => Err(malformed),
        }
    }

    /// What a user calls such a value, in `--help`.
    #[must_use]
    pub fn placeholder(self) -> &'static str {
        match self {
            Kind::Address | Kind::DerivedAddress | Kind::OptionalAddress | Kind::Addresses => "ADDR",
            Kind::Text | Kind::Word => "TEXT",
            Kind::Number(..) => "NUMBER",
            Kind::Bytes(..) => "SIZE",
            Kind::Duration(..) => "TIME",
            Kind::Choice(_) => "CHOICE",
            Kind::Switch => "BOOL",
        }
    }
}

/// What is allowed.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Address => f.write_str("IP:PORT, such as 127.0.0.1:6379"),
            Kind::DerivedAddress => f.write_str("IP:PORT, or empty to follow listen"),
            Kind::OptionalAddress => f.write_str("IP:PORT, off, or empty to follow listen"),
            Kind::Addresses => f.write_str("IP:PORT, or several with commas between them"),
            Kind::Text => f.write_str("any text"),
            Kind::Word => f.write_str("at most 64 letters, digits, '-', '_' and '.'"),
            Kind::Number(least, i64::MAX) => write!(f, "a whole number from {least}"),
            Kind::Number(least, most) => write!(f, "a whole number from {least} to {most}"),
            Kind::Bytes(least, most) => {
                write!(f, "a size such as 64MB or a number of bytes, from {} to {}", size(*least), size(*most))
            }
            Kind::Duration(least, most) => {
                write!(f, "a time such as 2s or 500ms, from {} to {}", time(*least), time(*most))
            }
            Kind::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Kind::Switch => f.write_str("true or false"),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::NotANumber => f.write_str("a whole number"),
            Flaw::OutOfRange(least, most) => Kind::Number(*least, *most).fmt(f),
            Flaw::NotAChoice(words) => Kind::Choice(words).fmt(f),
            Flaw::Malformed(kind) => kind.fmt(f),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Address(address) => address.fmt(f),
            Value::Addresses(addresses) => {
                let texts: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
                f.write_str(&texts.join(","))
            }
            Value::Derived => Ok(()),
            Value::Off => f.write_str("off"),
            Value::Text(text) => f.write_str(text),
            Value::Number(number) => number.fmt(f),
            Value::Bytes(bytes) => f.write_str(&size(*bytes)),
            Value::Duration(duration) => f.write_str(&time(duration.as_millis() as u64)),
            Value::Choice(word) => f.write_str(word),
            Value::Switch(on) => on.fmt(f),
        }
    }
}

/// A unit's spellings (lower case) and what it multiplies by; the first spelling is the one that is written.
type Unit = (&'static [&'static str], u64);

const SIZES: &[Unit] =
    &[(&["gb", "gib"], 1 << 30), (&["mb", "mib"], 1 << 20), (&["kb", "kib"], 1 << 10), (&["", "b"], 1)];
const TIMES: &[Unit] = &[(&["h"], 3_600_000), (&["m", "min"], 60_000), (&["s"], 1_000), (&["ms"], 1)];

fn parse_with_unit(text: &str, units: &[Unit]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let (_, factor) = units.iter().find(|(spellings, _)| spellings.contains(&unit.as_str()))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn size(bytes: u64) -> String {
    in_unit(bytes, SIZES).to_ascii_uppercase()
}

fn time(ms: u64) -> String {
    in_unit(ms, TIMES)
}

/// The number in the greatest unit that leaves no rest.
fn in_unit(number: u64, units: &[Unit]) -> String {
    let fits = |factor: u64| number != 0 && number.is_multiple_of(factor);
    let (spellings, factor) = units.iter().find(|(_, factor)| fits(*factor)).unwrap_or(&units[units.len() - 1]);
    format!("{}{}", number / factor, spellings[0])
}

fn parse_address(text: &str) -> Option<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        return Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port.parse().ok()?));
    }
    text.parse().ok()
}

fn is_word(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::Kind;

    fn check(kind: Kind, text: &str, expected: Result<&str, &str>) {
        let parsed = kind.parse(text);
        let shown = parsed.as_ref().map(ToString::to_string).map_err(ToString::to_string);
        assert_eq!(shown, expected.map(str::to_owned).map_err(str::to_owned), "{text:?}");
        if let Ok(value) = parsed {
            assert_eq!(kind.parse(&value.to_string()), Ok(value), "{text:?} reads back");
        }
    }

    #[test]
    fn values_are_read_and_written() {
        let bytes = Kind::Bytes(1024, 8 << 30);
        for (text, shown) in [("64MB", "64MB"), ("64 mib", "64MB"), ("65536", "64KB"), ("1025", "1025"), ("8gb", "8GB")]
        {
            check(bytes, text, Ok(shown));
        }
        let allowed = "a size such as 64MB or a number of bytes, from 1KB to 8GB";
        for text in ["", "MB", "64X", "-1", "1023", "9GB", "99999999999999999999GB", "1.5GB"] {
            check(bytes, text, Err(allowed));
        }
        for (text, shown) in [("2s", "2s"), ("1500ms", "1500ms"), ("120s", "2m"), ("0ms", "0ms")] {
            check(Kind::Duration(0, 3_600_000), text, Ok(shown));
        }
        check(Kind::Duration(0, 1000), "2", Err("a time such as 2s or 500ms, from 0ms to 1s"));
        check(Kind::Address, "localhost:7000", Ok("127.0.0.1:7000"));
        check(Kind::Address, "[::1]:7000", Ok("[::1]:7000"));
        check(Kind::Address, "7000", Err("IP:PORT, such as 127.0.0.1:6379"));
        check(Kind::OptionalAddress, "off", Ok("off"));
        check(Kind::Addresses, "localhost:7, 10.0.0.1:8,", Ok("127.0.0.1:7,10.0.0.1:8"));
        check(Kind::Addresses, "", Ok(""));
        check(Kind::Addresses, "host", Err("IP:PORT, or several with commas between them"));
        check(Kind::DerivedAddress, "", Ok(""));
        check(Kind::Choice(&["sync", "none"]), "SYNC", Ok("sync"));
        check(Kind::Choice(&["sync", "none"]), "fast", Err("one of sync, none"));
        check(Kind::Number(1, 5), "6", Err("a whole number from 1 to 5"));
        check(Kind::Number(1, 5), "x", Err("a whole number"));
        check(Kind::Switch, "yes", Ok("true"));
        check(Kind::Word, "a b", Err("at most 64 letters, digits, '-', '_' and '.'"));
    }
}
