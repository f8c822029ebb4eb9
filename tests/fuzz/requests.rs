//! The request scanner: against redis-protocol's decoder, against itself on other reads, and on bytes that mean nothing.

use annulus::resp::{Limits, ProtocolError, Scanned, Scanner, TooLarge, Trust};
use annulus::types::{Args, Span};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;

use crate::config;

type Request = Vec<Vec<u8>>;

const LIMITS: Limits = Limits { argument_bytes: 1000, request_bytes: 3000 };
const UNLIMITED: Limits = Limits { argument_bytes: 1 << 20, request_bytes: 1 << 20 };

/// What a scanner made of some input.
#[derive(Debug, PartialEq)]
enum Event {
    Request(Request),
    TooLarge(TooLarge),
    Error(ProtocolError),
}

/// A connection that scans whatever it has after every read, and drops what it no longer needs.
struct Connection {
    scanner: Scanner,
    buffer: Vec<u8>,
    spans: Vec<Span>,
    events: Vec<Event>,
    /// Most bytes that were left in the buffer after a read had been looked at.
    most_kept: usize,
}

impl Connection {
    fn new(limits: Limits, trust: Trust) -> Self {
        let mut scanner = Scanner::new(limits);
        scanner.set_trust(trust);
        Connection { scanner, buffer: Vec::new(), spans: Vec::new(), events: Vec::new(), most_kept: 0 }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        let before = self.events.len();
        let mut ranges = Vec::new();
        loop {
            match self.scanner.next(&mut self.buffer, &mut self.spans) {
                Ok(Scanned::Incomplete) => break,
                Ok(Scanned::Request(range)) => {
                    ranges.push((self.events.len(), range));
                    self.events.push(Event::Request(Vec::new()));
                }
                Ok(Scanned::TooLarge(too_large)) => self.events.push(Event::TooLarge(too_large)),
                Err(error) => {
                    self.events.push(Event::Error(error));
                    break;
                }
            }
        }
        // As a server does: all requests of a batch are found before the first is looked at.
        for (index, range) in ranges {
            let args = Args::new(&self.buffer, &self.spans[range]);
            self.events[index] = Event::Request(args.iter().map(<[u8]>::to_vec).collect());
        }
        assert!(self.scanner.wanted(self.buffer.len()) >= 1);
        assert!(self.spans.len() <= self.buffer.len(), "spans grow with bytes that have arrived");
        assert!(self.events.len() - before <= bytes.len(), "no event without a byte");
        self.buffer.drain(..self.scanner.rebase(&mut self.spans));
        self.most_kept = self.most_kept.max(self.buffer.len());
    }

    fn failed(&self) -> bool {
        matches!(self.events.last(), Some(Event::Error(_)))
    }
}

fn scan_whole(input: &[u8], limits: Limits, trust: Trust) -> Vec<Event> {
    let mut connection = Connection::new(limits, trust);
    connection.read(input);
    connection.events
}

/// Scans `input` in reads of the lengths `cuts`, over and over.
fn scan_cut(input: &[u8], cuts: &[usize], limits: Limits) -> Connection {
    let mut connection = Connection::new(limits, Trust::Authenticated);
    feed(&mut connection, input, cuts);
    connection
}

fn feed(connection: &mut Connection, mut input: &[u8], cuts: &[usize]) {
    let mut cuts = cuts.iter().cycle();
    while !input.is_empty() && !connection.failed() {
        let length = cuts.next().copied().unwrap_or(1).clamp(1, input.len());
        connection.read(&input[..length]);
        input = &input[length..];
    }
}

fn put(request: &Request, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", request.len()).as_bytes());
    for argument in request {
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
}

/// Every request of `input` up to the first that redis-protocol cannot read.
fn oracle(mut input: &[u8]) -> Vec<Request> {
    let mut requests = Vec::new();
    while let Ok(Some((OwnedFrame::Array(frames), bytes))) = decode(input) {
        let arguments = frames.into_iter().map(|frame| match frame {
            OwnedFrame::BulkString(argument) => Some(argument),
            _ => None,
        });
        let Some(request) = arguments.collect::<Option<Request>>() else { break };
        if !request.is_empty() {
            requests.push(request);
        }
        input = &input[bytes..];
    }
    requests
}

fn requests_of(events: Vec<Event>) -> Vec<Request> {
    let request = |event| match event {
        Event::Request(request) => Some(request),
        _ => None,
    };
    events.into_iter().map_while(request).collect()
}

fn argument() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..12),
        2 => vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'$'), Just(b'*'), Just(b'1')], 0..8),
        1 => (0usize..1500).prop_map(|length| vec![b'x'; length]),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    vec(argument(), 1..6)
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1usize..4, 1usize..40, 1usize..2000], 1..20)
}

