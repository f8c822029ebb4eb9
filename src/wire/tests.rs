//! Messages keep their bytes, read back as written, and are refused when they are anything else.

use crate::causality::{Actor, Context, Dot, Record, RecordView, Time, Version, overwrite, replace_covered};
use crate::types::{Args, Database, Epoch, Span};
use crate::wire::{
    Answer, Batch, DigestOf, Forwarded, Frame, Frames, Header, ITEMS_LIMIT, Kind, Message, Origin, Protocol,
    ReadAnswer, ReadItem, Reason, Refusal, RefusedFrame, Reply, Request, TEXT_LIMIT, Wants, WireError, WriteAnswer,
    WriteItem, put_frame,
};

/// Lines of a name, a blank and the bytes of a frame in hexadecimal digits.
const GOLDEN: &str = include_str!("../../tests/data/wire-1.txt");

fn dot(actor: u64, time: u64) -> Dot {
    Dot::new(Actor::from_bits(actor), Time(time))
}

/// A record with siblings by actors 1 and 2, the second expiring.
fn siblings() -> Record {
    let write = |old: &RecordView<'_>, dot, expiry| {
        let version = Version { dot, payload: b"value", expiry };
        replace_covered(old, &Context::new(), Time::ZERO, version).expect("room").to_record()
    };
    let first = write(&RecordView::default(), dot(1, 5), None);
    write(&first.view(), dot(2, 9), Some(1_800_000_000_500))
}

fn single() -> Record {
    let version = Version { dot: dot((2 << 48) | 1_800_000_000_000, 7), payload: b"value", expiry: None };
    overwrite(&RecordView::default(), &Context::new(), Time::ZERO, version).expect("room").to_record()
}

fn batch(kind: Kind, fill: impl FnOnce(&mut Batch)) -> Message {
    let mut batch = Batch::new(kind);
    fill(&mut batch);
    batch.finish()
}

fn arguments(texts: &[&str]) -> (Vec<u8>, Vec<Span>) {
    let mut buffer = b"*".to_vec();
    let spans = texts.iter().map(|text| {
        buffer.extend_from_slice(text.as_bytes());
        Span { start: (buffer.len() - text.len()) as u32, len: text.len() as u32 }
    });
    let spans = spans.collect();
    (buffer, spans)
}

fn requests() -> Vec<(&'static str, Message)> {
    let item = |wants, key| ReadItem { wants, database: Database(0), key };
    let write = |origin, fence, record: &Record, out: &mut Batch| {
        let record = record.as_bytes();
        out.push(&WriteItem { origin, database: Database(15), fence: Time(fence), key: b"key:1", record });
    };
    let (buffer, spans) = arguments(&["SET", "key:1", ""]);
    let forwarded = Forwarded {
        database: Database(3),
        protocol: Protocol::Resp3,
        read_level: "QUORUM",
        write_level: "2",
        arguments: Args::new(&buffer, &spans),
    };
    vec![
        ("ping", Message::ping()),
        ("read-none", batch(Kind::Read, |_| ())),
        (
            "read",
            batch(Kind::Read, |out| {
                out.push(&item(Wants::Context, b"key:1"));
                out.push(&item(Wants::Digest, b""));
                out.push(&item(Wants::Record, b"\r\n"));
            }),
        ),
        (
            "write",
            batch(Kind::Write, |out| {
                write(Origin::Fresh, 0, &single(), out);
                write(Origin::WriteBack, 77, &siblings(), out);
                write(Origin::Hint, 0, &single(), out);
                write(Origin::Exchange, 1, &single(), out);
                write(Origin::Transfer, 0, &single(), out);
            }),
        ),
        ("forward", batch(Kind::Forward, |out| out.push(&forwarded))),
        ("cold", Message::cold(7, b"postcard")),
    ]
}

