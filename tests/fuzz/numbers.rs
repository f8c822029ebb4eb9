//! Number texts: any text is survived, what is written reads back, and sums that are exact in integers are exact here.

use annulus::resp::{LongDouble, format_i64, parse_i64};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::config;

fn text_of(value: LongDouble) -> String {
    let mut out = Vec::new();
    value.format(&mut out);
    String::from_utf8(out).expect("digits")
}

/// `units` millionths, as a decimal text without trailing zeros.
fn millionths(units: i128) -> String {
    let (sign, units) = (if units < 0 { "-" } else { "" }, units.unsigned_abs());
    let text = format!("{sign}{}.{:06}", units / 1_000_000, units % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn number_like() -> impl Strategy<Value = String> {
    prop_oneof![
        "[-+]?[0-9]{0,25}\\.?[0-9]{0,25}",
        "[-+]?[0-9]{1,6}\\.?[0-9]{0,6}[eE][-+]?[0-9]{1,5}",
        "[-+]?0[xX][0-9a-fA-F]{0,20}\\.?[0-9a-f]{0,8}([pP][-+]?[0-9]{1,6})?",
        "[-+0-9.eExXpPinfaty ]{0,12}",
        "0\\.0{4000,4980}[0-9]{1,100}",
        "[0-9]{4800,5130}",
    ]
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn whole_numbers_are_exactly_the_canonical_texts(text in prop_oneof!["[-+]?[0-9]{0,20}", "[ -~]{0,22}"]) {
        let canonical = text.parse::<i64>().ok().filter(|value| value.to_string() == text);
        prop_assert_eq!(parse_i64(text.as_bytes()), canonical);
    }

    #[test]
    fn whole_numbers_read_back(value in any::<i64>(), shift in 0u32..63) {
        let mut out = Vec::new();
        format_i64(value >> shift, &mut out);
        prop_assert_eq!(String::from_utf8_lossy(&out), (value >> shift).to_string());
        prop_assert_eq!(parse_i64(&out), Some(value >> shift));
        prop_assert_eq!(text_of(LongDouble::from(value)), value.to_string());
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_text(text in number_like()) {
        if let Some(value) = LongDouble::parse(text.as_bytes()) {
            let written = text_of(value);
            if !written.contains("inf") {
                let again = LongDouble::parse(written.as_bytes()).map(text_of);
                prop_assert_eq!(again, Some(written));
            }
        }
    }

    #[test]
    fn sums_commute_and_undo(one in number_like(), another in number_like()) {
        if let (Some(one), Some(another)) = (LongDouble::parse(one.as_bytes()), LongDouble::parse(another.as_bytes())) {
            prop_assert_eq!(one.checked_add(another).map(text_of), another.checked_add(one).map(text_of));
        }
    }

    /// With at most ten digits before and six behind the point, 64 bits of mantissa lose nothing that 17 decimals show.
    #[test]
    fn sums_of_short_decimals_are_what_people_expect(one in -1_000_000_000i64..1_000_000_000, another in -1_000_000i64..1_000_000) {
        let sum = i128::from(one) + i128::from(another);
        let parse = |units: i64| LongDouble::parse(millionths(i128::from(units)).as_bytes());
        let found = parse(one).zip(parse(another)).and_then(|(one, another)| one.checked_add(another));
        // Nearest to the decimal sum: 17 decimals show the mantissa's end from about 100 on, so compare 12.
        let text = found.map(text_of).unwrap_or_default();
        let value: f64 = text.parse().expect("a number");
        prop_assert!((value - sum as f64 / 1e6).abs() < 1e-9, "{} for {}", text, millionths(sum));
        if one.abs() < 8_000_000 && another.abs() < 8_000_000 {
            prop_assert_eq!(text, millionths(sum));
        }
    }

    /// Fractions of powers of two are exact in both.
    #[test]
    fn sums_of_binary_fractions_are_exact(one in -1i64 << 40..1 << 40, another in -1i64 << 40..1 << 40) {
        let exact = |units: i64| format!("{:.10}", units as f64 / 1024.0);
        let parse = |units: i64| LongDouble::parse(exact(units).as_bytes());
        let sum = parse(one).zip(parse(another)).and_then(|(one, another)| one.checked_add(another)).map(text_of);
        let expected = exact(one + another);
        let expected = expected.trim_end_matches('0').trim_end_matches('.');
        prop_assert_eq!(sum.as_deref(), Some(expected));
    }
}
