"""An adapter's numbers: are all of them finite, and do they change anything.

It refuses to know torch: the bits of each number are read as they lie in the file.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from registry.errors import AdapterFault
from registry.records import Record
from service.importing.checks import Pair
from service.importing.header import WEIGHTS, Tensor

_PIECE_BYTES = 8 * 1024 * 1024
_MOST_NAMED = 3


class _Bits(Record, frozen=True, kw_only=True):
    kind: str
    exponent: int
    number: int


_BITS = {  # an exponent of ones is NaN or infinite; nothing but the sign is zero
    "BF16": _Bits(kind="<u2", exponent=0x7F80, number=0x7FFF),
    "F16": _Bits(kind="<u2", exponent=0x7C00, number=0x7FFF),
    "F32": _Bits(kind="<u4", exponent=0x7F800000, number=0x7FFFFFFF),
}


class _Seen(Record, frozen=True, kw_only=True):
    is_finite: bool
    is_zero: bool


def weight_faults(path: Path, pairs: Sequence[Pair]) -> list[AdapterFault]:
    """Read every number of an adapter and return what is wrong with them.

    Args:
        path: The safetensors file.
        pairs: Its tensors by layer, of the types in `DTYPES`.
    """
    with path.open("rb") as stream:
        seen = {tensor.name: _look(stream, tensor) for pair in pairs for tensor in (pair.a, pair.b)}
    odd = [name for name, found in seen.items() if not found.is_finite]
    faults = [
        AdapterFault(
            f"{WEIGHTS}: {name}",
            "It holds NaN or infinite numbers.",
            "The training diverged: take an earlier checkpoint, or train with a lower rate.",
        )
        for name in odd[:_MOST_NAMED]
    ]
    if not odd and not any(
        not seen[pair.a.name].is_zero and not seen[pair.b.name].is_zero for pair in pairs
    ):
        faults.append(
            AdapterFault(
                WEIGHTS,
                "It changes nothing: in every layer lora_A or lora_B is zero throughout.",
                "It was saved before it was trained; take a later checkpoint.",
            )
        )
    return faults


def _look(stream: BinaryIO, tensor: Tensor) -> _Seen:
    bits = _BITS[tensor.dtype]
    stream.seek(tensor.start)
    left, is_finite, is_zero = tensor.end - tensor.start, True, True
    while left and is_finite:
        piece = stream.read(min(left, _PIECE_BYTES))
        if not piece:
            raise OSError(f"'{WEIGHTS}' became shorter while it was read")
        left -= len(piece)
        values: Any = np.frombuffer(piece, dtype=bits.kind)
        is_finite = not bool(np.any((values & bits.exponent) == bits.exponent))
        is_zero = is_zero and not bool(np.any(values & bits.number))
    return _Seen(is_finite=is_finite, is_zero=is_zero)
