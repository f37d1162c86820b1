"""Server-sent events on their way through: relayed byte for byte, read in passing.

It refuses to know where they come from and go to. One event is ever changed: the usage that the
service asked for and the client did not is left out.
"""

from typing import Any

import msgspec

from service.logprobs import ChoiceLogprobs, MeanLogprob
from service.texts import AnswerText

_END_OF_EVENT = b"\n\n"
_DATA = b"data:"
_DONE = b"[DONE]"


class Usage(msgspec.Struct, frozen=True):
    """Tokens as the engine counted them."""

    prompt_tokens: int = 0
    """Tokens of the prompt."""
    completion_tokens: int | None = None
    """Tokens of the answer."""


class _Choice(msgspec.Struct):
    finish_reason: str | None = None
    logprobs: ChoiceLogprobs | None = None


class Reading(msgspec.Struct):
    """What we need from a plain answer or from one event."""

    choices: list[_Choice] = msgspec.field(default_factory=list)
    """The alternatives; an event that reports usage has none."""
    usage: Usage | None = None
    """Tokens, at the end."""
    error: Any = None
    """The engine's own report of a failure in mid-stream."""

    @property
    def mean_logprob(self) -> float | None:
        """Mean log-probability of a plain answer; none when the engine did not tell."""
        mean = MeanLogprob()
        mean.add(self.choices)
        return mean.value

    @property
    def finish_reason(self) -> str | None:
        """Why the first finished alternative ended."""
        return next((each.finish_reason for each in self.choices if each.finish_reason), None)


_decoder = msgspec.json.Decoder(Reading)


def read(body: bytes) -> Reading:
    """Read a plain answer or an event; what cannot be read tells nothing."""
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError:
        return Reading()


class StreamReader:
    """Takes a stream in pieces of any size and returns what to relay."""

    def __init__(self, *, keep_usage: bool, text: AnswerText | None = None) -> None:
        self._keep_usage = keep_usage
        self._text = text
        self._logprobs = MeanLogprob()
        self._rest = b""
        self.usage: Usage | None = None
        """Tokens, once reported."""
        self.finish_reason: str | None = None
        """Why the answer ended."""
        self.is_done = False
        """Whether the closing `[DONE]` came."""
        self.has_failed = False
        """Whether the engine reported an error inside the stream."""

    @property
    def mean_logprob(self) -> float | None:
        """Mean log-probability so far; none when the engine did not tell."""
        return self._logprobs.value

    def feed(self, data: bytes) -> bytes:
        """Return the whole events in what has come so far, as they came."""
        *events, self._rest = (self._rest + data).split(_END_OF_EVENT)
        return b"".join(event + _END_OF_EVENT for event in events if self._relays(event))

    def _relays(self, event: bytes) -> bool:
        if not event.startswith(_DATA):
            return True
        payload = event[len(_DATA) :].strip()
        if payload == _DONE:
            self.is_done = True
            return True
        reading = read(payload)
        self._logprobs.add(reading.choices)
        if self._text is not None:
            self._text.feed(payload)
        self.usage = reading.usage or self.usage
        self.finish_reason = reading.finish_reason or self.finish_reason
        self.has_failed = self.has_failed or reading.error is not None
        return self._keep_usage or reading.usage is None or bool(reading.choices)
