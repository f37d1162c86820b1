"""Which models this process's requests use: in flight, waited for, used last.

It refuses to know where the models are loaded. All of it is synchronous: it is on every request's
path.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from service.metrics import ServiceMetrics


class Demand:
    """The counts of one process."""

    def __init__(self, metrics: ServiceMetrics, *, clock: Callable[[], float] = time.time) -> None:
        self._metrics = metrics
        self._clock = clock
        self.in_flight: dict[str, int] = {}
        """Requests being answered or waiting for a load, by model; a model without any may be
        absent or 0."""
        self.waiting: Counter[str] = Counter()
        """Requests that wait for a version to be loaded and examined."""
        self.used: dict[str, float] = {}
        """Unix time in seconds of the last request, by model."""

    def hold(self, model: str) -> None:
        """Count a request on a model, until `release`."""
        counts = self.in_flight
        if model in counts:
            counts[model] += 1
        else:
            counts[model] = 1
            self._metrics.in_flight.labels(model).set_function(lambda: counts.get(model, 0))

    def release(self, model: str) -> None:
        """Count the end of a request on a model."""
        self.in_flight[model] -= 1
        self.used[model] = self._clock()

    @contextmanager
    def wait(self, name: str) -> Iterator[None]:
        """Count a request that waits for a version."""
        self.used[name] = self._clock()
        self.waiting[name] += 1
        try:
            yield
        finally:
            self.waiting[name] -= 1
            if not self.waiting[name]:
                del self.waiting[name]

    def is_busy(self, name: str) -> bool:
        """Return whether a request is in flight on a model."""
        return self.in_flight.get(name, 0) > 0

    def keep_only(self, names: Collection[str]) -> None:
        """Forget the models that are not there any more, but for those in flight."""
        for name in [name for name in self.used if name not in names]:
            if not self.is_busy(name):
                self.used.pop(name)
                self.in_flight.pop(name, None)
