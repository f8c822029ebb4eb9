"""Sends a sequence to two servers and finds the first reply that differs.

Left is the reference, right the server under test. Both get the same bytes: a batch is written whole to both, then the
replies are read in order. Rules that need a second look (SCAN, DUMP, DBSIZE, RANDOMKEY) ask on the same connection.
"""

import dataclasses
import time

from harness.resp import Closed, Connection, encode, encode_inline
from sequences.compare import differ, sampled

REPLY_SECONDS = 20
SETTLE_SECONDS = 5
CHECK_DATABASE = "15"
# Rules of commands that see expired keys until they are reaped: asked again until the replies are alike.
SETTLING = {"settled": lambda *_: "look", "sampled": lambda rule, arguments, left, right: sampled(rule, arguments, left[1], right[1])}


@dataclasses.dataclass
class Difference:
    """The first step whose replies are not alike."""

    step: object
    what: str
    left: bytes
    right: bytes


class Player:
    """Plays sequences on a pair of servers, one after the other."""

    def __init__(self, left_port, right_port, rules, revive):
        self.ports = (left_port, right_port)
        self.rules = rules
        self.revive = revive
        self.commands = 0
        self.names = set()
        self.admins = [Connection(port, REPLY_SECONDS) for port in self.ports]

    def play(self, sequence):
        """Plays a sequence on empty databases; returns the first difference, or `None`.

        A server that ended is a difference too; it is started again, so that the sequence can be shrunk.
        """
        try:
            difference = self.play_once(sequence)
        except OSError as problem:
            difference = Difference(sequence.steps[-1], f"{type(problem).__name__}: {problem}", b"", b"")
        if difference is not None:
            last_words = self.revive()
            if last_words:
                difference.what = f"the server ended: {last_words}"
            self.reconnect()
        return difference

    def play_once(self, sequence):
        """Plays a sequence on servers that are there."""
        for admin in self.admins:
            flushed = admin.call("FLUSHALL")
            if flushed != ("+", b"OK"):
                raise ConnectionError(f"FLUSHALL was answered {flushed!r}")
        session = Session(self, sequence)
        try:
            return session.play()
        finally:
            session.close()

    def reconnect(self):
        """Opens the administrative connections again, after something went wrong."""
        self.close()
        self.admins = [Connection(port, REPLY_SECONDS) for port in self.ports]

    def restore_everywhere(self, dump):
        """The value that a dump gives on each server."""
        found = []
        for admin in self.admins:
            admin.call("SELECT", CHECK_DATABASE)
            found.append((admin.call("RESTORE", "dumped", "0", dump, "REPLACE"), admin.call("GET", "dumped")))
            admin.call("DEL", "dumped")
            admin.call("SELECT", "0")
        return found

    def close(self):
        """Closes the administrative connections."""
        for admin in self.admins:
            admin.close()


