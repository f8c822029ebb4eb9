"""Resident memory with many keys, and the time from `kill -9` until the first answered GET."""

import random
import time

from harness.resp import Connection
from rounds.load import wait_quiet

VALUE_BYTES = 100
BATCH = 10_000
POOL_BYTES = 1 << 20


def measure(server, keys):
    """Fills a new server, and reads memory before and after a restart."""
    server.start()
    try:
        filled = fill(server.port, keys)
        wait_quiet([server])
        resident = server.resident_bytes()
        server.kill()
        begin = time.monotonic()
        server.start()
        restart = time.monotonic() - begin
        check(server.port, keys)
        wait_quiet([server])
        return {
            "keys": keys, "fill_seconds": filled, "resident_mb": resident / 1e6, "restart_seconds": restart,
            "resident_after_restart_mb": server.resident_bytes() / 1e6,
        }
    finally:
        server.kill()


def fill(port, keys):
    """Writes the keys (16 bytes each) with values that do not compress; returns the seconds it took."""
    pool = random.Random(1).randbytes(POOL_BYTES + VALUE_BYTES)
    connection, begin = Connection(port, 300), time.monotonic()
    for start in range(0, keys, BATCH):
        numbers = range(start, min(start + BATCH, keys))
        connection.send(b"".join(command(number, pool) for number in numbers))
        receive(connection, 5 * len(numbers))
    connection.close()
    return time.monotonic() - begin


def command(number, pool):
    """The SET of one key."""
    place = number * 7919 % POOL_BYTES
    return b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$%d\r\n%s\r\n" % (number, VALUE_BYTES, pool[place : place + VALUE_BYTES])


def receive(connection, count):
    """Receives that many bytes, which must all be `+OK` lines."""
    while count:
        data = connection.stream.recv(min(count, 1 << 16))
        if not data or b"-" in data:
            raise RuntimeError(f"a SET was answered {data[:200]!r}")
        count -= len(data)


def check(port, keys):
    """The first and the last key are there, and the count is right."""
    connection = Connection(port, 60)
    for number in (0, keys - 1):
        if len(connection.call("GET", b"key:%012d" % number)[1] or b"") != VALUE_BYTES:
            raise RuntimeError(f"key {number} is gone after the restart")
    if connection.call("DBSIZE") != (":", keys):
        raise RuntimeError(f"DBSIZE after the restart is {connection.call('DBSIZE')}")
    connection.close()


def markdown(results, names):
    """The table of all sizes."""
    lines = [
        "## Memory and restart",
        "",
        "Keys of 16 bytes, values of 100 bytes that do not compress, `everysec`. Restart: from `kill -9` until a GET is answered.",
        "",
        f"| keys | figure | {names[0]} | {names[1]} | ratio | goal |",
        "| ---: | --- | ---: | ---: | ---: | --- |",
    ]
    for ours, peer in results:
        for figure, title, goal in FIGURES:
            ratio = ours[figure] / peer[figure]
            verdict = "" if goal is None else f"at most {goal}: {'met' if ratio <= goal else 'missed'}"
            lines.append(f"| {ours['keys']:,} | {title} | {ours[figure]:,.2f} | {peer[figure]:,.2f} | **{ratio:.2f}** | {verdict} |")
    return "\n".join(lines) + "\n"


FIGURES = [
    ("resident_mb", "resident memory, MB", 0.4),
    ("resident_after_restart_mb", "resident memory after the restart, MB", None),
    ("restart_seconds", "restart, s", 0.15),
    ("fill_seconds", "fill over one connection, s", None),
]
