"""OpenAI's responses: an answer is a list of items with a status, a stream one event a change.

It refuses to keep anything: what a later request could refer to would live in one replica.
"""

from typing import Any

import msgspec

from service.dialects.dialect import Dialect
from service.streaming import Reading, StreamReader, Usage

_COMPLETED, _INCOMPLETE, _FAILED = "response.completed", "response.incomplete", "response.failed"
_ENDS = frozenset({_COMPLETED, _INCOMPLETE, _FAILED, "response.cancelled", "error"})
_TEXT_DELTA = "response.output_text.delta"
_NOT_KEPT = "Answers are not kept: send the whole conversation as 'input', without '{}'."


class _Usage(msgspec.Struct):
    input_tokens: int = 0
    output_tokens: int | None = None


class _Why(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    status: str | None = None
    incomplete_details: _Why | None = None
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    type: str = ""
    response: _Response | None = None


class _Part(msgspec.Struct):
    type: str = ""
    text: str = ""


class _Item(msgspec.Struct):
    type: str = ""
    content: list[_Part] | None = None


class _Spoken(msgspec.Struct):
    type: str = ""
    output: list[_Item] = msgspec.field(default_factory=list)  # of a plain answer
    delta: Any = None  # of an event


_decoder = msgspec.json.Decoder(_Response)
_words_decoder = msgspec.json.Decoder(_Spoken)
_event_decoder = msgspec.json.Decoder(_Event)


def read(body: bytes) -> Reading:
    """Read a plain answer; what cannot be read tells nothing.

    The reason of the end is that of an incomplete answer, else its status.
    """
    try:
        return _reading(_decoder.decode(body))
    except msgspec.MsgspecError:
        return Reading()


def words_of(payload: bytes) -> str:
    """Return the text of a plain answer's messages, or of an event."""
    try:
        spoken = _words_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    if spoken.type:
        is_text = spoken.type == _TEXT_DELTA and isinstance(spoken.delta, str)
        return spoken.delta if is_text else ""
    messages = (item.content or () for item in spoken.output if item.type == "message")
    parts = (part for content in messages for part in content)
    return "".join(part.text for part in parts if part.type == "output_text")


class ResponsesReader(StreamReader):
    """Reads a stream of events up to the one that carries the whole answer."""

    def is_notable(self, data: bytes) -> bool:
        """Return whether the last event or an error may be among the events."""
        return (
            b"response.completed" in data
            or b"response.incomplete" in data
            or b"response.failed" in data
            or b"response.cancelled" in data
            or b'"error"' in data
        )

    def relays(self, payload: bytes) -> bool:
        """Take in an event."""
        try:
            event = _event_decoder.decode(payload)
        except msgspec.MsgspecError:
            return True
        if event.type in _ENDS:
            self.is_done = True
            self.has_failed = event.type in {_FAILED, "error"}
            reading = _reading(event.response or _Response())
            self.usage, self.finish_reason = reading.usage, reading.finish_reason
        return True


def _reading(response: _Response) -> Reading:
    why, usage = response.incomplete_details, response.usage
    return Reading(
        usage=None if usage is None else Usage(usage.input_tokens, usage.output_tokens),
        finish_reason=(None if why is None else why.reason) or response.status,
    )


RESPONSES = Dialect(
    name="responses",
    path="/v1/responses",
    summary="Answer an input, whole or streamed, with tools or without; nothing is kept.",
    required={"input": str},
    prompt_fields=("instructions", "input"),
    id_prefix="resp_",
    id_field="request_id",
    refusals={
        "background": _NOT_KEPT.format("background"),
        "previous_response_id": _NOT_KEPT.format("previous_response_id"),
    },
    read=read,
    stream_reader=ResponsesReader,
    words_of=words_of,
)
"""An input of text or items."""
