//! Inline requests: one line, split into words by Redis's quoting rules.
//!
//! Words are separated by blanks. In double quotes `\n \r \t \b \a \xHH` and `\` before any other byte are escapes; in
//! single quotes only `\'` is. A quote may open inside a word, but what closes it must be followed by a blank or the end.
//!
//! Invariant: a word's bytes are written at or before the place they are read from, inside its own line.
//!
//! Source: Redis 7.0.15 `sds.c` (`sdssplitargs`).

use crate::types::Span;

/// Splits `line` (without its line feed), which begins at `base` of the read buffer, unquotes its words in place and
/// appends their spans; `None` if quotes are not balanced.
pub(in crate::resp) fn split(line: &mut [u8], base: usize, spans: &mut Vec<Span>) -> Option<()> {
    let mut words = Words { line, read: 0, write: 0 };
    while words.skip_blanks() {
        let start = words.read;
        words.write = start;
        words.word()?;
        spans.push(Span { start: (base + start) as u32, len: (words.write - start) as u32 });
    }
    Some(())
}

/// A line that is read and overwritten from left to right.
struct Words<'a> {
    line: &'a mut [u8],
    read: usize,
    write: usize,
}

impl Words<'_> {
    /// Steps over blanks; whether a word follows.
    fn skip_blanks(&mut self) -> bool {
        while self.peek(0).is_some_and(is_blank) {
            self.read += 1;
        }
        self.read < self.line.len()
    }

    fn word(&mut self) -> Option<()> {
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => break,
                b'"' => return self.double_quoted(),
                b'\'' => return self.single_quoted(),
                _ => self.copy(byte, 1),
            }
        }
        Some(())
    }

    fn double_quoted(&mut self) -> Option<()> {
        self.read += 1;
        loop {
            match (self.peek(0)?, self.peek(1)) {
                (b'"', next) => return self.close(next),
                (b'\\', Some(b'x')) if self.hex_escape().is_some() => {
                    let byte = self.hex_escape()?;
                    self.copy(byte, 4);
                }
                (b'\\', Some(escaped)) => self.copy(unescape(escaped), 2),
                (byte, _) => self.copy(byte, 1),
            }
        }
    }

    fn single_quoted(&mut self) -> Option<()> {
        self.read += 1;
        loop {
            match (self.peek(0)?, self.peek(1)) {
                (b'\'', next) => return self.close(next),
                (b'\\', Some(b'\'')) => self.copy(b'\'', 2),
                (byte, _) => self.copy(byte, 1),
            }
        }
    }

    /// Steps over a closing quote, which `next` must allow.
    fn close(&mut self, next: Option<u8>) -> Option<()> {
        self.read += 1;
        next.is_none_or(is_blank).then_some(())
    }

    fn hex_escape(&self) -> Option<u8> {
        let high = (self.peek(2)? as char).to_digit(16)?;
        let low = (self.peek(3)? as char).to_digit(16)?;
        Some((high << 4 | low) as u8)
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.line.get(self.read + ahead).copied()
    }

    /// Adds `byte` to the word, for `read_bytes` bytes of the line.
    fn copy(&mut self, byte: u8, read_bytes: usize) {
        if let Some(place) = self.line.get_mut(self.write) {
            *place = byte;
        }
        self.write += 1;
        self.read += read_bytes;
    }
}

/// C's `isspace`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}
