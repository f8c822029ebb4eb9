"""Sequences from a seed: several connections, each batch of commands written at once on one of them.

Invariant: a sequence depends on its seed and the reference's dumps only, and begins on empty databases, so that it can
be replayed and shrunk. Replies that need a look at the state right after them come from batches of one command.
"""

import dataclasses
import random as randomness

from sequences import commands, values

ALONE = {b"SCAN", b"RANDOMKEY", b"DBSIZE", b"DUMP", b"HELLO", b"RESET", b"WAIT", b"CLUSTER"}
# Not after a WATCH: a flush changes every key of its database, and only those that are there in Redis.
FLUSHES = {b"FLUSHALL", b"FLUSHDB"}
# Where a relative expiry stands: behind one of the words, or second argument of one of the commands.
SPANS = {b"EX", b"PX"}
SPAN_COMMANDS = {b"EXPIRE", b"PEXPIRE", b"SETEX", b"PSETEX"}
SHORTEST_SPAN = 10_000_000
INLINE_LIMIT = 8_000
BATCHES = 40


@dataclasses.dataclass(frozen=True)
class Step:
    """One command on one connection; `batch` groups what is written at once."""

    connection: int
    batch: int
    inline: bool
    arguments: tuple


@dataclasses.dataclass(frozen=True)
class Sequence:
    """A replayable test: the protocol of each connection, and the steps in order."""

    seed: int
    cluster: bool
    protocols: tuple
    steps: tuple


class Generator:
    """Makes the sequence of one seed."""

    def __init__(self, seed, dumps):
        self.random = randomness.Random(seed)
        self.seed = seed
        self.dumps = dumps
        self.cluster = self.random.random() < 0.15
        self.open = {}
        self.watched = False
        self.queued_flush = False
        self.steps = []

    def sequence(self):
        """The whole sequence."""
        protocols = tuple(self.random.choice([2, 2, 3]) for _ in range(self.random.randint(1, 3)))
        for batch in range(BATCHES):
            self.add_batch(batch, self.random.randrange(len(protocols)))
        return Sequence(self.seed, self.cluster, protocols, tuple(self.steps))

    def add_batch(self, batch, connection):
        """Adds the commands that one connection writes at once."""
        for _ in range(self.random.choice([1, 1, 2, 3, 5, 10, 30])):
            inside = self.open.get(connection, False)
            arguments = self.command(inside)
            alone = arguments[0].upper() in ALONE if arguments else False
            if alone and (inside or self.is_started(batch)) or self.watched and flushes(arguments):
                continue
            # A flush that waits in a transaction may be carried out after the WATCH.
            if self.queued_flush and arguments and arguments[0].upper() == b"WATCH":
                continue
            self.queued_flush |= inside and flushes(arguments)
            self.add(connection, batch, arguments)
            if alone:
                return

    def is_started(self, batch):
        """Whether the batch has a command already."""
        return bool(self.steps) and self.steps[-1].batch == batch

    def add(self, connection, batch, arguments):
        """Adds one command and follows MULTI, so that most transactions are closed."""
        name = arguments[0].upper()
        self.watched |= name == b"WATCH"
        if name in (b"MULTI", b"EXEC", b"DISCARD") and len(arguments) == 1:
            self.open[connection] = name == b"MULTI"
        inline = self.random.random() < 0.08 and sum(map(len, arguments)) < INLINE_LIMIT
        self.steps.append(Step(connection, batch, inline, tuple(arguments)))

    def command(self, inside):
        """One command with its arguments, odd ones now and then."""
        roll = self.random.random()
        if inside and roll < 0.25:
            return [self.random.choice([*[b"EXEC"] * 12, b"DISCARD", b"MULTI", b"WATCH"])]
        if not inside and roll < 0.05:
            watch = self.retag([b"WATCH", *values.keys(self.random)])
            return self.random.choice([[b"MULTI"]] * 6 + [watch] * 4 + [[b"UNWATCH"], [b"EXEC"], [b"DISCARD"]])
        arguments = self.retag(self.plain_command(inside))
        return arguments if inside and roll < 0.9 else outlive(self.mutate(arguments))

    def plain_command(self, inside):
        """A command of the grammar."""
        if self.random.random() < 0.03 and not inside:
            return commands.restore(self.random, self.dumps)
        table = commands.QUEUED if inside else commands.PLAIN
        if self.cluster:
            table = {**commands.DATA, **commands.CLUSTER} if not inside else commands.STRINGS
        names = list(table)
        weights = [table[name][0] for name in names]
        return table[self.random.choices(names, weights)[0]][1](self.random)

    def retag(self, arguments):
        """In cluster mode moves every key into one slot, and keeps database 0."""
        if not self.cluster or arguments[0] == b"CLUSTER":
            return arguments
        if b"DB" in arguments:
            return [b"EXISTS", b"{t}1"]
        keys = {key: values.TAGGED[index % len(values.TAGGED)] for index, key in enumerate(values.KEYS + values.ODD_KEYS)}
        return [arguments[0], *(keys.get(word, word) for word in arguments[1:])]

    def mutate(self, arguments):
        """Drops, repeats or replaces an argument now and then, or changes the name's case."""
        roll = self.random.random()
        if roll > 0.07 or self.cluster:
            return [arguments[0].lower(), *arguments[1:]] if roll > 0.9 else arguments
        if arguments[0].upper() in (b"COMMAND", b"CLIENT", b"CONFIG", b"FUNCTION", b"SCRIPT", b"INFO", b"RESTORE", b"SCAN", b"WAIT"):
            return arguments
        place = self.random.randrange(1, len(arguments) + 1)
        if roll < 0.03:
            return arguments[:place] + arguments[place + 1 :]
        if roll < 0.05:
            return [*arguments, values.one(self.random, values.key, values.value, values.small)]
        # A place far out would make a value of many megabytes.
        number = values.small if arguments[0] in (b"SETBIT", b"SETRANGE") else values.integer
        return arguments[:place] + [values.one(self.random, values.key, number)] + arguments[place + 1 :]


def outlive(arguments):
    """Lengthens expiries that a mutation made so short that they could pass while the sequence runs, on one server first."""
    spans = {index + 1 for index, word in enumerate(arguments) if word.upper() in SPANS}
    if arguments and arguments[0].upper() in SPAN_COMMANDS:
        spans.add(2)
    return [lengthen(word) if index in spans else word for index, word in enumerate(arguments)]


def lengthen(word):
    """A time to live that outlasts every sequence, if the word is a shorter one."""
    is_short = word.isdigit() and word == b"%d" % int(word) and 0 < int(word) < SHORTEST_SPAN
    return b"%d" % (int(word) + SHORTEST_SPAN) if is_short else word


def flushes(arguments):
    """Whether a command empties a database."""
    return bool(arguments) and arguments[0].upper() in FLUSHES


def make(seed, dumps):
    """The sequence of a seed."""
    return Generator(seed, dumps).sequence()
