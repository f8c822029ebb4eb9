//! The request scanner: finds the commands in a connection's read buffer without copying or allocating.
//!
//! It knows exactly two shapes: `*N\r\n` followed by N times `$length\r\n<bytes>\r\n`, and inline lines (see `inline`).
//! There is no recursion, so no input can nest. Texts and limits of errors are Redis 7.0.15's; that of the argument
//! count (1,048,576) is Redis 6's, since later ones would let a client ask for 2^31 spans.
//!
//! Invariant: bytes before `position` are never looked at again, and a line is searched for its end only once, so that
//! a request costs time linear in its length however it is cut into reads.
//! Invariant: the same bytes give the same requests, refusals and error, however they are cut into reads.
//! Invariant: nothing is reserved for a length that was only announced; spans grow with bytes that have arrived.
//! Invariant: bytes before `start` belong to requests already reported (or being skipped) and may be dropped.
//!
//! Inline arguments are unquoted in place, which is why [`Scanner::next`] takes the buffer mutably: an unquoted text is
//! never longer than the quoted one, so spans stay ranges of the one buffer, and no side area has to live as long.
//!
//! Differences from Redis, all on input that no client sends: a bulk's closing CRLF is checked rather than skipped; a
//! zero byte in an inline line is an ordinary byte rather than the end of everything.
//!
//! Source: Redis 7.0.15 `networking.c` (`processInlineBuffer`, `processMultibulkBuffer`).

use std::ops::Range;

use crate::resp::error::{ProtocolError, TooLarge};
use crate::resp::inline;
use crate::resp::number::parse_i64;
use crate::types::Span;

/// Longest line: an inline request, or a count or length with its marker.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Most arguments of one request.
const ARGUMENTS_MAX: i64 = 1024 * 1024;
/// Longest argument that a client may announce; longer ones lose the connection (Redis's `proto-max-bulk-len`).
const BULK_BYTES_MAX: i64 = 512 * 1024 * 1024;
/// Most arguments of one request before authentication.
const UNAUTHENTICATED_ARGUMENTS_MAX: i64 = 10;
/// Longest argument before authentication.
const UNAUTHENTICATED_BULK_BYTES_MAX: i64 = 16_384;
/// Spans kept allocated between batches.
const SPANS_KEPT: usize = 4096;

/// How much of one request is buffered; what is longer is skipped and reported as [`Scanned::TooLarge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest argument (`max-pair-bytes`).
    pub argument_bytes: usize,
    /// Longest request, markers included (`query-buffer-max`).
    pub request_bytes: usize,
}

/// Whether the connection has passed authentication, or needs none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Requests of more than 10 arguments or arguments of more than 16 KB are protocol errors. The caller carries out
    /// each request before it scans the next, which may come after the `AUTH` that lifts these limits.
    Unauthenticated,
    /// The ordinary limits.
    Authenticated,
}

/// What [`Scanner::next`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// A request: these entries of the spans, at least one, the command's name first.
    Request(Range<usize>),
    /// A request was beyond the limits and has been skipped; the error line is its reply, the connection is in step.
    TooLarge(TooLarge),
    /// The rest has yet to arrive.
    Incomplete,
}

/// Where a scanner stands in the request at hand.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Between requests.
    Request,
    /// Before the `$` of an argument.
    Length,
    /// Before the `bytes` bytes of an argument and their CRLF.
    Body { bytes: usize },
    /// Inside an argument that is not kept, `left` bytes before its CRLF.
    Skip { left: usize },
    /// After an error: nothing can follow.
    Failed(ProtocolError),
}

/// A connection's place in its read buffer.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    trust: Trust,
    stage: Stage,
    /// First byte that may not be dropped yet.
    start: usize,
    /// First byte that has not been understood.
    position: usize,
    /// No line end lies between `position` and here.
    searched: usize,
    /// Arguments of the present request that are still to come.
    arguments_left: usize,
    /// Index of the present request's first span.
    first_span: usize,
    /// Why the present request is being skipped.
    refused: Option<TooLarge>,
}

