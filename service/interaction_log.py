"""Interactions on their way to the store, behind the requests.

It refuses to know what an interaction means. Recording never waits; writing is in batches.
"""

import asyncio
import logging
from collections import deque
from contextlib import suppress

from registry.errors import GraftlineError
from registry.records import Interaction
from registry.store import Store
from service.metrics import ServiceMetrics

BATCH_ROWS = 200
"""Most rows of one transaction."""
BATCH_SECONDS = 0.2
"""Longest time a row waits for others."""
MAX_PENDING = 10_000
"""Rows that may wait while the database is away; more are dropped and counted."""

logger = logging.getLogger(__name__)


class InteractionLog:
    """A bounded queue of interactions and its writer."""

    def __init__(self, store: Store, metrics: ServiceMetrics) -> None:
        self._store = store
        self._metrics = metrics
        self._pending: deque[Interaction] = deque()
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._writing = asyncio.Lock()  # protects the order: one batch leaves the queue at a time

    def record(self, interaction: Interaction) -> None:
        """Take an interaction; never waits, and drops it when too many wait already."""
        if len(self._pending) >= MAX_PENDING:
            self._metrics.interactions_dropped.inc()
            return
        self._pending.append(interaction)
        self._arrived.set()
        if len(self._pending) >= BATCH_ROWS:
            self._full.set()

    async def flush(self) -> None:
        """Return once everything recorded so far is stored.

        Raises:
            Unavailable: The database cannot be reached; what waits goes on waiting.
        """
        async with self._writing:
            remaining = len(self._pending)
            while remaining > 0:
                remaining -= await self._write_batch(min(remaining, BATCH_ROWS))
            if not self._pending:
                self._arrived.clear()
            self._full.clear()

    async def run(self) -> None:
        """Write batches until cancelled, then write what is left."""
        try:
            while True:
                await self._arrived.wait()
                with suppress(TimeoutError):
                    async with asyncio.timeout(BATCH_SECONDS):
                        await self._full.wait()
                try:
                    await self.flush()
                except GraftlineError as exc:
                    logger.warning("interactions wait for the database: %s", exc)
                    self._full.clear()
        finally:
            await self._flush_last()

    async def _flush_last(self) -> None:
        try:
            await self.flush()
        except GraftlineError:
            logger.exception("%d interactions are lost", len(self._pending))
            self._metrics.interactions_dropped.inc(len(self._pending))

    async def _write_batch(self, size: int) -> int:
        batch = [self._pending[index] for index in range(size)]
        try:
            await self._store.interactions.add_many(batch)
        except GraftlineError:
            raise
        except Exception:  # the edge of the loop: a refused row must not stop the rest
            if size > 1:  # one row is at fault: find it by halves
                return await self._write_batch(size // 2)
            logger.exception("the store refused the interaction %s", batch[0].id)
            self._metrics.interactions_dropped.inc()
        else:
            self._metrics.interactions.inc(size)
        for _ in batch:
            self._pending.popleft()
        return size
