"""What is measured, part by part; each part interleaves the systems, for the machine is noisy.

It refuses to start systems and to judge figures.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.serving.check import settle
from tests.benchmarks.serving.figures import (
    Load,
    Work,
    cpu_seconds_an_event,
    median_of,
    percentile,
    wall_seconds_an_event,
)
from tests.benchmarks.serving.first_token import GAP_US, first_token_ms
from tests.benchmarks.serving.load import PLAIN, STREAMED, Shape, closed, paced
from tests.benchmarks.serving.programs import cpu_seconds, kept_still, resident_bytes
from tests.benchmarks.serving.results import Cell, Memory, Tail
from tests.benchmarks.serving.systems import DIRECT, System
from tests.benchmarks.serving.upstream import Upstream

CONNECTIONS = (1, 8, 32, 128)
EVENTS = (32, 512)
"""Events of short and of long streams, whose difference is the cost of an event."""
_SATURATING = 128
_EVENT_CONNECTIONS = 8
"""Few, for the stream that each has under way at the end of a run is not counted."""
_SEPARATE_CONNECTIONS = 32
_SEPARATE_GAP_US = 5000
_MIXED = Shape(streamed_share=8)
_SAMPLES = 10
SHORT_ROUNDS = 4
"""Short rounds of a tail for each round of the table. What disturbs a shared machine comes and goes
within seconds: it is in every long round, and a median of those would tell of it alone."""
SHORT_SECONDS = 2
"""Time of one of them."""
_FEW_ANSWERS = 3
"""A system that gave fewer answers on each connection in the warm-up gets `_SLOW_FACTOR` times as
long, for wrk does not wait for answers that are under way when the time is over."""
_SLOW_FACTOR = 5

Say = Callable[[str], None]
"""Tells the person who waits what is going on."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long and how often."""

    seconds: int
    """Time of one run of wrk."""
    warm_seconds: int
    """Time of the run before it, which is not counted."""
    rounds: int
    """Turns each system gets; the median counts."""
    streams: int
    """Streams a turn for the time to the first token."""
    requests: int
    """Requests between the two looks at the memory."""


FULL = Pace(seconds=4, warm_seconds=1, rounds=3, streams=400, requests=1_000_000)
QUICK = Pace(seconds=2, warm_seconds=1, rounds=1, streams=150, requests=200_000)