class Session:
    """The connections of one sequence being played."""

    def __init__(self, player, sequence):
        self.player = player
        self.sequence = sequence
        self.pairs = [self.connect(protocol) for protocol in sequence.protocols]
        self.queues = [None for _ in sequence.protocols]

    def connect(self, protocol):
        """A connection to each server, in a protocol."""
        pair = [Connection(port, REPLY_SECONDS) for port in self.player.ports]
        if protocol == 3:
            for connection in pair:
                connection.call("HELLO", "3")
        return pair

    def close(self):
        """Closes all connections of the sequence."""
        for pair in self.pairs:
            for connection in pair:
                connection.close()

    def play(self):
        """Plays batch after batch."""
        for batch in batches(self.sequence.steps):
            difference = self.play_batch(batch)
            if difference is not None:
                return difference
        return None

    def play_batch(self, batch):
        """Writes a batch to both servers and compares the replies in order."""
        pair = self.pairs[batch[0].connection]
        data = b"".join((encode_inline if step.inline else encode)(step.arguments) for step in batch)
        for connection in pair:
            connection.send(data)
        for step in batch:
            self.player.commands += 1
            self.player.names.add(step.arguments[0].upper())
            replies = [receive(connection) for connection in pair]
            what = self.judge(step, pair, *replies)
            if what is not None:
                return Difference(step, what, replies[0][0], replies[1][0])
        return None

    def judge(self, step, pair, left, right):
        """What is wrong with the replies to a step, or `None`."""
        if left[1] is None or right[1] is None:
            return None if left == right else "a connection ended or stayed silent"
        name = step.arguments[0].upper()
        queue = self.queues[step.connection]
        self.follow(step, left)
        if name == b"EXEC" and queue and left[1][0] == right[1][0] == "*" and left[1][1] is not None and right[1][1] is not None:
            return self.judge_transaction(queue, left, right)
        if left[1] == ("+", b"QUEUED"):
            return differ(None, step.arguments, left, right)
        rule = self.player.rules.find(step.arguments)
        if differ(rule, step.arguments, left, right) is None:
            return self.look(rule, pair, step, left, right)
        return self.look_again(rule, step, pair, left, right)

    def follow(self, step, left):
        """Follows MULTI and EXEC on a connection by the reference's replies."""
        name, connection = step.arguments[0].upper(), step.connection
        if name == b"MULTI" and left[1] == ("+", b"OK"):
            self.queues[connection] = []
        elif left[1] == ("+", b"QUEUED"):
            self.queues[connection].append(step.arguments)
        elif name in (b"EXEC", b"DISCARD", b"RESET") and left[1][0] != "-" or left[1][0] == "-" and left[1][1].startswith(b"EXECABORT"):
            self.queues[connection] = None

    def judge_transaction(self, queue, left, right):
        """Compares the replies of EXEC one by one."""
        ours, theirs = left[1][1], right[1][1]
        if len(ours) != len(theirs) or len(ours) != len(queue):
            return "different counts of replies"
        for arguments, one, other in zip(queue, ours, theirs, strict=True):
            rule = self.player.rules.find(arguments)
            if rule is not None and rule["compare"] == "settled":
                rule = {"compare": "class"}
            what = differ(rule, arguments, (repr(one), one), (repr(other), other))
            if what is not None:
                return f"{what} of {arguments!r} inside EXEC"
        return None

    def look_again(self, rule, step, pair, left, right):
        """For replies that differ: whether they become equal by themselves."""
        if rule is None or rule["compare"] not in SETTLING or left[1][0] != right[1][0] or left[1][0] not in ":*":
            return differ(rule, step.arguments, left, right)
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            replies = [(None, ask(connection, step.arguments)) for connection in pair]
            if replies[0][1] == replies[1][1] or SETTLING[rule["compare"]](rule, step.arguments, *replies) is None:
                return None
            time.sleep(0.02)
        return f"still different after {SETTLE_SECONDS} s"

    def look(self, rule, pair, step, left, right):
        """For replies that are alike: what their rule asks the servers beyond that."""
        if rule is None or left[1][1] is None or left[1][0] == "-":
            return None
        if rule["compare"] == "scanned":
            return compare_scans(pair, step.arguments)
        if rule["compare"] == "member":
            return None if all(ask(c, (b"EXISTS", reply[1][1])) == (":", 1) for c, reply in zip(pair, (left, right), strict=True)) else "no such key"
        if rule["compare"] == "restored":
            values = self.player.restore_everywhere(left[1][1]) + self.player.restore_everywhere(right[1][1])
            return None if all(value == values[0] for value in values) and values[0][0] == ("+", b"OK") else f"restored differently: {values!r:.300}"
        return None


def receive(connection):
    """One reply as (raw, parsed); `(bytes, None)` when the connection ended or stayed silent."""
    try:
        return connection.read()
    except Closed as closed:
        return closed.rest, None
    except TimeoutError:
        return b"no reply", None
    except ValueError as broken:
        return str(broken).encode(), None


def ask(connection, arguments):
    """Sends one command and returns the parsed reply."""
    connection.send(encode(arguments))
    return connection.read()[1]


def compare_scans(pair, arguments):
    """Drives the same SCAN to its end on both servers and compares what it found."""
    found = [scan_all(connection, arguments) for connection in pair]
    return None if found[0] == found[1] else f"scanned {found[0]!r:.150} and {found[1]!r:.150}"


def scan_all(connection, arguments):
    """All keys of a SCAN."""
    cursor, keys = b"0", set()
    for _ in range(10_000):
        _, (cursor_reply, page) = ask(connection, (b"SCAN", cursor, *arguments[2:]))
        cursor = cursor_reply[1]
        keys.update(item[1] for item in page[1])
        if cursor == b"0":
            return keys
    return {"this SCAN has no end"}


def batches(steps):
    """The steps in groups that are written at once."""
    group = []
    for step in steps:
        if group and (group[0].batch, group[0].connection) != (step.batch, step.connection):
            yield group
            group = []
        group.append(step)
    if group:
        yield group
