"""What is measured in which order, which figures of it count, and what their ratios should be.

A goal is the least ratio of a rate, or the greatest ratio of anything else; `AIM` is where it should go.
"""

import dataclasses
import statistics

OURS, PEERS = "annulus", ["rocksdb", "fjall"]

# Every other piece rests on a filled store.
BEFORE = ["fill", "settle"]
PIECES = [
    "fill", "settle", "reopen", "get hit", "get hot", "get miss", "scan all", "scan 50", "get cold", "few", "get memory",
    "overwrite", "settle after", "groups", "replay", "space 100", "space 1000", "space 10000",
]


@dataclasses.dataclass(frozen=True)
class Row:
    """A figure of a piece of work."""

    piece: str
    figure: str
    title: str
    must: float | None = None
    aim: float | None = None

    def is_rate(self):
        """Whether more is better."""
        return self.figure.endswith("rate")


def rates(piece, title, must=None, aim=None):
    """The rate of a piece, and what it takes of CPU."""
    return [
        Row(piece, "rate", f"{title}, a second", must, aim),
        Row(piece, "cpu_us", f"{title}: CPU of the process, us"),
        Row(piece, "thread_us", f"{title}: CPU of the caller, us"),
    ]


ROWS = [
    *rates("fill", "random fill", 0.9, 1.15),
    Row("fill", "p99_us", "p99 of a put during the fill, us"),
    Row("fill", "p999_us", "p99.9 of a put during the fill, us", 1.5, 0.8),
    Row("fill", "write_amplification", "bytes written per byte filled", 1.2, 0.8),
    Row("fill", "resident_mb", "resident memory after the fill, MB", 1.5, 1.0),
    *rates("few", "overwrite in memory", 0.9, 1.15),
    *rates("overwrite", "overwrite of a cold key", 0.25, 0.4),
    Row("overwrite", "write_amplification", "bytes written per byte overwritten", 1.2, 0.8),
    *rates("get hit", "get, page cache", 0.9, 1.15),
    *rates("get hot", "get, block cache", 0.9, 1.2),
    *rates("get memory", "get, memtable", 0.9, 1.2),
    *rates("get miss", "get of an absent key", 0.7, 1.1),
    *rates("get cold", "get, device"),
    *rates("scan all", "full scan, entries", 0.7, 1.0),
    *rates("scan 50", "scan of 50 entries", 0.7, 1.0),
    *rates("groups", "groups of 50 and a sync, pairs", 1.0, 1.2),
    Row("replay", "replay_rate", "log replay, entries a second", 2.0, 5.0),
    Row("reopen", "open_seconds", "open until the first get, s"),
    Row("settle", "disk_share", "disk per byte of pairs", 1.05, 0.95),
    Row("settle after", "disk_share", "disk per byte of pairs, overwritten", 1.05, 0.95),
    Row("space 100", "disk_share", "disk, values of 100 bytes", 1.05, 0.95),
    Row("space 1000", "disk_share", "disk, values of 1,000 bytes", 1.05, 0.95),
    Row("space 10000", "disk_share", "disk, values of 10,000 bytes", 1.05, 0.95),
]


@dataclasses.dataclass(frozen=True)
class Found:
    """A row with its medians and the ratio of ours to the better peer: median, least, most."""

    row: Row
    medians: dict
    ratio: float
    least: float
    most: float

    def is_met(self):
        """Whether the ratio is as it must be."""
        return self.ratio >= self.row.must if self.row.is_rate() else self.ratio <= self.row.must


def found(rounds):
    """All rows that were measured."""
    for row in ROWS:
        of_rounds = [figures[row.piece] for figures in rounds if row.piece in figures]
        if not of_rounds:
            continue
        best = max if row.is_rate() else min
        ratios = [one[OURS][row.figure] / max(best(one[peer][row.figure] for peer in PEERS), 1e-9) for one in of_rounds]
        medians = {name: statistics.median(one[name][row.figure] for one in of_rounds) for name in [OURS, *PEERS]}
        yield Found(row, medians, statistics.median(ratios), min(ratios), max(ratios))