impl Scanner {
    /// A scanner at the start of an empty buffer, of a connection that needs no authentication.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Scanner {
            limits,
            trust: Trust::Authenticated,
            stage: Stage::Request,
            start: 0,
            position: 0,
            searched: 0,
            arguments_left: 0,
            first_span: 0,
            refused: None,
        }
    }

    /// Replaces the limits; they hold from the next argument on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Says whether the connection has authenticated; it holds from the next argument on.
    pub fn set_trust(&mut self, trust: Trust) {
        self.trust = trust;
    }

    /// Number of leading bytes of the buffer that no later request needs: those of all requests reported so far, and
    /// of what is being skipped. After `Incomplete`, and once those requests are carried out, see [`Scanner::rebase`].
    #[must_use]
    pub fn consumed(&self) -> usize {
        self.start
    }

    /// How many bytes the present argument still needs if `buffered` bytes are in the buffer: a hint for the next
    /// read, at least 1, never more than the limits allow to be buffered.
    #[must_use]
    pub fn wanted(&self, buffered: usize) -> usize {
        match self.stage {
            Stage::Body { bytes } => (self.position + bytes + 2).saturating_sub(buffered).max(1),
            _ => 1,
        }
    }

    /// Forgets all reported requests: takes their spans out of `spans`, and returns how many leading bytes the caller
    /// now drops from the buffer. Ranges and spans handed out before are void.
    #[must_use = "these bytes must be dropped from the buffer"]
    pub fn rebase(&mut self, spans: &mut Vec<Span>) -> usize {
        let dropped = std::mem::take(&mut self.start);
        self.position -= dropped;
        self.searched = self.searched.saturating_sub(dropped);
        self.forget(spans);
        for span in spans.iter_mut() {
            // The present request's spans lie behind `start`, and no buffer that they fit in reaches 4 GB.
            span.start -= dropped as u32;
        }
        if spans.capacity() > SPANS_KEPT {
            spans.shrink_to(SPANS_KEPT);
        }
        dropped
    }

    /// Takes the spans of all reported requests out of `spans`, but leaves the bytes where they are: for a caller with
    /// much more in its buffer, which drops bytes rarely rather than move the rest each time.
    pub fn forget(&mut self, spans: &mut Vec<Span>) {
        spans.drain(..self.first_span.min(spans.len()));
        self.first_span = 0;
    }

    /// Looks for the next request in `buffer`, whose bytes up to [`Scanner::consumed`] and beyond must be those of the
    /// previous call (less what was dropped at a [`Scanner::rebase`]), with newly read bytes at the end. Spans are
    /// appended to `spans`, where those of a request that is not whole stay for the next call.
    ///
    /// # Errors
    /// [`ProtocolError`], and the same one ever after.
    #[inline]
    pub fn next(&mut self, buffer: &mut [u8], spans: &mut Vec<Span>) -> Result<Scanned, ProtocolError> {
        let found = self.advance(buffer, spans);
        if let Err(error) = found {
            self.stage = Stage::Failed(error);
        }
        found
    }

    fn advance(&mut self, buffer: &mut [u8], spans: &mut Vec<Span>) -> Result<Scanned, ProtocolError> {
        // Spans hold 32 bits: what lies behind 4 GB has to wait until the caller drops what is before it.
        let visible = buffer.len().min(u32::MAX as usize);
        let Some(buffer) = buffer.get_mut(..visible) else { return Ok(Scanned::Incomplete) };
        loop {
            let progress = match self.stage {
                Stage::Request => self.begin(buffer, spans)?,
                Stage::Length => self.arguments(buffer, spans)?,
                Stage::Body { bytes } => self.body(buffer, bytes, spans)?,
                Stage::Skip { left } => self.skip(buffer, left)?,
                Stage::Failed(error) => return Err(error),
            };
            match progress {
                Progress::Going => {}
                Progress::Starved => return Ok(Scanned::Incomplete),
                Progress::Whole => return Ok(self.finish(spans)),
            }
        }
    }

    /// Reads a request's first line.
    #[inline]
    fn begin(&mut self, buffer: &mut [u8], spans: &mut Vec<Span>) -> Result<Progress, ProtocolError> {
        let Some(&marker) = buffer.get(self.position) else { return Ok(Progress::Starved) };
        if marker != b'*' {
            return self.inline(buffer, spans);
        }
        let Some(count) = self.number(buffer, &COUNT)? else { return Ok(Progress::Starved) };
        if count > ARGUMENTS_MAX {
            return Err(ProtocolError::InvalidCount);
        }
        if count > UNAUTHENTICATED_ARGUMENTS_MAX && self.trust == Trust::Unauthenticated {
            return Err(ProtocolError::UnauthenticatedCount);
        }
        if count <= 0 {
            self.start = self.position;
            return Ok(Progress::Going);
        }
        self.arguments_left = count as usize;
        self.stage = Stage::Length;
        self.arguments(buffer, spans)
    }

    /// Reads arguments as long as they are whole.
    #[inline]
    fn arguments(&mut self, buffer: &[u8], spans: &mut Vec<Span>) -> Result<Progress, ProtocolError> {
        self.short_arguments(buffer, spans);
        while self.arguments_left > 0 {
            let Some(length) = self.number(buffer, &LENGTH)? else {
                self.keep_up_if_refused();
                return Ok(Progress::Starved);
            };
            let bytes = self.check_length(length)?;
            self.refuse_if_too_large(bytes, spans);
            if self.refused.is_some() {
                self.stage = Stage::Skip { left: bytes };
                return Ok(Progress::Going);
            }
            if let Progress::Starved = self.body(buffer, bytes, spans)? {
                return Ok(Progress::Starved);
            }
        }
        Ok(Progress::Whole)
    }

    /// Takes as many arguments as are whole, well formed, below 1,000 bytes and within the limits. Stops without a word
    /// before the first that is not: this is the path of nearly every argument, and it holds its place in registers.
    #[inline]
    fn short_arguments(&mut self, buffer: &[u8], spans: &mut Vec<Span>) {
        if self.refused.is_some() {
            return;
        }
        let (mut position, mut left) = (self.position, self.arguments_left);
        let argument_limit = self.limits.argument_bytes;
        let request_limit = self.start.saturating_add(self.limits.request_bytes);
        while left > 0 {
            let Some((bytes, line_bytes)) = short_number(buffer, position, b'$') else { break };
            let body = position + line_bytes;
            let end = body + bytes;
            if buffer.get(end..end + 2) != Some(b"\r\n") || bytes > argument_limit || end + 2 > request_limit {
                break;
            }
            spans.push(Span { start: body as u32, len: bytes as u32 });
            position = end + 2;
            left -= 1;
        }
        self.position = position;
        self.arguments_left = left;
    }

    #[inline]
    fn check_length(&self, length: i64) -> Result<usize, ProtocolError> {
        if !(0..=BULK_BYTES_MAX).contains(&length) {
            return Err(ProtocolError::InvalidLength);
        }
        if length > UNAUTHENTICATED_BULK_BYTES_MAX && self.trust == Trust::Unauthenticated {
            return Err(ProtocolError::UnauthenticatedLength);
        }
        Ok(length as usize)
    }

    /// Turns to skipping if an argument of `bytes` bytes at `position` breaks a limit.
    #[inline]
    fn refuse_if_too_large(&mut self, bytes: usize, spans: &mut Vec<Span>) {
        let too_large = if bytes > self.limits.argument_bytes {
            TooLarge::Argument { bytes, limit: self.limits.argument_bytes }
        } else if self.position - self.start + bytes + 2 > self.limits.request_bytes {
            TooLarge::Request { limit: self.limits.request_bytes }
        } else {
            return;
        };
        self.refused.get_or_insert(too_large);
        spans.truncate(self.first_span);
    }

    /// Takes an argument of `bytes` bytes at `position` if it is all there.
    #[inline]
    fn body(&mut self, buffer: &[u8], bytes: usize, spans: &mut Vec<Span>) -> Result<Progress, ProtocolError> {
        let end = self.position + bytes;
        match buffer.get(end..end + 2) {
            Some(b"\r\n") => {}
            Some(_) => return Err(ProtocolError::ExpectedLineEnd),
            None => {
                self.stage = Stage::Body { bytes };
                return Ok(Progress::Starved);
            }
        }
        spans.push(Span { start: self.position as u32, len: bytes as u32 });
        self.position = end + 2;
        self.arguments_left -= 1;
        self.stage = Stage::Length;
        Ok(Progress::Going)
    }

    /// Passes over an argument that is not kept.
    fn skip(&mut self, buffer: &[u8], left: usize) -> Result<Progress, ProtocolError> {
        let here = left.min(buffer.len().saturating_sub(self.position));
        self.position += here;
        self.start = self.position;
        self.stage = Stage::Skip { left: left - here };
        if left > here {
            return Ok(Progress::Starved);
        }
        match buffer.get(self.position..self.position + 2) {
            Some(b"\r\n") => {}
            Some(_) => return Err(ProtocolError::ExpectedLineEnd),
            None => return Ok(Progress::Starved),
        }
        self.position += 2;
        self.arguments_left -= 1;
        self.stage = Stage::Length;
        Ok(Progress::Going)
    }

    /// Lets the caller drop what has been passed over of a request that is skipped.
    fn keep_up_if_refused(&mut self) {
        if self.refused.is_some() {
            self.start = self.position;
        }
    }

    /// Ends a request whose last byte is before `position`.
    #[inline]
    fn finish(&mut self, spans: &[Span]) -> Scanned {
        self.stage = Stage::Request;
        self.start = self.position;
        let range = self.first_span..spans.len();
        self.first_span = range.end;
        match self.refused.take() {
            None => Scanned::Request(range),
            Some(too_large) => Scanned::TooLarge(too_large),
        }
    }

    /// Reads the line of a marker and a number at `position`, and steps behind it; `None` if it is not whole.
    #[inline]
    fn number(&mut self, buffer: &[u8], kind: &NumberLine) -> Result<Option<i64>, ProtocolError> {
        match short_number(buffer, self.position, kind.marker) {
            Some((value, line_bytes)) => {
                self.position += line_bytes;
                Ok(Some(value as i64))
            }
            None => self.any_number(buffer, kind),
        }
    }

    /// [`Scanner::number`] for lines that are long, cut short or wrong.
    #[inline(never)]
    fn any_number(&mut self, buffer: &[u8], kind: &NumberLine) -> Result<Option<i64>, ProtocolError> {
        let Some(line_end) = self.find(buffer, b'\r', kind.too_big)? else { return Ok(None) };
        // The line ends with two bytes: wait for the second.
        let Some(&line_feed) = buffer.get(line_end + 1) else { return Ok(None) };
        let Some((&marker, digits)) = buffer.get(self.position..line_end).and_then(<[u8]>::split_first) else {
            return Err(ProtocolError::ExpectedBulk(b'\r'));
        };
        if marker != kind.marker {
            return Err(ProtocolError::ExpectedBulk(marker));
        }
        if line_feed != b'\n' {
            return Err(kind.invalid);
        }
        let value = parse_i64(digits).ok_or(kind.invalid)?;
        self.position = line_end + 2;
        Ok(Some(value))
    }

    /// Reads an inline request.
    #[inline(never)]
    fn inline(&mut self, buffer: &mut [u8], spans: &mut Vec<Span>) -> Result<Progress, ProtocolError> {
        let Some(line_end) = self.find(buffer, b'\n', ProtocolError::InlineTooBig)? else {
            return Ok(Progress::Starved);
        };
        let start = self.position;
        let Some(line) = buffer.get_mut(start..line_end) else { return Ok(Progress::Starved) };
        inline::split(line, start, spans).ok_or(ProtocolError::UnbalancedQuotes)?;
        self.position = line_end + 1;
        let arguments = spans.get(self.first_span..).unwrap_or_default();
        if arguments.is_empty() {
            self.start = self.position;
            return Ok(Progress::Going);
        }
        let longest = arguments.iter().map(|span| span.len as usize).find(|&bytes| bytes > self.limits.argument_bytes);
        if let Some(bytes) = longest {
            self.refuse_if_too_large(bytes, spans);
        }
        Ok(Progress::Whole)
    }

    /// Finds the `end` byte of the line at `position`, starting where the last search of this line stopped.
    fn find(&mut self, buffer: &[u8], end: u8, too_big: ProtocolError) -> Result<Option<usize>, ProtocolError> {
        let from = self.searched.max(self.position);
        let limit = buffer.len().min(self.position + LINE_BYTES_MAX + 1);
        let unseen = buffer.get(from..limit).unwrap_or_default();
        if let Some(index) = unseen.iter().position(|&byte| byte == end) {
            self.searched = from + index;
            return Ok(Some(from + index));
        }
        self.searched = limit.max(from);
        if buffer.len() - self.position > LINE_BYTES_MAX { Err(too_big) } else { Ok(None) }
    }
}

