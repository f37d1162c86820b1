"""What an inference request asks for, as far as the service needs to know.

It refuses to know prompts and sampling: every other field goes to the engine byte for byte.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar
from zlib import crc32

import msgspec
from msgspec import Raw
from msgspec.json import Decoder

from registry.errors import Invalid
from service.dialects.choices import CHAT
from service.dialects.dialect import Dialect
from service.units import HeaderOf, unit_in

PREFIX_BYTES = 1024
"""Bytes of a prompt by which requests are told apart when a replica is picked for them."""
_STREAM_USAGE = Raw(b'{"include_usage":true}')
_FALSE = Raw(b"false")
_NOTHING = Raw(b"null")
_NOTHINGS = frozenset({b"null", b"false"})
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
    """Whether the client gets the usage at the end of a stream."""
    fields: Mapping[str, Raw]
    """Every field as it came."""
    header_of: HeaderOf
    """The request's headers."""
    size_bytes: int
    """Length of the body."""
    dialect: Dialect
    """The endpoint's own ways."""

    def unit_of(self, sources: Sequence[str]) -> str | None:
        """Return what a split keeps together; see `units.unit_in`."""
        return unit_in(self.fields, self.header_of, sources or self.dialect.unit_sources)

    def prefix_key(self, model: str) -> int | None:
        """Return a number that requests to a model share whose prompts begin alike.

        It takes a microsecond and is the same in every process. Engines cache for each model apart,
        so the model is part of it. None where the endpoint has no prompt, or none was sent.
        """
        key, rest = crc32(model.encode()), PREFIX_BYTES
        for name in self.dialect.prompt_fields:
            raw = self.fields.get(name)
            if raw is not None and rest:
                piece = memoryview(raw)[:rest]
                key = crc32(piece, key)
                rest -= len(piece)
        return key if rest < PREFIX_BYTES else None

    def body_for(self, model: str, request_id: str = "") -> bytes:
        """Return the body for the engine: another model's name, and usage always reported.

        Args:
            model: The version's name.
            request_id: Names the answer, where the dialect has a field for it.
        """
        fields = self._named(model, request_id)
        if self.stream and not self.wants_usage:
            fields["stream_options"] = _STREAM_USAGE
        return msgspec.json.encode(fields)

    def copy_for(self, model: str, request_id: str = "") -> bytes:
        """Return the body for a model whose answer nobody waits for: it need not be streamed."""
        fields = self._named(model, request_id)
        fields.pop("stream_options", None)
        fields["stream"] = _FALSE
        return msgspec.json.encode(fields)

    def _named(self, model: str, request_id: str) -> dict[str, Raw]:
        fields = {**self.fields, "model": Raw(msgspec.json.encode(model))}
        if self.dialect.id_field is not None:
            name = self.dialect.id_prefix + request_id
            fields[self.dialect.id_field] = Raw(msgspec.json.encode(name))
        return fields


def decode_inquiry(body: bytes, header_of: HeaderOf, dialect: Dialect = CHAT) -> Inquiry:
    """Read a request's body, once; its fields are decoded only where they are needed.

    Args:
        body: As it came.
        header_of: The request's headers.
        dialect: The endpoint's.

    Raises:
        Invalid: It is no JSON object, names no model, a field we need has another type, or one
            asks for what the dialect cannot give.
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
    for name, reason in dialect.refusals.items():
        if bytes(fields.get(name, _NOTHING)) not in _NOTHINGS:
            raise Invalid(reason, name, "unsupported_parameter")
    stream = bool(_decoded(fields, "stream", _stream_decoder))
    options = _decoded(fields, "stream_options", _options_decoder) if stream else None
    asked = options is not None and bool(options.include_usage)
    return Inquiry(
        model=model,
        stream=stream,
        wants_usage=asked or not dialect.asks_for_usage,
        fields=fields,
        header_of=header_of,
        size_bytes=len(body),
        dialect=dialect,
    )


def _decoded(fields: Mapping[str, Raw], name: str, decoder: Decoder[_Kind]) -> _Kind | None:
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise Invalid(f"'{name}' is not valid: {exc}.", name) from exc
