"""Whether an adapter's tensors fit its configuration, the base model and the engine. Pure.

It refuses to know files: names, types and shapes come in.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from registry.engine_layers import is_expert
from registry.errors import AdapterFault
from registry.records import Record
from service.importing.configuration import Lora
from service.importing.foundation import Foundation, Shape, index_of, place_of
from service.importing.header import DTYPES, WEIGHTS, Tensor

MAX_FAULTS = 20
"""Most faults that are told at once."""
_NAME = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")
_MATRIX = 2
_ODD_NAMES = (
    ("lora_magnitude_vector", "It belongs to DoRA.", "Train again with use_dora=False."),
    ("lora_embedding_", "It adapts the embedding.", "Leave embed_tokens out of target_modules."),
    ("modules_to_save", "It replaces a whole layer.", "Train again without modules_to_save."),
    ("trainable_tokens", "It trains tokens.", "Train again without trainable_token_indices."),
    ("embed_tokens", "It is a whole embedding.", "Save with save_embedding_layers=False."),
    ("lm_head", "It is a whole head.", "Save with save_embedding_layers=False."),
    (".bias", "It is a bias, which the engine does not apply.", 'Train again with bias="none".'),
)
_UNKNOWN_NAME = (
    "It is not named as PEFT names LoRA weights "
    "(base_model.model.….lora_A.weight or ….lora_B.weight)."
)


class Limits(Record, frozen=True, kw_only=True):
    """What the engine was started for."""

    max_rank: int
    """Largest rank."""
    target_modules: tuple[str, ...]
    """Last parts of the names of the layers it can adapt."""


class Pair(Record, frozen=True, kw_only=True):
    """The two matrices that change one layer."""

    module: str
    """The layer's name."""
    a: Tensor
    """`lora_A`, shape (rank, inputs)."""
    b: Tensor
    """`lora_B`, shape (outputs, rank)."""

    @property
    def rank(self) -> int:
        """Its rank, by its shape."""
        return self.a.shape[0]


def pairs_of(tensors: Sequence[Tensor]) -> list[Pair]:
    """Return the layers of an adapter whose tensors have no faults by themselves."""
    sides: dict[str, dict[str, Tensor]] = {}
    for tensor in tensors:
        if found := _NAME.fullmatch(tensor.name):
            sides.setdefault(found[1], {})[found[2]] = tensor
    return [
        Pair(module=module, a=both["A"], b=both["B"])
        for module, both in sides.items()
        if len(both) == _MATRIX
    ]


def tensor_faults(tensors: Sequence[Tensor]) -> list[AdapterFault]:
    """Return what is wrong with an adapter's tensors by themselves."""
    if not tensors:
        return [AdapterFault(WEIGHTS, "It holds no tensor.", "Save the adapter after training.")]
    names = {tensor.name for tensor in tensors}
    found = []
    for tensor in tensors:
        fault = _name_fault(tensor, names) or _kind_fault(tensor)
        if fault is not None:
            found.append(fault)
    return found


def fit_faults(
    pairs: Sequence[Pair], lora: Lora, foundation: Foundation, limits: Limits
) -> list[AdapterFault]:
    """Return why sound tensors fit the configuration, the base model or the engine badly."""
    return [
        *_rank_faults(pairs, lora, limits),
        *_target_faults(pairs, limits),
        *_expert_faults(pairs),
        *_base_faults([p for p in pairs if _leaf(p) in limits.target_modules], foundation),
    ]


def unchecked(pairs: Iterable[Pair], foundation: Foundation) -> list[str]:
    """Return the layers whose shape could not be compared with the base model's."""
    if foundation.is_complete:
        return []
    return [pair.module for pair in pairs if place_of(pair.module) not in foundation.shapes]


def _leaf(pair: Pair) -> str:
    return pair.module.rpartition(".")[2]


def _fault(tensor: str, message: str, remedy: str) -> AdapterFault:
    return AdapterFault(f"{WEIGHTS}: {tensor}", message, remedy)


def _name_fault(tensor: Tensor, names: set[str]) -> AdapterFault | None:
    found = _NAME.fullmatch(tensor.name)
    if found is None:
        for part, message, remedy in _ODD_NAMES:
            if part in tensor.name:
                return _fault(tensor.name, message, remedy)
        return _fault(tensor.name, _UNKNOWN_NAME, "Save it with PEFT's 'save_pretrained'.")
    other = "B" if found[2] == "A" else "A"
    if f"base_model.model.{found[1]}.lora_{other}.weight" in names:
        return None
    return _fault(tensor.name, f"Its lora_{other} is missing.", "Save the whole adapter again.")


