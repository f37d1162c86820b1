"""Suites × arms, asked: each answer is stored as it comes, and none is asked twice.

It refuses to know results, and the queue of evaluations.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from evals.arms import Question, question, with_instruction
from evals.client import Client
from evals.desk import Desk, Ready, prepared
from evals.metric_table import TextMetric
from evals.neighbours import Neighbours
from evals.panel import Arm, Prompting
from evals.place import Place
from evals.recall import Recall
from evals.scoring import Answer, Scheme, score
from evals.scribe import Noted, Scribe
from evals.sources import Source
from evals.wire import Measured, Reply, generation, measurement
from registry.chatdata import Row
from registry.errors import EngineError
from registry.records import KnownAnswer, Record
from registry.rendering import Tokenizer
from registry.store import Store

T = TypeVar("T")
_MEETINGS = 3  # rows tried before an exam goes on without its memory
logger = logging.getLogger(__name__)


class _Heard(Record, frozen=True, kw_only=True):
    """What came back for a place; none where nothing could be asked."""

    said: Reply | EngineError | None
    measured: Measured | EngineError | None


class Limits(Record, frozen=True, kw_only=True):
    """What one evaluation may use."""

    max_model_len: int
    """Longest sequence, in tokens, that the engine takes."""
    concurrency: int
    """Rows asked at a time."""


class Prompts:
    """What stands before a row's prompt, by arm."""

    def __init__(self, source: Source, instruction: str | None) -> None:
        self._examples = source.examples
        self._neighbours = Neighbours(source.nearest)
        self._instruction = instruction

    def examples(self, arm: Arm, row: Row) -> list[Row]:
        """Return the examples before a row, the most important one first."""
        if arm.prompting == Prompting.FIXED:
            return self._examples.fitting(row)[: arm.examples]
        if arm.prompting == Prompting.NEAREST:
            return self._neighbours.fitting(row, arm.examples)
        return []

    def told(self, arm: Arm, row: Row) -> Row:
        """Return the row as the arm is told it."""
        if arm.prompting == Prompting.INSTRUCTION and self._instruction is not None:
            return with_instruction(row, self._instruction)
        return row


