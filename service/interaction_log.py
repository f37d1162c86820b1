"""Interactions on their way to the store, behind the requests.

It refuses to know what an interaction means. Recording never waits; writing is in batches.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from operator import attrgetter

import msgspec

from registry.conversation import words_of
from registry.errors import GraftlineError, Unavailable
from registry.records import Interaction
from registry.store import Store
from registry.store.batch_process import ProcessDied
from registry.store.batches import first_field, packed
from service.features import text_features
from service.kept_text import KeptText, text_of
from service.metrics import ServiceMetrics
from service.usage import UsageLedger

BATCH_ROWS = 1000
"""Rows that are written without waiting for more."""
MOST_ROWS = 8000
"""Most rows of one transaction. Its steps wait for the interpreter, which a busy service has little
of: with a thousand rows each, a saturated one wrote down four tenths of what it answered."""
BATCH_SECONDS = 0.2
"""Longest time a row waits for others."""
RETRY_SECONDS = 0.5
"""Pause before a batch is tried again when the database is away."""
MAX_PENDING = 200_000
"""Rows that may wait while the database is away; more are dropped and counted."""
_BATCH_BYTES = 4 * 1024 * 1024
_ROW_BYTES = 150  # what a waiting row takes beside its content
_TEXTS_AT_ONCE = 20  # whose features are computed before requests get a turn
_REMEMBERED = 10_000
_size_of = attrgetter("size")

logger = logging.getLogger(__name__)


class _Waiting(msgspec.Struct, gc=False):  # the collector would walk through 200,000 of them
    row: bytes
    size: int
    interaction: Interaction | None = None
    text: KeptText | None = None


class _Batch(msgspec.Struct):
    rows: list[bytes]
    texts: list[bytes]
    texts_refused: int = 0


class InteractionLog:
    """A queue of interactions, bounded in rows and bytes, and its writer."""

    def __init__(
        self,
        store: Store,
        metrics: ServiceMetrics,
        usage: UsageLedger,
        *,
        max_rows: int = MAX_PENDING,
        max_bytes: int = 80 * 1024 * 1024,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._usage = usage
        self._rows_in_doubt = 0
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._pending: deque[_Waiting] = deque()
        self._bytes = 0
        self._texts = 0  # how many of them wait
        self._dropped: dict[str, None] = {}
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._writing = asyncio.Lock()  # protects the order: one batch leaves the queue at a time

    def record(self, interaction: Interaction, text: KeptText | None = None) -> None:
        """Take an interaction; never waits, and drops it when too much waits already.

        Args:
            interaction: What happened. It is packed at once, in about 2 µs.
            text: What was said, when `texts.wanted`; too much of it is left out, and counted.
        """
        row = packed(interaction)
        waiting = _Waiting(row, len(row) + _ROW_BYTES)
        if text is not None:
            self._attach(waiting, interaction, text)
        size = waiting.size
        if len(self._pending) >= self._max_rows or self._bytes + size > self._max_bytes:
            self._drop(interaction.id)
            return
        self._bytes += size
        self._texts += waiting.interaction is not None
        self._pending.append(waiting)
        self._arrived.set()
        if len(self._pending) >= BATCH_ROWS:
            self._full.set()

    def was_dropped(self, identifier: str) -> bool:
        """Return whether an interaction is among the last ones that could not be stored."""
        return identifier in self._dropped

    async def flush(self) -> None:
        """Return once everything recorded so far is stored.

        Raises:
            Unavailable: The database cannot be reached; what waits goes on waiting.
        """
        async with self._writing:
            remaining, is_again = len(self._pending), self._usage.is_taken
            while remaining > 0:
                remaining -= await self._write_batch(min(remaining, MOST_ROWS))
            # Usage goes with the rows; with rows whose usage was taken before, only that did.
            if self._usage.waiting_requests and (is_again or not self._pending):
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
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            await self._flush_last()

    async def _flush_last(self) -> None:
        try:
            try:
                await self.flush()
            except ProcessDied:
                await self.flush()
        except GraftlineError:
            logger.exception("%d interactions are lost", len(self._pending))
            self._metrics.interactions_dropped.inc(len(self._pending))
            self._metrics.usage_dropped.inc(self._usage.waiting_requests)

    def _attach(self, waiting: _Waiting, interaction: Interaction, text: KeptText) -> None:
        """Let a text wait too, unless half the room is taken: rows go before texts."""
        if self._bytes + text.bytes > self._max_bytes // 2:
            self._metrics.texts_dropped.inc()
            return
        waiting.size += text.bytes + _ROW_BYTES
        waiting.interaction, waiting.text = interaction, text

    def _drop(self, identifier: str) -> None:
        self._metrics.interactions_dropped.inc()
        self._dropped[identifier] = None
        if len(self._dropped) > _REMEMBERED:
            del self._dropped[next(iter(self._dropped))]

    async def _write_batch(self, most: int) -> int:
        stored = await self._stored_in_doubt()
        if stored:
            return self._settle(stored)
        if self._texts or self._bytes > _BATCH_BYTES:
            waiting = _within(islice(self._pending, most))
            batch = await _unfolded(waiting)
        else:
            waiting = list(islice(self._pending, most))
            batch = _Batch([one.row for one in waiting], [])
        self._rows_in_doubt = len(waiting)
        try:
            await self._store.interactions.add_packed(batch.rows, batch.texts, self._usage.take())
        except Unavailable:
            raise
        except Exception as exc:  # the edge of the loop: a refused row must not stop the rest
            self._rows_in_doubt = 0
            if len(waiting) > 1:  # one row is at fault: find it by halves
                return await self._write_batch(len(waiting) // 2)
            logger.warning("the store refused a row", exc_info=exc)
            return await self._refuse(waiting[0], has_text=bool(batch.texts))
        self._metrics.texts.inc(len(batch.texts))
        self._metrics.texts_dropped.inc(batch.texts_refused)
        return self._settle(len(waiting))

    async def _refuse(self, waiting: _Waiting, *, has_text: bool) -> int:
        """Drop what is at fault of one row: its text first, for it may be that."""
        if has_text:
            self._metrics.texts_dropped.inc()
            waiting.text = None
            return await self._write_batch(1)
        name = first_field(waiting.row)
        logger.warning("the interaction %s is dropped", name)
        self._drop(name)
        self._forget(1)
        return 1

    async def _stored_in_doubt(self) -> int:
        """Return the size of the last batch, if it broke off and was stored all the same.

        A connection may break, or the writer be stopped, between a commit and its confirmation.
        Then neither the batch nor the usage that went with it must be written again.
        """
        if not self._rows_in_doubt:
            return 0
        first = first_field(self._pending[0].row)
        return self._rows_in_doubt if await self._store.interactions.is_stored(first) else 0

    def _settle(self, stored: int) -> int:
        """Take note that the first rows, and the usage taken with them, are stored."""
        self._rows_in_doubt = 0
        self._usage.settled()
        self._metrics.interactions.inc(stored)
        self._forget(stored)
        return stored

    def _forget(self, count: int) -> None:
        leave = self._pending.popleft
        gone = [leave() for _ in range(count)]
        self._bytes -= sum(map(_size_of, gone))
        if self._texts:
            self._texts -= sum(one.interaction is not None for one in gone)

    async def _write_usage(self) -> None:
        """Write usage alone: counted for interactions that were dropped for want of room."""
        await self._store.interactions.add_packed([], [], self._usage.take())
        self._usage.settled()


def _within(waiting: Iterable[_Waiting]) -> list[_Waiting]:
    """Return the first of what waits, at least one, that together fit into one transaction.

    Rows with texts are fewer: they are longer, and each takes time of its own.
    """
    chosen: list[_Waiting] = []
    size = texts = 0
    for one in waiting:
        size += one.size
        texts += one.text is not None
        if chosen and (size > _BATCH_BYTES or texts > BATCH_ROWS):
            break
        chosen.append(one)
    return chosen


async def _unfolded(waiting: Sequence[_Waiting]) -> _Batch:
    """Return the rows, and the texts with the features that only texts have."""
    batch = _Batch([], [])
    for one in waiting:
        if one.text is None or one.interaction is None:
            batch.rows.append(one.row)
            continue
        if len(batch.texts) % _TEXTS_AT_ONCE == 0:
            await asyncio.sleep(0)  # the requests' turn
        kept = text_of(one.interaction, one.text)
        if kept is None:
            batch.texts_refused += 1
            batch.rows.append(one.row)
            continue
        known = one.interaction.features | text_features(words_of(kept.request), kept.answer)
        batch.rows.append(packed(msgspec.structs.replace(one.interaction, features=known)))
        batch.texts.append(packed(kept))
    return batch
