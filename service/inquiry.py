"""What an inference request asks for, as far as the service needs to know.

It refuses to know prompts and sampling: every other field goes to the engine byte for byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from registry.errors import Invalid

_STREAM_USAGE = Raw(b'{"include_usage":true}')


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


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
    """What a split keeps together: `safety_identifier`, else `user`, else a header."""
    stream: bool
    """Whether the answer comes in pieces."""
    wants_usage: bool
    """Whether the client asked for the usage at the end of a stream."""
    fields: Mapping[str, Raw]
    """Every field as it came."""
    body_bytes: int = 0
    """Size of the whole body."""

    def body_for(self, model: str) -> bytes:
        """Return the body for the engine: another model's name, and usage always reported."""
        fields = {**self.fields, "model": Raw(msgspec.json.encode(model))}
        if self.stream and not self.wants_usage:
            fields["stream_options"] = _STREAM_USAGE
        return msgspec.json.encode(fields)


def decode_inquiry(body: bytes, unit_header: str | None) -> Inquiry:
    """Read a request's body.

    Raises:
        Invalid: It is no JSON object, names no model, or a field we need has another type.
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
    stream = bool(known.stream)
    return Inquiry(
        model=known.model,
        unit=known.safety_identifier or known.user or unit_header or None,
        stream=stream,
        wants_usage=stream and _wants_usage(fields.get("stream_options")),
        fields=fields,
        body_bytes=len(body),
    )


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