/// What a step of the scanner came to.
enum Progress {
    /// A stage is done, go on with the next.
    Going,
    /// Bytes are missing.
    Starved,
    /// The request is whole.
    Whole,
}

/// A kind of line that holds a marker and a number.
struct NumberLine {
    marker: u8,
    invalid: ProtocolError,
    too_big: ProtocolError,
}

const COUNT: NumberLine =
    NumberLine { marker: b'*', invalid: ProtocolError::InvalidCount, too_big: ProtocolError::CountTooBig };
const LENGTH: NumberLine =
    NumberLine { marker: b'$', invalid: ProtocolError::InvalidLength, too_big: ProtocolError::LengthTooBig };

/// The number of at most three digits on the whole line at `position`, and the line's length with marker and CRLF.
#[inline]
fn short_number(buffer: &[u8], position: usize, marker: u8) -> Option<(usize, usize)> {
    // No argument is shorter than `$0\r\n\r\n`, so of a whole request six bytes are always there: one check of bounds.
    let &[first, a, b, c, d, e] = buffer.get(position..)?.first_chunk::<6>()?;
    let digit = |byte: u8| usize::from(byte.wrapping_sub(b'0'));
    if first != marker {
        None
    } else if (b, c) == (b'\r', b'\n') {
        (digit(a) <= 9).then_some((digit(a), 4))
    } else if (c, d) == (b'\r', b'\n') {
        ((1..=9).contains(&digit(a)) && digit(b) <= 9).then_some((digit(a) * 10 + digit(b), 5))
    } else if (d, e) == (b'\r', b'\n') {
        let plain = (1..=9).contains(&digit(a)) && digit(b) <= 9 && digit(c) <= 9;
        plain.then_some((digit(a) * 100 + digit(b) * 10 + digit(c), 6))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::{ARGUMENTS_MAX, LINE_BYTES_MAX, Limits, Scanned, Scanner, Trust};
    use crate::types::{Args, Span};

    const LIMITS: Limits = Limits { argument_bytes: 40_000, request_bytes: 100_000 };

    /// Feeds `input` in reads of `chunk` bytes, drops what is consumed after each, and lists what came of it.
    fn scan(input: &[u8], chunk: usize, trust: Trust) -> Vec<String> {
        let mut scanner = Scanner::new(LIMITS);
        scanner.set_trust(trust);
        let (mut buffer, mut spans, mut found) = (Vec::new(), Vec::<Span>::new(), Vec::new());
        for read in input.chunks(chunk) {
            buffer.extend_from_slice(read);
            loop {
                match scanner.next(&mut buffer, &mut spans) {
                    Ok(Scanned::Request(range)) => found.push(text(Args::new(&buffer, &spans[range]))),
                    Ok(Scanned::TooLarge(too_large)) => found.push(too_large.to_string()),
                    Ok(Scanned::Incomplete) => break,
                    Err(error) => {
                        assert_eq!(scanner.next(&mut buffer, &mut spans), Err(error), "errors are final");
                        found.push(error.to_string());
                        return found;
                    }
                }
            }
            assert!(buffer.len() - scanner.consumed() <= LIMITS.request_bytes + chunk);
            buffer.drain(..scanner.rebase(&mut spans));
        }
        found
    }

    fn text(args: Args<'_>) -> String {
        let words: Vec<_> = args.iter().map(|arg| arg.escape_ascii().to_string()).collect();
        words.join("|")
    }

    /// Scans `input` whole, byte by byte and in parts of 7; all must give `expected`.
    fn check_as(trust: Trust, input: impl AsRef<[u8]>, expected: &[&str]) {
        let input = input.as_ref();
        for chunk in [input.len().max(1), 1, 7] {
            let found = scan(input, chunk, trust);
            let shown = &input[..input.len().min(80)];
            assert_eq!(found, expected, "{} in reads of {chunk}", shown.escape_ascii());
        }
    }

    fn check(input: impl AsRef<[u8]>, expected: &[&str]) {
        check_as(Trust::Authenticated, input, expected);
    }

    #[test]
    fn requests_are_found_in_order() {
        check("*1\r\n$4\r\nPING\r\n", &["PING"]);
        check(
            "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
            &["SET|k|a\\r\\nb", "GET|"],
        );
        check("*2\r\n$3\r\nGET\r\n$1\r\n", &[]);
        let long = "x".repeat(12_345);
        check(
            format!("*11\r\n{}", format!("$12345\r\n{long}\r\n").repeat(1) + &"$1\r\ny\r\n".repeat(10)),
            &[&(long + &"|y".repeat(10))],
        );
    }

    #[test]
    fn empty_requests_are_passed_over() {
        check("*0\r\n*-1\r\n*-7\r\n\r\n\n   \r\n*1\r\n$1\r\nx\r\n", &["x"]);
    }

    #[test]
    fn protocol_errors_have_the_texts_of_redis() {
        for (input, error) in [
            ("*1048577\r\n", "invalid multibulk length"),
            ("*x\r\n", "invalid multibulk length"),
            ("*\r\n", "invalid multibulk length"),
            ("*+1\r\n", "invalid multibulk length"),
            ("*01\r\n", "invalid multibulk length"),
            ("*1\rx", "invalid multibulk length"),
            ("*1\n$1\r\n", "invalid multibulk length"),
            ("*99999999999999999999\r\n", "invalid multibulk length"),
            ("*1\r\nx4\r\nPING\r\n", "expected '$', got 'x'"),
            ("*1\r\n*1\r\n", "expected '$', got '*'"),
            ("*1\r\n\r\n", "expected '$', got '\r'"),
            ("*1\r\n$\r\n", "invalid bulk length"),
            ("*1\r\n$-1\r\n", "invalid bulk length"),
            ("*1\r\n$1x\r\n", "invalid bulk length"),
            ("*1\r\n$536870913\r\n", "invalid bulk length"),
            ("*1\r\n$4\r\nPINGxx", "expected CRLF after bulk"),
            ("SET k \"v\r\n", "unbalanced quotes in request"),
            ("SET k 'v'x\r\n", "unbalanced quotes in request"),
        ] {
            check(input, &[&format!("ERR Protocol error: {error}")]);
            check(format!("PING\r\n{input}"), &["PING", &format!("ERR Protocol error: {error}")]);
        }
    }

    #[test]
    fn lines_have_a_limit() {
        for (start, error) in [
            ("", "too big inline request"),
            ("*", "too big mbulk count string"),
            ("*1\r\n$", "too big bulk count string"),
        ] {
            let line = "1".repeat(LINE_BYTES_MAX + 1);
            check(format!("{start}{line}"), &[&format!("ERR Protocol error: {error}")]);
        }
        let line = "a ".repeat(LINE_BYTES_MAX / 2);
        check(format!("{line}\n"), &[line.trim().replace(' ', "|").as_str()]);
        check(format!("{line}\r\n"), &["ERR Protocol error: too big inline request"]);
    }

    #[test]
    fn before_authentication_requests_are_small() {
        let check = |input: String, expected: &[&str]| check_as(Trust::Unauthenticated, input, expected);
        check("*10\r\n".to_owned() + &"$1\r\na\r\n".repeat(10), &["a|a|a|a|a|a|a|a|a|a"]);
        check("*11\r\n".to_owned(), &["ERR Protocol error: unauthenticated multibulk length"]);
        check("*1\r\n$16384\r\n".to_owned(), &[]);
        check("*1\r\n$16385\r\n".to_owned(), &["ERR Protocol error: unauthenticated bulk length"]);
    }

    #[test]
    fn inline_requests_follow_the_quoting_rules() {
        for (line, expected) in [
            ("PING", "PING"),
            ("  set\tk  v  ", "set|k|v"),
            ("set k \"a b\"", "set|k|a b"),
            (r#"set k "\n\r\t\b\a\"\\\q""#, r#"set|k|\n\r\t\x08\x07\"\\q"#),
            (r#"set k "\x41\xff\xg1\x4""#, r"set|k|A\xffxg1x4"),
            (r#"set k 'a\'b\n"'"#, r#"set|k|a\'b\\n\""#),
            (r#"a"b c"  d'e'"#, "ab c|de"),
            (r#""" ''"#, "|"),
        ] {
            check(format!("{line}\r\n"), &[expected]);
            check(format!("{line}\nPING\n"), &[expected, "PING"]);
        }
    }

    #[test]
    fn what_is_too_large_is_skipped_and_the_connection_stays_in_step() {
        let (big, ping) = ("v".repeat(40_001), "*1\r\n$4\r\nPING\r\n");
        let error = "ERR value of 40001 bytes exceeds max-pair-bytes (40000)";
        check(format!("{ping}*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$40001\r\n{big}\r\n{ping}"), &["PING", error, "PING"]);
        check(format!("*3\r\n$40001\r\n{big}\r\n$1\r\nk\r\n$40001\r\n{big}\r\n{ping}"), &[error, "PING"]);
        check(format!("SET k {big}\r\n{ping}"), &[error, "PING"]);
        let fits = "v".repeat(40_000);
        check(format!("*1\r\n$40000\r\n{fits}\r\n"), &[&fits]);
        let mut many = "*4\r\n".to_owned();
        (0..4).for_each(|_| write!(many, "$30000\r\n{}\r\n", "v".repeat(30_000)).expect("a String"));
        check(many + ping, &["ERR request exceeds query-buffer-max (100000)", "PING"]);
        check(format!("*2\r\n$40001\r\n{big}\r\nx\r\n"), &["ERR Protocol error: expected '$', got 'x'"]);
        check(format!("*2\r\n$40001\r\n{big}xx"), &["ERR Protocol error: expected CRLF after bulk"]);
    }

    #[test]
    fn the_most_arguments_a_request_may_have() {
        let input = format!("*{ARGUMENTS_MAX}\r\n") + &"$0\r\n\r\n".repeat(10);
        let (mut scanner, mut spans) = (Scanner::new(LIMITS), Vec::new());
        assert_eq!(scanner.next(&mut input.into_bytes(), &mut spans), Ok(Scanned::Incomplete));
        assert!(spans.capacity() < 100, "nothing is reserved for what was announced");
    }

    #[test]
    fn a_long_value_says_how_much_is_missing() {
        let (mut scanner, mut spans) = (Scanner::new(LIMITS), Vec::new());
        let mut input = b"*2\r\n$1\r\nx\r\n$1000\r\nabc".to_vec();
        assert_eq!(scanner.next(&mut input, &mut spans), Ok(Scanned::Incomplete));
        assert_eq!((scanner.consumed(), scanner.wanted(input.len())), (0, 999));
    }
}
