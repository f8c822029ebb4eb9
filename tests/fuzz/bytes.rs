//! The readers of stored bytes: the checked cursor, and records. Any bytes give an error or a value, and a value's bytes
//! are the bytes that it would be written as.

use annulus::causality::{Context, Plan, PurgeBounds, RecordView, merge};
use annulus::codec::{Reader, put_bytes, put_varint};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::{Index, select};

use crate::config;

#[derive(Clone, Copy, Debug)]
enum Read {
    U8,
    U16,
    U32,
    U64,
    Varint,
    Prefixed,
    Bytes(usize),
}

/// Whether the read succeeded, and how many bytes it handed out.
fn read(reader: &mut Reader<'_>, what: Read) -> Option<usize> {
    match what {
        Read::U8 => reader.u8().ok().map(|_| 0),
        Read::U16 => reader.u16().ok().map(|_| 0),
        Read::U32 => reader.u32().ok().map(|_| 0),
        Read::U64 => reader.u64().ok().map(|_| 0),
        Read::Varint => reader.varint().ok().map(|_| 0),
        Read::Prefixed => reader.prefixed().ok().map(<[u8]>::len),
        Read::Bytes(count) => reader.bytes(count).ok().map(<[u8]>::len),
    }
}

fn any_read() -> impl Strategy<Value = Read> {
    let count = prop_oneof![0usize..20, select(vec![usize::MAX, usize::MAX - 1, 1 << 40])];
    prop_oneof![
        select(vec![Read::U8, Read::U16, Read::U32, Read::U64, Read::Varint, Read::Prefixed]),
        count.prop_map(Read::Bytes),
    ]
}

/// The records of the golden file.
fn golden_records() -> Vec<Vec<u8>> {
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal");
    let lines = include_str!("../data/records.txt").lines();
    let hex = lines.filter_map(|line| line.split_whitespace().nth(1));
    hex.map(|hex| hex.as_bytes().chunks(2).map(digits).collect()).collect()
}

/// Bytes near to a record: a golden one with some bytes set, cut off or added.
fn near_record() -> impl Strategy<Value = Vec<u8>> {
    let damage = vec((any::<Index>(), prop_oneof![any::<u8>(), 0u8..4]), 0..4);
    let tail = vec(any::<u8>(), 0..4);
    (select(golden_records()), damage, any::<Index>(), any::<bool>(), tail).prop_map(
        |(mut bytes, damage, cut, is_cut, tail)| {
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if is_cut {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            bytes.extend(tail);
            bytes
        },
    )
}

/// If `bytes` are a record, they are what it is written as, alone and merged with itself.
fn check_record(bytes: &[u8]) {
    let Ok(record) = RecordView::decode(bytes) else { return };
    let mut written = Vec::new();
    Plan::unchanged(&record).encode(&mut written);
    assert_eq!(written, bytes, "a record has one encoding");
    let merged = merge(&record, &record, PurgeBounds::default()).expect("no more than before");
    assert!(!merged.plan.adds_to(&record));
    let mut written = Vec::new();
    merged.plan.encode(&mut written);
    assert_eq!(written, bytes, "merging is idempotent");
    let _ = (record.winner(0), record.earliest_expiry(), record.fingerprint(0), record.presence());
    assert!(record.versions().all(|version| record.covers(version.dot)));
}

#[test]
fn golden_records_are_records() {
    let records = golden_records();
    assert!(records.len() > 4);
    for bytes in records {
        assert!(RecordView::decode(&bytes).is_ok(), "{bytes:02x?}");
        check_record(&bytes);
    }
}

proptest! {
    #![proptest_config(config(3000))]

    #[test]
    fn a_cursor_never_leaves_its_bytes(bytes in vec(any::<u8>(), 0..64), reads in vec(any_read(), 0..20)) {
        let mut reader = Reader::new(&bytes);
        for what in reads {
            let before = reader.offset();
            let taken = read(&mut reader, what);
            prop_assert_eq!(reader.offset() + reader.remaining(), bytes.len());
            match taken {
                None => prop_assert_eq!(reader.offset(), before, "a failed read leaves it where it was"),
                Some(count) => prop_assert!(reader.offset() - before >= count),
            }
            if let (None, Read::Bytes(count)) = (taken, what) {
                prop_assert!(count > reader.remaining());
            }
        }
    }

    #[test]
    fn integers_and_bytes_read_back(values in vec((any::<u64>(), 0u32..64), 0..10), tail in vec(any::<u8>(), 0..300)) {
        let mut out = Vec::new();
        for &(value, shift) in &values {
            put_varint(&mut out, value >> shift);
        }
        put_bytes(&mut out, &tail);
        let mut reader = Reader::new(&out);
        for (value, shift) in values {
            prop_assert_eq!(reader.varint(), Ok(value >> shift));
        }
        prop_assert_eq!(reader.prefixed(), Ok(&tail[..]));
        prop_assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn a_varint_has_one_form(bytes in vec(prop_oneof![any::<u8>(), select(vec![0, 0x80, 0xff, 1])], 0..12)) {
        let mut reader = Reader::new(&bytes);
        if let Ok(value) = reader.varint() {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(&bytes[..reader.offset()], &out[..]);
        }
    }

    #[test]
    fn a_context_has_one_form(bytes in vec(prop_oneof![any::<u8>(), 0u8..3], 0..80)) {
        let mut reader = Reader::new(&bytes);
        if let Ok(context) = Context::decode(&mut reader) {
            let mut out = Vec::new();
            context.encode(&mut out);
            prop_assert_eq!(&bytes[..reader.offset()], &out[..]);
        }
    }

    #[test]
    fn any_bytes_are_no_record_or_exactly_one(bytes in vec(prop_oneof![any::<u8>(), 0u8..3], 0..80)) {
        check_record(&bytes);
    }

    #[test]
    fn damaged_records_are_refused_or_are_other_records(bytes in near_record()) {
        check_record(&bytes);
    }

    #[test]
    fn a_record_cut_short_never_passes_for_the_whole(bytes in select(golden_records()), cut in any::<Index>()) {
        let shorter = &bytes[..cut.index(bytes.len())];
        // Only a single version's payload runs to the end of the bytes: their length is the frame's business.
        let is_single = bytes.first().is_some_and(|flags| flags & 1 == 1);
        prop_assert!(is_single || RecordView::decode(shorter).is_err());
    }
}
