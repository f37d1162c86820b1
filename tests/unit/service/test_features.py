"""Figures of requests and answers, and the mean log-probability."""

import json
from typing import Any

import msgspec
import pytest

from service.answer_notes import AnswerNotes
from service.dialects.choices import ChoicesReader
from service.features import SCANNED_BYTES, request_features, text_features
from service.logprobs import MeanLogprob


def features(body: dict[str, Any]) -> dict[str, float]:
    """Return the features of a body."""
    raw = json.dumps(body).encode()
    fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    return request_features(fields, body_bytes=len(raw))


def test_a_request_shows_its_features() -> None:
    """Sizes, roles and sampling, without decoding a message."""
    messages = [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
    body = {"messages": messages, "temperature": 0.7, "max_tokens": 5, "tools": []}
    found = features(body)
    assert found.pop("body_bytes") > 100
    assert found == {
        "has_tools": 1.0,
        "messages": 2.0,
        "has_system": 1.0,
        "temperature": 0.7,
        "max_tokens": 5.0,
    }


@pytest.mark.parametrize("value", [None, "hot", [1], 1e99])
def test_what_is_no_number_is_no_feature(value: object) -> None:
    """Unknown is not zero."""
    assert "temperature" not in features({"temperature": value})


def test_a_long_conversation_is_not_looked_through() -> None:
    """Only its size is known."""
    found = features({"messages": [{"role": "user", "content": "x" * SCANNED_BYTES}]})
    assert "messages" not in found
    assert found["body_bytes"] > SCANNED_BYTES


@pytest.mark.parametrize("messages", ["hi", [1], None, [{"role": 1}]])
def test_messages_that_are_none_have_no_features(messages: object) -> None:
    """The engine says what is wrong with them."""
    assert "messages" not in features({"messages": messages})


def test_a_text_shows_its_letters() -> None:
    """Characters, and the share outside ASCII; of nothing there is no share."""
    assert text_features("né", "") == {
        "prompt_characters": 2.0,
        "prompt_non_ascii": 0.5,
        "answer_characters": 0.0,
    }


@pytest.mark.parametrize(
    ("logprobs", "mean"),
    [
        ({"content": [{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -2}]}, -1.5),
        ({"token_logprobs": [None, -1.0, -3.0], "tokens": ["a", "b", "c"]}, -2.0),
        ({"content": []}, None),
        (None, None),
    ],
)
def test_the_mean_log_probability_is_read(logprobs: object, mean: float | None) -> None:
    """Of chat and of completions; unknown when it was not asked for."""
    body = json.dumps({"choices": [{"logprobs": logprobs, "finish_reason": "stop"}]})
    found = MeanLogprob()
    found.feed(body.encode())
    assert found.value == mean


def test_a_stream_adds_up_its_log_probabilities() -> None:
    """Over all its events."""
    notes = AnswerNotes(None, wants_logprobs=True)
    reader = ChoicesReader(listener=notes.feed)
    for value in (-1.0, -2.0, -6.0):
        event = {"choices": [{"logprobs": {"content": [{"logprob": value}]}}]}
        reader.feed(f"data: {json.dumps(event)}\n\n".encode())
    assert notes.mean_logprob == -3.0


def test_nothing_has_no_mean() -> None:
    """Not zero."""
    assert MeanLogprob().value is None
