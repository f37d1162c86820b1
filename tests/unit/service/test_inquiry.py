"""What an inference request asks for."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import Invalid
from service.dialects.choices import CHAT, COMPLETIONS
from service.dialects.dialect import Dialect
from service.dialects.messages import MESSAGES
from service.dialects.responses import RESPONSES
from service.dialects.tokens import COUNT_TOKENS, TOKENIZE
from service.inquiry import PREFIX_BYTES, Inquiry, decode_inquiry

NO_HEADERS: dict[str, str] = {}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def decoded(header: str | None = None, **fields: Any) -> Inquiry:
    """Return the inquiry of a body with these fields."""
    headers = {"x-graftline-unit": header}
    return decode_inquiry(json.dumps({"model": "m", **fields}).encode(), headers.get)


@given(st.dictionaries(st.from_regex(r"x_[a-z]{1,5}", fullmatch=True), values, max_size=4))
def test_only_the_model_is_changed(fields: dict[str, Any]) -> None:
    """All else reaches the engine as it came."""
    sent = json.loads(decoded(**fields).body_for("target"))
    assert sent == {"model": "target", **fields}


@given(st.binary() | values.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    """Whatever comes, the answer is an inquiry or a 400."""
    try:
        inquiry = decode_inquiry(body, NO_HEADERS.get)
    except Invalid:
        return
    assert inquiry.model


def test_a_repeated_field_counts_once() -> None:
    """A second `model` cannot slip past the routing."""
    inquiry = decode_inquiry(b'{"model":"a","model":"b"}', NO_HEADERS.get)
    assert inquiry.model == "b"
    assert inquiry.body_for("t") == b'{"model":"t"}'


@pytest.mark.parametrize(
    ("fields", "header", "unit"),
    [
        ({"safety_identifier": "s", "user": "u"}, "h", "s"),
        ({"user": "u"}, "h", "u"),
        ({}, "h", "h"),
        ({"user": ""}, "", None),
    ],
)
def test_the_unit_is_the_first_that_is_named(
    fields: dict[str, str], header: str, unit: str | None
) -> None:
    """`safety_identifier`, then `user`, then the header."""
    assert decoded(header, **fields).unit_of([]) == unit


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"other": 1}])
def test_a_stream_is_asked_for_its_usage(options: dict[str, Any] | None) -> None:
    """Whether or not the client wants it."""
    inquiry = decoded(stream=True, stream_options=options)
    assert not inquiry.wants_usage
    assert json.loads(inquiry.body_for("m"))["stream_options"] == {"include_usage": True}


def test_a_clients_own_stream_options_stay() -> None:
    """When they include the usage already."""
    options = {"include_usage": True, "continuous_usage_stats": True}
    inquiry = decoded(stream=True, stream_options=options)
    assert inquiry.wants_usage
    assert json.loads(inquiry.body_for("m"))["stream_options"] == options


def test_a_plain_request_is_not_asked_for_stream_options() -> None:
    """The engine refuses them there."""
    assert b"stream_options" not in decoded().body_for("m")


def of_dialect(dialect: Dialect, **fields: Any) -> Inquiry:
    """Return the inquiry of a dialect's body with these fields."""
    return decode_inquiry(json.dumps({"model": "m", **fields}).encode(), NO_HEADERS.get, dialect)


@pytest.mark.parametrize(
    ("dialect", "field"),
    [(CHAT, "messages"), (COMPLETIONS, "prompt"), (RESPONSES, "input"), (MESSAGES, "messages")],
    ids=lambda value: getattr(value, "name", value),
)
def test_prompts_that_begin_alike_have_one_key(dialect: Dialect, field: str) -> None:
    """Whatever follows the beginning, and whatever else is asked."""
    long = "You answer tickets. " * PREFIX_BYTES
    one, other = (of_dialect(dialect, **{field: long + end, "user": end}) for end in "ab")
    assert one.prefix_key("v") == other.prefix_key("v") is not None
    assert of_dialect(dialect, **{field: "else"}).prefix_key("v") != one.prefix_key("v")


@pytest.mark.parametrize(
    ("dialect", "first", "second"),
    [(RESPONSES, "instructions", "input"), (MESSAGES, "system", "messages")],
    ids=["responses", "messages"],
)
def test_what_the_model_reads_first_counts_first(dialect: Dialect, first: str, second: str) -> None:
    """Instructions that fill the beginning decide alone; short ones decide with what follows."""
    long = "y" * PREFIX_BYTES
    keys = [
        of_dialect(dialect, **{second: words, first: head}).prefix_key("v")
        for head, words in ((long, "a"), (long, "b"), ("short", "a"), ("short", "b"))
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_each_model_has_keys_of_its_own() -> None:
    """An engine's cache is of one adapter."""
    inquiry = decoded(messages="hello")
    assert inquiry.prefix_key("v1") != inquiry.prefix_key("v2")


@pytest.mark.parametrize("dialect", [TOKENIZE, COUNT_TOKENS, CHAT], ids=lambda each: each.name)
def test_a_request_without_a_prompt_has_no_key(dialect: Dialect) -> None:
    """Nothing is cached for it; it goes to the least busy replica."""
    fields = {} if dialect is CHAT else {"prompt": "x", "messages": []}
    assert of_dialect(dialect, **fields).prefix_key("v") is None
