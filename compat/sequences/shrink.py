"""Makes a failing sequence short: drops ever smaller runs of steps while the same command still differs."""

import dataclasses
import time

SHRINK_SECONDS = 15


def shrink(player, sequence, difference):
    """A short sequence that still shows a difference of the same command, with that difference."""
    name = difference.step.arguments[0].upper()
    deadline = time.monotonic() + SHRINK_SECONDS
    steps = list(sequence.steps[: sequence.steps.index(difference.step) + 1])
    best = (dataclasses.replace(sequence, steps=tuple(steps)), difference)
    size = max(1, len(steps) // 2)
    while time.monotonic() < deadline:
        shorter = drop_some(player, best, size, name, deadline)
        if shorter is not None:
            best = shorter
        elif size == 1:
            break
        size = max(1, min(size, len(best[0].steps)) // (1 if shorter is not None else 2))
    return best


def drop_some(player, best, size, name, deadline):
    """The first shortening by `size` steps that still fails, or `None`."""
    sequence = best[0]
    for start in range(0, len(sequence.steps), size):
        if time.monotonic() > deadline:
            return None
        steps = sequence.steps[:start] + sequence.steps[start + size :]
        if not steps:
            continue
        candidate = dataclasses.replace(sequence, steps=steps)
        difference = player.play(candidate)
        if difference is not None and difference.step.arguments[0].upper() == name:
            return candidate, difference
    return None

