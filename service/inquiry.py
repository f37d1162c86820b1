"""What an inference request asks for, as far as the service needs to know.

It refuses to know prompts and sampling: every other field goes to the engine byte for byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from registry.errors import Invalid
from service.dialects.choices import CHAT
from service.dialects.dialect import Dialect

_STREAM_USAGE = Raw(b'{"include_usage":true}')
_NOTHING = Raw(b"null")
_NOTHINGS = frozenset({b"null", b"false"})


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class _Known(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None
    user: str | None = None
    safety_identifier: str | None = None


@dataclass(frozen=True, kw_only=True)
class Inquiry:
    """One request for an answer."""

    model: str
    """The name the client asks for."""
    unit: str | None
    """What a split keeps together: `safety_identifier`, else `user`, else Anthropic's
    `metadata.user_id`, else a header."""
    stream: bool
    """Whether the answer comes in pieces."""
    wants_usage: bool
    """Whether the client asked for the usage at the end of a stream."""
    fields: Mapping[str, Raw]
    """Every field as it came."""
    dialect: Dialect
    """The endpoint's own ways."""

    def body_for(self, model: str, request_id: str = "") -> bytes:
        """Return the body for the engine: another model's name, and usage always reported.

        Args:
            model: The version's name.
            request_id: Names the answer, where the dialect has a field for it.
        """
        fields = {**self.fields, "model": Raw(msgspec.json.encode(model))}
        if self.stream and not self.wants_usage:
            fields["stream_options"] = _STREAM_USAGE
        if self.dialect.id_field is not None:
            name = self.dialect.id_prefix + request_id
            fields[self.dialect.id_field] = Raw(msgspec.json.encode(name))
        return msgspec.json.encode(fields)


def decode_inquiry(body: bytes, unit_header: str | None, dialect: Dialect = CHAT) -> Inquiry:
    """Read a request's body.

    Args:
        body: As it came.
        unit_header: The unit, for requests whose body names none.
        dialect: The endpoint's.

    Raises:
        Invalid: It is no JSON object, names no model, a field we need has another type, or one
            asks for what the dialect cannot give.
    """
    try:
        known = msgspec.json.decode(body, type=_Known)
        fields = msgspec.json.decode(body, type=dict[str, Raw])
    except msgspec.ValidationError as exc:
        raise Invalid(f"The request is not valid: {exc}.", _param_of(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise Invalid(f"The body is not valid JSON: {exc}.") from exc
    if not known.model:
        raise Invalid("You must name a model in 'model'.", "model", "missing_required_parameter")
    for name, reason in dialect.refusals.items():
        if bytes(fields.get(name, _NOTHING)) not in _NOTHINGS:
            raise Invalid(reason, name, "unsupported_parameter")
    stream = bool(known.stream)
    user = known.user or (_user_in(fields) if dialect.has_user_in_metadata else None)
    return Inquiry(
        model=known.model,
        unit=known.safety_identifier or user or unit_header or None,
        stream=stream,
        wants_usage=not dialect.asks_for_usage
        or (stream and _wants_usage(fields.get("stream_options"))),
        fields=fields,
        dialect=dialect,
    )


def _user_in(fields: Mapping[str, Raw]) -> str | None:
    try:
        metadata = msgspec.json.decode(fields.get("metadata", _NOTHING), type=_Metadata | None)
    except msgspec.ValidationError as exc:
        raise Invalid(f"'metadata' is not valid: {exc}.", "metadata") from exc
    return None if metadata is None else metadata.user_id


def _wants_usage(options: Raw | None) -> bool:
    if options is None:
        return False
    try:
        decoded = msgspec.json.decode(options, type=_StreamOptions | None)
    except msgspec.ValidationError as exc:
        raise Invalid(f"'stream_options' is not valid: {exc}.", "stream_options") from exc
    return decoded is not None and bool(decoded.include_usage)


def _param_of(error: msgspec.ValidationError) -> str | None:
    _, found, path = str(error).partition("`$.")
    return path.split("`")[0] if found else None
