//! The numbers of `INCRBYFLOAT`: x86's 80-bit `long double`, in software, so that sums have the very digits of Redis's.
//!
//! Redis reads with `strtold`, adds, and writes with `%.17Lf`, cutting trailing zeros. With `f64` the results would
//! differ in common cases (0.1 + 0.2 is 0.30000000000000004 there and 0.3 here), and no decimal arithmetic would agree
//! with Redis where digits run out. So this is the same arithmetic: 64 bits of mantissa, round to nearest, ties to even,
//! the same range with denormals. Every step is exact before its one rounding. (Redis on other processors has another
//! `long double`, of 128 bits on ARM; there its results differ from those on x86 in the last digits, ours do not.)
//!
//! Invariant: a text is refused exactly where Redis says `value is not a valid float`: what `strtold` does not take whole,
//! a leading blank, NaN, overflow, underflow to zero, 5,120 bytes and more.
//! Invariant: the work is bounded by the length of the text, never by the exponent it names.
//!
//! Source: Redis 7.0.15 `util.c` (`string2ld`, `ld2string`), `t_string.c` (`incrbyfloatCommand`).

use crate::resp::natural::Natural;
use crate::resp::number::format_i64;

/// Texts from this length on are refused, as Redis does.
const TEXT_BYTES_MAX: usize = 5 * 1024;
/// Exponent of the lowest bit of the smallest numbers.
const EXPONENT_MIN: i32 = -16_445;
/// Exponent of the lowest bit of the largest numbers; what rounds above is infinite.
const EXPONENT_MAX: i32 = 16_320;
/// Exponents in texts are cut to this, far beyond the range even with 5,120 digits to make up for them.
const TEXT_EXPONENT_MAX: i64 = 1_000_000;
/// Highest power of ten in a limb.
const TEN_19: u64 = 10u64.pow(19);
/// Decimals that are written.
const DECIMALS: u32 = 17;

/// A number as x86's `long double` holds it; never NaN.
#[derive(Clone, Copy, Debug)]
pub struct LongDouble {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Clone, Copy, Debug)]
enum Magnitude {
    /// `mantissa` times 2 to the power of `exponent`.
    Finite {
        mantissa: u64,
        exponent: i32,
    },
    Infinite,
}

const ZERO: Magnitude = Magnitude::Finite { mantissa: 0, exponent: EXPONENT_MIN };

impl From<i64> for LongDouble {
    /// Exact.
    fn from(value: i64) -> Self {
        LongDouble { negative: value < 0, magnitude: Magnitude::Finite { mantissa: value.unsigned_abs(), exponent: 0 } }
    }
}

impl LongDouble {
    /// The number that `text` spells: decimal or, after `0x`, hexadecimal, with fraction and exponent, or `inf`.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= TEXT_BYTES_MAX {
            return None;
        }
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let magnitude = match text {
            [b'0', b'x' | b'X', rest @ ..] => hexadecimal(rest)?,
            _ if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") => Magnitude::Infinite,
            _ => decimal(text)?,
        };
        Some(LongDouble { negative, magnitude })
    }

    /// The sum, rounded once; `None` if it is not a finite number (`increment would produce NaN or Infinity`).
    #[must_use]
    pub fn checked_add(self, other: LongDouble) -> Option<LongDouble> {
        let (one, another) = (self.normalised()?, other.normalised()?);
        // The one whose highest bit stands higher is the larger, or they stand level.
        let (large, small, signs) = if (one.1, one.0) >= (another.1, another.0) {
            (one, another, (self.negative, other.negative))
        } else {
            (another, one, (other.negative, self.negative))
        };
        // Two bits above are free for the carry, 62 below for what is shifted out.
        let distance = (large.1 - small.1) as u32;
        let (augend, shifted) = (u128::from(large.0) << 62, u128::from(small.0) << 62);
        let addend = shifted.checked_shr(distance).unwrap_or(0);
        let lost = addend.checked_shl(distance).unwrap_or(0) != shifted;
        let negative = signs.0;
        let sum = if signs.0 == signs.1 { augend + addend } else { augend - addend - u128::from(lost) };
        if sum == 0 {
            // Only the sum of two negative zeros is a negative zero.
            return Some(LongDouble { negative: negative && signs.1, magnitude: ZERO });
        }
        match round(sum, large.1 - 62, lost) {
            Magnitude::Infinite => None,
            magnitude => Some(LongDouble { negative, magnitude }),
        }
    }

    /// Appends the number as Redis writes it: at most 17 decimals, no trailing zeros, no exponent, no negative zero.
    pub fn format(self, out: &mut Vec<u8>) {
        let start = out.len();
        if self.negative {
            out.push(b'-');
        }
        match self.magnitude {
            Magnitude::Infinite => out.extend_from_slice(b"inf"),
            Magnitude::Finite { mantissa, exponent } if exponent < 0 => format_fraction(mantissa, exponent, out),
            Magnitude::Finite { mantissa, exponent } => format_whole(mantissa, exponent, out),
        }
        if out.get(start..) == Some(b"-0") {
            out.truncate(start);
            out.push(b'0');
        }
    }

    /// Mantissa with its highest bit set, if there is any, and its exponent; `None` if infinite.
    fn normalised(self) -> Option<(u64, i32)> {
        match self.magnitude {
            Magnitude::Finite { mantissa: 0, .. } => Some((0, i32::MIN / 2)),
            Magnitude::Finite { mantissa, exponent } => {
                let zeros = mantissa.leading_zeros();
                Some((mantissa << zeros, exponent - zeros as i32))
            }
            Magnitude::Infinite => None,
        }
    }
}

