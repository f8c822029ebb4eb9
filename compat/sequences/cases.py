"""Fixed byte streams: what a random sequence cannot hold, since it breaks the protocol, ends the connection or changes the count of replies.

Each stream is sent whole, and again byte by byte; the bytes that come back must be the same on both servers. A stream
ends with a marker command, unless the server is to close the connection.
"""

import time

from harness.resp import Closed, Connection, encode

MARKER = b"the end of the case"
STAYS, CLOSES = "stays", "closes"

CASES = [
    ("inline commands", STAYS, b"PING\r\nset k v\r\nGET k\n  GET   k  \r\n"),
    ("inline command with quotes", STAYS, b"SET k \"a\\x00\\n\\\"b\"\r\nGET k\r\nSET k 'it\\'s'\r\nGET k\r\nSET k \"\"\r\nGET k\r\n"),
    ("empty lines", STAYS, b"\r\n\n\r\n  \r\nPING\r\n"),
    ("unbalanced quotes", CLOSES, b"GET \"k\r\n"),
    ("text after a closing quote", CLOSES, b"GET \"k\"x\r\n"),
    ("empty array", STAYS, b"*0\r\n*-1\r\nPING\r\n"),
    ("array length that is no number", CLOSES, b"*x\r\n"),
    ("array length out of range", CLOSES, b"*2147483648\r\n"),
    ("bulk without dollar", CLOSES, b"*1\r\n+PING\r\n"),
    ("nested array", CLOSES, b"*1\r\n*1\r\n$4\r\nPING\r\n"),
    ("bulk length that is no number", CLOSES, b"*1\r\n$x\r\nPING\r\n"),
    ("negative bulk length", CLOSES, b"*1\r\n$-1\r\n"),
    ("bulk length above 512 MB", CLOSES, b"*2\r\n$3\r\nGET\r\n$536870913\r\n"),
    ("good commands before a broken one", CLOSES, encode((b"SET", b"k", b"1")) + encode((b"GET", b"k")) + b"*1\r\n!\r\n"),
    ("empty command name", STAYS, b"*1\r\n$0\r\n\r\n"),
    ("quit", CLOSES, encode((b"SET", b"k", b"1")) + encode((b"QUIT",)) + encode((b"GET", b"k"))),
    ("inline quit", CLOSES, b"QUIT\r\n"),
    ("client reply off and on", STAYS, encode((b"CLIENT", b"REPLY", b"OFF")) + encode((b"SET", b"k", b"1")) + encode((b"GET", b"k")) + encode((b"CLIENT", b"REPLY", b"ON")) + encode((b"GET", b"k"))),
    ("client reply skip", STAYS, encode((b"CLIENT", b"REPLY", b"SKIP")) + encode((b"GET", b"k")) + encode((b"ECHO", b"seen"))),
    ("client kill of itself by type", STAYS, encode((b"CLIENT", b"KILL", b"TYPE", b"pubsub"))),
    ("multi errors", STAYS, b"".join(map(encode, [
        (b"EXEC",), (b"DISCARD",), (b"MULTI",), (b"MULTI",), (b"WATCH", b"k"), (b"SET", b"k"), (b"SET", b"k", b"1"), (b"EXEC",), (b"GET", b"k"),
        (b"MULTI",), (b"NOSUCH", b"x"), (b"EXEC",), (b"MULTI",), (b"SET", b"k", b"x"), (b"INCR", b"k"), (b"GET", b"k"), (b"EXEC",), (b"MULTI",), (b"EXEC",),
    ]))),
    ("flush under watch", STAYS, b"".join(map(encode, [
        (b"SET", b"k", b"1"), (b"WATCH", b"k"), (b"FLUSHALL",), (b"MULTI",), (b"GET", b"k"), (b"EXEC",),
        (b"WATCH", b"k"), (b"SET", b"k", b"2"), (b"FLUSHDB",), (b"MULTI",), (b"GET", b"k"), (b"EXEC",),
        (b"WATCH", b"k"), (b"SET", b"k", b"3", b"PXAT", b"1"), (b"MULTI",), (b"GET", b"k"), (b"EXEC",),
    ]))),
    ("reset inside multi", STAYS, b"".join(map(encode, [(b"SELECT", b"3"), (b"MULTI",), (b"SET", b"k", b"1"), (b"RESET",), (b"EXEC",), (b"GET", b"k")]))),
    ("protocol switch inside a pipeline", STAYS, b"".join(map(encode, [(b"GET", b"none"), (b"CLIENT", b"GETNAME"), (b"RESET",), (b"GET", b"none")]))),
    ("hundred thousand arguments", STAYS, encode((b"EXISTS", *[b"k"] * 100_000))),
    ("thousand commands at once", STAYS, b"".join(encode((b"SET", b"key:%d" % (n % 7), b"%d" % n)) + encode((b"GET", b"key:%d" % (n % 5))) for n in range(1000))),
    ("value of 200 KB", STAYS, encode((b"SET", b"big", b"\x00\r\n" * 70_000)) + encode((b"GET", b"big")) + encode((b"STRLEN", b"big"))),
]

BYTEWISE_LIMIT = 2_000


def run_cases(ports, report):
    """Plays every case on both servers; one check each, and one more in single bytes."""
    for name, end, stream in CASES:
        whole = stream + (encode((b"ECHO", MARKER)) if end == STAYS else b"")
        report.run(f"case {name}", check_case, ports, whole, end, len(whole))
        if len(whole) <= BYTEWISE_LIMIT:
            report.run(f"case {name}, byte by byte", check_case, ports, whole, end, 1)


def check_case(ports, stream, end, piece):
    """Raises unless both servers answer a stream alike."""
    left, right = (answer(port, stream, end, piece) for port in ports)
    if left != right:
        raise AssertionError(f"redis {left[-300:]!r}, annulus {right[-300:]!r}")


def answer(port, stream, end, piece):
    """All bytes that a server sends for a stream, after a clean start."""
    admin = Connection(port)
    admin.call("FLUSHALL")
    admin.close()
    connection = Connection(port, 10)
    try:
        send_pieces(connection, stream, piece)
        return connection.read_to_end() if end == CLOSES else read_to_marker(connection)
    except TimeoutError:
        return bytes(connection.buffer) + b" ... and no end"
    finally:
        connection.close()


def send_pieces(connection, stream, piece):
    """Sends a stream in pieces; a server may close before it has all of it."""
    try:
        for start in range(0, len(stream), piece):
            connection.send(stream[start : start + piece])
            if piece == 1 and start % 16 == 0:
                time.sleep(0)  # lets the server see a piece alone
    except (BrokenPipeError, ConnectionResetError):
        return


def read_to_marker(connection):
    """All bytes up to the reply to the marker."""
    wanted = b"$%d\r\n%s\r\n" % (len(MARKER), MARKER)
    try:
        while not connection.buffer.endswith(wanted):
            connection.fill_all()
    except Closed as closed:
        return closed.rest + b" ... and closed"
    return bytes(connection.buffer)
