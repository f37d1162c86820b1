"""How each dialect's answers and streams are read."""

import json
from typing import Any

import pytest

from service.dialects.choices import CHAT, COMPLETIONS, ChoicesReader
from service.dialects.dialect import Dialect
from service.dialects.messages import MESSAGES
from service.dialects.responses import RESPONSES
from service.dialects.table import DIALECTS, DIALECTS_BY_PATH
from service.dialects.tokens import TOKENIZE
from service.streaming import Usage

USAGE = {"input_tokens": 3, "output_tokens": 2}


def named(event: dict[str, Any], separators: tuple[str, str] = (",", ":")) -> bytes:
    """Return an event that says its type twice, as vLLM writes it."""
    data = json.dumps(event, separators=separators)
    return f"event: {event['type']}\ndata: {data}\n\n".encode()


DELTA = named({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}})
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": USAGE}
TEXT_BLOCK = {"type": "text", "text": "a"}
STOP = named({"type": "message_stop"})
COMPLETED = {"type": "response.completed", "response": {"status": "completed", "usage": USAGE}}


def test_paths_and_names_are_unique() -> None:
    """No dialect hides another."""
    assert len(DIALECTS_BY_PATH) == len({each.name for each in DIALECTS}) == len(DIALECTS)


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_message_stream_is_read_however_it_is_cut(cut: int) -> None:
    """Usage, reason and end are seen, and every byte is relayed."""
    reader, whole = MESSAGES.stream_reader(), DELTA + named(END) + STOP
    pieces = [whole[at : at + cut] for at in range(0, len(whole), cut)]
    assert b"".join(map(reader.feed, pieces)) == whole
    assert reader.usage == Usage(3, 2)
    assert reader.finish_reason == "end_turn"
    assert reader.is_done


def test_an_error_ends_a_message_stream() -> None:
    """Nothing follows it."""
    reader = MESSAGES.stream_reader()
    reader.feed(named({"type": "error", "error": {"type": "internal_error", "message": "no"}}))
    assert reader.is_done
    assert reader.has_failed


def test_a_cached_prompt_counts_as_prompt() -> None:
    """Anthropic counts it apart."""
    usage = USAGE | {"cache_read_input_tokens": 10}
    reading = MESSAGES.read(json.dumps({"stop_reason": "end_turn", "usage": usage}).encode())
    assert reading.usage == Usage(13, 2)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_response_stream_ends_with_its_answer(separators: tuple[str, str]) -> None:
    """With blanks in the JSON or without."""
    reader = RESPONSES.stream_reader()
    reader.feed(named(COMPLETED, separators))
    assert reader.is_done
    assert reader.usage == Usage(3, 2)
    assert reader.finish_reason == "completed"


def test_a_text_does_not_end_a_response_stream() -> None:
    """Although it says so."""
    reader = RESPONSES.stream_reader()
    reader.feed(named({"type": "response.output_text.delta", "delta": "response.completed"}))
    assert not reader.is_done


def test_an_incomplete_response_says_why() -> None:
    """The reason is more than the status."""
    body = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert RESPONSES.read(json.dumps(body).encode()).finish_reason == "max_output_tokens"


def test_a_failed_response_has_failed() -> None:
    """It is no success although the stream was whole."""
    reader = RESPONSES.stream_reader()
    reader.feed(named({"type": "response.failed", "response": {"status": "failed"}}))
    assert reader.is_done
    assert reader.has_failed


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\r\r"])
def test_every_line_end_of_the_standard_ends_an_event(end: bytes) -> None:
    """And comments between events are relayed."""
    reader = ChoicesReader(keep_usage=True)
    whole = b": keep-alive" + end + b'data: {"choices":[{"finish_reason":"stop"}]}' + end
    whole += b"data: [DONE]" + end
    assert b"".join(reader.feed(whole[at : at + 1]) for at in range(len(whole))) == whole
    assert reader.finish_reason == "stop"
    assert reader.is_done


@pytest.mark.parametrize("blank", [b"", b" "])
def test_an_end_among_many_choices_is_seen(blank: bytes) -> None:
    """One choice has ended, the other has not."""
    reader = CHAT.stream_reader()
    both = b'{"finish_reason":null},{"finish_reason":' + blank + b'"length"}'
    reader.feed(b'data: {"choices":[' + both + b"]}\n\n")
    assert reader.finish_reason == "length"


def test_words_in_a_text_are_not_taken_for_fields() -> None:
    """A text may speak of anything."""
    reader = CHAT.stream_reader()
    text = '"usage":{"prompt_tokens":9} "error" [DONE] "finish_reason":"stop"'
    choice = {"delta": {"content": text}, "finish_reason": None}
    event = f"data: {json.dumps({'choices': [choice]})}\n\n".encode()
    assert reader.feed(event) == event
    assert (reader.usage, reader.finish_reason) == (None, None)
    assert not reader.is_done
    assert not reader.has_failed


@pytest.mark.parametrize(
    ("dialect", "payload", "words"),
    [
        (CHAT, {"choices": [{"index": 1, "delta": {"content": "b"}}]}, ""),
        (CHAT, {"choices": [{"index": 0, "delta": {"content": None}}]}, ""),
        (CHAT, {"choices": [{"message": {"content": "a", "tool_calls": [{}]}}]}, "a"),
        (COMPLETIONS, {"choices": [{"index": 0, "text": "a"}]}, "a"),
        (MESSAGES, {"content": [TEXT_BLOCK, {"type": "tool_use", "input": {}}, TEXT_BLOCK]}, "aa"),
        (MESSAGES, {"content": [{"type": "thinking", "thinking": "hm"}]}, ""),
        (MESSAGES, {"content": [{"type": "tool_use", "input": {"a": 1}}]}, ""),
        (MESSAGES, {"delta": {"type": "text_delta", "text": "a"}}, "a"),
        (MESSAGES, {"delta": {"type": "thinking_delta", "thinking": "hm"}}, ""),
        (MESSAGES, {"delta": {"type": "input_json_delta", "partial_json": "{"}}, ""),
        (MESSAGES, {"delta": {"stop_reason": "end_turn"}, "type": "message_delta"}, ""),
        (RESPONSES, {"type": "response.output_text.delta", "delta": "a"}, "a"),
        (RESPONSES, {"type": "response.function_call_arguments.delta", "delta": "{"}, ""),
        (RESPONSES, {"type": "response.reasoning_text.delta", "delta": "hm"}, ""),
        (
            RESPONSES,
            {
                "output": [
                    {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]},
                    {"type": "function_call", "arguments": "{}"},
                    {"type": "message", "content": [{"type": "output_text", "text": "a"}]},
                ]
            },
            "a",
        ),
        (TOKENIZE, {"tokens": [1]}, ""),
    ],
)
def test_only_what_the_model_says_are_words(
    dialect: Dialect, payload: dict[str, Any], words: str
) -> None:
    """Thoughts, calls of tools and other alternatives are none."""
    assert dialect.words_of(json.dumps(payload).encode()) == words


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
@pytest.mark.parametrize("payload", [b"[DONE]", b"", b"[]", b'{"content":5,"choices":7,"type":[]}'])
def test_what_cannot_be_read_has_no_words(dialect: Dialect, payload: bytes) -> None:
    """And breaks nothing."""
    assert dialect.words_of(payload) == ""
