"""The header of a safetensors file: which tensors there are, and where.

It refuses to know what a tensor is for, and reads no weights.
"""

import json
import math
import re
from collections.abc import Sequence
from typing import Any, BinaryIO, TypeGuard

from registry.errors import AdapterFault, InvalidAdapter
from registry.records import Record

WEIGHTS = "adapter_model.safetensors"
"""The file's name in an adapter's folder."""
MAX_HEADER_BYTES = 32 * 1024 * 1024
"""Largest header that is read, in bytes: some 200,000 tensors."""
_LENGTH_BYTES = 8
_MAX_DIMENSIONS = 8
_NAME = re.compile(r"[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]+)*")
_MAX_NAME = 512
_AGAIN = "Save the adapter again with 'save_pretrained' and copy the file whole."
DTYPES = ("BF16", "F16", "F32")
"""Types in which weights are taken."""
ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1}
ITEM_BYTES |= {"U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}
"""Size of one number, in bytes, by its type."""


class Tensor(Record, frozen=True, kw_only=True):
    """One entry of the header."""

    name: str
    """Its name, of letters, digits, dots, dashes and underscores."""
    dtype: str
    """Its type by safetensors' word."""
    shape: tuple[int, ...]
    """Its dimensions."""
    start: int
    """Offset of its first byte in the file."""
    end: int
    """Offset after its last byte."""


def read_header(
    stream: BinaryIO, size_bytes: int, *, exact: bool = True, max_bytes: int = MAX_HEADER_BYTES
) -> list[Tensor]:
    """Return the tensors of a safetensors file, in the order of the file.

    Args:
        stream: The file, at its beginning.
        size_bytes: Its size.
        exact: Whether the tensors must fill the file without gaps, each of its shape's size.
        max_bytes: Largest header to read.

    Raises:
        InvalidAdapter: The file is no safetensors file, or is cut off.
    """
    if size_bytes < _LENGTH_BYTES:
        raise _fault("The file is too short to be a safetensors file.")
    length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
    if length > max_bytes:
        raise _fault(f"Its header claims {length} bytes, more than {max_bytes}.")
    if _LENGTH_BYTES + length > size_bytes:
        raise _fault("The file is cut off within its header.")
    data_start = _LENGTH_BYTES + length
    tensors = _parsed(stream.read(length), data_start)
    if exact:
        _check_layout(tensors, data_start, size_bytes)
    return tensors


def _parsed(content: bytes, data_start: int) -> list[Tensor]:
    try:
        entries = json.loads(content, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as exc:
        raise _fault("Its header is not JSON.") from exc
    if not isinstance(entries, dict):
        raise _fault("Its header is not a JSON object.")
    entries.pop("__metadata__", None)
    tensors = [_tensor(name, entry, data_start) for name, entry in entries.items()]
    return sorted(tensors, key=lambda tensor: (tensor.start, tensor.end))


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _fault(f"The name {_shown(twice)} stands twice in its header.")
    return found


def _tensor(name: str, entry: object, data_start: int) -> Tensor:
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise _fault(f"The tensor name {_shown(name)} holds what no layer's name holds.")
    if not isinstance(entry, dict):
        raise _fault(f"The entry of '{name}' is not an object.", name)
    dtype, shape, offsets = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if (
        not isinstance(dtype, str)
        or not _are_sizes(shape)
        or not _are_sizes(offsets)
        or len(offsets) != 2
        or len(shape) > _MAX_DIMENSIONS
        or offsets[0] > offsets[1]
    ):
        raise _fault(f"The entry of '{name}' lacks a sound dtype, shape or data_offsets.", name)
    return Tensor(
        name=name,
        dtype=dtype[:16].encode("ascii", "replace").decode(),
        shape=tuple(shape),
        start=data_start + offsets[0],
        end=data_start + offsets[1],
    )


def _are_sizes(value: Any) -> TypeGuard[list[int]]:  # noqa: ANN401 - JSON
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _check_layout(tensors: Sequence[Tensor], data_start: int, size_bytes: int) -> None:
    place = data_start
    for tensor in tensors:
        if tensor.start != place:
            raise _fault(f"'{tensor.name}' overlaps another tensor or leaves a gap.", tensor.name)
        wanted = ITEM_BYTES.get(tensor.dtype)
        if wanted and math.prod(tensor.shape) * wanted != tensor.end - tensor.start:
            raise _fault(f"The size of '{tensor.name}' is not that of its shape.", tensor.name)
        place = tensor.end
    if place > size_bytes:
        raise _fault(f"The file is cut off: {size_bytes} bytes of {place}.")
    if place < size_bytes:
        raise _fault(f"{size_bytes - place} bytes follow the last tensor.")


def _shown(name: str) -> str:
    return ascii(name[:80])


def _fault(message: str, tensor: str | None = None) -> InvalidAdapter:
    where = WEIGHTS if tensor is None else f"{WEIGHTS}: {tensor}"
    return InvalidAdapter((AdapterFault(where, message, _AGAIN),))
