//! What nodes send each other: any bytes give an error or a message, however the stream is cut.

use annulus::wire::{Answer, Frame, Frames, Request, put_frame};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::{Index, select};

use crate::config;

/// Longest frame that is taken here.
const LIMIT: usize = 1 << 16;

/// The frames of the golden file.
fn golden() -> Vec<Vec<u8>> {
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal");
    let lines = include_str!("../data/wire-1.txt").lines();
    let hex = lines.filter_map(|line| line.split_whitespace().nth(1));
    hex.map(|hex| hex.as_bytes().chunks(2).map(digits).collect()).collect()
}

fn frames_of(bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Frames::new(LIMIT);
    frames.input().extend_from_slice(bytes);
    std::iter::from_fn(|| frames.take().ok().flatten()).collect()
}

/// Reads all there is in a message, if it is one; answers how many bytes the items hand out.
fn read_all(frame: &Frame) -> Option<usize> {
    let items: usize = match Request::decode(frame) {
        Ok(Request::Read(items)) => items.map(|item| item.key.len()).sum(),
        Ok(Request::Write(items)) => items.map(|item| item.key.len() + item.record.len()).sum(),
        Ok(Request::Forward(items)) => items.map(|item| item.arguments.iter().map(<[u8]>::len).sum::<usize>()).sum(),
        Ok(Request::Cold { bytes, .. }) => bytes.len(),
        Ok(Request::Ping) => 0,
        Err(_) => match Answer::decode(frame) {
            Ok(Answer::Read(items)) => items.map(|item| format!("{item:?}").len().min(1)).sum(),
            Ok(Answer::Write(items)) => items.count(),
            Ok(Answer::Forward(items)) => items.count(),
            Ok(Answer::Cold { bytes, .. }) => bytes.len(),
            Ok(Answer::Pong) => 0,
            Ok(Answer::Refused(refused)) => refused.help.len() + refused.refusal.text.len(),
            Err(_) => return None,
        },
    };
    Some(items)
}

/// A golden frame whose body has some bytes set, cut off or added, under a right checksum.
fn near_message() -> impl Strategy<Value = Frame> {
    let damage = vec((any::<Index>(), prop_oneof![any::<u8>(), 0u8..6, select(vec![0x7f, 0x80, 0xff])]), 0..4);
    (select(golden()), damage, any::<Index>(), any::<bool>(), vec(any::<u8>(), 0..4)).prop_map(
        |(bytes, damage, cut, is_cut, tail)| {
            let frame = frames_of(&bytes).remove(0);
            let mut body = frame.body.to_vec();
            for (place, byte) in damage.into_iter().filter(|_| !frame.body.is_empty()) {
                let place = place.index(body.len());
                body[place] = byte;
            }
            if is_cut {
                body.truncate(cut.index(body.len() + 1));
            }
            body.extend(tail);
            Frame { header: frame.header, body: body.into() }
        },
    )
}

#[test]
fn golden_frames_are_messages() {
    let golden = golden();
    assert!(golden.len() > 10);
    for bytes in golden {
        let frames = frames_of(&bytes);
        assert_eq!(frames.len(), 1);
        assert!(read_all(&frames[0]).is_some(), "{:?}", frames[0].header);
    }
}

proptest! {
    #![proptest_config(config(3000))]

    #[test]
    fn any_bytes_are_cut_into_frames_without_a_panic(bytes in vec(prop_oneof![any::<u8>(), 0u8..3], 0..200)) {
        for frame in frames_of(&bytes) {
            read_all(&frame);
        }
    }

    #[test]
    fn damaged_messages_are_refused_or_are_other_messages(frame in near_message()) {
        if let Some(read) = read_all(&frame) {
            prop_assert!(read <= frame.body.len(), "a view hands out no more than there is");
        }
    }

    #[test]
    fn a_stream_gives_the_same_frames_however_it_is_cut(
        sent in vec(select(golden()), 0..5),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let stream = sent.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut frames = Frames::new(LIMIT);
        let mut again = Vec::new();
        let mut count = 0;
        for piece in cuts.windows(2) {
            frames.input().extend_from_slice(&stream[piece[0]..piece[1]]);
            while let Some(frame) = frames.take().expect("they are frames") {
                put_frame(&mut again, &frame.header, &frame.body);
                count += 1;
            }
        }
        prop_assert_eq!((count, again), (sent.len(), stream));
    }
}
