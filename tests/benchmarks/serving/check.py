"""Whether a system really does what is measured, before it is measured.

It refuses to measure. A gateway that answers wrongly is fast for nothing.
"""

import httpx

from tests.benchmarks.serving.load import UNITS
from tests.benchmarks.serving.systems import GRAFTLINE, System
from tests.benchmarks.serving.upstream import DEFAULT_EVENTS
from tests.processes import wait_until

_MESSAGES = [{"role": "user", "content": "Where is my card?"}]
_ANSWER = "Your card is on its way."


def check(system: System) -> None:
    """Ask for whole and streamed answers, and look at them.

    Raises:
        RuntimeError: An answer is not the upstream's, or a split does not split.
    """
    _check_whole(system)
    _check_stream(system)
    if system.name == GRAFTLINE:
        _check_features(system)


def settle(system: System) -> None:
    """Wait until a system answers one request after the other again.

    What an earlier run left in its queue is then done, and is not measured twice.

    Raises:
        AssertionError: It does not come back.
    """
    for _ in range(_SETTLING):
        wait_until(lambda: _ask(system).is_success, f"{system.name} answers", _SETTLE_SECONDS)


def _check_whole(system: System) -> None:
    response = _ask(system)
    if not response.is_success or _ANSWER not in response.text:
        raise RuntimeError(f"{system.name}: {response.status_code} {response.text}")


def _ask(system: System) -> httpx.Response:
    return system.post({"model": system.model, "messages": _MESSAGES})


def _check_stream(system: System) -> None:
    response = system.post({"model": system.model, "messages": _MESSAGES, "stream": True})
    events = [line for line in response.text.splitlines() if line.startswith("data:")]
    if not response.is_success or len(events) < DEFAULT_EVENTS or "[DONE]" not in events[-1]:
        raise RuntimeError(f"{system.name}: {response.status_code}, {len(events)} events")


def _check_features(system: System) -> None:
    arms = set()
    for number in range(UNITS):
        body = {"model": system.model, "messages": _MESSAGES, "user": f"user-{number}"}
        arms.add(system.post(body).headers["x-graftline-arm"])
    if arms != {"stable", "candidate"}:
        raise RuntimeError(f"the split met only {arms}")
    stranger = System(
        name=system.name, url=system.url, key="wrong", model=system.model, pid=system.pid
    )
    if stranger.post({"model": system.model, "messages": _MESSAGES}).status_code != _UNAUTHORIZED:
        raise RuntimeError("a wrong key is let in")


_UNAUTHORIZED = 401
_SETTLING = 3
_SETTLE_SECONDS = 300.0
"""Longer than vllm-router's looks at its worker, which come once a minute: after one that failed
because it was kept still, it answers 503 until two went well."""
