"""Where the unit stands in a request."""

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from registry.errors import Invalid
from service.units import MAX_SOURCES, MAX_UNIT_CHARACTERS, check_sources, unit_in

NO_HEADERS: dict[str, str] = {}


def unit(sources: list[str], headers: dict[str, str] = NO_HEADERS, /, **fields: Any) -> str | None:
    """Return the unit of a request with these fields."""
    raw = msgspec.json.decode(json.dumps(fields), type=dict[str, Raw])
    return unit_in(raw, headers.get, sources)


def test_a_unit_is_read_where_the_deployment_says() -> None:
    """The default places then mean nothing."""
    assert unit(["conversation"], user="u", conversation="c") == "c"


def test_a_unit_may_stand_inside_the_metadata() -> None:
    """A dot leads there."""
    assert unit(["metadata.conversation"], metadata={"conversation": "c"}) == "c"


def test_a_unit_may_stand_in_any_header() -> None:
    """By its name in small letters."""
    assert unit(["header:x-session"], {"x-session": "s"}, user="u") == "s"


def test_the_first_place_that_names_a_unit_counts() -> None:
    """Null, empty and absent name none."""
    sources = ["a", "b", "metadata.c", "header:x-d", "e"]
    found = unit(sources, {}, a=None, b="", metadata=None, e="e")
    assert found == "e"


def test_without_a_unit_there_is_none() -> None:
    """The request is then drawn anew."""
    assert unit(["a", "metadata.b"], a=None, metadata={}) is None


def test_a_whole_number_is_its_digits() -> None:
    """A client that changes from 7 to "7" stays the same unit."""
    assert unit(["user"], user=7) == unit(["user"], user="7") == "7"


@pytest.mark.parametrize("value", [True, 1.5, ["u"], {"id": "u"}])
def test_a_unit_that_is_no_text_is_refused(value: object) -> None:
    """The field is named."""
    with pytest.raises(Invalid) as refused:
        unit(["user"], user=value)
    assert refused.value.param == "user"


def test_metadata_that_is_no_object_is_refused() -> None:
    """When the unit should be inside."""
    with pytest.raises(Invalid) as refused:
        unit(["metadata.a"], metadata="x")
    assert refused.value.param == "metadata"


@pytest.mark.parametrize("character", ["x", "é", "😀"])
def test_a_unit_has_a_greatest_length(character: str) -> None:
    """In characters, however they are spelled."""
    longest = character * MAX_UNIT_CHARACTERS
    assert unit(["user"], user=longest) is not None
    with pytest.raises(Invalid, match="hash"):
        unit(["user"], user=longest + character)


def test_a_number_of_many_digits_is_refused() -> None:
    """Python itself would not write it out."""
    with pytest.raises(Invalid) as refused:
        unit_in({"user": Raw(b"9" * 6000)}, NO_HEADERS.get, ["user"])
    assert refused.value.param == "user"


def test_a_huge_field_is_refused_undecoded() -> None:
    """Ten megabytes are no unit."""
    with pytest.raises(Invalid, match="hash"):
        unit(["user"], user="x" * 10_000_000)


@given(st.dictionaries(st.text(), st.none() | st.text() | st.integers() | st.lists(st.text())))
def test_any_field_gives_a_unit_or_a_clear_refusal(fields: dict[str, Any]) -> None:
    """Never another error."""
    for name in fields:
        with suppress(Invalid):
            found = unit([name], {}, **fields)
            assert found is None or len(found) <= MAX_UNIT_CHARACTERS


@pytest.mark.parametrize(
    "source", ["user", "metadata.conversation", "metadata.a.b", "header:X-Session"]
)
def test_a_place_that_can_hold_a_unit_is_taken(source: str) -> None:
    """Names of headers in small letters, as they are looked up."""
    assert check_sources([source]) == [source.lower()]


@pytest.mark.parametrize("source", ["", "a.b", "header:", "header:a b", "x\n", "x" * 100])
def test_what_is_no_place_is_refused(source: str) -> None:
    """A field, one inside the metadata, or a header."""
    with pytest.raises(Invalid) as refused:
        check_sources([source])
    assert refused.value.param == "unit_from"


@pytest.mark.parametrize(
    "source", ["messages", "model", "metadata", "header:Authorization", "header:cookie"]
)
def test_a_place_that_can_hold_no_unit_is_refused(source: str) -> None:
    """Nor one that holds a secret."""
    with pytest.raises(Invalid) as refused:
        check_sources([source])
    assert refused.value.param == "unit_from"


def test_too_many_places_are_refused() -> None:
    """Each costs every request."""
    with pytest.raises(Invalid):
        check_sources([f"field_{number}" for number in range(MAX_SOURCES + 1)])