def _kind_fault(tensor: Tensor) -> AdapterFault | None:
    if tensor.dtype not in DTYPES:
        wanted = ", ".join(DTYPES)
        return _fault(tensor.name, f"Its type is {tensor.dtype}.", f"Save it as one of {wanted}.")
    if len(tensor.shape) != _MATRIX or 0 in tensor.shape:
        message = f"Its shape is {list(tensor.shape)}, not that of a matrix."
        return _fault(tensor.name, message, "Adapt linear layers only.")
    return None


def _rank_faults(pairs: Sequence[Pair], lora: Lora, limits: Limits) -> list[AdapterFault]:
    found = []
    for pair in pairs:
        told = lora.rank_of(pair.module)
        if pair.rank != pair.b.shape[1]:
            message = f"lora_A has rank {pair.rank} and lora_B {pair.b.shape[1]}."
            found.append(_fault(pair.a.name, message, "Both must come from the same save."))
        elif pair.rank != told:
            message = f"Its rank is {pair.rank}, but adapter_config.json says {told}."
            remedy = "Send the configuration that was saved with the weights."
            found.append(_fault(pair.a.name, message, remedy))
    highest = max([lora.rank, *lora.rank_pattern.values(), *(pair.rank for pair in pairs)])
    if highest > limits.max_rank:
        message = f"The largest rank is {highest}; the engine takes at most {limits.max_rank}."
        remedy = (
            "Raise GRAFTLINE_MAX_LORA_RANK (1, 8, 16, 32, 64, 128, 256, 320 or 512) and restart "
            f"the engine, or train with r={limits.max_rank}."
        )
        found.append(AdapterFault("adapter_config.json: r", message, remedy))
    return found


def _target_faults(pairs: Sequence[Pair], limits: Limits) -> list[AdapterFault]:
    outside = sorted({_leaf(pair) for pair in pairs} - set(limits.target_modules))
    return [
        AdapterFault(
            "adapter_config.json: target_modules",
            f"'{leaf}' is adapted, but the engine is not started for it.",
            f"Train again without it. It takes {', '.join(limits.target_modules)}.",
        )
        for leaf in outside
    ]


def _expert_faults(pairs: Sequence[Pair]) -> list[AdapterFault]:
    """Return a fault when experts are adapted: the engine would take it and apply nothing there."""
    adapted = [pair for pair in pairs if is_expert(pair.module)]
    if not adapted:
        return []
    message = f"It adapts experts of a mixture ({len(adapted)}), which stay as they are here."
    remedy = "Train again with the attention's layers alone (q_proj, k_proj, v_proj, o_proj)."
    return [_fault(adapted[0].a.name, message, remedy)]


def _base_faults(pairs: Sequence[Pair], foundation: Foundation) -> list[AdapterFault]:
    """Return one fault for each kind of layer: a wrong base fails in each of its layers alike."""
    found: dict[str, AdapterFault] = {}
    count = foundation.layer_count
    for pair in pairs:
        index = index_of(pair.module)
        if count is not None and index is not None and index >= count:
            message = f"It lies in layer {index}; '{foundation.name}' has {count} layers."
            found.setdefault("layers", _wrong_base(pair, message, foundation))
            continue
        fault = _shape_fault(pair, foundation.shapes, foundation)
        if fault is not None:
            found.setdefault(_leaf(pair), fault)
    return list(found.values())


def _shape_fault(
    pair: Pair, shapes: Mapping[str, Shape], foundation: Foundation
) -> AdapterFault | None:
    shape = shapes.get(place_of(pair.module) or "")
    if shape is None:
        if not foundation.is_complete:
            return None
        message = f"'{foundation.name}' has no linear layer of this name."
        return _wrong_base(pair, message, foundation)
    given = Shape(inputs=pair.a.shape[1], outputs=pair.b.shape[0])
    if given == shape:
        return None
    message = (
        f"It changes a layer of {given.inputs} inputs and {given.outputs} outputs; in "
        f"'{foundation.name}' the layer has {shape.inputs} and {shape.outputs}."
    )
    return _wrong_base(pair, message, foundation)


def _wrong_base(pair: Pair, message: str, foundation: Foundation) -> AdapterFault:
    remedy = (
        "It was trained on another base model: train it on "
        f"'{foundation.name}', or serve the one it was trained on (GRAFTLINE_BASE_MODEL)."
    )
    return _fault(pair.a.name, message, remedy)