/// The nearest representable number to `bits` times 2 to the power of `exponent`, plus less than one unit of `bits` if
/// `inexact`; then `bits` has at least 66 binary digits, or the number is below the range.
fn round(bits: u128, exponent: i32, inexact: bool) -> Magnitude {
    let excess = (128 - bits.leading_zeros() as i32 - 64).max(EXPONENT_MIN - exponent);
    if excess <= 0 {
        return bounded(bits as u64, exponent);
    }
    let (mut mantissa, rest) = match excess {
        ..=127 => (bits >> excess, bits << (128 - excess)),
        128 => (0, bits),
        // Below half of the smallest number.
        _ => return ZERO,
    };
    const HALF: u128 = 1 << 127;
    if rest > HALF || (rest == HALF && (inexact || mantissa % 2 == 1)) {
        mantissa += 1;
    }
    match u64::try_from(mantissa) {
        Ok(mantissa) => bounded(mantissa, exponent + excess),
        // Carried into the 65th bit: all others are zero.
        Err(_) => bounded(1 << 63, exponent + excess + 1),
    }
}

/// Infinite if the highest bit stands above the range.
fn bounded(mantissa: u64, exponent: i32) -> Magnitude {
    if mantissa != 0 && exponent - mantissa.leading_zeros() as i32 > EXPONENT_MAX {
        Magnitude::Infinite
    } else {
        Magnitude::Finite { mantissa, exponent }
    }
}

/// Refuses what left the range: infinite, or zero although it is not.
fn in_range(magnitude: Magnitude) -> Option<Magnitude> {
    match magnitude {
        Magnitude::Infinite | Magnitude::Finite { mantissa: 0, .. } => None,
        finite => Some(finite),
    }
}

/// A number's text without sign and base, in parts.
struct Parts<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Parts<'a> {
    /// Splits `text`, whose digits are those that `is_digit` knows and whose exponent follows `marker` (lower case).
    fn split(text: &'a [u8], is_digit: fn(&u8) -> bool, marker: u8) -> Option<Self> {
        let (whole, rest) = split_digits(text, is_digit);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => split_digits(rest, is_digit),
            rest => (&[][..], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match rest {
            [] => 0,
            [first, rest @ ..] if first.eq_ignore_ascii_case(&marker) => text_exponent(rest)?,
            _ => return None,
        };
        Some(Parts { whole, fraction, exponent })
    }

    /// All digits without leading zeros.
    fn significant(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.whole.iter().chain(self.fraction).copied().skip_while(|&digit| digit == b'0')
    }
}

fn split_digits(text: &[u8], is_digit: fn(&u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| is_digit(byte)).count())
}