/// Bytes that come near to being requests.
fn near_requests() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&'static [u8]> = vec![
        b"*1\r\n",
        b"*2\r\n",
        b"*3\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*11\r\n",
        b"$0\r\n",
        b"$1\r\n",
        b"$3\r\n",
        b"$12\r\n",
        b"$1500\r\n",
        b"$-1\r\n",
        b"a",
        b"abc",
        b"abc\r\n",
        b"SET k v\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\"",
        b"'",
        b"\\",
        b"\\x4",
        b"*",
        b"$",
        b"\0",
    ];
    let token = prop_oneof![
        12 => proptest::sample::select(known).prop_map(<[u8]>::to_vec),
        3 => vec(any::<u8>(), 1..3),
        2 => (any::<u8>(), 0usize..3000).prop_map(|(byte, length)| vec![byte; length]),
        4 => request().prop_map(|request| { let mut bytes = Vec::new(); put(&request, &mut bytes); bytes }),
    ];
    vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn whole_requests_are_read_as_redis_protocol_reads_them(requests in vec(request(), 1..8), cuts in cuts()) {
        let mut input = Vec::new();
        requests.iter().for_each(|request| put(request, &mut input));
        prop_assert_eq!(&oracle(&input), &requests);
        prop_assert_eq!(requests_of(scan_whole(&input, UNLIMITED, Trust::Authenticated)), requests.clone());
        prop_assert_eq!(requests_of(scan_cut(&input, &cuts, UNLIMITED).events), requests);
    }

    #[test]
    fn damaged_requests_are_never_read_otherwise_than_by_redis_protocol(
        requests in vec(request(), 1..4),
        damage in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..3),
    ) {
        let mut input = Vec::new();
        requests.iter().for_each(|request| put(request, &mut input));
        for (place, byte) in damage {
            let place = place.index(input.len());
            input[place] = byte;
        }
        // Up to the first thing that is no flat request, all that the scanner takes for a request must be one.
        let flat = input.iter().take(1).all(|&byte| byte == b'*');
        let (expected, found) = (oracle(&input), requests_of(scan_whole(&input, UNLIMITED, Trust::Authenticated)));
        let common = expected.len().min(found.len());
        if flat {
            prop_assert_eq!(&found[..common], &expected[..common]);
        }
    }

    #[test]
    fn what_is_found_does_not_depend_on_the_reads(input in near_requests(), cuts in cuts()) {
        for limits in [LIMITS, UNLIMITED] {
            let whole = scan_whole(&input, limits, Trust::Authenticated);
            prop_assert_eq!(&scan_cut(&input, &cuts, limits).events, &whole);
            prop_assert_eq!(&scan_cut(&input, &[1], limits).events, &whole);
        }
    }

    #[test]
    fn any_bytes_are_survived(input in vec(any::<u8>(), 0..2000), cuts in cuts()) {
        let connection = scan_cut(&input, &cuts, LIMITS);
        prop_assert_eq!(connection.events, scan_whole(&input, LIMITS, Trust::Authenticated));
    }

    #[test]
    fn limits_hold_and_the_connection_stays_in_step(
        requests in vec(vec((0usize..2500).prop_map(|length| vec![b'v'; length]), 1..5), 1..6),
        cuts in cuts(),
    ) {
        let (mut input, mut expected) = (Vec::new(), Vec::new());
        for request in requests {
            let start = input.len();
            put(&request, &mut input);
            let bytes = input.len() - start;
            expected.push((request, bytes));
        }
        let connection = scan_cut(&input, &cuts, LIMITS);
        prop_assert_eq!(connection.events.len(), expected.len());
        for (event, (request, bytes)) in connection.events.into_iter().zip(expected) {
            let longest = request.iter().map(Vec::len).max().unwrap_or(0);
            match event {
                Event::Request(found) => {
                    prop_assert!(longest <= LIMITS.argument_bytes && bytes <= LIMITS.request_bytes);
                    prop_assert_eq!(found, request);
                }
                Event::TooLarge(TooLarge::Argument { bytes, limit }) => {
                    prop_assert!(limit == LIMITS.argument_bytes && bytes > limit);
                    prop_assert!(request.iter().any(|argument| argument.len() == bytes));
                }
                Event::TooLarge(TooLarge::Request { limit }) => prop_assert!(bytes > limit),
                Event::Error(error) => prop_assert!(false, "{}", error),
            }
        }
        // No more is kept than a request within the limits, and a length line.
        prop_assert!(connection.most_kept <= LIMITS.request_bytes + 10, "{} bytes kept", connection.most_kept);
    }

    #[test]
    fn before_authentication_nothing_large_is_kept(input in near_requests(), cuts in cuts()) {
        let mut connection = Connection::new(UNLIMITED, Trust::Unauthenticated);
        feed(&mut connection, &input, &cuts);
        for event in &connection.events {
            if let Event::Request(request) = event {
                prop_assert!(request.iter().all(|argument| argument.len() <= 65_536));
            }
        }
        prop_assert_eq!(connection.events, scan_whole(&input, UNLIMITED, Trust::Unauthenticated));
    }
}

