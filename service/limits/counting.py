"""Counters of one minute: in this process, or in a Redis or Valkey that all processes share.

It refuses to know what is counted, and against which limit.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.storage.redis.redispy import RedispyBridge
from limits.storage import storage_from_string
from prometheus_client import Counter

from registry.errors import Invalid

CALL_SECONDS = 0.25
"""Time the shared counters get to answer; a request waits no longer for them."""
RETRY_SECONDS = 2.0
"""Pause after a failure, in which nobody asks the shared counters again."""
COUNTER_SECONDS = 120
"""Life of a counter, in seconds: longer than its minute, for clocks that differ."""
_SCHEMES = frozenset(
    f"{server}{form}" for server in ("redis", "valkey") for form in ("", "s", "+unix", "+cluster")
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Counting:
    """Where counts are kept."""

    storage: Storage
    """Counters of this process, or shared ones."""
    is_shared: bool
    """Whether other processes count there too, and whether it may be away."""


def open_counting(url: str | None) -> Counting:
    """Return the counters at a URL, or those of this process; nothing is connected yet.

    Raises:
        Invalid: The URL cannot be read. Its words are not repeated: it may hold a password.
    """
    if url is None:
        return Counting(MemoryStorage(), is_shared=False)
    scheme = urlsplit(url).scheme
    if scheme not in _SCHEMES:
        message = (
            "GRAFTLINE_LIMITS_URL must begin with redis://, rediss://, valkey:// or valkeys:// "
            "(or redis+unix://, redis+cluster:// and the same for valkey)."
        )
        raise Invalid(message, "limits_url")
    # Valkey speaks Redis' protocol: one client serves both.
    address = f"async+redis{url.removeprefix('valkey').removeprefix('redis')}"
    try:
        storage = storage_from_string(address, implementation="redispy")
    except Exception as exc:  # noqa: BLE001 - the library names no one error for a bad URL
        message = f"GRAFTLINE_LIMITS_URL cannot be used ({type(exc).__name__}); check its form."
        raise Invalid(message, "limits_url") from None  # the cause's words may hold the password
    if not isinstance(storage, Storage):
        raise Invalid("GRAFTLINE_LIMITS_URL names no counters we can use.", "limits_url")
    return Counting(storage, is_shared=True)


class Counters:
    """Counts by name; while the shared ones are away, this process counts by itself."""

    def __init__(
        self,
        counting: Counting,
        failures: Counter,
        *,
        clock: Callable[[], float],
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._call_seconds = call_seconds
        self._counting = counting
        self._own = MemoryStorage()
        self._failures = failures
        self._clock = clock
        self._away_until = 0.0

    async def add(self, name: str, amount: int) -> int:
        """Add to a counter and return its new value."""
        if not self._counting.is_shared:
            return await self._counting.storage.incr(name, COUNTER_SECONDS, amount)
        if self._clock() >= self._away_until:
            try:
                async with asyncio.timeout(self._call_seconds):
                    return await self._counting.storage.incr(name, COUNTER_SECONDS, amount)
            except Exception as exc:  # noqa: BLE001 - the client's errors are many; inference goes on
                self._note_failure(exc)
        return await self._own.incr(name, COUNTER_SECONDS, amount)

    async def read(self, name: str) -> int:
        """Return a counter's value, 0 when nothing was added."""
        if not self._counting.is_shared:
            return await self._counting.storage.get(name)
        if self._clock() >= self._away_until:
            try:
                async with asyncio.timeout(self._call_seconds):
                    return await self._counting.storage.get(name)
            except Exception as exc:  # noqa: BLE001 - the client's errors are many; inference goes on
                self._note_failure(exc)
        return await self._own.get(name)

    async def close(self) -> None:
        """Close the connections."""
        storage = self._counting.storage
        if isinstance(storage, RedisStorage) and isinstance(storage.bridge, RedispyBridge):
            client: Any = storage.bridge.get_connection()  # its protocol names no way to close it
            await client.aclose()

    def _note_failure(self, error: Exception) -> None:
        """Count a failure and say so; the error's own words may hold the URL, so only its name."""
        self._failures.inc()
        self._away_until = self._clock() + RETRY_SECONDS
        logger.warning(
            "the shared counters of limits do not answer (%s): this process counts by itself and "
            "tries again in %g s",
            type(error).__name__,
            RETRY_SECONDS,
        )
