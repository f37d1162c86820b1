"""The figures of inference requests: counted in plain numbers, and told when somebody reads them.

It refuses to know where requests go. A counter of Prometheus's client takes a lock and a look at
its labels for each step; a request has four of them, and metrics are read a few times a minute.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from operator import add

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from service.streaming import Usage

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Upper bounds of the buckets of a time, in seconds."""
Place = tuple[str, str, str, str]
"""Endpoint, deployment, arm and model: names from our own records only."""
_BUCKETS = [*map(floatToGoString, BOUNDS), "+Inf"]
_ERRORS = 400


class _Times:
    """How many times fell into each bucket, and their sum in seconds."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * len(_BUCKETS)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds

    def add_all(self, other: "_Times") -> None:
        self.counts = list(map(add, self.counts, other.counts))
        self.sum += other.sum


class _Series:
    """What is counted of one place."""

    __slots__ = ("by_status", "completion", "duration", "first_token", "prompt")

    def __init__(self) -> None:
        self.by_status: dict[int, int] = {}
        self.duration = _Times()
        self.first_token = _Times()
        self.prompt = 0
        self.completion = 0


class Tally(Collector):
    """Counts requests for the registry that it is made with."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._series: dict[Place, _Series] = {}
        registry.register(self)

    def count(
        self,
        place: Place,
        *,
        status: int,
        duration_seconds: float,
        first_byte_seconds: float | None,
        usage: Usage | None,
    ) -> None:
        """Count one request.

        Args:
            place: Where it went.
            status: What the client saw.
            duration_seconds: From the request to the last byte of the answer.
            first_byte_seconds: From the request to the first byte of a streamed answer.
            usage: Tokens, when the engine told.
        """
        series = self._series.get(place)
        if series is None:
            series = self._series[place] = _Series()
        series.by_status[status] = series.by_status.get(status, 0) + 1
        if status < _ERRORS:
            series.duration.add(duration_seconds)
        if first_byte_seconds is not None:
            series.first_token.add(first_byte_seconds)
        if usage is not None:
            series.prompt += usage.prompt_tokens
            series.completion += usage.completion_tokens or 0

    def forget(self, model: str) -> None:
        """Drop every series of a version that is deleted."""
        for place in [place for place in self._series if place[-1] == model]:
            del self._series[place]

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of now."""
        known = list(self._series.items())
        requests = CounterMetricFamily(
            "graftline_requests",
            "Inference requests, by the version that answered and the status the client saw "
            "(499: the client left; 502: the engine died in mid-answer).",
            labels=["endpoint", "deployment", "arm", "model", "code"],
        )
        tokens: Counter[tuple[str, str]] = Counter()
        for place, series in known:
            model = place[-1]
            for status, count in list(series.by_status.items()):
                requests.add_metric([*place, str(status)], count)
            tokens[model, "prompt"] += series.prompt
            tokens[model, "completion"] += series.completion
        yield requests
        yield _times(
            "graftline_request_duration_seconds",
            "From the request to the last byte of the answer. Failed requests are excluded.",
            ((place, series.duration) for place, series in known),
        )
        yield _times(
            "graftline_time_to_first_token_seconds",
            "From the request to the first byte of a streamed answer. Plain answers are excluded.",
            ((place, series.first_token) for place, series in known),
        )
        yield _tokens(tokens)


def _times(name: str, what: str, known: Iterator[tuple[Place, _Times]]) -> Metric:
    sums: dict[tuple[str, str], _Times] = {}
    for (endpoint, _, _, model), times in known:
        sums.setdefault((endpoint, model), _Times()).add_all(times)
    family = HistogramMetricFamily(name, what, labels=["endpoint", "model"])
    for labels, times in sums.items():
        buckets = list(zip(_BUCKETS, accumulate(times.counts), strict=True))
        family.add_metric(labels, buckets, sum_value=times.sum)
    return family


def _tokens(sums: Counter[tuple[str, str]]) -> Metric:
    family = CounterMetricFamily(
        "graftline_tokens",
        "Tokens as the engine counted them; answers cut short are excluded.",
        labels=["model", "kind"],
    )
    for labels, count in sums.items():
        family.add_metric(labels, count)
    return family
