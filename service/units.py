"""What is randomised: where in a request its unit stands, and what may be one.

It refuses to know deployments and arms.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Raw

from registry.errors import Invalid

DEFAULT_SOURCES = ("safety_identifier", "user", "header:x-graftline-unit")
"""Where the unit is read unless the deployment says otherwise, in this order."""
MAX_SOURCES = 8
"""Most places in which one deployment looks for the unit."""
MAX_UNIT_CHARACTERS = 512
"""Longest unit."""

HeaderOf = Callable[[str], str | None]
"""Returns a header of the request by its name in small letters; none when it is not there."""

_HEADER = "header:"
_MOST_ESCAPED = 12  # bytes of a character beyond 16 bits, as JSON may spell it
_MAX_RAW_BYTES = MAX_UNIT_CHARACTERS * _MOST_ESCAPED + 2
_SOURCE = re.compile(
    r"header:[A-Za-z0-9_-]{1,64}|[A-Za-z_][A-Za-z0-9_-]{0,63}|metadata\.[A-Za-z0-9_.-]{1,64}"
)
_NEVER = frozenset({"model", "stream", "messages", "prompt", "input", "metadata"})
_SECRET = frozenset({"header:authorization", "header:cookie", "header:x-api-key"})

_unit_decoder = msgspec.json.Decoder(str | int | None)
_object_decoder = msgspec.json.Decoder(dict[str, Raw] | None)


def unit_in(
    fields: Mapping[str, Raw], header_of: HeaderOf, sources: Sequence[str] = ()
) -> str | None:
    """Return a request's unit: the first that is named; none when none is.

    Null and the empty text name nothing; a whole number counts as its digits.

    Args:
        fields: The body's fields, undecoded.
        header_of: The request's headers.
        sources: Where to look, in order; `DEFAULT_SOURCES` when empty.

    Raises:
        Invalid: What stands there is no text, or too long.
    """
    for source in sources or DEFAULT_SOURCES:
        if source.startswith(_HEADER):
            unit = header_of(source[len(_HEADER) :])
        else:
            raw = fields.get(source) if "." not in source else _inside(fields, source)
            unit = None if raw is None else _text_of(raw, source)
        if unit:
            if len(unit) > MAX_UNIT_CHARACTERS:
                raise _too_long(source)
            return unit
    return None


def check_sources(sources: Sequence[str]) -> list[str]:
    """Return where a deployment shall read the unit, in the form `unit_in` takes.

    Raises:
        Invalid: A place is none, can hold no unit, or holds a secret.
    """
    if len(sources) > MAX_SOURCES:
        raise Invalid(f"'unit_from' names at most {MAX_SOURCES} places.", "unit_from")
    normal = [each.lower() if each.startswith(_HEADER) else each for each in sources]
    for source in normal:
        if not _SOURCE.fullmatch(source) or source in _NEVER:
            message = (
                f"'{source[:80]}' cannot hold a unit. Name a field of the body such as 'user', "
                "one inside metadata as 'metadata.conversation', or a header as 'header:x-name'."
            )
            raise Invalid(message, "unit_from")
        if source in _SECRET:
            raise Invalid(f"'{source}' holds a secret; choose another header.", "unit_from")
    return normal


def _inside(fields: Mapping[str, Raw], source: str) -> Raw | None:
    outer, _, inner = source.partition(".")
    raw = fields.get(outer)
    if raw is None:
        return None
    try:
        found = _object_decoder.decode(raw)
    except msgspec.DecodeError as exc:
        raise Invalid(f"'{outer}' must be an object.", outer) from exc
    return None if found is None else found.get(inner)


def _text_of(raw: Raw, source: str) -> str | None:
    if memoryview(raw).nbytes > _MAX_RAW_BYTES:
        raise _too_long(source)
    try:
        unit = _unit_decoder.decode(raw)
    except msgspec.DecodeError as exc:
        raise Invalid(f"'{source}' must be a text, a whole number or null.", source) from exc
    return str(unit) if isinstance(unit, int) else unit


def _too_long(source: str) -> Invalid:
    message = f"'{source}' has more than {MAX_UNIT_CHARACTERS} characters; send a hash of it."
    return Invalid(message, source)
