"""What is kept of an answer beside its outcome: its words, and how sure the model was of them.

It refuses to know who wants to know. Most requests want neither; theirs are not made.
"""

from collections.abc import Callable

from service.answer_text import AnswerText
from service.kept_text import MAX_TEXT_BYTES
from service.logprobs import MeanLogprob


class AnswerNotes:
    """Takes notes of one answer, from its whole body or from each of its events.

    Args:
        words_of: Finds the words in a body or an event; none when they are not wanted.
        wants_logprobs: Whether log-probabilities may be among what comes, and are wanted.
    """

    __slots__ = ("_logprobs", "text")

    def __init__(self, words_of: Callable[[bytes], str] | None, *, wants_logprobs: bool) -> None:
        self.text = None if words_of is None else AnswerText(words_of, limit=MAX_TEXT_BYTES)
        """The words; none when they are not wanted."""
        self._logprobs = MeanLogprob() if wants_logprobs else None

    def feed(self, payload: bytes) -> None:
        """Take a plain answer's body or the data of one event."""
        if self.text is not None:
            self.text.feed(payload)
        if self._logprobs is not None:
            self._logprobs.feed(payload)

    @property
    def mean_logprob(self) -> float | None:
        """Mean log-probability, in nats a token; none when it is not known."""
        return None if self._logprobs is None else self._logprobs.value
