"""One measurement on one server: throughput, latencies, CPU per command, resident memory.

Invariant: work is counted, not timed; a measurement begins when both servers are quiet, and CPU is counted until the
measured one is quiet again, so that work put off into the background is part of the price.
"""

import csv
import io
import json
import os
import pathlib
import subprocess
import time

from harness.resp import Connection, encode
from harness.servers import ROOT

KEYS = 100_000
VALUE_BYTES = 100
CONNECTIONS = 50
QUIET_SHARE = 0.05
QUIET_SECONDS = 20
OFFERED = ROOT / "bench" / "offered"


def build_offered():
    """Builds the open-loop client."""
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=OFFERED, check=True)


def fill(port, keys=KEYS, prefix=b"key:"):
    """Writes every key that the loads use."""
    connection = Connection(port, 120)
    for start in range(0, keys, 1000):
        count = min(1000, keys - start)
        connection.send(b"".join(encode((b"SET", prefix + b"%012d" % number, b"x" * VALUE_BYTES)) for number in range(start, start + count)))
        for _ in range(count):
            connection.read()
    connection.close()


def wait_quiet(servers):
    """Waits until no server works in the background, some seconds at most."""
    deadline = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < deadline:
        before, start = [server.cpu_seconds() for server in servers], time.monotonic()
        time.sleep(0.3)
        used = [after - was for after, was in zip([server.cpu_seconds() for server in servers], before, strict=True)]
        if max(used) <= QUIET_SHARE * (time.monotonic() - start):
            return


def closed_loop(server, operation, pipeline, requests):
    """redis-benchmark: as much as 50 connections get done that wait for their replies."""
    command = [
        "redis-benchmark", "-p", server.port, "-t", operation, "-n", requests, "-c", CONNECTIONS, "-P", pipeline,
        "-r", KEYS, "-d", VALUE_BYTES, "--csv",
    ]
    printed = run(command)
    row = list(csv.DictReader(io.StringIO(printed[printed.index('"test"'):])))[0]
    return {"rate": float(row["rps"]), "p50_ms": float(row["p50_latency_ms"]), "p99_ms": float(row["p99_latency_ms"])}


def open_loop(server, operation, rate, seconds, prefix="key:"):
    """The open-loop client: latencies at a rate that is offered whatever the server does."""
    build = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", OFFERED / "target")) / "release" / "offered"
    printed = run([build, server.port, operation, rate, seconds, CONNECTIONS, KEYS, VALUE_BYTES, prefix])
    found = json.loads(printed)
    return {"rate": float(rate), **{name: found[name] for name in ("p50_ms", "p99_ms", "p999_ms")}}


def beside_writers(server, rate, seconds):
    """Latencies of GET while 50 other connections SET other keys as fast as they can."""
    writers = subprocess.Popen(
        ["redis-benchmark", "-p", str(server.port), "-t", "set", "-l", "-n", "1000000", "-c", str(CONNECTIONS), "-r", str(KEYS), "-d", str(VALUE_BYTES), "-q"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(0.5)
        return open_loop(server, "get", rate, seconds, "oth:")
    finally:
        writers.kill()
        writers.wait()


def run(command):
    """Runs a load generator; returns what it prints."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0 or "rror" in done.stdout:
        raise RuntimeError(f"{pathlib.Path(words[0]).name} failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout


def measure(server, others, commands, load):
    """One measurement: `load(server)` with CPU per command and resident memory beside it."""
    wait_quiet([server, *others])
    before = server.cpu_seconds()
    found = load(server)
    wait_quiet([server])
    if commands:
        found["cpu_us"] = (server.cpu_seconds() - before) / commands * 1e6
    found["resident_mb"] = server.resident_bytes() / 1e6
    return found
