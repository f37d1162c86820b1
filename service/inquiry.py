"""What an inference request asks for, as far as the service needs to know.

It refuses to know prompts and sampling: every other field goes to the engine byte for byte.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec
from msgspec import Raw
from msgspec.json import Decoder

from registry.errors import Invalid
from service.units import HeaderOf, unit_in

_STREAM_USAGE = Raw(b'{"include_usage":true}')
_FALSE = Raw(b"false")
_Kind = TypeVar("_Kind")


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


_fields_decoder = msgspec.json.Decoder(dict[str, Raw])
_model_decoder = msgspec.json.Decoder(str | None)
_stream_decoder = msgspec.json.Decoder(bool | None)
_options_decoder = msgspec.json.Decoder(_StreamOptions | None)


class Inquiry(msgspec.Struct, frozen=True, kw_only=True):
    """One request for an answer."""

    model: str
    """The name the client asks for."""
    stream: bool
    """Whether the answer comes in pieces."""
    wants_usage: bool
    """Whether the client asked for the usage at the end of a stream."""
    fields: Mapping[str, Raw]
    """Every field as it came."""
    header_of: HeaderOf
    """The request's headers."""
    size_bytes: int
    """Length of the body."""

    def unit_of(self, sources: Sequence[str]) -> str | None:
        """Return what a split keeps together; see `units.unit_in`."""
        return unit_in(self.fields, self.header_of, sources)

    def body_for(self, model: str) -> bytes:
        """Return the body for the engine: another model's name, and usage always reported."""
        fields = {**self.fields, "model": Raw(msgspec.json.encode(model))}
        if self.stream and not self.wants_usage:
            fields["stream_options"] = _STREAM_USAGE
        return msgspec.json.encode(fields)

    def copy_for(self, model: str) -> bytes:
        """Return the body for a model whose answer nobody waits for: it need not be streamed."""
        fields = {**self.fields, "model": Raw(msgspec.json.encode(model)), "stream": _FALSE}
        fields.pop("stream_options", None)
        return msgspec.json.encode(fields)


def decode_inquiry(body: bytes, header_of: HeaderOf) -> Inquiry:
    """Read a request's body, once; its fields are decoded only where they are needed.

    Raises:
        Invalid: It is no JSON object, names no model, or a field we need has another type.
    """
    try:
        fields = _fields_decoder.decode(body)
    except msgspec.ValidationError as exc:
        raise Invalid(f"The request is not valid: {exc}.") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise Invalid(f"The body is not valid JSON: {exc}.") from exc
    model = _decoded(fields, "model", _model_decoder)
    if not model:
        raise Invalid("You must name a model in 'model'.", "model", "missing_required_parameter")
    stream = bool(_decoded(fields, "stream", _stream_decoder))
    options = _decoded(fields, "stream_options", _options_decoder) if stream else None
    return Inquiry(
        model=model,
        stream=stream,
        wants_usage=options is not None and bool(options.include_usage),
        fields=fields,
        header_of=header_of,
        size_bytes=len(body),
    )


def _decoded(fields: Mapping[str, Raw], name: str, decoder: Decoder[_Kind]) -> _Kind | None:
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise Invalid(f"'{name}' is not valid: {exc}.", name) from exc
