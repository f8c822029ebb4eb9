"""The grammar: for each command how its arguments are made, by family and weight.

A command is left out where its reply can only be judged by a scenario: QUIT, SHUTDOWN, CLIENT REPLY and MONITOR change
the stream of replies, CLIENT SETINFO is younger than Redis 7.0.
"""

from sequences.values import (
    bit_offset, count, database, floating, integer, key, keys, milliseconds, moment_milliseconds, moment_seconds, offset, one,
    pattern, seconds, small, value,
)

EXPIRIES = {b"EX": seconds, b"PX": milliseconds, b"EXAT": moment_seconds, b"PXAT": moment_milliseconds}

# What Annulus has beyond this grammar: judged by `cases`, by a scenario, or its own, without a counterpart in Redis.
LEFT_TO_SCENARIOS = {"QUIT", "SHUTDOWN", "MOVE", "SWAPDB", "MONITOR", "CONSISTENCY", "VGET", "VSET", "VDEL", "SIBLINGS", "RING", "SNAPSHOT", "LATENCY"}


def expiry(random):
    """One expiry option with its time."""
    name = random.choice(list(EXPIRIES))
    return [name, EXPIRIES[name](random)]


def some(random, *options):
    """None, one or rarely several of the options, each a maker of a list."""
    return [word for _ in range(random.choice([0, 0, 1, 1, 1, 2, 3])) for word in random.choice(options)(random)]


def word(text):
    """A maker of that one word."""
    return lambda random: [text]


def set_options(random):
    """Options of SET, combined as they come."""
    return some(random, expiry, expiry, word(b"NX"), word(b"XX"), word(b"KEEPTTL"), word(b"GET"))


def getex_options(random):
    """Options of GETEX."""
    return some(random, expiry, expiry, word(b"PERSIST"))


def expire_options(random):
    """Conditions of the EXPIRE family."""
    return some(random, word(b"NX"), word(b"XX"), word(b"GT"), word(b"LT"))


def pairs(random):
    """Keys with values."""
    return [part for _ in range(random.randint(1, 4)) for part in (key(random), value(random))]


def bit_range(random):
    """Start and end with a unit, as far as it goes."""
    return [small(random), small(random), random.choice([b"BIT", b"BYTE", b"bit", b"BITS"])][: random.randint(0, 3)]


def scan_options(random):
    """Options of SCAN."""
    return some(random, lambda r: [b"MATCH", pattern(r)], lambda r: [b"COUNT", one(r, count, count, small)], lambda r: [b"TYPE", r.choice([b"string", b"STRING", b"list", b"nothing"])])


def lcs_options(random):
    """Options of LCS."""
    return some(random, word(b"LEN"), word(b"IDX"), word(b"WITHMATCHLEN"), lambda r: [b"MINMATCHLEN", small(r)])


def restore_options(random):
    """Options of RESTORE."""
    return some(random, word(b"REPLACE"), word(b"REPLACE"), word(b"ABSTTL"), lambda r: [b"IDLETIME", small(r)], lambda r: [b"FREQ", small(r)])


def restore(random, dumps):
    """RESTORE of a real dump, sometimes a damaged one."""
    payload = random.choice(dumps)
    if random.random() < 0.15:
        place = random.randrange(len(payload))
        payload = payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
    time = random.choice([b"0", b"0", b"4102444800000", b"1000", b"-1", b"x"])
    options = restore_options(random)
    if time == b"1000" and b"ABSTTL" not in options:
        options.append(b"ABSTTL")  # a second from now would be a race
    return [b"RESTORE", key(random), time, payload, *options]


def bit_operation(random):
    """BITOP; NOT takes one source."""
    name = random.choice([b"AND", b"OR", b"XOR", b"NOT", b"and", b"NAND"])
    return [b"BITOP", name, key(random), *keys(random, 1, 1 if name == b"NOT" and random.random() < 0.8 else 4)]


