"""The header reader on hostile bytes."""

import json
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import InvalidAdapter
from service.importing.configuration import faults_of, lora_of, parse
from service.importing.header import read_header

ENTRY = {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(header: bytes, data: bytes = b"\0" * 8) -> None:
    """Read a file of a header and data."""
    content = len(header).to_bytes(8, "little") + header + data
    read_header(BytesIO(content), len(content))


def outcome(content: bytes) -> str:
    """Return why a file is refused; empty when it is read."""
    try:
        read_header(BytesIO(content), len(content))
    except InvalidAdapter as exc:
        return str(exc)
    return ""


@given(st.binary())
def test_any_bytes_are_refused_or_read(content: bytes) -> None:
    """No bytes raise anything but the one error."""
    assert outcome(content).encode() is not None


@given(
    st.dictionaries(st.text(), JSON | st.fixed_dictionaries(dict.fromkeys(ENTRY, JSON)), max_size=3)
)
def test_any_json_is_refused_or_read(header: object) -> None:
    """Nor does any header of JSON, lone surrogates and huge numbers included."""
    content = json.dumps(header).encode()
    assert outcome(len(content).to_bytes(8, "little") + content).encode() is not None


@given(st.dictionaries(st.sampled_from(["r", "lora_alpha", "rank_pattern", "bias"]), JSON))
def test_any_configuration_is_judged(fields: dict[str, object]) -> None:
    """No value of any field is a surprise, and what has no fault can be read."""
    whole = {"peft_type": "LORA", "target_modules": ["q_proj"], "r": 8, "lora_alpha": 8, **fields}
    if not faults_of(parse(json.dumps(whole).encode())):
        assert lora_of(whole).rank_of("model.layers.0.self_attn.q_proj") > 0


@pytest.mark.parametrize(
    ("header", "word"),
    [
        (b'{"a": {}, "a": {}}', "stands twice"),
        (json.dumps({"a/b": ENTRY}).encode(), "no layer's name"),
        (json.dumps({"a": ENTRY, "b": ENTRY}).encode(), "overlaps"),
        (json.dumps({"a": {**ENTRY, "shape": [3]}}).encode(), "not that of its shape"),
        (json.dumps({"a": {**ENTRY, "data_offsets": [0, 10**30]}}).encode(), "size"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
    ],
)
def test_a_header_at_fault_is_refused_with_the_reason(header: bytes, word: str) -> None:
    """The message names what is wrong."""
    with pytest.raises(InvalidAdapter, match=word):
        read(header)


def test_a_huge_header_is_not_read() -> None:
    """Its length alone refuses it."""
    content = (2**40).to_bytes(8, "little") + b"{}"
    with pytest.raises(InvalidAdapter, match="more than"):
        read_header(BytesIO(content), len(content))
