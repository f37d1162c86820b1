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
from service.usage import UsageLedger

BATCH_ROWS = 200
"""Most rows of one transaction."""
BATCH_SECONDS = 0.2
"""Longest time a row waits for others."""
MAX_PENDING = 10_000
"""Rows that may wait while the database is away; more are dropped and counted."""

logger = logging.getLogger(__name__)


class InteractionLog:
    """A bounded queue of interactions and its writer."""

    def __init__(self, store: Store, metrics: ServiceMetrics, usage: UsageLedger) -> None:
        self._store = store
        self._metrics = metrics
        self._usage = usage
        self._rows_in_doubt = 0
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
            if self._usage.waiting_requests:
                await self._write_usage()
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
            self._metrics.usage_dropped.inc(self._usage.waiting_requests)

    async def _write_batch(self, size: int) -> int:
        stored = await self._stored_in_doubt()
        if not stored:
            batch = [self._pending[index] for index in range(size)]
            self._rows_in_doubt = size
            try:
                await self._store.interactions.add_many(batch, self._usage.take())
            except GraftlineError:
                raise
            except Exception:  # the edge of the loop: a refused row must not stop the rest
                self._rows_in_doubt = 0
                if size > 1:  # one row is at fault: find it by halves
                    return await self._write_batch(size // 2)
                logger.exception("the store refused the interaction %s", batch[0].id)
                self._metrics.interactions_dropped.inc()
                self._pending.popleft()
                return 1
            stored = size
        self._rows_in_doubt = 0
        self._usage.settled()
        self._metrics.interactions.inc(stored)
        for _ in range(stored):
            self._pending.popleft()
        return stored

    async def _stored_in_doubt(self) -> int:
        """Return the size of the last batch, if it broke off and was stored all the same.

        A connection may break, or the writer be stopped, between a commit and its confirmation.
        Then neither the batch nor the usage that went with it must be written again.
        """
        if not self._rows_in_doubt:
            return 0
        is_stored = await self._store.interactions.is_stored(self._pending[0].id)
        return self._rows_in_doubt if is_stored else 0

    async def _write_usage(self) -> None:
        """Write usage alone: counted for interactions that were dropped for want of room."""
        await self._store.interactions.add_many([], self._usage.take())
        self._usage.settled()
