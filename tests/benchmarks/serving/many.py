"""A thousand adapter versions known, a hundred loaded: the same load, and the scrape.

It refuses to judge the figures.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx

from tests.benchmarks.serving.adapters import names
from tests.benchmarks.serving.figures import Load, median_of
from tests.benchmarks.serving.load import PLAIN, Shape, closed
from tests.benchmarks.serving.measure import Pace
from tests.benchmarks.serving.programs import kept_still
from tests.benchmarks.serving.results import Many
from tests.benchmarks.serving.systems import System, graftline
from tests.benchmarks.serving.upstream import Upstream, running_upstream

KNOWN = 1000
SERVED = 100
_CONNECTIONS = 32
_SCRAPES = 15


@contextmanager
def crowded(folder: Path) -> Iterator[tuple[System, Upstream]]:
    """Run a service with many adapter versions, on an upstream of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        running_upstream(folder) as upstream,
        graftline(
            upstream.url,
            folder,
            served=SERVED,
            known=KNOWN,
            GRAFTLINE_MAX_LORAS=str(SERVED),
            GRAFTLINE_MAX_LOADED_ADAPTERS=str(SERVED),
        ) as system,
    ):
        yield system, upstream


def measure_many(few: System, many: System, upstream: Upstream, pace: Pace) -> Many:
    """Measure the same load on both services in turn, and then on all loaded versions."""
    spread = _load(many, Shape(models=names(SERVED)), pace, still=few)
    pairs = [
        (_load(few, PLAIN, pace, still=many), _load(many, PLAIN, pace, still=few))
        for _ in range(max(2, pace.rounds))
    ]
    times, body = zip(*(_scrape(many) for _ in range(_SCRAPES)), strict=True)
    return Many(
        known=KNOWN,
        loaded=upstream.loaded(),
        few=median_of([pair[0] for pair in pairs]),
        many=median_of([pair[1] for pair in pairs]),
        spread=spread,
        scrape_ms=median(times),
        scrape_bytes=len(body[-1]),
        scrape_series=sum(1 for line in body[-1].splitlines() if not line.startswith(b"#")),
    )


def _load(system: System, shape: Shape, pace: Pace, *, still: System) -> Load:
    with kept_still([still.pid] if still.pid else []):
        closed(system, shape, connections=_CONNECTIONS, seconds=pace.warm_seconds)
        return closed(system, shape, connections=_CONNECTIONS, seconds=pace.seconds)


def _scrape(system: System) -> tuple[float, bytes]:
    started = time.perf_counter()
    body = httpx.get(f"{system.url}/metrics", timeout=30.0).raise_for_status().content
    return (time.perf_counter() - started) * 1000, body
