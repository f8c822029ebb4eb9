//! The reply writer: one method per kind of reply, each as the connection's protocol spells it.
//!
//! Invariant: every method appends one whole reply, or one header that says how many replies follow; what a RESP2
//! client cannot read is written as the nearest RESP2 kind, as Redis 7.0.15 does.
//! Invariant: a line (`simple`, `error`) never carries a CR or LF of its own, whatever text it was given.
//!
//! Source: the RESP3 specification; Redis 7.0.15 `networking.c`.

use std::fmt::{Arguments, Write as _};

use crate::resp::number::{I64_TEXT_MAX, fill_i64, format_double};

/// Which version of RESP a connection speaks, as chosen by `HELLO`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What every connection begins with.
    #[default]
    Resp2,
    /// With maps, sets, doubles, booleans, pushes and one null.
    Resp3,
}

impl Protocol {
    /// The number that `HELLO` takes and gives.
    #[must_use]
    pub fn version(self) -> i64 {
        match self {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        }
    }
}

/// Writes replies to the end of an out buffer.
#[derive(Debug)]
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
}

impl<'a> Reply<'a> {
    /// A writer to the end of `out`.
    #[inline]
    #[must_use]
    pub fn new(out: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        Reply { out, protocol }
    }

    /// The protocol of what is written from here on.
    #[inline]
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Changes the protocol; `HELLO`'s own reply is in the new one.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Number of bytes in the out buffer, those of earlier replies included.
    #[inline]
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.out.len()
    }

    /// Takes back everything after the first `bytes` bytes of the out buffer (see [`Reply::buffered_bytes`]).
    pub fn truncate(&mut self, bytes: usize) {
        self.out.truncate(bytes);
    }

    /// `OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A short text of the server's own.
    #[inline]
    pub fn simple(&mut self, text: &str) {
        self.out.push(b'+');
        self.line(text.as_bytes());
    }

    /// An error: its code in capitals and its text (`ERR syntax error`), without the leading `-`.
    #[inline]
    pub fn error(&mut self, line: impl AsRef<[u8]>) {
        self.out.push(b'-');
        self.line(line.as_ref());
    }

    /// [`Reply::error`] from `format_args!`.
    pub fn error_args(&mut self, line: Arguments<'_>) {
        let mut text = String::new();
        // Writing to a String cannot fail; a Display that reports failure leaves its text cut short, still a line.
        let _ = text.write_fmt(line);
        self.error(text);
    }

    /// A whole number.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        self.number_line(b':', value);
    }

    /// A string of any bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + HEADER_BYTES_MAX + 2);
        self.bulk_header(bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// The header of a string of `bytes` bytes: the caller then writes exactly those with [`Reply::raw`] (in parts, if
    /// need be) and ends it with [`Reply::bulk_end`].
    #[inline]
    pub fn bulk_header(&mut self, bytes: usize) {
        self.number_line(b'$', bytes as i64);
    }

    /// Ends a string begun with [`Reply::bulk_header`].
    #[inline]
    pub fn bulk_end(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }

    /// Bytes as they are: part of a bulk, or replies that another node has written.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A string that holds a whole number's digits.
    pub fn bulk_integer(&mut self, value: i64) {
        let mut text = [0; I64_TEXT_MAX];
        let start = fill_i64(value, &mut text);
        self.bulk(text.get(start..).unwrap_or_default());
    }

    /// No value.
    #[inline]
    pub fn null(&mut self) {
        self.by_protocol(b"$-1\r\n", b"_\r\n");
    }

    /// No array.
    #[inline]
    pub fn null_array(&mut self) {
        self.by_protocol(b"*-1\r\n", b"_\r\n");
    }

    /// The header of `count` replies in order.
    #[inline]
    pub fn array(&mut self, count: usize) {
        self.number_line(b'*', count as i64);
    }

    /// The header of `pairs` pairs of replies, key and value; in RESP2 an array of all of them.
    #[inline]
    pub fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.number_line(b'*', pairs as i64 * 2),
            Protocol::Resp3 => self.number_line(b'%', pairs as i64),
        }
    }

    /// The header of `count` replies without order; in RESP2 an array.
    #[inline]
    pub fn set(&mut self, count: usize) {
        self.number_line(self.marker(b'*', b'~'), count as i64);
    }

    /// The header of a message of `count` replies that nobody asked for; in RESP2 an array.
    #[inline]
    pub fn push(&mut self, count: usize) {
        self.number_line(self.marker(b'*', b'>'), count as i64);
    }

    /// A double as `%.17g`; in RESP2 a bulk of that text.
    pub fn double(&mut self, value: f64) {
        let mut text = Vec::with_capacity(32);
        format_double(value, &mut text);
        self.text_by_protocol(b',', &text);
    }

    /// A truth value; in RESP2 the integer 1 or 0.
    #[inline]
    pub fn boolean(&mut self, value: bool) {
        match value {
            true => self.by_protocol(b":1\r\n", b"#t\r\n"),
            false => self.by_protocol(b":0\r\n", b"#f\r\n"),
        }
    }

    /// A text for people; in RESP2 a bulk.
    pub fn verbatim(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => {
                self.number_line(b'=', text.len() as i64 + 4);
                self.out.extend_from_slice(b"txt:");
                self.out.extend_from_slice(text.as_bytes());
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// The decimal digits of a number of any size; in RESP2 a bulk.
    pub fn big_number(&mut self, digits: &str) {
        self.text_by_protocol(b'(', digits.as_bytes());
    }

    /// A text that RESP3 writes as a line behind `marker`, RESP2 as a bulk.
    fn text_by_protocol(&mut self, marker: u8, text: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                self.out.push(marker);
                self.line(text);
            }
        }
    }

    #[inline]
    fn by_protocol(&mut self, resp2: &[u8], resp3: &[u8]) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::Resp2 => resp2,
            Protocol::Resp3 => resp3,
        });
    }

    #[inline]
    fn marker(&self, resp2: u8, resp3: u8) -> u8 {
        match self.protocol {
            Protocol::Resp2 => resp2,
            Protocol::Resp3 => resp3,
        }
    }

    /// The rest of a line: `text` with CR and LF turned into blanks, as Redis does, and CRLF.
    fn line(&mut self, text: &[u8]) {
        let start = self.out.len();
        self.out.extend_from_slice(text);
        for byte in self.out.iter_mut().skip(start) {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// `<marker><value>\r\n`, put together on the stack and appended once.
    #[inline]
    fn number_line(&mut self, marker: u8, value: i64) {
        if let digit @ 0..=9 = value {
            self.out.extend_from_slice(&[marker, b'0' + digit as u8, b'\r', b'\n']);
            return;
        }
        let mut text = [0; I64_TEXT_MAX];
        let start = fill_i64(value, &mut text);
        let digits = text.get(start..).unwrap_or_default();
        self.out.push(marker);
        self.out.extend_from_slice(digits);
        self.out.extend_from_slice(b"\r\n");
    }
}

/// Longest header of a bulk.
const HEADER_BYTES_MAX: usize = I64_TEXT_MAX + 3;

#[cfg(test)]
mod tests {
    use super::{Protocol, Reply};

    fn check(write: impl Fn(&mut Reply<'_>), resp2: &str, resp3: &str) {
        for (protocol, expected) in [(Protocol::Resp2, resp2), (Protocol::Resp3, resp3)] {
            let mut out = b"before".to_vec();
            write(&mut Reply::new(&mut out, protocol));
            assert_eq!(String::from_utf8_lossy(&out), format!("before{expected}"), "{protocol:?}");
        }
    }

    #[test]
    fn every_kind_is_spelled_for_its_protocol() {
        check(|reply| reply.ok(), "+OK\r\n", "+OK\r\n");
        check(|reply| reply.simple("PONG"), "+PONG\r\n", "+PONG\r\n");
        check(|reply| reply.error("ERR no"), "-ERR no\r\n", "-ERR no\r\n");
        check(|reply| reply.integer(0), ":0\r\n", ":0\r\n");
        check(|reply| reply.integer(-42), ":-42\r\n", ":-42\r\n");
        check(|reply| reply.integer(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n");
        check(|reply| reply.bulk(b""), "$0\r\n\r\n", "$0\r\n\r\n");
        check(|reply| reply.bulk(b"twelve bytes"), "$12\r\ntwelve bytes\r\n", "$12\r\ntwelve bytes\r\n");
        check(|reply| reply.bulk_integer(-7), "$2\r\n-7\r\n", "$2\r\n-7\r\n");
        check(|reply| reply.null(), "$-1\r\n", "_\r\n");
        check(|reply| reply.null_array(), "*-1\r\n", "_\r\n");
        check(|reply| reply.array(3), "*3\r\n", "*3\r\n");
        check(|reply| reply.map(7), "*14\r\n", "%7\r\n");
        check(|reply| reply.set(100), "*100\r\n", "~100\r\n");
        check(|reply| reply.push(3), "*3\r\n", ">3\r\n");
        check(|reply| reply.double(0.1), "$19\r\n0.10000000000000001\r\n", ",0.10000000000000001\r\n");
        check(|reply| reply.double(f64::INFINITY), "$3\r\ninf\r\n", ",inf\r\n");
        check(|reply| reply.boolean(true), ":1\r\n", "#t\r\n");
        check(|reply| reply.boolean(false), ":0\r\n", "#f\r\n");
        check(|reply| reply.verbatim("hi"), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n");
        check(|reply| reply.big_number("123"), "$3\r\n123\r\n", "(123\r\n");
    }

    #[test]
    fn a_bulk_can_be_written_in_parts() {
        let parts = |reply: &mut Reply<'_>| {
            reply.bulk_header(4);
            reply.raw(b"ab");
            reply.raw(b"cd");
            reply.bulk_end();
        };
        check(parts, "$4\r\nabcd\r\n", "$4\r\nabcd\r\n");
    }

    #[test]
    fn lines_stay_lines() {
        check(|reply| reply.error("ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n");
        check(|reply| reply.error_args(format_args!("ERR {}", "a\nb")), "-ERR a b\r\n", "-ERR a b\r\n");
        check(|reply| reply.simple("a\rb"), "+a b\r\n", "+a b\r\n");
    }
}