fn answers() -> Vec<(&'static str, Message)> {
    let siblings = siblings();
    let of = |wants, floor| DigestOf { record: siblings.view(), floor: Time(floor), wants };
    let busy = Refusal { reason: Reason::Busy, text: "the read pool is full" };
    vec![
        ("pong", Message::pong()),
        (
            "read-answer",
            batch(Kind::ReadAnswer, |out| {
                out.push(&ReadAnswer::Nothing);
                out.push(&of(Wants::Context, 0));
                out.push(&of(Wants::Digest, 5));
                out.push(&ReadAnswer::Record { floor: Time(1), fence: Time(2), record: siblings.as_bytes() });
                out.push(&ReadAnswer::Refused(busy));
            }),
        ),
        (
            "write-answer",
            batch(Kind::WriteAnswer, |out| {
                out.push(&WriteAnswer::Merged);
                out.push(&WriteAnswer::Ignored);
                out.push(&WriteAnswer::Refused(Refusal::bare(Reason::Skew)));
            }),
        ),
        (
            "forward-answer",
            batch(Kind::ForwardAnswer, |out| {
                out.push(&Reply::Bytes(b"+OK\r\n"));
                out.push(&Reply::Refused(Refusal::bare(Reason::NotMember)));
            }),
        ),
        ("cold-answer", Message::cold_answer(7, b"")),
        ("refused", Message::refused(&RefusedFrame { refusal: Refusal::bare(Reason::OtherEpoch), help: b"topology" })),
    ]
}

fn frame_of(message: &Message) -> Vec<u8> {
    let time_left_ms = if message.kind().is_answer() { 0 } else { 2000 };
    let header = Header {
        kind: message.kind(),
        request: 0x0102_0304_0506_0708,
        epoch: Epoch(9),
        time: Time(1_800_000_000_123 << 16),
        time_left_ms,
    };
    let mut out = Vec::new();
    put_frame(&mut out, &header, message.body());
    out
}

fn read_one(bytes: &[u8]) -> Result<Option<Frame>, WireError> {
    let mut frames = Frames::new(1 << 20);
    frames.input().extend_from_slice(bytes);
    frames.take()
}

fn received(message: &Message) -> Frame {
    read_one(&frame_of(message)).expect("a frame").expect("whole")
}

/// Reads a message of either kind; answers what went wrong.
fn decode(frame: &Frame) -> Option<WireError> {
    if frame.header.kind.is_answer() { Answer::decode(frame).err() } else { Request::decode(frame).err() }
}

fn all() -> impl Iterator<Item = (&'static str, Message)> {
    requests().into_iter().chain(answers())
}

#[test]
fn messages_keep_the_bytes_they_always_had() {
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let written: String = all().map(|(name, message)| format!("{name} {}\n", hex(frame_of(&message)))).collect();
    assert_eq!(
        written, GOLDEN,
        "a node of another build would no longer understand: this needs a new protocol version"
    );
}

