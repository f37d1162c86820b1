"""Suites × arms, asked: each answer is stored as it comes, and none is asked twice.

It refuses to know results, and the queue of evaluations.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from evals.arms import Question, question, with_instruction
from evals.client import Client
from evals.metric_table import TextMetric
from evals.neighbours import Neighbours
from evals.order import Numbered
from evals.panel import Arm, Prompting
from evals.scoring import Answer, Scheme, asks_confidence, score
from evals.scribe import Scribe
from evals.sources import Source
from evals.suites.suite import Suite
from evals.wire import Reply
from registry.chatdata import Row
from registry.errors import EngineError, Invalid
from registry.records import Record
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
    """One row of a suite and the arm that is asked it."""

    suite: str
    """The suite's name."""
    arm: Arm
    """Who is asked."""
    entry: Numbered
    """The row."""
    wants_confidence: bool
    """Whether the model is asked how sure it is."""

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells it from every other place."""
        return self.suite, self.arm.name, self.entry.number


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


def places_of(suites: Sequence[Suite], schemes: Mapping[str, Scheme]) -> list[Place]:
    """Return every place of the suites, in the order of asking."""
    return [
        Place(
            suite=suite.name,
            arm=arm,
            entry=entry,
            wants_confidence=asks_confidence(schemes[suite.name]),
        )
        for suite in suites
        for entry in suite.entries
        for arm in suite.arms
    ]


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
    ) -> None:
        """Ask every place, and store the answers.

        Args:
            evaluation_id: The evaluation.
            places: Those without a stored answer.
            prompts: What stands before the rows.
            schemes: How each suite is scored.
            stored: Called with the number of answers that were stored.
        """
        logger.info("%s: %d answers to get", evaluation_id, len(places))

        def scored(answers: Sequence[Answer]) -> list[dict[str, float]]:
            return score(answers, schemes, self._metrics)

        scribe = Scribe(self._store, evaluation_id, stored, score=scored)
        todo = iter(places)
        async with asyncio.TaskGroup() as outer:
            outer.create_task(scribe.run())
            async with asyncio.TaskGroup() as askers:
                for _ in range(self._limits.concurrency):
                    askers.create_task(self._ask_some(todo, prompts, scribe))
            await scribe.close()

    async def _ask_some(self, todo: Iterator[Place], prompts: Prompts, scribe: Scribe) -> None:
        """Work on the places that no other asker took."""
        for place in todo:
            try:
                asked = self._question(place, prompts)
            except Invalid as exc:
                await scribe.put(_unasked(place, str(exc)))
            else:
                await scribe.put(await self._answer(place, asked))

    async def _answer(self, place: Place, asked: Question) -> Answer:
        """Get text and log-probabilities side by side."""
        async with asyncio.TaskGroup() as both:
            text = both.create_task(_or_refusal(self._client.answer(asked)))
            measured = both.create_task(_or_refusal(self._client.target_logprobs(asked)))
        said, logprobs = text.result(), measured.result()
        refusals = [str(found) for found in (said, logprobs) if isinstance(found, EngineError)]
        reply = Reply(text=None) if isinstance(said, EngineError) else said
        return Answer(
            suite=place.suite,
            arm=place.arm.name,
            number=place.entry.number,
            target=asked.target,
            output=reply.text,
            confidence=reply.confidence,
            logprobs=None if isinstance(logprobs, EngineError) else logprobs,
            prompt_tokens=asked.target_start,
            error="; ".join(dict.fromkeys(refusals)) or None,
        )

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


async def _or_refusal(asked: Awaitable[T]) -> T | EngineError:
    try:
        return await asked
    except EngineError as exc:
        return exc
