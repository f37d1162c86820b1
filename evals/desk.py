"""Places made ready to be asked, a few at a time: each with its question and what is known of it.

It refuses to ask. Memory holds one handful of questions, however many places there are.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from evals.arms import Question
from evals.place import Place
from evals.recall import Recall
from evals.wire import Measured, Reply, generation, measurement
from registry.errors import Invalid
from registry.records import Record

HANDFUL = 32
"""Places made ready together: one look into the memory serves them all."""


class Ready(Record, frozen=True, kw_only=True):
    """A place that can be asked."""

    place: Place
    """The place."""
    question: Question | None
    """What is asked; none where it cannot be put."""
    fault: str | None = None
    """Why it cannot be put."""
    reply: Reply | None = None
    """What an earlier exam was answered; none where it is to be asked."""
    measured: Measured | None = None
    """What an earlier exam measured, likewise."""


class Desk:
    """Hands out places, each once, to whoever comes."""

    def __init__(
        self, places: Sequence[Place], put: Callable[[Place], Question], recall: Recall | None
    ) -> None:
        self._places = iter(places)
        self._put = put
        self._recall = recall
        self._ready: Iterator[Ready] = iter(())
        self._refill = asyncio.Lock()  # protects `_ready`: one asker fills it, the others wait

    async def next(self) -> Ready | None:
        """Return the next place, or none when all are handed out."""
        async with self._refill:
            found = next(self._ready, None)
            if found is None:
                self._ready = iter(await self._handful())
                found = next(self._ready, None)
        return found

    async def _handful(self) -> list[Ready]:
        ready = [prepared(place, self._put) for place in islice(self._places, HANDFUL)]
        if self._recall is None:
            return ready
        return await _recalled(self._recall, ready)


def prepared(place: Place, put: Callable[[Place], Question]) -> Ready:
    """Return a place with its question, or with why it has none."""
    try:
        return Ready(place=place, question=put(place))
    except Invalid as exc:
        return Ready(place=place, question=None, fault=str(exc))


async def _recalled(recall: Recall, ready: Sequence[Ready]) -> list[Ready]:
    """Return the places with what is known of them."""
    asked = {
        number: each.question
        for number, each in enumerate(ready)
        if each.question is not None and recall.covers(each.place.arm)
    }
    replies = await recall.replies([generation(question) for question in asked.values()])
    figures = await recall.measurements([measurement(question) for question in asked.values()])
    known = dict(zip(asked, zip(replies, figures, strict=True), strict=True))
    return [
        each
        if number not in known
        else Ready(
            place=each.place,
            question=each.question,
            reply=known[number][0],
            measured=known[number][1],
        )
        for number, each in enumerate(ready)
    ]
