"""How steady the machine is: what neighbours on the same processor take away, before and after.

It refuses to know what is measured between. A core of a virtual machine is often a thread of a core
whose other thread is somebody else's. While that is busy ours is half as fast, though no clock and
no counter of ours says so: a fixed loop takes twice the processor time.
"""

import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

LOOK_SECONDS = 5.0
"""Time of one look, on every core at once."""
_STEPS = 3000
_BEST_OF = 20  # the shortest of so many: a single one may be an error of the clock


@dataclass(frozen=True)
class Look:
    """What a fixed loop took on a core, in processor time."""

    best_ns: int
    """What the quickest twentieth did not exceed."""
    mean_ns: float
    """The mean."""


def look(seconds: float = LOOK_SECONDS) -> list[Look]:
    """Return a look for each core, all of them taken at once."""
    cores = sorted(os.sched_getaffinity(0))
    with ProcessPoolExecutor(len(cores)) as pool:
        return list(pool.map(_look_at, cores, [seconds] * len(cores)))


def describe(before: list[Look], after: list[Look]) -> str:
    """Return a line on both looks: how much longer than at its best the loop took in the mean."""
    best = min(one.best_ns for one in (*before, *after))
    first, last = (
        statistics.fmean(one.mean_ns for one in looks) / best for looks in (before, after)
    )
    return (
        f"Neighbours: a fixed loop took {first:.2f} times its best processor time before, and "
        f"{last:.2f} times after (1 on a machine of one's own)."
    )


def _look_at(core: int, seconds: float) -> Look:
    os.sched_setaffinity(0, {core})
    taken: list[int] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.thread_time_ns()
        sum(number * number % 7 for number in range(_STEPS))
        taken.append(time.thread_time_ns() - began)
    taken.sort()
    return Look(taken[len(taken) // _BEST_OF], statistics.fmean(taken))