STRINGS = {
    "GET": (8, lambda r: [b"GET", key(r)]),
    "SET": (14, lambda r: [b"SET", key(r), value(r), *set_options(r)]),
    "MGET": (3, lambda r: [b"MGET", *keys(r)]),
    "MSET": (3, lambda r: [b"MSET", *pairs(r)]),
    "MSETNX": (2, lambda r: [b"MSETNX", *pairs(r)]),
    "GETSET": (2, lambda r: [b"GETSET", key(r), value(r)]),
    "GETDEL": (2, lambda r: [b"GETDEL", key(r)]),
    "GETEX": (3, lambda r: [b"GETEX", key(r), *getex_options(r)]),
    "SETNX": (2, lambda r: [b"SETNX", key(r), value(r)]),
    "SETEX": (2, lambda r: [b"SETEX", key(r), seconds(r), value(r)]),
    "PSETEX": (2, lambda r: [b"PSETEX", key(r), milliseconds(r), value(r)]),
    "APPEND": (4, lambda r: [b"APPEND", key(r), value(r)]),
    "STRLEN": (2, lambda r: [b"STRLEN", key(r)]),
    "GETRANGE": (3, lambda r: [b"GETRANGE", key(r), one(r, small, integer), one(r, small, integer)]),
    "SUBSTR": (1, lambda r: [b"SUBSTR", key(r), small(r), small(r)]),
    "SETRANGE": (3, lambda r: [b"SETRANGE", key(r), offset(r), value(r)]),
    "INCR": (4, lambda r: [b"INCR", key(r)]),
    "INCRBY": (4, lambda r: [b"INCRBY", key(r), integer(r)]),
    "DECR": (3, lambda r: [b"DECR", key(r)]),
    "DECRBY": (3, lambda r: [b"DECRBY", key(r), integer(r)]),
    "INCRBYFLOAT": (4, lambda r: [b"INCRBYFLOAT", key(r), floating(r)]),
    "SETBIT": (3, lambda r: [b"SETBIT", key(r), bit_offset(r), r.choice([b"0", b"1", b"1", b"2", b"x"])]),
    "GETBIT": (2, lambda r: [b"GETBIT", key(r), bit_offset(r)]),
    "BITCOUNT": (3, lambda r: [b"BITCOUNT", key(r), *bit_range(r)]),
    "BITPOS": (3, lambda r: [b"BITPOS", key(r), r.choice([b"0", b"1", b"2"]), *bit_range(r)]),
    "BITOP": (3, bit_operation),
    "LCS": (2, lambda r: [b"LCS", key(r), key(r), *lcs_options(r)]),
}

KEYS = {
    "DEL": (3, lambda r: [b"DEL", *keys(r)]),
    "UNLINK": (2, lambda r: [b"UNLINK", *keys(r)]),
    "EXISTS": (3, lambda r: [b"EXISTS", *keys(r)]),
    "TOUCH": (2, lambda r: [b"TOUCH", *keys(r)]),
    "TYPE": (2, lambda r: [b"TYPE", key(r)]),
    "KEYS": (3, lambda r: [b"KEYS", pattern(r)]),
    "SCAN": (3, lambda r: [b"SCAN", r.choice([b"0", b"0", b"0", b"0", b"x", b"-1"]), *scan_options(r)]),
    "RANDOMKEY": (1, lambda r: [b"RANDOMKEY"]),
    "EXPIRE": (4, lambda r: [b"EXPIRE", key(r), seconds(r), *expire_options(r)]),
    "PEXPIRE": (3, lambda r: [b"PEXPIRE", key(r), milliseconds(r), *expire_options(r)]),
    "EXPIREAT": (3, lambda r: [b"EXPIREAT", key(r), moment_seconds(r), *expire_options(r)]),
    "PEXPIREAT": (3, lambda r: [b"PEXPIREAT", key(r), moment_milliseconds(r), *expire_options(r)]),
    "TTL": (3, lambda r: [b"TTL", key(r)]),
    "PTTL": (3, lambda r: [b"PTTL", key(r)]),
    "EXPIRETIME": (2, lambda r: [b"EXPIRETIME", key(r)]),
    "PEXPIRETIME": (3, lambda r: [b"PEXPIRETIME", key(r)]),
    "PERSIST": (3, lambda r: [b"PERSIST", key(r)]),
    "RENAME": (3, lambda r: [b"RENAME", key(r), key(r)]),
    "RENAMENX": (2, lambda r: [b"RENAMENX", key(r), key(r)]),
    "COPY": (4, lambda r: [b"COPY", key(r), key(r), *some(r, word(b"REPLACE"), lambda r: [b"DB", database(r)])]),
    "OBJECT": (2, lambda r: [b"OBJECT", r.choice([b"ENCODING", b"FREQ", b"IDLETIME", b"REFCOUNT", b"encoding", b"NOSUCH"]), key(r)]),
    "DUMP": (2, lambda r: [b"DUMP", key(r)]),
    "MEMORY": (1, lambda r: [b"MEMORY", b"USAGE", key(r), *some(r, lambda r: [b"SAMPLES", small(r)])]),
}

