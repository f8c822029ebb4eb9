//! A request's arguments as ranges of the buffer they arrived in: nothing is copied before a command needs it.

/// One argument: `len` bytes from `start` of the buffer that [`Args`] carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Span {
    /// The bytes of `buffer` that this span names.
    ///
    /// # Panics
    /// If the span does not lie inside `buffer`; spans are only made by the scanner over that same buffer.
    #[inline]
    #[must_use]
    pub fn of(self, buffer: &[u8]) -> &[u8] {
        &buffer[self.start as usize..self.start as usize + self.len as usize]
    }
}

/// The arguments of one command, the command's name included as argument 0.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    buffer: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// A view of `spans` over `buffer`.
    #[inline]
    #[must_use]
    pub fn new(buffer: &'a [u8], spans: &'a [Span]) -> Self {
        Args { buffer, spans }
    }

    /// Number of arguments, the name included.
    #[inline]
    #[must_use]
    pub fn count(&self) -> usize {
        self.spans.len()
    }

    /// Argument `index`, or an empty slice past the end (arity is checked before a command runs).
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> &'a [u8] {
        self.spans.get(index).map_or(&[], |span| span.of(self.buffer))
    }

    /// The span of argument `index`, empty past the end.
    #[inline]
    #[must_use]
    pub fn span(&self, index: usize) -> Span {
        self.spans.get(index).copied().unwrap_or_default()
    }

    /// The buffer that every span of this request points into.
    #[inline]
    #[must_use]
    pub fn buffer(&self) -> &'a [u8] {
        self.buffer
    }

    /// The arguments from `index` on.
    #[inline]
    #[must_use]
    pub fn from(&self, index: usize) -> Args<'a> {
        Args { buffer: self.buffer, spans: self.spans.get(index..).unwrap_or(&[]) }
    }

    /// All arguments in order, the name first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let buffer = self.buffer;
        self.spans.iter().map(move |span| span.of(buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::{Args, Span};

    #[test]
    fn arguments_are_ranges_of_the_buffer() {
        let spans = [Span { start: 0, len: 3 }, Span { start: 4, len: 2 }];
        let args = Args::new(b"GET k1", &spans);
        assert_eq!((args.count(), args.get(0), args.get(1), args.get(2)), (2, &b"GET"[..], &b"k1"[..], &b""[..]));
        assert_eq!(args.from(1).iter().collect::<Vec<_>>(), [b"k1"]);
    }
}
