"""What an inference request asks for."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import Invalid
from service.inquiry import Inquiry, decode_inquiry

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
