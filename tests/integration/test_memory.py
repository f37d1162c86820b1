"""At least 200,000 requests through a real service process: its memory stays where it was.

The engine is the compiled mock, for the service is what is watched; keys, routing, a split, metrics
and the interaction log are on.
"""

import logging
from pathlib import Path

import pytest

from tests.benchmarks.serving.load import Shape, closed
from tests.benchmarks.serving.programs import resident_bytes
from tests.benchmarks.serving.systems import System, graftline
from tests.benchmarks.serving.upstream import running_upstream

pytestmark = [pytest.mark.integration, pytest.mark.slow]
WINDOW = 100_000
MOST_WINDOWS = 3
"""Windows after the first in which the memory may still grow for once."""
CONNECTIONS = 32
MOST_BYTES = 150e6
MOST_GROWN_BYTES = 5e6
"""Growth over a window: 50 bytes that each request leaves behind would be more."""
MIXED = Shape(streamed_share=8)
_RUN_SECONDS = 5
logger = logging.getLogger(__name__)


def test_memory_is_small_and_flat(tmp_path: Path) -> None:
    """No request fails, and a hundred thousand take no memory that the next ones need again.

    What a busy machine makes wait grows once and stays: a leak grows with each hundred thousand.
    """
    with running_upstream(tmp_path) as upstream, graftline(upstream.url, tmp_path) as service:
        seen = [after_requests(service, WINDOW)]
        while len(seen) <= MOST_WINDOWS:
            seen.append(after_requests(service, WINDOW))
            if seen[-1] - seen[-2] < MOST_GROWN_BYTES:
                break
    logger.info("MB after each %d requests: %s", WINDOW, [round(size / 1e6, 1) for size in seen])
    assert seen[-1] < MOST_BYTES
    assert seen[-1] - seen[-2] < MOST_GROWN_BYTES


def after_requests(service: System, count: int) -> int:
    """Return the memory of a service, in bytes, after so many requests at least."""
    assert service.pid is not None
    done = 0
    while done < count:
        load = closed(service, MIXED, connections=CONNECTIONS, seconds=_RUN_SECONDS)
        assert load.is_valid, load
        done += load.requests
    return resident_bytes(service.pid)
