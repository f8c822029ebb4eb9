"""Scenarios of redis-py, version 5 or 8: both protocols, types, pipelines, transactions, and the cluster client.

Usage: redis_py.py PORT CLUSTER_PORT, with the Python that has the version to test.
"""

import pathlib
import sys
import threading
import warnings

import redis
from redis.cluster import RedisCluster

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness.report import Report, exit_with, expect, expect_raises

PORT, CLUSTER_PORT = int(sys.argv[1]), int(sys.argv[2])
PIPELINED = 100_000
BINARY = bytes(range(256))


def types(client):
    """Each reply arrives as the Python type that applications rely on."""
    client.flushall()
    expect(client.set("text", "hello"), True)
    expect(client.get("text"), b"hello")
    expect(client.get("none"), None)
    expect(client.set("text", "x", nx=True), None)
    expect(client.set("text", "new", get=True), b"hello")
    expect(client.incr("number", 41), 41)
    expect(client.incrbyfloat("real", 0.5), 0.5)
    expect(client.mset({"a": 1, "b": BINARY}), True)
    expect(client.mget("a", "b", "none"), [b"1", BINARY, None])
    expect(client.delete("a", "b", "none"), 2)
    expect(client.exists("text", "text"), 2)
    expect(client.type("text"), b"string")
    expect(client.append("text", "er"), 5)
    expect(client.getrange("text", 1, -2), b"ewe")
    expect(client.setbit("bits", 7, 1), 0)
    expect(client.bitcount("bits"), 1)
    expect(client.copy("text", "text2"), True)
    expect(client.rename("text2", "text3"), True)


def expiries(client):
    """Times to live in every unit, and their absence."""
    client.set("k", "v", ex=100)
    expect(client.ttl("k"), 100)
    if not 99_000 < client.pttl("k") <= 100_000:
        raise AssertionError(f"PTTL is {client.pttl('k')}")
    expect(client.persist("k"), True)
    expect(client.ttl("k"), -1)
    expect(client.ttl("none"), -2)
    expect(client.expireat("k", 4102444800), True)
    expect(client.expiretime("k"), 4102444800)
    expect(client.expire("k", 5, gt=True), False)
    expect(client.getex("k", persist=True), b"v")
    expect(client.pexpire("k", -1), True)
    expect(client.get("k"), None)


def errors(client):
    """Errors come as exceptions with Redis's own words; the connection stays usable."""
    client.set("text", "hello")
    expect_raises(redis.ResponseError, "value is not an integer or out of range", client.incr, "text")
    expect_raises(redis.ResponseError, "unknown command 'NOSUCH'", client.execute_command, "NOSUCH")
    expect_raises(redis.ResponseError, "wrong number of arguments for 'get' command", client.execute_command, "GET")
    expect_raises(redis.ResponseError, "syntax error", client.execute_command, "SET", "k", "v", "XX", "NX")
    expect_raises(redis.ResponseError, "invalid expire time in 'set' command", client.execute_command, "SET", "k", "v", "EX", "0")
    expect(client.ping(), True)


def scans(client):
    """SCAN and KEYS find what was written, with patterns and types."""
    client.flushall()
    for number in range(0, 3000, 500):
        client.mset({f"scan:{index}": index for index in range(number, number + 500)})
    expect(client.dbsize(), 3000)
    expect(len(set(client.scan_iter(count=100))), 3000)
    expect(sorted(client.scan_iter("scan:29?9")), [b"scan:29%d9" % digit for digit in range(10)])
    expect(len(client.keys("scan:*")), 3000)
    expect(list(client.scan_iter(_type="list")), [])
    expect(client.randomkey()[:5], b"scan:")


def default_pipeline(client):
    """The default pipeline is a transaction."""
    with client.pipeline() as pipe:
        pipe.set("p", 1).incr("p").get("p").get("none")
        expect(pipe.execute(), [True, 2, b"2", None])
        pipe.set("p", "x").incr("p").get("p")
        results = pipe.execute(raise_on_error=False)
    expect(type(results[1]), redis.ResponseError)
    expect(results[2], b"x")


def watched(client):
    """WATCH makes EXEC refuse when the key changed in between."""
    client.set("w", 1)
    with client.pipeline() as pipe:
        pipe.watch("w")
        pipe.multi()
        pipe.set("w", 2)
        client.set("w", "meanwhile")
        expect_raises(redis.WatchError, "", pipe.execute)
    expect(client.get("w"), b"meanwhile")
    expect(client.transaction(lambda p: p.multi() or p.set("w", 3), "w"), [True])


