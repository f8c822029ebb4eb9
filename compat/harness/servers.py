"""Starts and stops the servers under test: Annulus and, as the reference, real Redis.

Invariant: a server gets free ports and a directory of its own, and is stopped by its own process id.
A `Server` outlives its process: `kill` and `start` again find the same ports and the same data.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 60
STOP_SECONDS = 30


class ServerFailed(Exception):
    """A server that did not start, or did not stop, as asked."""


def plain_environment():
    """The environment without settings of Annulus: servers are set up by flags alone."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ANNULUS_")}


def free_port():
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One server process with its ports, data directory and log file."""

    name = "server"

    def __init__(self, directory, options=()):
        self.directory = pathlib.Path(directory)
        self.options = list(options)
        self.port = free_port()
        self.process = None
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log_path = self.directory / "log.txt"

    def command(self):
        """The command line that starts this server."""
        raise NotImplementedError

    def start(self):
        """Starts the process and waits until it answers PING."""
        self.launch()
        self.wait_ready()
        return self

    def launch(self):
        """Starts the process and returns at once."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.directory, env=plain_environment())

    def wait_ready(self):
        """Waits until the server serves data: a load from disk is over then."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerFailed(f"{self.name} ended with {self.process.returncode} at start:\n{self.log_tail()}")
            if self.answers():
                return
            time.sleep(0.005)
        raise ServerFailed(f"{self.name} did not answer within {START_SECONDS} s:\n{self.log_tail()}")

    def answers(self):
        """Whether a GET is answered with a value or a nil, not with an error or silence."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as stream:
                stream.sendall(b"*2\r\n$3\r\nGET\r\n$7\r\nno-such\r\n")
                return stream.recv(64).startswith(b"$")
        except OSError:
            return False

    def kill(self):
        """Ends the process as `kill -9` does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self):
        """Asks the process to drain and end, and checks that it did so without an error."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"{self.name} did not end within {STOP_SECONDS} s of SIGTERM:\n{self.log_tail()}") from None
        self.process = None
        if code != 0:
            raise ServerFailed(f"{self.name} ended with {code} after SIGTERM:\n{self.log_tail()}")

    def log_tail(self):
        """The last lines of the log, for a failure's report."""
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-15:])

    def cpu_seconds(self):
        """User and system time that the process and its ended children have used."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        """Resident memory of the process now."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0


class Annulus(Server):
    """A cluster of one Annulus node."""

    name = "annulus"

    def __init__(self, directory, durability="everysec", options=()):
        super().__init__(directory, options)
        self.durability = durability
        self.peer_port, self.http_port = free_port(), free_port()
        self.data = self.directory / "data"

    def command(self):
        found = [] if self.data.exists() else ["--found"]
        return [
            str(annulus_binary()), "serve", *found,
            "--listen", f"127.0.0.1:{self.port}",
            "--peer-listen", f"127.0.0.1:{self.peer_port}",
            "--http-listen", f"127.0.0.1:{self.http_port}",
            "--data", str(self.data),
            "--durability", self.durability,
            *self.options,
        ]


class Redis(Server):
    """A real redis-server, with the append-only file at the durability of the same name, or without any file."""

    name = "redis"
    fsync = {"sync": "always", "everysec": "everysec", "none": "no"}

    def __init__(self, directory, durability=None, options=()):
        super().__init__(directory, options)
        self.durability = durability

    def command(self):
        file = ["--appendonly", "no"]
        if self.durability is not None:
            file = ["--appendonly", "yes", "--appendfsync", self.fsync[self.durability]]
        return [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory),
            "--save", "", "--daemonize", "no", *file, *self.options,
        ]


class RedisCluster(Redis):
    """A real redis-server that is a whole cluster of one node."""

    name = "redis cluster"

    def command(self):
        return [*super().command(), "--cluster-enabled", "yes", "--cluster-port", str(self.cluster_port), "--cluster-announce-ip", "127.0.0.1"]

    def start(self):
        self.cluster_port = free_port()
        self.launch()
        self.assign_slots()
        self.wait_ready()
        return self

    def assign_slots(self):
        """Gives the node all slots; it answers data commands only once the cluster is complete."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            done = subprocess.run(
                ["redis-cli", "-p", str(self.port), "cluster", "addslotsrange", "0", "16383"],
                capture_output=True, text=True, check=False,
            )
            if done.stdout.strip() == "OK" or "already busy" in done.stdout:
                return
            time.sleep(0.02)
        raise ServerFailed(f"{self.name} took no slots:\n{self.log_tail()}")


def annulus_binary():
    """The binary under test: `COMPAT_BINARY`, or the release build of this checkout."""
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    return pathlib.Path(os.environ.get("COMPAT_BINARY", os.path.join(target, "release", "annulus"))).resolve()


def build_annulus():
    """Builds the release binary, unless `COMPAT_BINARY` names one."""
    if "COMPAT_BINARY" not in os.environ:
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT, check=True)
    if not annulus_binary().exists():
        raise ServerFailed(f"no binary at {annulus_binary()}")


@contextlib.contextmanager
def scratch(prefix):
    """A directory that is gone afterwards; it is kept when the work in it failed."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"annulus-{prefix}-"))
    try:
        yield directory
    except BaseException:
        print(f"kept for a look: {directory}", flush=True)
        raise
    shutil.rmtree(directory, ignore_errors=True)
