"""What is measured: by durability, a list of loads with their fixed work and the goal of the ratio."""

import dataclasses

from rounds import load


@dataclasses.dataclass(frozen=True)
class Work:
    """One row: how to run it on a server, how many commands it is, and the goals `figure -> ratio`."""

    name: str
    commands: int
    run: object
    goals: dict


def closed(operation, pipeline, requests, goals):
    """A load of redis-benchmark."""
    name = f"{operation.upper()} -P {pipeline}"
    return Work(name, requests, lambda server: load.closed_loop(server, operation, pipeline, requests), goals)


def offered(operation, rate, seconds, goals):
    """A load at an offered rate."""
    name = f"{operation.upper()} offered {rate}/s"
    return Work(name, rate * seconds, lambda server: load.open_loop(server, operation, rate, seconds), goals)


def everysec(scale):
    """The rows with a sync each second; `scale` 1 is the full work."""
    seconds = max(2, int(10 * scale))
    return [
        closed("set", 1, int(300_000 * scale), {"rate": 1.0, "cpu_us": 1.0}),
        closed("get", 1, int(300_000 * scale), {"rate": 1.0, "cpu_us": 1.0}),
        closed("set", 16, int(1_500_000 * scale), {"rate": 1.2}),
        closed("get", 16, int(2_000_000 * scale), {"rate": 1.1}),
        offered("set", 15_000, seconds, {"p99_ms": 1.0, "p999_ms": 1.0}),
        offered("get", 15_000, seconds, {}),
    ]


def sync(scale):
    """The rows with a sync before every reply."""
    seconds = max(2, int(10 * scale))
    beside = Work("GET 2000/s beside 50 writers", 0, lambda server: load.beside_writers(server, 2_000, seconds), {"p99_ms": 0.5})
    return [
        closed("set", 1, int(100_000 * scale), {"rate": 1.2}),
        closed("set", 16, int(500_000 * scale), {"rate": 1.2}),
        beside,
    ]


ROWS = {"everysec": everysec, "sync": sync}
