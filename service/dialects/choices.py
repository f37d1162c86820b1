"""OpenAI's chat and completions: an answer is a list of choices, a stream ends with `[DONE]`.

It refuses to know messages and sampling.
"""

from typing import Any

import msgspec

from service.dialects.dialect import Dialect
from service.streaming import Reading, StreamReader, Usage

_DONE = b"[DONE]"


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] = msgspec.field(default_factory=list)
    usage: Usage | None = None
    error: Any = None

    @property
    def finish_reason(self) -> str | None:
        return next((each.finish_reason for each in self.choices if each.finish_reason), None)


class _Words(msgspec.Struct):
    content: str | None = None


class _Spoken(msgspec.Struct):
    index: int = 0
    message: _Words | None = None
    delta: _Words | None = None
    text: str | None = None


class _SpokenAnswer(msgspec.Struct):
    choices: list[_Spoken] = msgspec.field(default_factory=list)


_decoder = msgspec.json.Decoder(_Answer)
_words_decoder = msgspec.json.Decoder(_SpokenAnswer)


def read(body: bytes) -> Reading:
    """Read a plain answer; what cannot be read tells nothing."""
    answer = _decoded(body)
    return Reading(usage=answer.usage, finish_reason=answer.finish_reason)


def words_of(payload: bytes) -> str:
    """Return the words of the first choice in a plain answer or an event."""
    try:
        answer = _words_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    for choice in answer.choices:
        if choice.index == 0:
            said = choice.message or choice.delta
            return (choice.text if said is None else said.content) or ""
    return ""


class ChoicesReader(StreamReader):
    """Reads a stream of choices; usage that the client did not ask for is left out."""

    def is_notable(self, data: bytes) -> bool:
        """Return whether usage, an error, the end or a reason of the end may be among the events.

        A quoted word is found only where it is a whole JSON string: quotes inside a text are
        escaped. Each choice has a `finish_reason`, and vLLM writes `null` without a blank.
        """
        return (
            b'"usage"' in data
            or _DONE in data
            or b'"error"' in data
            or data.count(b'"finish_reason"') != data.count(b'"finish_reason":null')
        )

    def relays(self, payload: bytes) -> bool:
        """Take in an event."""
        if payload == _DONE:
            self.is_done = True
            return True
        answer = _decoded(payload)
        self.usage = answer.usage or self.usage
        self.finish_reason = answer.finish_reason or self.finish_reason
        self.has_failed = self.has_failed or answer.error is not None
        return self._keep_usage or answer.usage is None or bool(answer.choices)


def _decoded(body: bytes) -> _Answer:
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError:
        return _Answer()


CHAT = Dialect(
    name="chat.completions",
    path="/v1/chat/completions",
    summary="Answer a conversation, whole or streamed, with tools or without.",
    required={"messages": list},
    prompt_fields=("messages",),
    id_prefix="chatcmpl-",
    asks_for_usage=True,
    read=read,
    stream_reader=ChoicesReader,
    words_of=words_of,
)
"""A conversation."""
COMPLETIONS = Dialect(
    name="completions",
    path="/v1/completions",
    summary="Continue a text, whole or streamed.",
    required={"prompt": str},
    prompt_fields=("prompt",),
    id_prefix="cmpl-",
    asks_for_usage=True,
    read=read,
    stream_reader=ChoicesReader,
    words_of=words_of,
)
"""A text to continue."""
