"""The Redis protocol as the tests need it: requests as bytes, replies as (raw bytes, parsed value).

A parsed reply is `(type, value)` with the protocol's own type byte: `("$", b"x")`, `("*", [..])`, `("$", None)`.
The reader keeps the raw bytes because the differential test compares exactly those.
"""

import socket

SCALARS = b"+-:,#_("
BULKS = b"$=!"
LISTS = b"*~>"


class Closed(ConnectionError):
    """The server closed the connection; `rest` is what came before."""

    def __init__(self, rest=b""):
        super().__init__(f"connection closed by the server after {rest[-200:]!r}")
        self.rest = rest


def encode(arguments):
    """A command as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        parts.append(b"$%d\r\n%s\r\n" % (len(argument), argument))
    return b"".join(parts)


def encode_inline(arguments):
    """A command as one line; arguments that need it are quoted with escapes."""
    return b" ".join(inline_word(argument) for argument in arguments) + b"\r\n"


def inline_word(argument):
    """One argument of an inline command."""
    plain = argument and all(33 <= byte < 127 and byte not in b"\"'\\" for byte in argument)
    if plain:
        return argument
    return b'"' + b"".join(b"\\x%02x" % byte for byte in argument) + b'"'


def parse(data, start=0):
    """The reply that begins at `start` and the position after it, or `None` while it is incomplete."""
    line_end = data.find(b"\r\n", start)
    if line_end < 0:
        return None
    kind, head, position = data[start], bytes(data[start + 1 : line_end]), line_end + 2
    if kind in SCALARS:
        return scalar(kind, head), position
    if kind in BULKS:
        return parse_bulk(data, chr(kind), int(head), position)
    if kind in LISTS:
        return parse_items(data, chr(kind), int(head), position)
    if kind == ord("%"):
        return parse_items(data, "%", 2 * int(head), position)
    raise ValueError(f"not a reply: {bytes(data[start:start + 60])!r}")


def scalar(kind, head):
    """A reply of one line."""
    if kind in b":":
        return (":", int(head))
    return (chr(kind), None if kind in b"_" else head)


def parse_bulk(data, kind, length, position):
    """A reply with counted bytes; a length below zero is the nil of RESP2."""
    if length < 0:
        return (kind, None), position
    end = position + length
    if len(data) < end + 2:
        return None
    return (kind, bytes(data[position:end])), end + 2


def parse_items(data, kind, count, position):
    """A reply of several replies."""
    if count < 0:
        return (kind, None), position
    items = []
    for _ in range(count):
        found = parse(data, position)
        if found is None:
            return None
        item, position = found
        items.append(item)
    return (kind, items), position


class Connection:
    """One connection that speaks raw protocol."""

    def __init__(self, port, seconds=30):
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.position = 0

    def send(self, data):
        """Sends bytes as they are."""
        self.stream.sendall(data)

    def read(self):
        """The next reply as (raw bytes, parsed)."""
        while True:
            found = parse(self.buffer, self.position) if self.position < len(self.buffer) else None
            if found is not None:
                parsed, end = found
                raw = bytes(self.buffer[self.position : end])
                self.position = end
                return raw, parsed
            self.fill()

    def fill(self):
        """Receives more; what was read already is dropped first."""
        del self.buffer[: self.position]
        self.position = 0
        try:
            received = self.stream.recv(1 << 16)
        except ConnectionResetError:
            received = b""
        if not received:
            raise Closed(bytes(self.buffer))
        self.buffer += received

    def read_to_end(self):
        """All bytes until the server closes."""
        try:
            while True:
                self.fill_all()
        except Closed as closed:
            return closed.rest

    def fill_all(self):
        """Receives more and keeps everything."""
        kept, self.position = self.position, 0
        try:
            self.fill()
        except Closed as closed:
            raise Closed(closed.rest[kept:]) from None
        self.position = kept

    def call(self, *arguments):
        """Sends one command of text or bytes; returns the parsed reply."""
        words = [word if isinstance(word, bytes) else str(word).encode() for word in arguments]
        self.send(encode(words))
        return self.read()[1]

    def close(self):
        """Closes the connection."""
        self.stream.close()
