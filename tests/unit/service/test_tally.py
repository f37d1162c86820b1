"""What requests are counted in: the text that Prometheus reads is its own client's."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from service.streaming import Usage
from service.tally import BOUNDS, Place, Tally

PLACES: tuple[Place, ...] = tuple(
    product(("chat", "responses"), ("", "bench"), ("stable", "candidate"), ("tiny", "ft:a"))
)
Request = tuple[Place, int, float, float | None, Usage | None]
_seconds = st.sampled_from(BOUNDS) | st.floats(min_value=0, max_value=1000)
_usage = st.builds(
    Usage,
    prompt_tokens=st.integers(min_value=0, max_value=9000),
    completion_tokens=st.none() | st.integers(min_value=0, max_value=9000),
)
_requests = st.lists(
    st.tuples(
        st.sampled_from(PLACES),
        st.sampled_from((200, 404, 499, 502)),
        _seconds,
        st.none() | _seconds,
        st.none() | _usage,
    )
)


def _counted(tally: Tally, requests: list[Request]) -> None:
    for place, status, duration, first_byte, usage in requests:
        tally.count(
            place,
            status=status,
            duration_seconds=duration,
            first_byte_seconds=first_byte,
            usage=usage,
        )


def _samples(registry: CollectorRegistry) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): round(sample.value, 6)
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def _by_the_client(requests: list[Request]) -> CollectorRegistry:
    """Count with Prometheus's own counters and histograms."""
    registry = CollectorRegistry()
    places = ["endpoint", "deployment", "arm", "model", "code"]
    count = Counter("graftline_requests", "", places, registry=registry)
    pair = ["endpoint", "model"]
    duration, first = (
        Histogram(f"graftline_{name}_seconds", "", pair, buckets=BOUNDS, registry=registry)
        for name in ("request_duration", "time_to_first_token")
    )
    tokens = Counter("graftline_tokens", "", ["model", "kind"], registry=registry)
    for (endpoint, deployment, arm, model), status, seconds, first_byte, usage in requests:
        count.labels(endpoint, deployment, arm, model, str(status)).inc()
        durations, firsts = duration.labels(endpoint, model), first.labels(endpoint, model)
        prompt, completion = tokens.labels(model, "prompt"), tokens.labels(model, "completion")
        if status < 400:
            durations.observe(seconds)
        if first_byte is not None:
            firsts.observe(first_byte)
        if usage is not None:
            prompt.inc(usage.prompt_tokens)
            completion.inc(usage.completion_tokens or 0)
    return registry


@given(_requests)
def test_the_metrics_are_those_of_prometheus_own_counters(requests: list[Request]) -> None:
    """Every series, its labels and its buckets, whatever was counted."""
    registry = CollectorRegistry()
    _counted(Tally(registry), requests)
    assert _samples(registry) == _samples(_by_the_client(requests))


def test_a_forgotten_version_has_no_series_and_the_others_keep_theirs() -> None:
    """As when it is deleted."""
    registry = CollectorRegistry()
    tally = Tally(registry)
    requests: list[Request] = [(place, 200, 0.1, None, Usage(prompt_tokens=1)) for place in PLACES]
    _counted(tally, requests)
    tally.forget("ft:a")
    text = generate_latest(registry).decode()
    assert "ft:a" not in text
    assert _samples(registry) == _samples(
        _by_the_client([request for request in requests if request[0][-1] != "ft:a"])
    )