#[test]
fn a_frame_reads_back_however_it_is_cut() {
    for (name, message) in all() {
        let bytes = frame_of(&message);
        for cut in 0..bytes.len() {
            let mut frames = Frames::new(1 << 20);
            frames.input().extend_from_slice(&bytes[..cut]);
            assert_eq!(frames.take(), Ok(None), "{name} cut at {cut}");
            frames.input().extend_from_slice(&bytes[cut..]);
            let frame = frames.take().expect(name).expect("whole now");
            assert_eq!((frame.header.kind, &frame.body[..]), (message.kind(), message.body()), "{name}");
            assert_eq!((frame.header.request, frame.header.epoch.0), (0x0102_0304_0506_0708, 9));
            assert_eq!(frames.take(), Ok(None), "nothing is left of {name}");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_frame_is_found() {
    for (name, message) in all() {
        let bytes = frame_of(&message);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A longer length waits for bytes that never come; all else is refused.
            let found = read_one(&flipped);
            assert!(found.is_err() || (bit < 32 && found == Ok(None)), "{name}, bit {bit}: {found:?}");
        }
    }
}

#[test]
fn a_frame_beyond_the_limit_is_refused_before_it_has_come() {
    let mut frames = Frames::new(1000);
    frames.input().extend_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(frames.take(), Err(WireError::Length { most: 1000, .. })));
    assert!(frames.input().capacity() < 4096, "nothing is allocated for what is only announced");
    assert!(matches!(read_one(&[1, 0, 0, 0]), Err(WireError::Length { announced: 5, .. })));
}

#[test]
fn requests_read_back_as_they_were_written() {
    let of = |name: &str| received(&requests().into_iter().find(|(known, _)| *known == name).expect("known").1);
    let frame = of("read");
    let Ok(Request::Read(items)) = Request::decode(&frame) else { panic!("no read") };
    assert_eq!(items.len(), 3);
    let items: Vec<_> = items.map(|item| (item.wants, item.database, item.key)).collect();
    let expected: [(Wants, &[u8]); 3] = [(Wants::Context, b"key:1"), (Wants::Digest, b""), (Wants::Record, b"\r\n")];
    assert_eq!(items, expected.map(|(wants, key)| (wants, Database(0), key)));

    let frame = of("write");
    let Ok(Request::Write(items)) = Request::decode(&frame) else { panic!("no write") };
    let items: Vec<_> = items.collect();
    let origins: Vec<_> = items.iter().map(|item| (item.origin, item.fence.0)).collect();
    let expected =
        [(Origin::Fresh, 0), (Origin::WriteBack, 77), (Origin::Hint, 0), (Origin::Exchange, 1), (Origin::Transfer, 0)];
    assert_eq!(origins, expected);
    assert!(items.iter().all(|item| item.key == b"key:1" && item.database == Database(15)));
    assert_eq!((items[0].record, items[1].record), (single().as_bytes(), siblings().as_bytes()));

    let frame = of("forward");
    let Ok(Request::Forward(mut items)) = Request::decode(&frame) else { panic!("no forward") };
    let command = items.next().expect("one");
    assert_eq!((command.database, command.protocol), (Database(3), Protocol::Resp3));
    assert_eq!((command.read_level, command.write_level, command.arguments.count()), ("QUORUM", "2", 3));
    assert_eq!(command.arguments.iter().collect::<Vec<_>>(), [&b"SET"[..], b"key:1", b""]);
    let spans: Vec<Span> = command.arguments.spans().collect();
    assert!(Args::new(&frame.body, &spans).iter().eq(command.arguments.iter()), "spans point into the body");

    let frame = of("cold");
    assert!(matches!(Request::decode(&frame), Ok(Request::Cold { topic: 7, bytes: b"postcard" })));
    assert!(matches!(Request::decode(&of("ping")), Ok(Request::Ping)));
}

#[test]
fn answers_read_back_as_they_were_written() {
    let of = |name: &str| received(&answers().into_iter().find(|(known, _)| *known == name).expect("known").1);
    let frame = of("read-answer");
    let Ok(Answer::Read(items)) = Answer::decode(&frame) else { panic!("no answer") };
    let items: Vec<_> = items.collect();
    let [ReadAnswer::Nothing, ReadAnswer::Digest(context), ReadAnswer::Digest(digest), record, refused] = items[..]
    else {
        panic!("{items:?}")
    };
    assert_eq!(context.entries().collect::<Vec<_>>(), [dot(1, 5), dot(2, 9)]);
    assert!(context.versions().is_none());
    assert_eq!(digest.entries().collect::<Vec<_>>(), [dot(2, 9)], "what is not above the floor is left out");
    let versions = digest.versions().expect("asked for").map(|version| (version.dot, version.expiry));
    let live = siblings();
    assert!(versions.eq(live.view().versions().map(|version| (version.dot, version.expiry))), "versions stay");
    assert_eq!(digest.floor(), Time(5));
    let whole = ReadAnswer::Record { floor: Time(1), fence: Time(2), record: live.as_bytes() };
    assert_eq!(record, whole);
    let busy = Refusal { reason: Reason::Busy, text: "the read pool is full" };
    assert_eq!(refused, ReadAnswer::Refused(busy));

    let frame = of("write-answer");
    let Ok(Answer::Write(items)) = Answer::decode(&frame) else { panic!("no answer") };
    let skew = WriteAnswer::Refused(Refusal::bare(Reason::Skew));
    assert_eq!(items.collect::<Vec<_>>(), [WriteAnswer::Merged, WriteAnswer::Ignored, skew]);

    let frame = of("forward-answer");
    let Ok(Answer::Forward(items)) = Answer::decode(&frame) else { panic!("no answer") };
    let elsewhere = Reply::Refused(Refusal::bare(Reason::NotMember));
    assert_eq!(items.collect::<Vec<_>>(), [Reply::Bytes(b"+OK\r\n"), elsewhere]);

    let frame = of("refused");
    let Ok(Answer::Refused(refused)) = Answer::decode(&frame) else { panic!("no answer") };
    assert_eq!((refused.refusal, refused.help), (Refusal::bare(Reason::OtherEpoch), &b"topology"[..]));
}

#[test]
fn a_message_cut_short_or_with_more_behind_it_is_refused() {
    for (name, message) in all() {
        let whole = received(&message);
        assert_eq!(decode(&whole), None, "{name}");
        let is_open = matches!(message.kind(), Kind::Cold | Kind::ColdAnswer | Kind::Refused);
        for end in (0..message.body().len()).filter(|end| !is_open || *end == 0) {
            let cut = Frame { header: whole.header, body: whole.body.slice(..end) };
            assert!(decode(&cut).is_some(), "{name} cut at {end}");
        }
        let more = Frame { header: whole.header, body: [message.body(), b"x"].concat().into() };
        assert_eq!(decode(&more).is_none(), is_open, "{name} with a byte more");
    }
}

#[test]
fn what_no_writer_writes_is_refused() {
    let check = |kind, body: &[u8], expected: &str| {
        let header = received(&Message::ping()).header;
        let frame = Frame { header: Header { kind, ..header }, body: body.to_vec().into() };
        let refused = decode(&frame).expect(expected).to_string();
        assert!(refused.contains(expected), "{refused}");
    };
    let entry = |actor: u64, time: u64| [actor.to_le_bytes(), time.to_le_bytes()].concat();
    let digest =
        |count: u8, entries: &[Vec<u8>]| [&[1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, count][..], &entries.concat()].concat();
    check(Kind::Read, &[1, 0, 1, 16, 0], "bad database (16)");
    check(Kind::Read, &[1, 0, 9, 0, 0], "bad extent of a read (9)");
    check(Kind::Read, &[1, 16], "4097 items, at most 4096");
    check(Kind::Write, &[1, 0, 6, 0, 0, 0], "bad origin of a write (6)");
    check(Kind::Write, &[1, 0, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "bad fence (0)");
    check(Kind::Forward, &[1, 0, 0, 2, 0, 0, 0], "bad number of arguments (0)");
    check(Kind::Forward, &[1, 0, 0, 4, 0, 0, 1, 0], "bad protocol (4)");
    check(Kind::Forward, &[1, 0, 0, 2, 1, 0xff, 0, 1, 0], "bad text");
    check(Kind::Forward, &[1, 0, 0, 2, 0, 0, 0xff, 0xff, 0xff, 0x7f], "arguments, at most 1048576");
    check(Kind::WriteAnswer, &[1, 0, 2, 99, 0], "bad reason (99)");
    check(Kind::ReadAnswer, &digest(2, &[entry(2, 1), entry(1, 1)]), "actors out of order");
    check(Kind::ReadAnswer, &digest(2, &[entry(1, 1), entry(1, 2)]), "actors out of order");
    check(Kind::ReadAnswer, &digest(1, &[entry(1, 0)]), "bad time of a dot (0)");
    check(Kind::ReadAnswer, &digest(1, &[entry(1, u64::MAX)]), "bad time of a dot");
    check(Kind::ReadAnswer, &[1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0], "bad time (18374686479671623680)");
    check(Kind::ReadAnswer, &[1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 4], "513 actors, at most 512");
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let text = "ä".repeat(TEXT_LIMIT);
    let message = batch(Kind::WriteAnswer, |out| {
        out.push(&WriteAnswer::Refused(Refusal { reason: Reason::Failed, text: &text }));
    });
    let frame = received(&message);
    let Ok(Answer::Write(mut items)) = Answer::decode(&frame) else { panic!("no answer") };
    let Some(WriteAnswer::Refused(refusal)) = items.next() else { panic!("no refusal") };
    assert_eq!(refusal.text, &text[..TEXT_LIMIT]);
}

#[test]
fn a_request_knows_its_answers() {
    assert!(Kind::Write.is_answered_by(Kind::WriteAnswer) && Kind::Write.is_answered_by(Kind::Refused));
    assert!(!Kind::Write.is_answered_by(Kind::ReadAnswer) && !Kind::Refused.is_answered_by(Kind::Refused));
}

#[test]
#[should_panic(expected = "more than 4096 items")]
fn a_batch_has_a_limit() {
    let mut batch = Batch::new(Kind::WriteAnswer);
    for _ in 0..=ITEMS_LIMIT {
        batch.push(&WriteAnswer::Merged);
    }
}

#[test]
#[should_panic(expected = "an item of WriteAnswer in a message of Read")]
fn a_batch_takes_items_of_its_kind() {
    Batch::new(Kind::Read).push(&WriteAnswer::Merged);
}
