"""The mean log-probability of an answer, read in passing when the client asked for it.

It refuses to know who asked: an answer without log-probabilities has no mean.
"""

import msgspec


class _Token(msgspec.Struct):
    logprob: float | None = None


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None  # chat
    token_logprobs: list[float | None] | None = None  # completions; first of an echoed prompt: null


class _Choice(msgspec.Struct):
    logprobs: _Logprobs | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] = msgspec.field(default_factory=list)


_decode = msgspec.json.Decoder(_Answer).decode


class MeanLogprob:
    """Adds up what the events of one answer show."""

    __slots__ = ("_count", "_sum")

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0.0

    def feed(self, payload: bytes) -> None:
        """Take a plain answer's body or an event's data; what cannot be read tells nothing."""
        try:
            answer = _decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        for choice in answer.choices:
            if choice.logprobs is not None:
                self._take(choice.logprobs)

    def _take(self, found: _Logprobs) -> None:
        values = found.token_logprobs or [token.logprob for token in found.content or ()]
        for value in values:
            if value is not None:
                self._sum += value
                self._count += 1

    @property
    def value(self) -> float | None:
        """Mean log-probability, in nats a token, over all alternatives; none when unknown."""
        return self._sum / self._count if self._count else None