SERVER = {
    "PING": (2, lambda r: [b"PING", *([value(r)] if r.random() < 0.5 else [])]),
    "ECHO": (1, lambda r: [b"ECHO", value(r)]),
    "SELECT": (4, lambda r: [b"SELECT", database(r)]),
    "DBSIZE": (2, lambda r: [b"DBSIZE"]),
    "TIME": (1, lambda r: [b"TIME"]),
    "AUTH": (1, lambda r: [b"AUTH", *r.choice([[b"x"], [b"default", b"x"], [b"nobody", b"x"], [b"a", b"b", b"c"]])]),
    "HELLO": (1, lambda r: [b"HELLO", *r.choice([[], [b"2"], [b"3"], [b"4"], [b"x"], [b"3", b"SETNAME", b"n"], [b"3", b"SETNAME", b"a b"], [b"2", b"AUTH", b"default", b"x"], [b"3", b"NOSUCH"], [b"2", b"AUTH", b"nobody", b"x"]])]),
    "RESET": (0.5, lambda r: [b"RESET"]),
    "FLUSHDB": (0.7, lambda r: [b"FLUSHDB", *r.choice([[], [b"SYNC"], [b"ASYNC"], [b"NOSUCH"], [b"SYNC", b"ASYNC"]])]),
    "FLUSHALL": (0.3, lambda r: [b"FLUSHALL", *r.choice([[], [b"SYNC"], [b"ASYNC"], [b"NOSUCH"]])]),
    "CLIENT": (3, lambda r: [b"CLIENT", *r.choice([
        [b"SETNAME", b"n"], [b"SETNAME", b""], [b"SETNAME", b"a b"], [b"SETNAME", b"a\nb"], [b"GETNAME"], [b"GETNAME"], [b"ID"], [b"LIST"], [b"INFO"],
        [b"LIST", b"TYPE", b"nosuch"], [b"LIST", b"ID", b"x"], [b"KILL", b"ID", b"99999999"], [b"KILL", b"1.2.3.4:5"], [b"KILL", b"ID", b"x"], [b"KILL", b"NOSUCH", b"x"],
        [b"KILL", b"TYPE", b"nosuch"], [b"NO-EVICT", b"ON"], [b"NO-EVICT", b"OFF"], [b"NO-EVICT", b"x"], [b"NOSUCH"], [b"SETNAME"], [], [b"REPLY", b"ON"], [b"REPLY", b"x"],
    ])]),
    "COMMAND": (2, lambda r: [b"COMMAND", *r.choice([
        [b"COUNT"], [b"COUNT", b"x"], [b"INFO", b"get"], [b"INFO", b"SET", b"mset", b"nosuch"], [b"INFO", b"eval-not", b"del"], [b"LIST"], [b"DOCS", b"get"], [b"DOCS", b"nosuch"],
        [b"GETKEYS", b"GET", b"k"], [b"GETKEYS", b"MSET", b"a", b"1", b"b", b"2"], [b"GETKEYS", b"SET", b"a"], [b"GETKEYS", b"PING"], [b"GETKEYS", b"NOSUCH", b"a"], [b"GETKEYS"],
        [b"GETKEYS", b"COPY", b"a", b"b"], [b"GETKEYS", b"BITOP", b"AND", b"d", b"a", b"b"], [b"GETKEYS", b"DEL", b"a", b"b", b"c"], [b"GETKEYS", b"LCS", b"a", b"b"],
        [b"GETKEYS", b"OBJECT", b"ENCODING", b"a"], [b"GETKEYS", b"MEMORY", b"USAGE", b"a"], [b"NOSUCH"], [b"LIST", b"FILTERBY", b"NOSUCH", b"x"],
    ])]),
    "CONFIG": (1, lambda r: [b"CONFIG", *r.choice([
        [b"GET", b"save"], [b"GET", b"appendonly"], [b"GET", b"nosuch-setting"], [b"GET"], [b"SET", b"nosuch-setting", b"x"], [b"SET", b"x"], [b"SET"], [b"RESETSTAT"], [b"REWRITE"], [b"NOSUCH"], [],
    ])]),
    "INFO": (0.5, lambda r: [b"INFO", *r.choice([[], [b"server"], [b"nosuch"], [b"all"], [b"everything"], [b"server", b"clients"]])]),
    "SCRIPT": (0.3, lambda r: [b"SCRIPT", *r.choice([[b"FLUSH"], [b"FLUSH", b"ASYNC"], [b"FLUSH", b"SYNC"], [b"FLUSH", b"x"]])]),
    "FUNCTION": (0.3, lambda r: [b"FUNCTION", *r.choice([[b"FLUSH"], [b"FLUSH", b"ASYNC"], [b"FLUSH", b"SYNC"], [b"FLUSH", b"x"]])]),
    "LASTSAVE": (0.3, lambda r: [b"LASTSAVE"]),
    "ROLE": (0.3, lambda r: [b"ROLE"]),
    "WAIT": (0.5, lambda r: [b"WAIT", *r.choice([[b"0", b"0"], [b"0", b"10"], [b"x", b"1"], [b"0", b"-1"], [b"0", b"x"], [b"1", b"1"]])]),
    "SLOWLOG": (0.3, lambda r: [b"SLOWLOG", *r.choice([[b"LEN"], [b"RESET"], [b"GET"], [b"GET", b"-1"], [b"GET", b"-2"], [b"GET", b"x"], [b"NOSUCH"]])]),
    "NOSUCH": (1, lambda r: r.choice([[b"NOSUCH"], [b"nosuch", b"a", b"b" * 200], [b"", b"x"], [b"GETT", b"k"], [b"no\r\nsuch", b"a\r\nb"], [b"x" * 200], [b"\xff\x00"]])),
}

