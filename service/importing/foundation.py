"""The base model as far as an adapter must fit it: its linear layers and their shapes.

It refuses to fetch anything: a model on the hub is found in the local cache or not at all.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry.errors import InvalidAdapter, Unavailable
from registry.records import Record
from service.importing.header import Tensor, read_header

_LAYER = re.compile(r"(?:^|\.)((?:layers|blocks|h)\.(\d+)\..+)$")
_FLOATS = frozenset({"F32", "F16", "BF16", "F64"})
_MAX_HEADER_BYTES = 256 * 1024 * 1024
_MATRIX = 2


class Shape(Record, frozen=True, kw_only=True):
    """The size of a linear layer."""

    inputs: int
    """Numbers that go in."""
    outputs: int
    """Numbers that come out."""


class Foundation(Record, frozen=True, kw_only=True):
    """What is known of the base model."""

    name: str
    """Name clients use for it."""
    layer_count: int | None
    """Its layers; none when its configuration does not say."""
    vocabulary: int | None
    """Tokens it knows; none when its configuration does not say."""
    shapes: Mapping[str, Shape]
    """Its linear layers by the end of their names, from `layers.0.` on."""
    is_complete: bool
    """Whether every linear layer is in `shapes`, so that one that is not there does not exist."""


def find_folder(base_model: str) -> Path:
    """Return the folder with the base model's files.

    Raises:
        Unavailable: It is not on this machine.
    """
    folder = Path(base_model)
    if not folder.exists():
        folder = _cached(base_model)
    if not (folder / "config.json").exists():
        raise _away(base_model)
    return folder


def _cached(base_model: str) -> Path:
    # The hub's client and what it imports take megabytes, and only a model by name needs them.
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - see above
    from huggingface_hub.errors import (  # noqa: PLC0415 - see above
        HFValidationError,
        LocalEntryNotFoundError,
    )

    try:
        return Path(snapshot_download(base_model, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as exc:
        raise _away(base_model) from exc


def read_foundation(folder: Path, name: str) -> Foundation:
    """Return what the files say about the base model.

    Raises:
        Unavailable: Its configuration or a file of weights cannot be read.
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
        tensors = [tensor for path in sorted(folder.glob("*.safetensors")) for tensor in _of(path)]
    except (OSError, ValueError, InvalidAdapter) as exc:
        raise _away(str(folder.name)) from exc
    text = config.get("text_config") or config
    matrices = [tensor for tensor in tensors if len(tensor.shape) == _MATRIX]
    is_plain = bool(matrices) and not config.get("quantization_config")
    return Foundation(
        name=name,
        layer_count=_whole(text.get("num_hidden_layers")),
        vocabulary=_whole(text.get("vocab_size")),
        shapes=_from_tensors(matrices) if is_plain else _from_config(text),
        is_complete=is_plain,
    )


def place_of(module: str) -> str | None:
    """Return a layer's name from `layers.N.` on; none for one that lies in no layer.

    What stands before differs between a checkpoint and the versions of transformers that load it.
    """
    found = _LAYER.search(module)
    return found[1] if found else None


def index_of(module: str) -> int | None:
    """Return the number of the layer a module lies in; none for one that lies in no layer."""
    found = _LAYER.search(module)
    return int(found[2][:9]) if found else None


def _of(path: Path) -> list[Tensor]:
    with path.open("rb") as stream:
        return read_header(stream, path.stat().st_size, exact=False, max_bytes=_MAX_HEADER_BYTES)


def _from_tensors(matrices: list[Tensor]) -> dict[str, Shape]:
    found = {}
    for tensor in matrices:
        place = place_of(tensor.name.removesuffix(".weight"))
        if place is not None and tensor.dtype in _FLOATS:
            found[place] = Shape(outputs=tensor.shape[0], inputs=tensor.shape[1])
    return found


def _from_config(text: Mapping[str, Any]) -> dict[str, Shape]:
    """Compute the shapes of a model of Llama's make, whose weights are packed or not here."""
    hidden, inner = _whole(text.get("hidden_size")), _whole(text.get("intermediate_size"))
    heads, layers = _whole(text.get("num_attention_heads")), _whole(text.get("num_hidden_layers"))
    if not hidden or not inner or not heads or not layers:
        return {}
    head = _whole(text.get("head_dim")) or hidden // heads
    keys = (_whole(text.get("num_key_value_heads")) or heads) * head
    layer = {
        "self_attn.q_proj": Shape(inputs=hidden, outputs=heads * head),
        "self_attn.k_proj": Shape(inputs=hidden, outputs=keys),
        "self_attn.v_proj": Shape(inputs=hidden, outputs=keys),
        "self_attn.o_proj": Shape(inputs=heads * head, outputs=hidden),
        "mlp.gate_proj": Shape(inputs=hidden, outputs=inner),
        "mlp.up_proj": Shape(inputs=hidden, outputs=inner),
        "mlp.down_proj": Shape(inputs=inner, outputs=hidden),
    }
    return {
        f"layers.{index}.{name}": shape for index in range(layers) for name, shape in layer.items()
    }


def _whole(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None


def _away(base_model: str) -> Unavailable:
    message = (
        f"The base model '{base_model}' is not on this machine, so no adapter can be checked "
        "against it. Set GRAFTLINE_BASE_MODEL to its folder, or start the engine here once."
    )
    return Unavailable("base model", message, retry_after_seconds=60)
