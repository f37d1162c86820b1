"""The mean log-probability of an answer, read in passing when the client asked for it.

It refuses to know who asked: an answer without log-probabilities has no mean.
"""

from collections.abc import Iterable
from typing import Protocol

import msgspec


class _Token(msgspec.Struct):
    logprob: float | None = None


class ChoiceLogprobs(msgspec.Struct):
    """The field `logprobs` of a choice, of chat and of completions alike."""

    content: list[_Token] | None = None
    """Chat: the answer's tokens, or those of one event."""
    token_logprobs: list[float | None] | None = None
    """Completions: log-probabilities, in nats; the first of an echoed prompt is none."""


class _Choice(Protocol):
    logprobs: ChoiceLogprobs | None


class MeanLogprob:
    """Adds up what the events of one answer show."""

    __slots__ = ("_count", "_sum")

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0.0

    def add(self, choices: Iterable[_Choice]) -> None:
        """Take the choices of a plain answer or of one event."""
        for choice in choices:
            if choice.logprobs is not None:
                self._take(choice.logprobs)

    def _take(self, found: ChoiceLogprobs) -> None:
        values = found.token_logprobs or [token.logprob for token in found.content or ()]
        for value in values:
            if value is not None:
                self._sum += value
                self._count += 1

    @property
    def value(self) -> float | None:
        """Mean log-probability, in nats a token, over all alternatives; none when unknown."""
        return self._sum / self._count if self._count else None
