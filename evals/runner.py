"""One evaluation from its rows to its results: arms × rows, each answer stored as it comes.

It refuses to know the queue of evaluations, and what a verdict leads to.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import TypeVar

from anyio import to_thread

from evals.arms import Question, question, target_text
from evals.client import Client
from evals.compare import ArmName
from evals.order import Numbered
from evals.paper import Paper, set_paper
from evals.results import Material, Results, conclude, digest
from evals.scoring import Answer, metric_kinds
from evals.scribe import Scribe
from registry.blobs import Blobs
from registry.errors import EngineError, Invalid
from registry.records import AdapterVersion, Evaluation, EvaluationRow, Record
from registry.rendering import Tokenizer
from registry.store import Store

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Limits(Record, frozen=True, kw_only=True):
    """What one evaluation may use."""

    max_model_len: int
    """Longest sequence, in tokens, that the engine takes."""
    concurrency: int
    """Rows asked at a time."""


class Place(Record, frozen=True, kw_only=True):
    """One row and the arm that is asked it."""

    arm: ArmName
    """Who is asked."""
    entry: Numbered
    """The row."""


class Runner:
    """Runs evaluations, one after another."""

    def __init__(
        self,
        store: Store,
        client: Client,
        blobs: Blobs,
        tokenizer: Tokenizer,
        *,
        limits: Limits,
        progress: Callable[[float], None] = lambda _share: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._client = client
        self._blobs = blobs
        self._tokenizer = tokenizer
        self._limits = limits
        self._progress = progress
        self._clock = clock

    async def run(self, evaluation: Evaluation, adapter: AdapterVersion) -> Results:
        """Ask what is not answered yet, and conclude.

        Raises:
            Invalid: The policy or the held-out file cannot be used.
            NotFound: The held-out file or a model is gone.
            Denied: The service does not let us ask.
            Unavailable: A part has been away for too long; what is answered stays.
            ExceptionGroup: Around any of these, from the tasks.
        """
        began = self._clock()
        heldout = await self._store.files.get(evaluation.heldout_file)
        paper = await set_paper(evaluation, self._blobs)
        kept = await self._store.evaluations.rows(evaluation.id)
        await self._ask(evaluation.id, adapter, paper, kept)
        answers = await self._store.evaluations.rows(evaluation.id)
        results = await to_thread.run_sync(conclude, self._material(paper, answers))
        hashes = {
            "adapter": adapter.manifest_sha256,
            "heldout": heldout.sha256,
            "policy": digest(paper.policy),
        }
        duration = round(self._clock() - began, 3)
        results.content.update(hashes=hashes, resumed_answers=len(kept), duration_seconds=duration)
        return results

    async def _ask(
        self,
        evaluation_id: str,
        adapter: AdapterVersion,
        paper: Paper,
        kept: Collection[EvaluationRow],
    ) -> None:
        """Ask every place that has no stored answer; a stored one is never asked again."""
        known = {(answer.arm, answer.row) for answer in kept}
        every = [Place(arm=arm, entry=entry) for entry in paper.exam.rows for arm in paper.arms]
        places = [place for place in every if (place.arm, place.entry.number) not in known]
        logger.info("%s: %d of %d answers to get", evaluation_id, len(places), len(every))
        waiting = len(places)

        def stored(count: int) -> None:
            nonlocal waiting
            waiting -= count
            self._progress(1 - waiting / len(every))

        scribe = Scribe(self._store, evaluation_id, stored)
        todo = iter(places)
        async with asyncio.TaskGroup() as outer:
            outer.create_task(scribe.run())
            async with asyncio.TaskGroup() as askers:
                for _ in range(self._limits.concurrency):
                    askers.create_task(self._ask_some(todo, adapter, paper, scribe))
            await scribe.close()

    async def _ask_some(
        self, todo: Iterator[Place], adapter: AdapterVersion, paper: Paper, scribe: Scribe
    ) -> None:
        """Work on the places that no other asker took."""
        for place in todo:
            try:
                asked = self._question(place, adapter, paper)
            except Invalid as exc:
                target = place.entry.row.target
                await scribe.put(_answer(place, target, said=None, logprobs=None, error=str(exc)))
            else:
                await scribe.put(await self._answer(place, asked))

    async def _answer(self, place: Place, asked: Question) -> Answer:
        """Get text and log-probabilities side by side."""
        async with asyncio.TaskGroup() as both:
            text = both.create_task(_or_refusal(self._client.generate(asked)))
            measured = both.create_task(_or_refusal(self._client.target_logprobs(asked)))
        said, logprobs = text.result(), measured.result()
        refusals = [str(found) for found in (said, logprobs) if isinstance(found, EngineError)]
        return _answer(
            place,
            asked.target,
            said=None if isinstance(said, EngineError) else said,
            logprobs=None if isinstance(logprobs, EngineError) else logprobs,
            error="; ".join(dict.fromkeys(refusals)) or None,
        )

    def _question(self, place: Place, adapter: AdapterVersion, paper: Paper) -> Question:
        row, is_adapter = place.entry.row, place.arm == ArmName.ADAPTER
        examples = paper.examples.fitting(row) if place.arm == ArmName.FEW_SHOT else []
        return question(
            place.arm,
            place.entry.number,
            row,
            model=adapter.name if is_adapter else adapter.base_model,
            examples=examples,
            tokenizer=self._tokenizer,
            max_model_len=self._limits.max_model_len,
        )

    def _material(self, paper: Paper, answers: list[EvaluationRow]) -> Material:
        rows = {entry.number: entry.row for entry in paper.exam.rows}
        targets = {number: target_text(self._tokenizer, row) for number, row in rows.items()}
        return Material(
            policy=paper.policy,
            kinds=metric_kinds(targets.values()),
            arms=paper.arms,
            rows=rows,
            targets=targets,
            answers=answers,
            notes=paper.notes,
        )


def _answer(
    place: Place,
    target: str,
    *,
    said: str | None,
    logprobs: list[float] | None,
    error: str | None,
) -> Answer:
    return Answer(
        arm=place.arm,
        number=place.entry.number,
        target=target,
        output=said,
        logprobs=logprobs,
        error=error,
    )


async def _or_refusal(asked: Awaitable[T]) -> T | EngineError:
    try:
        return await asked
    except EngineError as exc:
        return exc