fn text_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let cut = |sum: i64, digit: &u8| (sum * 10 + i64::from(digit - b'0')).min(TEXT_EXPONENT_MAX);
    let exponent = digits.iter().fold(0, cut);
    Some(if negative { -exponent } else { exponent })
}

fn decimal(text: &[u8]) -> Option<Magnitude> {
    let parts = Parts::split(text, u8::is_ascii_digit, b'e')?;
    let count = parts.significant().count() as i64;
    if count == 0 {
        return Some(ZERO);
    }
    let exponent = parts.exponent - parts.fraction.len() as i64;
    // The number is below 10^(count + exponent), and at least a tenth of that.
    if !(-4_951..=4_933).contains(&(count + exponent)) {
        return None;
    }
    let mut digits = natural(parts.significant());
    let power = exponent.unsigned_abs() as u32;
    if exponent >= 0 {
        powers_of_ten(power).for_each(|factor| digits.multiply_add(factor, 0));
        let (bits, shift, inexact) = digits.leading();
        return in_range(round(bits, shift as i32, inexact));
    }
    // Enough bits below that the quotient has 128: ten to the power of n has at most n * 10 / 3 + 1 bits.
    let scale = (power * 10 / 3 + 1 + 128).saturating_sub(digits.bits());
    digits.shift_left(scale);
    let remainders = powers_of_ten(power).fold(0, |remainders, factor| remainders | digits.divide(factor));
    let (bits, shift, inexact) = digits.leading();
    in_range(round(bits, shift as i32 - scale as i32, inexact || remainders != 0))
}

/// The natural number that decimal `digits` spell.
fn natural(digits: impl Iterator<Item = u8>) -> Natural {
    let mut number = Natural::default();
    // Digits are gathered in groups of up to 19: one pass over the limbs for each group.
    let (mut factor, mut group) = (1, 0);
    for digit in digits {
        factor *= 10;
        group = group * 10 + u64::from(digit - b'0');
        if factor == TEN_19 {
            number.multiply_add(factor, group);
            (factor, group) = (1, 0);
        }
    }
    number.multiply_add(factor, group);
    number
}

/// Factors that make up ten to the power of `power`.
fn powers_of_ten(power: u32) -> impl Iterator<Item = u64> {
    std::iter::repeat_n(TEN_19, power as usize / 19).chain(std::iter::once(10u64.pow(power % 19)))
}

fn hexadecimal(text: &[u8]) -> Option<Magnitude> {
    let parts = Parts::split(text, u8::is_ascii_hexdigit, b'p')?;
    let mut exponent = parts.exponent as i32 - 4 * parts.fraction.len() as i32;
    let (mut bits, mut inexact) = (0u128, false);
    for digit in parts.significant() {
        let value = (digit as char).to_digit(16).unwrap_or(0);
        if bits >> 124 == 0 {
            bits = bits << 4 | u128::from(value);
        } else {
            inexact |= value != 0;
            exponent += 4;
        }
    }
    if bits == 0 { Some(ZERO) } else { in_range(round(bits, exponent, inexact)) }
}

/// Writes a number with bits behind the point, rounded to 17 decimals.
fn format_fraction(mantissa: u64, exponent: i32, out: &mut Vec<u8>) {
    const SCALE: u128 = 10u128.pow(DECIMALS);
    // At most 121 bits: a shift of more leaves less than half a unit, and one of 127 loses nothing by that.
    let scaled = u128::from(mantissa) * SCALE;
    let shift = exponent.unsigned_abs().min(127);
    let (mut units, rest) = (scaled >> shift, scaled << (128 - shift));
    if rest > 1 << 127 || (rest == 1 << 127 && units % 2 == 1) {
        units += 1;
    }
    out.extend_from_slice((units / SCALE).to_string().as_bytes());
    let decimals = format!(".{:017}", units % SCALE);
    out.extend_from_slice(decimals.trim_end_matches('0').trim_end_matches('.').as_bytes());
}