class Bench:
    """Systems that run, side by side on one upstream."""

    def __init__(self, systems: Sequence[System], upstream: Upstream, pace: Pace, say: Say) -> None:
        self._systems = systems
        self._upstream = upstream
        self._pace = pace
        self._say = say

    def system(self, name: str) -> System:
        """Return a system by its name."""
        return next(system for system in self._systems if system.name == name)

    def table(self) -> dict[Cell, Load]:
        """Measure latency and throughput: every system, every number of connections."""
        found: dict[Cell, list[Load]] = {}
        for round_number in range(self._pace.rounds):
            for connections in CONNECTIONS:
                for streamed in (False, True):
                    shape = STREAMED if streamed else PLAIN
                    for system in self._in_turn():
                        cell = Cell(system.name, connections, streamed)
                        load = self._closed(system, shape, connections)
                        found.setdefault(cell, []).append(load)
                        self._say(f"round {round_number + 1}: {cell}: {load.per_second:.0f}/s")
        return {cell: median_of(loads) for cell, loads in found.items()}

    def tails(self, table: Mapping[Cell, Load]) -> dict[str, Tail]:
        """Measure each gateway at half of its own peak, and the upstream alone at the same rate."""
        found: dict[str, Tail] = {}
        for system in self._gateways():
            connections = _best_connections(system, table)
            count = SHORT_ROUNDS * self._pace.rounds
            rounds = [self._tail(system, connections) for _ in range(count)]
            peaks, without, through = zip(*rounds, strict=True)
            found[system.name] = Tail(
                peak=median(peaks), direct=median_of(without), gateway=median_of(through)
            )
            self._say(f"half peak: {system.name}: {found[system.name]}")
        return found

    def first_tokens(self) -> dict[str, float]:
        """Measure the median time to the first token on one connection, in milliseconds."""
        times: dict[str, list[float]] = {}
        self._upstream.pause_events(GAP_US)
        try:
            for _ in range(self._pace.rounds + 1):
                for system in self._in_turn():
                    first_token_ms(system, streams=20)
                    found = first_token_ms(system, streams=self._pace.streams)
                    times.setdefault(system.name, []).extend(found)
        finally:
            self._upstream.pause_events(0)
        return {name: percentile(found, 50) for name, found in times.items()}

    def wall_an_event(self) -> dict[str, float]:
        """Measure what an event costs a saturated gateway, in microseconds.

        The events of a stream are sent at once, each as a write of its own.
        """
        loads: dict[str, tuple[list[Load], list[Load]]] = {}
        for _ in range(self._pace.rounds):
            for system in self._in_turn():
                for kind, events in zip(
                    loads.setdefault(system.name, ([], [])), EVENTS, strict=True
                ):
                    shape = Shape(stream=True, events=events)
                    kind.append(self._closed(system, shape, _EVENT_CONNECTIONS))
        return {
            name: wall_seconds_an_event(median_of(short), median_of(long), events=EVENTS) * 1e6
            for name, (short, long) in loads.items()
            if median_of(short).is_valid and median_of(long).is_valid
        }

    def cpu_an_event(self, relay: System) -> dict[str, float]:
        """Measure the processor time of an event that comes alone, in microseconds.

        The upstream pauses between events, so that none is read together with the next.

        Args:
            relay: Takes its turn among the systems; what it takes is the kernel's.
        """
        found: dict[str, list[float]] = {}
        self._upstream.pause_events(_SEPARATE_GAP_US)
        try:
            for _ in range(self._pace.rounds):
                for system in (relay, *self._gateways()):
                    with self._alone(system):
                        works = [self._work(system, events) for events in EVENTS]
                        found.setdefault(system.name, []).append(cpu_seconds_an_event(*works))
        finally:
            self._upstream.pause_events(0)
        return {name: 1e6 * median(seconds) for name, seconds in found.items()}

    def memory(self, name: str) -> Memory:
        """Watch the memory of a system over many requests, one of eight streamed."""
        system = self.system(name)
        assert system.pid is not None
        samples = [(0, resident_bytes(system.pid))]
        step = self._pace.requests / _SAMPLES
        done = errors = 0
        with self._alone(system):
            while done < self._pace.requests:
                load = closed(system, _MIXED, connections=32, seconds=5)
                done, errors = done + load.requests, errors + load.errors
                if done - samples[-1][0] >= step or done >= self._pace.requests:
                    samples.append((done, resident_bytes(system.pid)))
                    self._say(f"memory: {done} requests, {samples[-1][1] / 1e6:.1f} MB")
                if not load.requests:
                    break
        return Memory(samples=samples, errors=errors)

    def _work(self, system: System, events: int) -> Work:
        assert system.pid is not None
        shape = Shape(stream=True, events=events)
        before, used = self._upstream.counts(), cpu_seconds(system.pid)
        closed(system, shape, connections=_SEPARATE_CONNECTIONS, seconds=self._pace.seconds)
        after = self._upstream.counts()
        return Work(
            cpu_seconds=cpu_seconds(system.pid) - used,
            answers=after[0] - before[0],
            events=after[1] - before[1],
        )

    def _closed(
        self, system: System, shape: Shape, connections: int, seconds: int | None = None
    ) -> Load:
        warm = closed(system, shape, connections=connections, seconds=self._pace.warm_seconds)
        is_slow = warm.requests < _FEW_ANSWERS * connections
        seconds = (seconds or self._pace.seconds) * (_SLOW_FACTOR if is_slow else 1)
        return closed(system, shape, connections=connections, seconds=seconds)

    def _paced(self, system: System, per_second: float) -> Load:
        with self._alone(system):
            return paced(
                system,
                PLAIN,
                per_second=per_second,
                seconds=SHORT_SECONDS,
                warm_seconds=self._pace.warm_seconds,
            )

    def _tail(self, system: System, connections: int) -> tuple[float, Load, Load]:
        """Return the peak of this moment, and loads at half of it: without and with the gateway.

        The peak of the table is minutes old: the machine may have another speed by now.
        """
        with self._alone(system):
            peak = self._closed(system, PLAIN, connections, SHORT_SECONDS).per_second
        return peak, self._paced(self._direct, peak / 2), self._paced(system, peak / 2)

    def _in_turn(self) -> Iterator[System]:
        for system in self._systems:
            with self._alone(system):
                yield system

    @contextmanager
    def _alone(self, system: System) -> Iterator[None]:
        others = [other.pid for other in self._systems if other.pid and other is not system]
        with kept_still(others):
            settle(system)
            yield

    def _gateways(self) -> list[System]:
        return [system for system in self._systems if system.pid is not None]

    @property
    def _direct(self) -> System:
        return self.system(DIRECT)


def _best_connections(system: System, table: Mapping[Cell, Load]) -> int:
    """Return the number of connections with the highest rate."""
    rates = {
        cell.connections: load.per_second
        for cell, load in table.items()
        if cell.is_plain_of(system.name)
    }
    return max(rates, key=lambda connections: rates[connections], default=_SATURATING)
