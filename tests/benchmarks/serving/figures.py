"""What a run measured: read from wrk's output, medians over rounds, differences. Pure.

It refuses to know how load is made and which figures are good enough.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Load:
    """One run of wrk, or the median of several."""

    requests: int
    """Answers, whole and in time."""
    seconds: float
    """How long the run took."""
    p50_ms: float
    """Median latency, in milliseconds."""
    p90_ms: float
    """90th percentile of latency, in milliseconds."""
    p99_ms: float
    """99th percentile of latency, in milliseconds."""
    refused: int
    """Answers with a status of 400 or more."""
    broken: int
    """Connections that failed, broke or timed out."""

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def errors(self) -> int:
        """Everything that went wrong; a row with errors is invalid."""
        return self.refused + self.broken

    @property
    def is_valid(self) -> bool:
        """Whether every request was answered well, and there was at least one."""
        return self.errors == 0 and self.requests > 0


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a process did in some time."""

    cpu_seconds: float
    """Processor time it used, user and system."""
    answers: int
    """Requests it forwarded."""
    events: int
    """Events of streams it relayed."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """One system's answers to another's, over pairs of runs."""

    seen: float
    """All answers of the one over all answers of the other."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""

    @property
    def interval(self) -> str:
        """The interval, in words for a table."""
        return f"[{self.low:.3f}, {self.high:.3f}]"


def parse_wrk(output: str) -> Load:
    """Return the figures that `post.lua` printed at the end of wrk's output.

    Raises:
        ValueError: There are none: wrk did not come to its end.
    """
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            return Load(**json.loads(line))
    raise ValueError(f"wrk printed no figures:\n{output[-2000:]}")


def median_of(rounds: Sequence[Load]) -> Load:
    """Return the round in the middle: the median of each figure, the sum of what went wrong."""
    rate = median(load.per_second for load in rounds)
    seconds = sum(load.seconds for load in rounds)
    return Load(
        requests=round(rate * seconds),
        seconds=seconds,
        p50_ms=median(load.p50_ms for load in rounds),
        p90_ms=median(load.p90_ms for load in rounds),
        p99_ms=median(load.p99_ms for load in rounds),
        refused=sum(load.refused for load in rounds),
        broken=sum(load.broken for load in rounds),
    )


def ratio_of(without: Sequence[Load], through: Sequence[Load]) -> Ratio:
    """Return the answers through a system to those without, with a bootstrap over the pairs.

    Args:
        without: Runs without it, at least two.
        through: As many runs through it; each one's pair was made beside it in time.

    Raises:
        ValueError: Both sides differ in number, or nothing was answered without.
    """
    upper = np.array([load.per_second for load in through])
    lower = np.array([load.per_second for load in without])
    if len(upper) != len(lower) or not lower.all():
        raise ValueError("a ratio needs pairs, and answers on its lower side")
    found = bootstrap((upper, lower), _of_totals, paired=True, method="percentile", rng=0)
    low, high = found.confidence_interval
    return Ratio(seen=float(_of_totals(upper, lower)), low=float(low), high=float(high))


def _of_totals(upper: Array, lower: Array, axis: int = -1) -> Array:
    ratio: Array = upper.sum(axis=axis) / lower.sum(axis=axis)
    return ratio


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of the values do not exceed.

    Raises:
        ValueError: There are no values, or the percentage is none.
    """
    if not values or not 0 < percent <= 100:
        raise ValueError("a percentile needs values and a percentage in (0, 100]")
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def wall_seconds_an_event(short: Load, long: Load, *, events: tuple[int, int]) -> float:
    """Return what one more event costs a saturated system, in seconds.

    Args:
        short: Load of streams with `events[0]` events each.
        long: Load of streams with `events[1]` events each.
        events: How many events a stream has.
    """
    return (1 / long.per_second - 1 / short.per_second) / (events[1] - events[0])


def cpu_seconds_an_event(short: Work, long: Work) -> float:
    """Return the processor time of one event, in seconds: cpu = a * answers + b * events, for b.

    Raises:
        ValueError: Both had as many events an answer, so that the two costs cannot be told apart.
    """
    determinant = short.answers * long.events - long.answers * short.events
    if determinant == 0:
        raise ValueError("the runs must differ in events an answer")
    cpu = short.answers * long.cpu_seconds - long.answers * short.cpu_seconds
    return cpu / determinant
