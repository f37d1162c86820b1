"""Answers become stored rows, a few at a time.

It refuses to know who asks, and how. A crash loses at most the batch in hand, and nothing more
than its requests: the rows are asked again.
"""

import asyncio
from collections.abc import Callable, Sequence

from evals.scoring import Answer, score
from registry.records import EvaluationRow, KnownAnswer, Record
from registry.store import Store

BATCH_ROWS = 16
"""Answers stored in one transaction."""
BATCH_SECONDS = 0.5
"""Longest time an answer waits to be stored."""
Score = Callable[[Sequence[Answer]], list[dict[str, float]]]
"""Answers to their scores by metric."""


class Noted(Record, frozen=True, kw_only=True):
    """An answer, and what is done with it beside its score."""

    answer: Answer
    """The answer."""
    keep: Sequence[KnownAnswer] = ()
    """What later exams need not ask for; written together with the row, or not at all."""
    from_cache: bool = False
    """Whether it was not asked for."""


class Scribe:
    """Scores and stores the answers of one evaluation."""

    def __init__(
        self,
        store: Store,
        evaluation_id: str,
        stored: Callable[[int], None],
        *,
        score: Score = score,
    ) -> None:
        self._store = store
        self._evaluation_id = evaluation_id
        self._stored = stored
        self._score = score
        self._queue: asyncio.Queue[Noted | None] = asyncio.Queue(maxsize=4 * BATCH_ROWS)
        self._batch: list[Noted] = []

    async def put(self, noted: Noted) -> None:
        """Hand over an answer; waits while the store is slower than the models."""
        await self._queue.put(noted)

    async def close(self) -> None:
        """Say that no answer follows; `run` ends when all are stored."""
        await self._queue.put(None)

    async def run(self) -> None:
        """Store answers until closed; on cancellation, store those in hand first."""
        ended = False
        try:
            while not ended:
                ended = await self._gather()
                await self._flush()
        finally:
            while not self._queue.empty():
                self._take(self._queue.get_nowait())
            await self._flush()

    async def _gather(self) -> bool:
        """Fill a batch, or as much of it as comes in time; return whether that was the end."""
        if self._take(await self._queue.get()):
            return True
        try:
            async with asyncio.timeout(BATCH_SECONDS):
                while len(self._batch) < BATCH_ROWS:
                    if self._take(await self._queue.get()):
                        return True
        except TimeoutError:
            pass
        return False

    def _take(self, noted: Noted | None) -> bool:
        if noted is not None:
            self._batch.append(noted)
        return noted is None

    async def _flush(self) -> None:
        if not self._batch:
            return
        scored = self._score([noted.answer for noted in self._batch])
        rows = [
            EvaluationRow(
                evaluation_id=self._evaluation_id,
                suite=noted.answer.suite,
                arm=noted.answer.arm,
                row=noted.answer.number,
                output=noted.answer.output,
                scores=scores,
                error=noted.answer.error,
                from_cache=noted.from_cache,
            )
            for noted, scores in zip(self._batch, scored, strict=True)
        ]
        known = [answer for noted in self._batch for answer in noted.keep]
        await self._store.evaluations.add_rows(rows, known=known)
        self._batch.clear()
        self._stored(len(rows))
