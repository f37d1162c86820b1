"""The figures of each request, counted cheaply.

It refuses to declare metrics (`service/metrics.py` does). Finding a series by its labels costs more
than counting in it, so each series is found once.
"""

from prometheus_client import Counter, Histogram

from service.metrics import ServiceMetrics
from service.streaming import Usage

_ERRORS = 400


class _Series:
    """The series of one endpoint, deployment, arm and model."""

    __slots__ = ("by_status", "completion", "duration", "first_token", "prompt")

    def __init__(self, metrics: ServiceMetrics, endpoint: str, model: str) -> None:
        self.by_status: dict[int, Counter] = {}
        self.duration: Histogram = metrics.request_duration.labels(endpoint, model)
        self.first_token: Histogram = metrics.time_to_first_token.labels(endpoint, model)
        self.prompt: Counter = metrics.tokens.labels(model, "prompt")
        self.completion: Counter = metrics.tokens.labels(model, "completion")


class Tally:
    """Counts requests."""

    def __init__(self, metrics: ServiceMetrics) -> None:
        self._metrics = metrics
        self._series: dict[tuple[str, str, str, str], _Series] = {}
        self._generation = metrics.generation

    def count(
        self,
        place: tuple[str, str, str, str],
        *,
        status: int,
        duration_seconds: float,
        first_byte_seconds: float | None,
        usage: Usage | None,
    ) -> None:
        """Count one request.

        Args:
            place: Endpoint, deployment, arm and model: names from our own records only.
            status: What the client saw.
            duration_seconds: From the request to the last byte of the answer.
            first_byte_seconds: From the request to the first byte of a streamed answer.
            usage: Tokens, when the engine told.
        """
        if self._generation != self._metrics.generation:
            self._series, self._generation = {}, self._metrics.generation
        series = self._series.get(place) or self._found(place)
        (series.by_status.get(status) or self._status(series, place, status)).inc()
        if status < _ERRORS:
            series.duration.observe(duration_seconds)
        if first_byte_seconds is not None:
            series.first_token.observe(first_byte_seconds)
        if usage is not None:
            series.prompt.inc(usage.prompt_tokens)
            series.completion.inc(usage.completion_tokens or 0)

    def _found(self, place: tuple[str, str, str, str]) -> _Series:
        endpoint, _, _, model = place
        series = self._series[place] = _Series(self._metrics, endpoint, model)
        return series

    def _status(self, series: _Series, place: tuple[str, str, str, str], status: int) -> Counter:
        counter: Counter = self._metrics.requests.labels(*place, str(status))
        series.by_status[status] = counter
        return counter
