"""Anthropic's messages: an answer is a list of blocks, a stream ends with `message_stop`.

It refuses to know tools, and of blocks it knows the texts.
"""

import msgspec

from service.dialects.dialect import Dialect
from service.dialects.shapes import Shape
from service.streaming import Reading, StreamReader, Usage


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class _Message(msgspec.Struct):
    stop_reason: str | None = None
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: _Message | None = None
    usage: _Usage | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: str = ""


class _Spoken(msgspec.Struct):
    content: list[_Block] = msgspec.field(default_factory=list)  # of a plain answer
    delta: _Block | None = None  # of an event


_decoder = msgspec.json.Decoder(_Message)
_words_decoder = msgspec.json.Decoder(_Spoken)
_event_decoder = msgspec.json.Decoder(_Event)


def read(body: bytes) -> Reading:
    """Read a plain answer; what cannot be read tells nothing."""
    try:
        message = _decoder.decode(body)
    except msgspec.MsgspecError:
        return Reading()
    return Reading(usage=_whole(message.usage), finish_reason=message.stop_reason)


def words_of(payload: bytes) -> str:
    """Return the text blocks of a plain answer, or the text of an event."""
    try:
        spoken = _words_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    if spoken.delta is not None:
        return spoken.delta.text if spoken.delta.type == "text_delta" else ""
    return "".join(block.text for block in spoken.content if block.type == "text")


class MessagesReader(StreamReader):
    """Reads a stream of events; the last but one carries usage and the reason of the end."""

    def is_notable(self, data: bytes) -> bool:
        """Return whether the end, what comes before it, or an error may be among the events."""
        return b"message_delta" in data or b"message_stop" in data or b'"error"' in data

    def relays(self, payload: bytes) -> bool:
        """Take in an event."""
        try:
            event = _event_decoder.decode(payload)
        except msgspec.MsgspecError:
            return True
        if event.type == "message_delta":
            self.usage = _whole(event.usage) or self.usage
            if event.delta is not None:
                self.finish_reason = event.delta.stop_reason
        elif event.type == "message_stop":
            self.is_done = True
        elif event.type == "error":  # nothing follows it
            self.is_done = self.has_failed = True
        return True


def _whole(usage: _Usage | None) -> Usage | None:
    """Return the tokens; those of a cached prompt are counted apart and belong to it."""
    if usage is None:
        return None
    cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    return Usage((usage.input_tokens or 0) + cached, usage.output_tokens)


MESSAGES = Dialect(
    name="messages",
    path="/v1/messages",
    summary="Answer a conversation as Anthropic's API does, whole or streamed.",
    required={"messages": list, "max_tokens": int},
    prompt_fields=("system", "messages"),
    id_prefix="chatcmpl-",
    shape=Shape.ANTHROPIC,
    unit_sources=("safety_identifier", "user", "metadata.user_id", "header:x-graftline-unit"),
    read=read,
    stream_reader=MessagesReader,
    words_of=words_of,
)
"""A conversation, in Anthropic's words."""
