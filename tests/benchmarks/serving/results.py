"""All that a run found; what was not measured is none, never zero.

It refuses to know how it was measured, and what is good enough.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.benchmarks.serving.figures import Load


@dataclass(frozen=True)
class Cell:
    """A place in the table."""

    system: str
    """Name of the system."""
    connections: int
    """Connections at a time."""
    streamed: bool
    """Whether the answers come in pieces."""

    def is_plain_of(self, system: str) -> bool:
        """Return whether it is a system's, with answers in one piece."""
        return self.system == system and not self.streamed

    def __str__(self) -> str:
        kind = "streamed" if self.streamed else "plain"
        return f"{self.system}, {self.connections} connections, {kind}"


@dataclass(frozen=True, kw_only=True)
class Tail:
    """A gateway at half of its own peak, and no gateway at the same rate."""

    peak: float
    """Its highest rate, in requests a second."""
    direct: Load
    """Without a gateway."""
    gateway: Load
    """Through it."""

    @property
    def added_p99_ms(self) -> float:
        """What the gateway adds to the 99th percentile, in milliseconds."""
        return self.gateway.p99_ms - self.direct.p99_ms


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Memory of one process over many requests."""

    samples: Sequence[tuple[int, int]]
    """Requests so far and bytes held, in order; the first is before any request."""
    errors: int
    """Requests that failed."""

    @property
    def last_mb(self) -> float:
        """What it holds at the end, in MB."""
        return self.samples[-1][1] / 1e6

    @property
    def growth_mb(self) -> float:
        """How much more it holds at the end than at half of the requests, in MB."""
        half = self.samples[-1][0] / 2
        middle = next(held for done, held in self.samples if done >= half)
        return (self.samples[-1][1] - middle) / 1e6


@dataclass(frozen=True, kw_only=True)
class Many:
    """The service with many adapter versions, beside one with few."""

    known: int
    """Versions recorded."""
    loaded: int
    """Versions the engine holds."""
    few: Load
    """Load on the service with few."""
    many: Load
    """The same load on the service with many."""
    spread: Load
    """Load on all loaded versions in turn."""
    scrape_ms: float
    """Median time of `GET /metrics`, in milliseconds."""
    scrape_bytes: int
    """Size of its answer."""
    scrape_series: int
    """Series in it."""


@dataclass
class Results:
    """A run's findings, part by part."""

    table: Mapping[Cell, Load] = field(default_factory=dict)
    """Latency and throughput."""
    tails: Mapping[str, Tail] = field(default_factory=dict)
    """Each gateway at half of its own peak."""
    first_token_ms: Mapping[str, float] = field(default_factory=dict)
    """Median time to the first token, in milliseconds, by system."""
    wall_an_event_us: Mapping[str, float] = field(default_factory=dict)
    """Time of one event of a stream at saturation, in microseconds, by system."""
    cpu_an_event_us: Mapping[str, float] = field(default_factory=dict)
    """Processor time of one event that comes alone, in microseconds, by system."""
    memory: Memory | None = None
    """Graftline's memory."""
    many: Many | None = None
    """Graftline with many adapter versions."""
