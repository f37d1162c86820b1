"""200,000 requests through a real service process: its memory stays where it was.

The engine is the compiled mock, for the service is what is watched; keys, routing, a split, metrics
and the interaction log are on.
"""

import logging
from pathlib import Path

import pytest

from tests.benchmarks.serving.load import Shape, closed
from tests.benchmarks.serving.programs import resident_bytes
from tests.benchmarks.serving.systems import graftline
from tests.benchmarks.serving.upstream import running_upstream

pytestmark = [pytest.mark.integration, pytest.mark.slow]
REQUESTS = 200_000
CONNECTIONS = 32
MOST_BYTES = 150e6
MOST_GROWN_BYTES = 5e6
"""Growth over the second half: what one request in a thousand leaves behind would be more."""
MIXED = Shape(streamed_share=8)
_RUN_SECONDS = 5
logger = logging.getLogger(__name__)


def test_memory_is_small_and_flat(tmp_path: Path) -> None:
    """No request fails, and the second hundred thousand take no more memory than the first."""
    with running_upstream(tmp_path) as upstream, graftline(upstream.url, tmp_path) as service:
        assert service.pid is not None
        done, half_way = 0, 0
        while done < REQUESTS:
            load = closed(service, MIXED, connections=CONNECTIONS, seconds=_RUN_SECONDS)
            assert load.is_valid, load
            done += load.requests
            if not half_way and done >= REQUESTS / 2:
                half_way = resident_bytes(service.pid)
        end = resident_bytes(service.pid)
    logger.info(
        "%d requests: %.1f MB half way, %.1f MB at the end", done, half_way / 1e6, end / 1e6
    )
    assert end < MOST_BYTES
    assert end - half_way < MOST_GROWN_BYTES
