//! The reply writer: whatever tree of replies is written, redis-protocol's decoders read the same tree.

use annulus::resp::{Protocol, Reply};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use redis_protocol::{resp2, resp3};

use crate::config;

/// A reply as a command means it.
#[derive(Clone, Debug, PartialEq)]
enum Meant {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Null,
    NullArray,
    Double(f64),
    Boolean(bool),
    Verbatim(String),
    BigNumber(String),
    Array(Vec<Meant>),
    Push(Vec<Meant>),
    /// Members are told apart by their place, since the decoder drops equal ones.
    Set(usize),
    Map(Vec<Meant>),
}

/// The key of pair `index` of a map, or member `index` of a set.
fn name_of(index: usize) -> Vec<u8> {
    format!("name{index}").into_bytes()
}

fn write(meant: &Meant, reply: &mut Reply<'_>) {
    match meant {
        Meant::Simple(text) => reply.simple(text),
        Meant::Error(text) => reply.error(text),
        Meant::Integer(value) => reply.integer(*value),
        Meant::Bulk(bytes) => reply.bulk(bytes),
        Meant::Null => reply.null(),
        Meant::NullArray => reply.null_array(),
        Meant::Double(value) => reply.double(*value),
        Meant::Boolean(value) => reply.boolean(*value),
        Meant::Verbatim(text) => reply.verbatim(text),
        Meant::BigNumber(digits) => reply.big_number(digits),
        Meant::Array(items) => {
            reply.array(items.len());
            items.iter().for_each(|item| write(item, reply));
        }
        Meant::Push(items) => {
            reply.push(items.len());
            items.iter().for_each(|item| write(item, reply));
        }
        Meant::Set(count) => {
            reply.set(*count);
            (0..*count).for_each(|index| reply.bulk(&name_of(index)));
        }
        Meant::Map(values) => {
            reply.map(values.len());
            for (index, value) in values.iter().enumerate() {
                reply.bulk(&name_of(index));
                write(value, reply);
            }
        }
    }
}

/// What a RESP2 client sees.
fn seen2(meant: &Meant) -> resp2::types::OwnedFrame {
    use resp2::types::OwnedFrame as Frame;
    let bulk = |text: &str| Frame::BulkString(text.as_bytes().to_vec());
    let named = |(index, value)| [Frame::BulkString(name_of(index)), seen2(value)];
    match meant {
        Meant::Simple(text) => Frame::SimpleString(text.clone().into_bytes()),
        Meant::Error(text) => Frame::Error(text.clone()),
        Meant::Integer(value) => Frame::Integer(*value),
        Meant::Bulk(bytes) => Frame::BulkString(bytes.clone()),
        Meant::Null | Meant::NullArray => Frame::Null,
        Meant::Double(value) => bulk(&c_double(*value)),
        Meant::Boolean(value) => Frame::Integer(i64::from(*value)),
        Meant::Verbatim(text) | Meant::BigNumber(text) => bulk(text),
        Meant::Array(items) | Meant::Push(items) => Frame::Array(items.iter().map(seen2).collect()),
        Meant::Set(count) => Frame::Array((0..*count).map(|index| Frame::BulkString(name_of(index))).collect()),
        Meant::Map(values) => Frame::Array(values.iter().enumerate().flat_map(named).collect()),
    }
}

/// What a RESP3 client sees.
fn seen3(meant: &Meant) -> resp3::types::OwnedFrame {
    use resp3::types::OwnedFrame as Frame;
    let attributes = None;
    let name = |index| Frame::BlobString { data: name_of(index), attributes: None };
    match meant {
        Meant::Simple(text) => Frame::SimpleString { data: text.clone().into_bytes(), attributes },
        Meant::Error(text) => Frame::SimpleError { data: text.clone(), attributes },
        Meant::Integer(value) => Frame::Number { data: *value, attributes },
        Meant::Bulk(bytes) => Frame::BlobString { data: bytes.clone(), attributes },
        Meant::Null | Meant::NullArray => Frame::Null,
        Meant::Double(value) => Frame::Double { data: *value, attributes },
        Meant::Boolean(value) => Frame::Boolean { data: *value, attributes },
        Meant::Verbatim(text) => Frame::VerbatimString {
            data: text.clone().into_bytes(),
            format: resp3::types::VerbatimStringFormat::Text,
            attributes,
        },
        Meant::BigNumber(digits) => Frame::BigNumber { data: digits.clone().into_bytes(), attributes },
        Meant::Array(items) => Frame::Array { data: items.iter().map(seen3).collect(), attributes },
        Meant::Push(items) => Frame::Push { data: items.iter().map(seen3).collect(), attributes },
        Meant::Set(count) => Frame::Set { data: (0..*count).map(name).collect(), attributes },
        Meant::Map(values) => {
            let pairs = values.iter().enumerate().map(|(index, value)| (name(index), seen3(value)));
            Frame::Map { data: pairs.collect(), attributes }
        }
    }
}