def counted_by_many(client):
    """INCR from eight threads loses nothing."""
    client.delete("n")
    threads = [threading.Thread(target=lambda: [client.incr("n") for _ in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(client.get("n"), b"4000")


def long_pipeline(client):
    """A client that writes 100,000 requests before it reads the first of 100 MB of replies is served."""
    value = BINARY * 4
    client.set("kilobyte", value)
    with client.pipeline(transaction=False) as pipe:
        for _ in range(PIPELINED):
            pipe.get("kilobyte")
        replies = pipe.execute()
    expect(len(replies), PIPELINED, "count of replies")
    if any(reply != value for reply in replies):
        raise AssertionError("a reply is not the value")


def large_transaction(client):
    """A transaction of thousands of commands."""
    with client.pipeline() as pipe:
        for number in range(5000):
            pipe.set(f"t:{number}", number)
        expect(pipe.execute(), [True] * 5000)
    expect(client.mget([f"t:{number}" for number in range(0, 5000, 999)]), [b"%d" % number for number in range(0, 5000, 999)])


def administration(client):
    """What dashboards and health checks call."""
    expect(client.client_setname("me"), True)
    expect(client.client_getname() in ("me", b"me"), True)
    if not any(entry["name"] == "me" for entry in client.client_list()):
        raise AssertionError("CLIENT LIST does not have this client")
    info = client.info()
    expect(info["loading"], 0)
    expect(info["role"], "master")
    if client.info("keyspace")["db0"]["keys"] < 1:
        raise AssertionError("INFO keyspace is empty")
    if "get" not in client.command() or client.command_count() < 70:
        raise AssertionError("COMMAND lacks commands")
    expect(type(client.config_get("save")), dict)
    expect(type(client.time()), tuple)
    expect(client.echo("x"), b"x")
    expect(client.dump("none"), None)
    client.set("d", BINARY)
    expect(client.restore("d2", 0, client.dump("d")) in (b"OK", True), True)
    expect(client.get("d2"), BINARY)


def databases(client):
    """Databases are apart from each other."""
    other = redis.Redis(port=PORT, db=9)
    other.set("only-here", 1)
    expect(client.get("only-here"), None)
    expect(other.dbsize(), 1)
    expect(other.flushdb(), True)
    expect(other.dbsize(), 0)


def decoded():
    """Text in, text out, when the application asks for it."""
    client = redis.Redis(port=PORT, decode_responses=True)
    client.set("schlüssel", "größe")
    expect(client.get("schlüssel"), "größe")


def cluster_basics(client):
    """The cluster client finds the nodes and works on keys of all slots."""
    client.flushall()
    for number in range(500):
        expect(client.set(f"c:{number}", number), True)
    for number in range(500):
        expect(client.get(f"c:{number}"), b"%d" % number)
    expect(client.dbsize(), 500)
    expect(len(set(client.scan_iter(count=50))), 500)
    expect(len(client.keys("c:1*")), 111)
    expect(client.mset_nonatomic({"x": 1, "y": 2, "z": 3}) in (True, [True] * 3), True)
    expect(client.mget_nonatomic("x", "y", "z", "none"), [b"1", b"2", b"3", None])
    expect(client.delete("x", "y", "z"), 3)
    expect(client.keyslot("{t}1"), 15891)
    expect(client.cluster_keyslot("{t}1"), 15891)


def cluster_pipeline(client):
    """A pipeline over all slots."""
    with client.pipeline() as pipe:
        for number in range(1000):
            pipe.set(f"cp:{number}", number)
            pipe.get(f"cp:{number}")
        replies = pipe.execute()
    expect(replies[1::2], [b"%d" % number for number in range(1000)])


def cluster_topology(client):
    """The descriptions of the cluster parse and cover all slots."""
    slots = client.cluster_slots()
    covered = sum(end - start + 1 for start, end in slots)
    expect(covered, 16384, "slots covered")
    expect(client.cluster_info()["cluster_state"], "ok")
    if not client.cluster_nodes() or not client.cluster_shards():
        raise AssertionError("CLUSTER NODES or SHARDS is empty")
    client.set("{g}1", 1)
    slot = client.keyslot("{g}")
    expect(client.cluster_countkeysinslot(slot), 1)
    expect(client.cluster_get_keys_in_slot(slot, 10) in (["{g}1"], [b"{g}1"]), True)
    expect(client.ping(target_nodes=RedisCluster.ALL_NODES), True)


def cluster_replica_reads():
    """The client sends READONLY and reads wherever it likes."""
    warnings.simplefilter("ignore", DeprecationWarning)  # version 5 knows no other way
    client = RedisCluster(host="127.0.0.1", port=CLUSTER_PORT, read_from_replicas=True)
    client.set("r", 1)
    expect(client.get("r"), b"1")


def main():
    """Runs everything with RESP2 and RESP3."""
    report = Report()
    checks = (types, expiries, errors, scans, default_pipeline, watched, counted_by_many, long_pipeline, large_transaction, administration, databases)
    for protocol in (2, 3):
        client = redis.Redis(port=PORT, protocol=protocol, socket_timeout=120)
        for check in checks:
            report.run(f"{check.__name__.replace('_', ' ')}, RESP{protocol}", check, client)
        cluster = RedisCluster(host="127.0.0.1", port=CLUSTER_PORT, protocol=protocol)
        for check in (cluster_basics, cluster_pipeline, cluster_topology):
            report.run(f"{check.__name__.replace('_', ' ')}, RESP{protocol}", check, cluster)
    report.run("decoded", decoded)
    report.run("cluster replica reads", cluster_replica_reads)
    exit_with(report)


main()