# In cluster mode only: the key space of one hash tag, so that a Redis cluster allows every combination.
CLUSTER = {
    "CLUSTER KEYSLOT": (2, lambda r: [b"CLUSTER", b"KEYSLOT", one(r, key, value)]),
    "CLUSTER COUNTKEYSINSLOT": (2, lambda r: [b"CLUSTER", b"COUNTKEYSINSLOT", one(r, lambda r: b"15891", lambda r: b"15891", integer)]),
    "CLUSTER GETKEYSINSLOT": (2, lambda r: [b"CLUSTER", b"GETKEYSINSLOT", one(r, lambda r: b"15891", lambda r: b"15891", integer), one(r, lambda r: b"100", lambda r: b"2", small)]),
    "CLUSTER odd": (1, lambda r: [b"CLUSTER", *r.choice([[b"NOSUCH"], [b"KEYSLOT"], [], [b"COUNTKEYSINSLOT"], [b"GETKEYSINSLOT", b"1"], [b"MYID", b"x"], [b"INFO", b"x"]])]),
    "CLUSTER shape": (1, lambda r: [b"CLUSTER", r.choice([b"MYID", b"INFO", b"NODES", b"SLOTS", b"SHARDS"])]),
    "READONLY": (1, lambda r: [r.choice([b"READONLY", b"READWRITE", b"ASKING"])]),
}

DATA = {**STRINGS, **KEYS}
PLAIN = {**DATA, **SERVER}

# What may stand between MULTI and EXEC: replies that need a look at the state afterwards stay outside.
QUEUED = {name: entry for name, entry in PLAIN.items() if name not in ("HELLO", "RESET", "SCAN", "RANDOMKEY", "DUMP", "AUTH", "WAIT", "INFO", "CONFIG")}
