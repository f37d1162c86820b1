"""Events on their way through."""

import json

from hypothesis import given
from hypothesis import strategies as st

from service.dialects.choices import ChoicesReader as StreamReader
from service.dialects.choices import read
from service.streaming import Usage

PIECE = {"choices": [{"index": 0, "delta": {"content": "ä \n\n x"}, "finish_reason": None}]}
LAST = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


def event(payload: object) -> bytes:
    """Return an event as vLLM writes it."""
    return f"data: {json.dumps(payload)}\n\n".encode()


DONE = b"data: [DONE]\n\n"
WITHOUT_USAGE = event(PIECE) + event(LAST) + DONE
WITH_USAGE = event(PIECE) + event(LAST) + event(USAGE) + DONE


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Return the data cut anywhere."""
    places = sorted(draw(st.lists(st.integers(0, len(data)))))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@given(cuts(WITH_USAGE))
def test_however_it_is_cut_a_stream_is_relayed_whole(pieces: list[bytes]) -> None:
    """With the usage asked for, byte for byte."""
    reader = StreamReader(keep_usage=True)
    assert b"".join(reader.feed(piece) for piece in pieces) == WITH_USAGE
    assert reader.is_done


@given(cuts(WITH_USAGE))
def test_usage_that_was_not_asked_for_is_left_out_and_read(pieces: list[bytes]) -> None:
    """Everything else is relayed byte for byte."""
    reader = StreamReader(keep_usage=False)
    assert b"".join(reader.feed(piece) for piece in pieces) == WITHOUT_USAGE
    assert reader.usage == Usage(prompt_tokens=3, completion_tokens=2)
    assert reader.finish_reason == "stop"


def test_usage_beside_choices_is_kept() -> None:
    """Continuous usage is part of an event that the client needs."""
    both = event(PIECE | {"usage": {"prompt_tokens": 3, "completion_tokens": 1}})
    assert StreamReader(keep_usage=False).feed(both) == both


def test_half_an_event_waits_for_its_end() -> None:
    """A client never sees a torn event."""
    reader = StreamReader(keep_usage=True)
    assert reader.feed(event(PIECE)[:-1]) == b""
    assert reader.feed(b"\n") == event(PIECE)


def test_comments_and_unreadable_events_are_relayed() -> None:
    """What we cannot read is the client's to judge."""
    odd = b": ping\n\ndata: {not json\n\n"
    assert StreamReader(keep_usage=False).feed(odd) == odd


def test_an_error_event_is_noticed_and_relayed() -> None:
    """A failed answer is not counted as a success."""
    reader = StreamReader(keep_usage=False)
    failed = event({"error": {"message": "no"}})
    assert reader.feed(failed) == failed
    assert reader.has_failed


def test_a_plain_answer_is_read() -> None:
    """Usage and the reason of its end."""
    body = {"choices": [{"finish_reason": "length"}], "usage": {"prompt_tokens": 1}}
    reading = read(json.dumps(body).encode())
    assert reading.finish_reason == "length"
    assert reading.usage == Usage(prompt_tokens=1)


def test_an_answer_that_cannot_be_read_tells_nothing() -> None:
    """Unknown is not zero."""
    assert read(b"<html>").usage is None
