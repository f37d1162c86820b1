"""Server-sent events on their way through: relayed byte for byte, read in passing.

It refuses to know what events mean; each dialect has its own reader.
"""

import re
from collections.abc import Callable

import msgspec

_END = b"\n\n"
_END_OF_EVENT = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LONGEST_END = 4
_FIELD_DATA = b"data:"


class Usage(msgspec.Struct, frozen=True):
    """Tokens as the engine counted them."""

    prompt_tokens: int = 0
    """Tokens of the prompt."""
    completion_tokens: int | None = None
    """Tokens of the answer."""


class Reading(msgspec.Struct, frozen=True):
    """What we need from a plain answer."""

    usage: Usage | None = None
    """Tokens; none when the answer does not say."""
    finish_reason: str | None = None
    """Why the answer ended."""


class StreamReader:
    """Takes a stream in pieces of any size and returns what to relay.

    This one knows no event and waits for no end; dialects that stream derive theirs from it. A
    listener is given the data of every event.
    """

    def __init__(
        self, *, keep_usage: bool = True, listener: Callable[[bytes], None] | None = None
    ) -> None:
        self._keep_usage = keep_usage
        self._listener = listener
        self._rest = bytearray()
        self.usage: Usage | None = None
        """Tokens, once reported."""
        self.finish_reason: str | None = None
        """Why the answer ended."""
        self.is_done = False
        """Whether the closing event came."""
        self.has_failed = False
        """Whether the engine reported an error inside the stream."""

    def feed(self, data: bytes) -> bytes:
        """Return the whole events in what has come so far, as they came.

        The usual piece is whole events that tell nothing: it is returned as it is, after a search
        for a few words. JSON is decoded only where a word was found.
        """
        if (
            not self._rest
            and self._listener is None
            and data.endswith(_END)
            and not self.is_notable(data)
        ):
            return data
        return self._feed_slowly(data)

    def is_notable(self, _data: bytes) -> bool:
        """Return whether events may tell something; must never be False when they do."""
        return False

    def relays(self, _payload: bytes) -> bool:
        """Take in the data of a notable event; return whether the client gets it."""
        return True

    def _feed_slowly(self, data: bytes) -> bytes:
        # What was searched before is not searched again: a long event may come in many pieces.
        searched = max(0, len(self._rest) - _LONGEST_END)
        self._rest += data
        begin, kept = 0, []
        for end in _END_OF_EVENT.finditer(self._rest, searched):
            event = bytes(self._rest[begin : end.end()])
            begin = end.end()
            if self._relays_event(event):
                kept.append(event)
        del self._rest[:begin]
        return b"".join(kept)

    def _relays_event(self, event: bytes) -> bool:
        if self._listener is not None:
            self._listener(_payload_of(event))
        return not self.is_notable(event) or self.relays(_payload_of(event))


def _payload_of(event: bytes) -> bytes:
    lines = [line for line in event.splitlines() if line.startswith(_FIELD_DATA)]
    return b"\n".join(line[len(_FIELD_DATA) :].strip() for line in lines)