class Asker:
    """Asks the places of one evaluation."""

    def __init__(
        self,
        store: Store,
        client: Client,
        tokenizer: Tokenizer,
        *,
        limits: Limits,
        metrics: Sequence[TextMetric],
    ) -> None:
        self._store = store
        self._client = client
        self._tokenizer = tokenizer
        self._limits = limits
        self._metrics = metrics

    async def ask(
        self,
        evaluation_id: str,
        places: Sequence[Place],
        prompts: Prompts,
        *,
        schemes: Mapping[str, Scheme],
        stored: Callable[[int], None],
        recall: Recall | None = None,
    ) -> None:
        """Ask every place, and store the answers.

        Args:
            evaluation_id: The evaluation.
            places: Those without a stored answer.
            prompts: What stands before the rows.
            schemes: How each suite is scored.
            stored: Called with the number of answers that were stored.
            recall: What earlier exams were answered; none to ask everything anew.
        """
        logger.info("%s: %d answers to get", evaluation_id, len(places))

        def scored(answers: Sequence[Answer]) -> list[dict[str, float]]:
            return score(answers, schemes, self._metrics)

        def put(place: Place) -> Question:
            return self._question(place, prompts)

        scribe = Scribe(self._store, evaluation_id, stored, score=scored)
        async with asyncio.TaskGroup() as outer:
            outer.create_task(scribe.run())
            rest = places if recall is None else await self._meet(places, put, recall, scribe)
            desk = Desk(rest, put, recall)
            async with asyncio.TaskGroup() as askers:
                for _ in range(self._limits.concurrency):
                    askers.create_task(self._ask_some(desk, recall, scribe))
            await scribe.close()

    async def _meet(
        self,
        places: Sequence[Place],
        put: Callable[[Place], Question],
        recall: Recall,
        scribe: Scribe,
    ) -> list[Place]:
        """Ask the base model a row anew, so that the memory knows the engine; return the rest."""
        met: set[tuple[str, str, int]] = set()
        for place in [place for place in places if recall.covers(place.arm)][:_MEETINGS]:
            ready = prepared(place, put)
            heard = await self._heard(ready, measures=True)
            await scribe.put(_noted(ready, heard, recall))
            met.add(place.key)
            if ready.question is not None and isinstance(heard.measured, Measured):
                await recall.met(measurement(ready.question), heard.measured)
                break
        return [place for place in places if place.key not in met]

    async def _ask_some(self, desk: Desk, recall: Recall | None, scribe: Scribe) -> None:
        """Work on the places that no other asker took."""
        while (ready := await desk.next()) is not None:
            heard = await self._heard(ready, measures=ready.place.wants_loss)
            await scribe.put(_noted(ready, heard, recall))

    async def _heard(self, ready: Ready, *, measures: bool) -> _Heard:
        """Get text and, where wanted, log-probabilities side by side, where they are not known."""
        if ready.question is None:
            return _Heard(said=None, measured=None)
        said, measured = ready.reply, ready.measured
        if not measures:
            text = await _or_refusal(self._client.answer, ready.question, said)
            return _Heard(said=text, measured=None)
        if said is not None and measured is not None:
            return _Heard(said=said, measured=measured)
        async with asyncio.TaskGroup() as both:
            answer = both.create_task(_or_refusal(self._client.answer, ready.question, said))
            figures = both.create_task(_or_refusal(self._client.measure, ready.question, measured))
        return _Heard(said=answer.result(), measured=figures.result())

    def _question(self, place: Place, prompts: Prompts) -> Question:
        arm, row = place.arm, place.entry.row
        return question(
            arm.name,
            place.entry.number,
            prompts.told(arm, row),
            model=arm.model,
            examples=prompts.examples(arm, row),
            tokenizer=self._tokenizer,
            max_model_len=self._limits.max_model_len,
            closest_last=arm.prompting == Prompting.NEAREST,
            wants_confidence=place.wants_confidence,
        )


async def _or_refusal(
    ask: Callable[[Question], Awaitable[T]], asked: Question, known: T | None
) -> T | EngineError:
    """Return what is known, or else ask; a refusal is an answer too."""
    try:
        return await ask(asked) if known is None else known
    except EngineError as exc:
        return exc


def _noted(ready: Ready, heard: _Heard, recall: Recall | None) -> Noted:
    """Return the answer to a place, and what of it is to be kept."""
    place, asked = ready.place, ready.question
    if asked is None:
        return Noted(answer=_unasked(place, ready.fault or "It cannot be asked."))
    said, measured = heard.said, heard.measured
    reply = said if isinstance(said, Reply) else Reply(text=None)
    refusals = [str(found) for found in (said, measured) if isinstance(found, EngineError)]
    answer = Answer(
        suite=place.suite,
        arm=place.arm.name,
        number=place.entry.number,
        target=asked.target,
        output=reply.text,
        confidence=reply.confidence,
        logprobs=measured.logprobs if place.wants_loss and isinstance(measured, Measured) else None,
        prompt_tokens=asked.target_start,
        error="; ".join(dict.fromkeys(refusals)) or None,
    )
    keep: list[KnownAnswer] = []
    if recall is not None and recall.covers(place.arm) and not refusals:
        if ready.reply is None:
            keep += recall.to_keep(generation(asked), reply)
        if ready.measured is None and isinstance(measured, Measured):
            keep += recall.to_keep(measurement(asked), measured)
    is_known = ready.reply is not None and (ready.measured is not None or not place.wants_loss)
    return Noted(answer=answer, keep=keep, from_cache=is_known)


def _unasked(place: Place, why: str) -> Answer:
    return Answer(
        suite=place.suite,
        arm=place.arm.name,
        number=place.entry.number,
        target=place.entry.row.target,
        output=None,
        logprobs=None,
        error=why,
    )
