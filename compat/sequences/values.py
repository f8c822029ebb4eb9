"""Arguments that random commands are made of: few keys, so that they collide, and many odd values.

Invariant: nothing here depends on the clock, except relative expiries, which are long and rarely equal: two servers
that get them milliseconds apart still order them alike.
"""

KEYS = [b"a", b"b", b"c", b"key:1", b"{t}1", b"{t}2"]
ODD_KEYS = [b"", b"\x00\xff\r\n", b"long" * 300, b"[a-c]*", b"{}x", b"0"]
TAGGED = [b"{t}1", b"{t}2", b"{t}3", b"{t}\x00\xff", b"{t}[x]"]

INTEGERS = [
    b"0", b"1", b"-1", b"2", b"7", b"10", b"-10", b"100", b"255", b"-128", b"32767", b"-32768", b"65535",
    b"2147483647", b"-2147483648", b"2147483648", b"4294967295", b"4294967296",
    b"9223372036854775807", b"-9223372036854775808", b"9223372036854775806",
]
BAD_INTEGERS = [
    b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616", b"1.0", b"1e3", b"abc", b"", b" 1", b"1 ",
    b"+1", b"01", b"-0", b"0x10", b"--1", b"1\x00",
]
FLOATS = [
    b"0.1", b"0.2", b"-0.3", b"1.5", b"3.14159265358979", b"1e5", b"-2.5e3", b"1e-7", b"10.50", b"5.0e0", b"1e17", b"123456789.125",
]
BAD_FLOATS = [b"nan", b"abc", b"1.2.3", b"", b" 1.5", b"1.5 ", b"1e", b"0.1\x00"]
INFINITE = [b"inf", b"-inf", b"1e400", b"1e5000", b"-1e5000"]
TEXTS = [
    b"", b"x", b"hello", b"hello world", b"\x00", b"\xff\xfe\x00binary\r\n", b"$5\r\nhello\r\n", b"-ERR not an error\r\n",
    b"a" * 44, b"a" * 45, b"ohmytext", b"mynewtext", b"\xff" * 9, b"\x00" * 5,
]


def one(random, *choices):
    """One of several makers' values."""
    return random.choice(choices)(random)


def key(random):
    """A key: mostly one of a few."""
    return random.choice(ODD_KEYS) if random.random() < 0.08 else random.choice(KEYS)


def keys(random, least=1, most=4):
    """Several keys, repeats included."""
    return [key(random) for _ in range(random.randint(least, most))]


def integer(random):
    """A number: mostly valid, small or at a border."""
    roll = random.random()
    if roll < 0.12:
        return random.choice(BAD_INTEGERS)
    if roll < 0.55:
        return b"%d" % random.randint(-20, 120)
    return random.choice(INTEGERS)


def small(random):
    """A small number, rarely a bad one."""
    return random.choice(BAD_INTEGERS) if random.random() < 0.06 else b"%d" % random.randint(-30, 60)


def count(random):
    """A number above zero."""
    return b"%d" % random.randint(1, 50)


def floating(random):
    """A decimal number: mostly valid."""
    roll = random.random()
    if roll < 0.08:
        return random.choice(BAD_FLOATS)
    if roll < 0.12:
        return random.choice(INFINITE)
    return random.choice(FLOATS) if roll < 0.7 else random.choice(INTEGERS[:15])


def blob(random):
    """A long value: compressible or not."""
    length = random.choice([300, 4096, 20_000, 70_000])
    return random.randbytes(length) if random.random() < 0.5 else (b"0123456789abcdef" * (length // 16 + 1))[:length]


def value(random):
    """A value: number, text, binary or long."""
    roll = random.random()
    if roll < 0.35:
        return random.choice(INTEGERS) if roll < 0.2 else b"%d" % random.randint(-1000, 1000)
    if roll < 0.45:
        return random.choice(FLOATS + BAD_INTEGERS)
    if roll < 0.96:
        return random.choice(TEXTS) if roll < 0.8 else random.randbytes(random.randint(1, 60))
    return blob(random)


def offset(random):
    """A place in a value: near, far, or refused by every server (nothing that would need megabytes)."""
    roll = random.random()
    if roll < 0.75:
        return b"%d" % random.randint(0, 70)
    if roll < 0.85:
        return b"%d" % random.randint(0, 60_000)
    return random.choice([b"-1", b"536870912", b"9223372036854775807", *BAD_INTEGERS])


def bit_offset(random):
    """A bit's place; 512 MB and above is refused."""
    roll = random.random()
    if roll < 0.85:
        return b"%d" % random.randint(0, 300)
    return random.choice([b"100000", b"-1", b"4294967296", b"9223372036854775807", *BAD_INTEGERS])


def seconds(random):
    """A time to live in seconds: long, or refused, or in the past."""
    roll = random.random()
    if roll < 0.75:
        return b"%d" % random.randint(10_000, 1_000_000_000)
    return random.choice([b"0", b"-1", b"-100", b"9223372036854775807", b"9223372036854775", b"-9223372036854775808", *BAD_INTEGERS])


def milliseconds(random):
    """A time to live in milliseconds: long, or refused, or in the past."""
    roll = random.random()
    if roll < 0.75:
        return b"%d" % random.randint(10_000_000, 1_000_000_000_000)
    return random.choice([b"0", b"-1", b"-1000", b"9223372036854775807", b"-9223372036854775808", *BAD_INTEGERS])


def moment_seconds(random):
    """A moment in seconds since 1970: far ahead or long ago."""
    roll = random.random()
    if roll < 0.6:
        return random.choice([b"4102444800", b"4102444801", b"253402300799", b"9999999999", b"9223372036854775"])
    if roll < 0.8:
        return random.choice([b"1", b"1000000000"])
    return random.choice([b"0", b"-1", b"9223372036854775807", b"9223372036854776", *BAD_INTEGERS])


def moment_milliseconds(random):
    """A moment in milliseconds since 1970: far ahead or long ago."""
    roll = random.random()
    if roll < 0.6:
        return random.choice([b"4102444800000", b"4102444800001", b"4102444800499", b"253402300799999", b"9223372036854775807"])
    if roll < 0.8:
        return random.choice([b"1", b"1000000000000"])
    return random.choice([b"0", b"-1", b"9223372036854775808", *BAD_INTEGERS])


def pattern(random):
    """A glob."""
    return random.choice([
        b"*", b"?", b"a*", b"*1", b"[a-c]", b"[^a]", b"[^a-b]*", b"key:?", b"{t}*", b"\\*", b"[a-", b"[c-a]", b"**", b"*?*", b"\\", b"[", b"a\\",
        b"[\\^a]", b"{}*", b"", b"\x00*", b"*\xff*",
    ])


def database(random):
    """A database's number: one of three, or a bad one."""
    return random.choice([b"0", b"1", b"2"]) if random.random() < 0.9 else random.choice([b"16", b"-1", b"99999999999", *BAD_INTEGERS])
