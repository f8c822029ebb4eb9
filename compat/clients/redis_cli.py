"""Scenarios of redis-cli: one-shot commands, both protocols, pipe mode, SCAN mode, and its cluster tools.

Usage: redis_cli.py PORT CLUSTER_PORT
"""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness.report import Report, exit_with, expect
from harness.resp import encode

PORT, CLUSTER_PORT = sys.argv[1], sys.argv[2]
PIPED = 100_000


def cli(*words, port=PORT, stdin=b"", seconds=120):
    """Runs redis-cli; returns what it prints, as it is."""
    command = ["redis-cli", "-p", port, *words]
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, check=False)
    return done.stdout


def formatted(*words, **more):
    """As a person at a terminal sees the reply."""
    return cli("--no-raw", *words, **more).decode().rstrip("\n")


def types():
    """Each type of reply in the shape that people know."""
    cli("flushall")
    expect(formatted("set", "text", "hello"), "OK")
    expect(formatted("get", "text"), '"hello"')
    expect(formatted("get", "none"), "(nil)")
    expect(formatted("incr", "number"), "(integer) 1")
    expect(formatted("mget", "text", "none"), '1) "hello"\n2) (nil)')
    expect(formatted("incr", "text"), "(error) ERR value is not an integer or out of range")
    expect(formatted("gett", "text"), "(error) ERR unknown command 'gett', with args beginning with: 'text' ")
    expect(formatted("get"), "(error) ERR wrong number of arguments for 'get' command")


def resp3():
    """The same over RESP3, where maps and nulls have types of their own."""
    expect(formatted("-3", "get", "none"), "(nil)")
    expect(formatted("-3", "set", "k", "v"), "OK")
    hello = formatted("-3", "hello")
    if '"proto" => (integer) 3' not in hello:
        raise AssertionError(f"HELLO over RESP3 is no map with proto 3: {hello}")
    expect(formatted("-3", "config", "get", "no-such-setting"), "(empty hash)")


def binary():
    """A value from standard input comes back byte for byte."""
    value = bytes(range(256)) * 40
    expect(cli("-x", "set", "binary", stdin=value), b"OK\n")
    expect(cli("get", "binary"), value + b"\n")
    expect(formatted("strlen", "binary"), f"(integer) {len(value)}")
    expect(formatted("set", "q", "a\r\n\"b\""), "OK")
    expect(formatted("get", "q"), '"a\\r\\n\\"b\\""')


def expiry():
    """Times to live, and a key that is gone when its time is over."""
    expect(formatted("set", "k", "v", "ex", "100"), "OK")
    expect(formatted("ttl", "k"), "(integer) 100")
    expect(formatted("persist", "k"), "(integer) 1")
    expect(formatted("ttl", "k"), "(integer) -1")
    expect(formatted("ttl", "none"), "(integer) -2")
    script = b"set short v px 60\nget short\n" + b"ping\n"
    expect(cli(stdin=script), b"OK\nv\nPONG\n")
    repeated = cli("-r", "40", "-i", "0.01", "get", "short").split(b"\n")
    expect(repeated[-2], b"", "the value after its time")
    expect(formatted("exists", "short"), "(integer) 0")


def databases():
    """-n selects one of sixteen databases, each with its own keys."""
    expect(formatted("-n", "5", "set", "where", "five"), "OK")
    expect(formatted("get", "where"), "(nil)")
    expect(formatted("-n", "5", "get", "where"), '"five"')
    expect(formatted("select", "16"), "(error) ERR DB index is out of range")


def transaction():
    """MULTI and EXEC as typed by a person."""
    lines = b"multi\nset t 1\nincr t\nget t\nexec\n"
    expect(cli(stdin=lines), b"OK\nQUEUED\nQUEUED\nQUEUED\nOK\n2\n2\n")


def pipe():
    """Mass insertion: all of it arrives, and the count of errors is right."""
    cli("flushall")
    stream = b"".join(encode((b"SET", b"pipe:%d" % number, b"%d" % (number * 7))) for number in range(PIPED))
    printed = cli("--pipe", stdin=stream).decode()
    if f"errors: 0, replies: {PIPED}" not in printed:
        raise AssertionError(printed)
    expect(formatted("dbsize"), f"(integer) {PIPED}")
    expect(formatted("get", f"pipe:{PIPED - 1}"), f'"{(PIPED - 1) * 7}"')
    printed = cli("--pipe", stdin=b"SET a b\r\nINCR a\r\nGET a\r\n").decode()
    if "errors: 1, replies: 3" not in printed:
        raise AssertionError(printed)


def scan():
    """--scan finds every key of a pattern once."""
    found = cli("--scan", "--pattern", "pipe:99*").decode().split()
    wanted = sorted(f"pipe:{number}" for number in range(PIPED) if str(number).startswith("99"))
    expect(sorted(found), wanted, "keys of --scan")


def big_keys():
    """--bigkeys walks the whole key space by SCAN, TYPE and STRLEN."""
    printed = cli("--bigkeys").decode()
    if not re.search(rf"\n{PIPED + 1} strings with \d+ bytes \(100\.00% of keys", printed):
        raise AssertionError(printed[-800:])


def monitoring():
    """INFO has the lines that tools read, in both protocols."""
    for protocol in ("-2", "-3"):
        lines = cli(protocol, "info", "everything").decode().split("\r\n")
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        for name in ("redis_version", "redis_mode", "arch_bits", "process_id", "tcp_port", "uptime_in_seconds", "connected_clients", "used_memory",
                     "loading", "role", "total_commands_processed", "cluster_enabled", "db0"):
            if name not in fields:
                raise AssertionError(f"INFO has no {name}")
        expect(fields["loading"], "0", "loading")
        expect(fields["role"], "master", "role")
        if not fields["db0"].startswith(f"keys={PIPED + 1},expires=0"):
            raise AssertionError(f"keyspace says {fields['db0']}")


def cluster():
    """-c works on a cluster, and the cluster tools find it whole."""
    cli("-c", "flushall", port=CLUSTER_PORT)
    for number in range(20):
        expect(formatted("-c", "set", f"c:{number}", str(number), port=CLUSTER_PORT), "OK")
    for number in range(20):
        expect(formatted("-c", "get", f"c:{number}", port=CLUSTER_PORT), f'"{number}"')
    printed = cli("--cluster", "check", f"127.0.0.1:{CLUSTER_PORT}").decode()
    if "[OK] All 16384 slots covered." not in printed or "[ERR]" in printed:
        raise AssertionError(printed)
    printed = cli("--cluster", "info", f"127.0.0.1:{CLUSTER_PORT}").decode()
    if "[OK] 20 keys in" not in printed:
        raise AssertionError(printed)
    if b"cluster_state:ok" not in cli("cluster", "info", port=CLUSTER_PORT):
        raise AssertionError("CLUSTER INFO does not say cluster_state:ok")


def main():
    """Runs the scenarios in order: later ones use the keys of earlier ones."""
    report = Report()
    for check in (types, resp3, binary, expiry, databases, transaction, pipe, scan, big_keys, monitoring, cluster):
        report.run(check.__name__.replace("_", " "), check)
    exit_with(report)


main()
