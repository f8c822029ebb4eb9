//! Redis's texts of whole numbers and doubles, read and written exactly as Redis does.
//!
//! Invariant: [`parse_i64`] accepts exactly the texts that [`format_i64`] writes, so a number's text can be dropped
//! and written again.
//! Leaves out: the extended precision numbers of `INCRBYFLOAT`, see `long_double`.
//!
//! Source: Redis 7.0.15 `util.c` (`string2ll`), `networking.c` (`addReplyDouble`).

/// Longest text of an `i64`.
pub(in crate::resp) const I64_TEXT_MAX: usize = 20;

/// The number that `text` spells, as Redis's `string2ll`: decimal digits with an optional `-`; no `+`, no blanks, no
/// leading zeros, no `-0`.
#[inline]
#[must_use]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'0'] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if !matches!(digits, [b'1'..=b'9', ..]) || digits.len() > 19 {
        return None;
    }
    let mut magnitude: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        // At most 19 digits: below 10^19, which fits.
        magnitude = magnitude * 10 + u64::from(digit - b'0');
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Appends the decimal text of `value`.
#[inline]
pub fn format_i64(value: i64, out: &mut Vec<u8>) {
    if let digit @ 0..=9 = value {
        out.push(b'0' + digit as u8);
        return;
    }
    let mut text = [0; I64_TEXT_MAX];
    let start = fill_i64(value, &mut text);
    out.extend_from_slice(text.get(start..).unwrap_or_default());
}

/// Pairs of digits 00 to 99.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut index = 0;
    while index < 100 {
        pairs[index] = [b'0' + (index / 10) as u8, b'0' + (index % 10) as u8];
        index += 1;
    }
    pairs
};

/// Writes the decimal text of `value` to the end of `text` and returns where it begins.
#[inline]
pub(in crate::resp) fn fill_i64(value: i64, text: &mut [u8; I64_TEXT_MAX]) -> usize {
    let mut rest = value.unsigned_abs();
    let mut start = I64_TEXT_MAX;
    while rest >= 10 {
        start -= 2;
        text[start..start + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
    }
    if rest > 0 || start == I64_TEXT_MAX {
        start -= 1;
        text[start] = b'0' + rest as u8;
    }
    if value < 0 {
        start -= 1;
        text[start] = b'-';
    }
    start
}

/// Appends `value` as C's `%.17g` writes it, with `inf`, `-inf` and `nan`.
pub fn format_double(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        let text: &[u8] = if value.is_nan() {
            b"nan"
        } else if value > 0.0 {
            b"inf"
        } else {
            b"-inf"
        };
        out.extend_from_slice(text);
        return;
    }
    // Seventeen significant digits, correctly rounded: `d.dddde<exponent>`.
    let scientific = format!("{value:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..17).contains(&exponent) {
        let decimals = (16 - exponent) as usize;
        out.extend_from_slice(without_trailing_zeros(&format!("{value:.decimals$}")).as_bytes());
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        let text = format!("{}e{sign}{:02}", without_trailing_zeros(mantissa), exponent.unsigned_abs());
        out.extend_from_slice(text.as_bytes());
    }
}

fn without_trailing_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::{format_double, format_i64, parse_i64};

    #[test]
    fn whole_numbers_are_read_as_string2ll_does() {
        let max = i64::MAX.to_string();
        let min = i64::MIN.to_string();
        for (text, value) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("-1", Some(-1)),
            ("1234567890", Some(1_234_567_890)),
            (max.as_str(), Some(i64::MAX)),
            (min.as_str(), Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("9999999999999999999", None),
            ("18446744073709551617", None),
            ("", None),
            ("-", None),
            ("+1", None),
            ("-0", None),
            ("00", None),
            ("01", None),
            (" 1", None),
            ("1 ", None),
            ("1a", None),
            ("1.0", None),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), value, "{text:?}");
        }
    }

    #[test]
    fn whole_numbers_are_written_as_they_are_read() {
        let mut powers: Vec<i64> = (0..19).flat_map(|power| [10i64.pow(power) - 1, 10i64.pow(power)]).collect();
        powers.extend([i64::MAX, i64::MIN, 101, 110]);
        for value in powers.into_iter().flat_map(|value| [value, value.wrapping_neg()]) {
            let mut text = Vec::new();
            format_i64(value, &mut text);
            assert_eq!(String::from_utf8(text.clone()).expect("digits"), value.to_string());
            assert_eq!(parse_i64(&text), Some(value));
        }
    }

    /// Right-hand sides are those of C's `printf("%.17g")`.
    #[test]
    fn doubles_are_written_as_c_does() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (3.25, "3.25"),
            (0.1, "0.10000000000000001"),
            (100.0, "100"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (-1.5e300, "-1.5000000000000001e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (1.0 / 3.0, "0.33333333333333331"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "4.9406564584124654e-324"),
            (99_999_999_999_999_999.0, "1e+17"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            let mut text = Vec::new();
            format_double(value, &mut text);
            assert_eq!(String::from_utf8(text).expect("ASCII"), expected);
        }
    }
}