/// Writes a number without bits behind the point.
fn format_whole(mantissa: u64, exponent: i32, out: &mut Vec<u8>) {
    let mut rest = Natural::new(mantissa);
    rest.shift_left(exponent.unsigned_abs());
    let mut groups = Vec::new();
    while !rest.is_zero() {
        groups.push(rest.divide(10u64.pow(18)) as i64);
    }
    format_i64(groups.pop().unwrap_or(0), out);
    for group in groups.into_iter().rev() {
        out.extend_from_slice(format!("{group:018}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::LongDouble;

    fn sum(one: &str, another: &str) -> Result<String, &'static str> {
        let parse = |text: &str| LongDouble::parse(text.as_bytes()).ok_or("no float");
        let sum = parse(one)?.checked_add(parse(another)?).ok_or("no finite sum")?;
        let mut text = Vec::new();
        sum.format(&mut text);
        Ok(String::from_utf8(text).expect("digits"))
    }

    /// Right-hand sides are the answers of Redis 7.0.15 to `SET key one`, `INCRBYFLOAT key another`.
    #[test]
    fn sums_have_the_digits_of_redis() {
        for (one, another, expected) in [
            ("0.1", "0.2", "0.3"),
            ("3.0e3", "5.0e3", "8000"),
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("0", "-1e-30", "0"),
            ("-0", "-0", "0"),
            ("1", "-1", "0"),
            ("1e17", "0.1", "100000000000000000.1015625"),
            ("1.1", "1e-17", "1.10000000000000001"),
            ("1e20", "1", "100000000000000000000"),
            ("9223372036854775807", "1", "9223372036854775808"),
            ("18446744073709551615", "2", "18446744073709551616"),
            ("18446744073709551615", "3", "18446744073709551618"),
            ("9223372036854775808", "-0.25", "9223372036854775808"),
            ("9223372036854775808", "-0.2500000000000000000271050543121376108502", "9223372036854775807.5"),
            ("3.14159265358979323846", "0", "3.14159265358979324"),
            ("0x1.8p1", "0X.8", "3.5"),
            ("+.5", "5.", "5.5"),
            ("1e-4950", "1", "1"),
            ("0e99999999999", "1", "1"),
        ] {
            assert_eq!(sum(one, another).as_deref(), Ok(expected), "{one} + {another}");
            assert_eq!(sum(another, one).as_deref(), Ok(expected), "{another} + {one}");
        }
    }

    #[test]
    fn what_redis_refuses_is_refused() {
        for text in [
            "",
            " 1",
            "1 ",
            "1_0",
            ".",
            "-",
            "+-1",
            "e5",
            "1e",
            "1e+",
            "0x",
            "0x.p1",
            "0x1p",
            "1f",
            "nan",
            "-nan",
            "infi",
            "1\0",
            "1e4933",
            "-1e99999999999999999999",
            "1e-4952",
            "0x1p-16446",
            "0x1p16384",
            "1,5",
            "--1",
        ] {
            assert_eq!(sum(text, "0"), Err("no float"), "{text:?}");
        }
        let long = "1".repeat(5119);
        assert_eq!(sum(&long, "0"), Err("no float"), "overflows");
        assert_eq!(sum(&format!("0.{}", "3".repeat(5117)), "0").as_deref(), Ok("0.33333333333333333"));
        assert_eq!(sum(&format!("0.{}", "3".repeat(5118)), "0"), Err("no float"), "5120 bytes");
    }

    #[test]
    fn sums_that_are_no_numbers_are_refused() {
        let max = "1.18973149535723176502e4932";
        for (one, another) in [("inf", "1"), ("1", "-INFINITY"), ("inf", "-inf"), (max, max)] {
            assert_eq!(sum(one, another), Err("no finite sum"), "{one} + {another}");
        }
        let unchanged = sum(max, "1e4800").expect("below half a unit of the last place");
        assert!(unchanged.starts_with("11897314953572317650212") && unchanged.len() == 4933);
    }

    #[test]
    fn whole_numbers_convert_exactly() {
        for value in [0, 1, -1, i64::MAX, i64::MIN] {
            let mut text = Vec::new();
            LongDouble::from(value).format(&mut text);
            assert_eq!(String::from_utf8(text).expect("digits"), value.to_string());
        }
    }
}
