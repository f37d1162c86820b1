"""Answers become stored rows, a few at a time.

It refuses to know who asks, and how. A crash loses at most the batch in hand, and nothing more
than its requests: the rows are asked again.
"""

import asyncio
from collections.abc import Callable, Sequence

from evals.scoring import Answer, score
from registry.records import EvaluationRow
from registry.store import Store

BATCH_ROWS = 16
"""Answers stored in one transaction."""
BATCH_SECONDS = 0.5
"""Longest time an answer waits to be stored."""
Score = Callable[[Sequence[Answer]], list[dict[str, float]]]
"""Answers to their scores by metric."""


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
        self._queue: asyncio.Queue[Answer | None] = asyncio.Queue(maxsize=4 * BATCH_ROWS)
        self._batch: list[Answer] = []

    async def put(self, answer: Answer) -> None:
        """Hand over an answer; waits while the store is slower than the models."""
        await self._queue.put(answer)

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

    def _take(self, answer: Answer | None) -> bool:
        if answer is not None:
            self._batch.append(answer)
        return answer is None

    async def _flush(self) -> None:
        if not self._batch:
            return
        rows = [
            EvaluationRow(
                evaluation_id=self._evaluation_id,
                suite=answer.suite,
                arm=answer.arm,
                row=answer.number,
                output=answer.output,
                scores=scores,
                error=answer.error,
            )
            for answer, scores in zip(self._batch, self._score(self._batch), strict=True)
        ]
        await self._store.evaluations.add_rows(rows)
        self._batch.clear()
        self._stored(len(rows))
