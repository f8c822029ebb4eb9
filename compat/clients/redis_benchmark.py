"""Scenarios of redis-benchmark: it must run every load to its end without an error, and what it wrote must be there.

Usage: redis_benchmark.py PORT CLUSTER_PORT
"""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness.report import Report, exit_with, expect, expect_raises
from harness.resp import Connection

PORT, CLUSTER_PORT = int(sys.argv[1]), int(sys.argv[2])
LOADS = "ping,set,get,incr,mset"
REQUESTS = 20_000
RESULTS = 6  # ping is two loads: inline and multibulk


def benchmark(port, *words):
    """Runs redis-benchmark with CSV output; returns its lines of results."""
    command = ["redis-benchmark", "-p", str(port), "-t", LOADS, "-n", str(REQUESTS), "-c", "50", "--csv", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    if done.returncode != 0 or "rror" in done.stdout:
        raise AssertionError(f"ended with {done.returncode}: {done.stdout[-500:]}")
    return [line for line in done.stdout.splitlines() if line.startswith('"') and not line.startswith('"test"')]


def check_load(port, *words):
    """All loads run, each with a throughput, and INCR counted every request."""
    admin = Connection(port)
    admin.call("FLUSHALL")
    lines = benchmark(port, *words)
    expect(len(lines), RESULTS, "count of results")
    for line in lines:
        if float(line.split(",")[1].strip('"')) <= 0:
            raise AssertionError(f"no throughput: {line}")
    counted = sum(int(admin.call("GET", key)[1]) for key in keys(admin) if key.startswith(b"counter:"))
    if not REQUESTS <= counted <= REQUESTS + 50 * 16:
        raise AssertionError(f"INCR counted {counted} of {REQUESTS}")


def keys(admin):
    """All keys."""
    return [item[1] for item in admin.call("KEYS", "*")[1]]


def check_random_keys(port):
    """-r spreads the keys; DBSIZE agrees with KEYS."""
    admin = Connection(port)
    admin.call("FLUSHALL")
    benchmark(port, "-r", "1000", "-P", "16", "-d", "100")
    found = keys(admin)
    expect(admin.call("DBSIZE"), (":", len(found)), "DBSIZE")
    values = [admin.call("STRLEN", key) for key in found if key.startswith(b"key:") and not key.startswith(b"key:{")]
    if set(values) != {(":", 100)}:
        raise AssertionError(f"lengths of values: {set(values)}")


def check_cluster(*words):
    """--cluster finds the nodes and runs on them; redis-benchmark itself refuses a cluster of one node."""
    nodes = Connection(CLUSTER_PORT).call("CLUSTER", "NODES")[1].splitlines()
    if len(nodes) > 1:
        check_load(CLUSTER_PORT, "--cluster", *words)
    else:
        expect_raises(AssertionError, "Invalid cluster: 1 node(s).", benchmark, CLUSTER_PORT, "--cluster", *words)


def main():
    """Runs each way of benchmarking."""
    report = Report()
    report.run("one command at a time", check_load, PORT)
    report.run("pipelines of 16", check_load, PORT, "-P", "16")
    report.run("RESP3", check_load, PORT, "-3")
    report.run("RESP3 pipelines of 16", check_load, PORT, "-3", "-P", "16")
    report.run("four threads", check_load, PORT, "--threads", "4", "-P", "4")
    report.run("cluster mode", check_cluster)
    report.run("cluster mode, pipelines of 16", check_cluster, "-P", "16")
    report.run("random keys", check_random_keys, PORT)
    exit_with(report)


main()