/// One quoted word: what is meant, and how it is written.
fn quoted_word() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let double = vec((any::<u8>(), any::<bool>()), 0..10).prop_map(|bytes| {
        let mut text = b"\"".to_vec();
        for &(byte, hex) in &bytes {
            match byte {
                b'\n' => text.extend_from_slice(b"\\n"),
                b'"' | b'\\' => text.extend_from_slice(&[b'\\', byte]),
                _ if hex => text.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
                _ => text.push(byte),
            }
        }
        text.push(b'"');
        (bytes.into_iter().map(|(byte, _)| byte).collect(), text)
    });
    let plain = vec(proptest::sample::select(b"abc123:{}\\$*".to_vec()), 1..10).prop_map(|word| (word.clone(), word));
    let single = vec(proptest::sample::select(b"ab \"\t'x".to_vec()), 0..10).prop_map(|word| {
        let text = String::from_utf8_lossy(&word).replace('\'', "\\'");
        (word, format!("'{text}'").into_bytes())
    });
    prop_oneof![double, plain, single]
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn quoted_words_read_back(words in vec(quoted_word(), 1..6), cuts in cuts()) {
        let (meant, written): (Request, Request) = words.into_iter().unzip();
        // A line that begins with an asterisk is no inline request.
        let mut line = b" ".to_vec();
        line.extend(written.join(&b' '));
        line.extend_from_slice(b"\r\n");
        let input = [&line[..], b"PING\r\n"].concat();
        let expected = vec![meant, vec![b"PING".to_vec()]];
        prop_assert_eq!(requests_of(scan_cut(&input, &cuts, UNLIMITED).events), expected);
    }
}

/// Linear time, without a clock: bytes that were looked at once may turn into anything, and nobody notices.
#[test]
fn no_byte_is_searched_twice() {
    let (mut scanner, mut spans) = (Scanner::new(UNLIMITED), Vec::new());
    let mut line = [b'x'; 100];
    assert_eq!(scanner.next(&mut line[..90], &mut spans), Ok(Scanned::Incomplete));
    line[50] = b'\n';
    line[99] = b'\n';
    assert_eq!(scanner.next(&mut line, &mut spans), Ok(Scanned::Request(0..2)), "one line, with a blank in it");

    let (mut scanner, mut spans) = (Scanner::new(UNLIMITED), Vec::new());
    let mut input = b"*2\r\n$1\r\nk\r\n$0000000".to_vec();
    assert_eq!(scanner.next(&mut input, &mut spans), Ok(Scanned::Incomplete));
    input.truncate(input.len() - 7);
    input.extend_from_slice(b"\r\n00000\r\n");
    let error = scanner.next(&mut input, &mut spans);
    assert_eq!(error, Err(ProtocolError::InvalidLength), "one line, with a line end in it");

    let (mut scanner, mut spans) = (Scanner::new(UNLIMITED), Vec::new());
    let mut input = b"*2\r\n$1\r\nk\r\n$100000\r\nvvvv".to_vec();
    assert_eq!(scanner.next(&mut input, &mut spans), Ok(Scanned::Incomplete));
    input.fill(b'\r');
    input.resize(100_020, b'\r');
    assert_eq!(scanner.next(&mut input, &mut spans), Ok(Scanned::Incomplete));
    input.extend_from_slice(b"\r\n");
    assert_eq!(scanner.next(&mut input, &mut spans), Ok(Scanned::Request(0..2)));
    assert_eq!(spans[1], Span { start: 20, len: 100_000 });
}