/// `%.17g`, by another way than the writer's: the shortest text of at most 17 digits that C would print is the one whose
/// digits are those of the 17-digit scientific form without trailing zeros.
fn c_double(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{:.16e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e').expect("scientific");
    let exponent: i32 = exponent.parse().expect("digits");
    let digits = mantissa.replace('.', "");
    let digits = digits.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let point = exponent + 1;
    let text = match (exponent, usize::try_from(point)) {
        (-4..=-1, _) => format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
        (0..=16, Ok(point)) if digits.len() <= point => format!("{digits}{}", "0".repeat(point - digits.len())),
        (0..=16, Ok(point)) => format!("{}.{}", &digits[..point], &digits[point..]),
        _ => {
            let (first, rest) = digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            let exponent_sign = if exponent < 0 { '-' } else { '+' };
            format!("{first}{point}{rest}e{exponent_sign}{:02}", exponent.abs())
        }
    };
    format!("{sign}{text}")
}

fn line() -> impl Strategy<Value = String> {
    "[ -~]{0,20}"
}

fn meant() -> impl Strategy<Value = Meant> {
    let double = any::<f64>().prop_filter("no NaN, which equals nothing", |value| !value.is_nan());
    let leaf = prop_oneof![
        line().prop_map(Meant::Simple),
        line().prop_map(Meant::Error),
        any::<i64>().prop_map(Meant::Integer),
        (-20i64..2000).prop_map(Meant::Integer),
        vec(any::<u8>(), 0..40).prop_map(Meant::Bulk),
        (0usize..2000).prop_map(|length| Meant::Bulk(vec![b'\r'; length])),
        Just(Meant::Null),
        Just(Meant::NullArray),
        double.prop_map(Meant::Double),
        (-1e6..1e6).prop_map(Meant::Double),
        Just(Meant::Double(f64::INFINITY)),
        any::<bool>().prop_map(Meant::Boolean),
        line().prop_map(Meant::Verbatim),
        "-?[1-9][0-9]{20,40}".prop_map(Meant::BigNumber),
        (0usize..12).prop_map(Meant::Set),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![vec(inner.clone(), 0..12).prop_map(Meant::Array), vec(inner, 0..12).prop_map(Meant::Map),]
    })
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn resp2_clients_read_what_was_meant(replies in vec(meant(), 1..4)) {
        let mut out = Vec::new();
        replies.iter().for_each(|meant| write(meant, &mut Reply::new(&mut out, Protocol::Resp2)));
        let mut rest = &out[..];
        for meant in &replies {
            let (frame, bytes) = resp2::decode::decode(rest).expect("well formed").expect("whole");
            prop_assert_eq!(frame, seen2(meant));
            rest = &rest[bytes..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn resp3_clients_read_what_was_meant(replies in vec(meant(), 1..4), pushed in vec(meant(), 1..4)) {
        let replies = [replies, vec![Meant::Push([vec![Meant::Bulk(b"message".to_vec())], pushed].concat())]].concat();
        let mut out = Vec::new();
        replies.iter().for_each(|meant| write(meant, &mut Reply::new(&mut out, Protocol::Resp3)));
        let mut rest = &out[..];
        for meant in &replies {
            let (frame, bytes) = resp3::decode::complete::decode(rest).expect("well formed").expect("whole");
            prop_assert_eq!(frame, seen3(meant));
            rest = &rest[bytes..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn lines_never_end_early(text in vec(any::<u8>(), 0..30)) {
        let mut out = Vec::new();
        Reply::new(&mut out, Protocol::Resp2).error(&text);
        prop_assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1);
        prop_assert_eq!(out.iter().filter(|&&byte| byte == b'\r').count(), 1);
        prop_assert!(out.ends_with(b"\r\n"));
        prop_assert_eq!(out.len(), text.len() + 3);
    }
}
