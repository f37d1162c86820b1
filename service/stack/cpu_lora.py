"""A plugin of vLLM's CPU build (0.32): LoRA for the tokens that have one, and for no others.

It refuses to be loaded where that build is not. vLLM marks a token without an adapter by the index
-1, and its CPU routines look that up in the stack of adapters like any other: they find the last
slot. As soon as every slot is taken, a request to the base model that shares a step with an
adapter's request is answered with the adapter in that slot (docs/decisions/007). They also copy an
adapter's weights once for every token; here each adapter's tokens are multiplied together. And for
mixtures of experts vLLM chooses, as soon as adapters are allowed, routines that only a GPU has.
"""

from collections.abc import Callable
from copy import copy
from functools import wraps
from importlib import import_module
from typing import Any

from service.stack import cpu_lora_linear, forked_core, lora_memory, remote_files
from service.stack.cpu_lora_linear import Tensor, by_slot, matrix
from service.stack.preflight import has_cpu_engine

_OPS = "vllm.lora.ops.torch_ops.lora_ops"
_USER = "vllm.lora.punica_wrapper.punica_cpu"
_CHOOSER = "vllm.model_executor.layers.fused_moe.unquantized_fused_moe_method"
_CHOOSE = "select_unquantized_moe_backend"


def install() -> None:
    """Put these routines in the place of vLLM's; vLLM calls it in each of its processes.

    It is the one entry of ours that vLLM knows: `lora_memory` and `remote_files` are installed from
    here, on any build, and `forked_core` and `cpu_lora_linear` on the CPU's.
    """
    lora_memory.install()
    remote_files.install()
    if not has_cpu_engine():
        return
    forked_core.install()
    cpu_lora_linear.install()
    # For every other way into vLLM's: logits, embeddings, layers split over several processes.
    routines = {
        "bgmv_shrink": bgmv_shrink,
        "bgmv_expand": bgmv_expand,
        "bgmv_expand_slice": bgmv_expand_slice,
    }
    for name in (_OPS, _USER):
        module = import_module(name)
        for routine, ours in routines.items():
            if not hasattr(module, routine):
                raise RuntimeError(f"{name} has no {routine}: this vLLM is not the one we know.")
            setattr(module, routine, ours)
    chooser = import_module(_CHOOSER)
    setattr(chooser, _CHOOSE, for_frozen_experts(getattr(chooser, _CHOOSE)))


def for_frozen_experts(choose: Callable[..., Any]) -> Callable[..., Any]:
    """Return `choose`, which picks the experts' routines as if there were no adapters.

    No adapter changes experts here: they are not among the target modules, and an import that has
    any is refused.
    """

    @wraps(choose)
    def choose_without_adapters(moe_config: Any) -> Any:  # noqa: ANN401 - vLLM's own types
        frozen = copy(moe_config)
        frozen.is_lora_enabled = False
        return choose(moe_config=frozen)

    return choose_without_adapters


def bgmv_shrink(
    inputs: Tensor, weights: Tensor, output: Tensor, indices: Tensor, scaling: float = 1.0
) -> None:
    """Write `scaling · A x` of each token to its row; zero for a token without an adapter.

    Args:
        inputs: Shape (tokens, hidden).
        weights: A of every slot, shape (slots, 1, rank, hidden) or without the 1.
        output: Shape (tokens, rank or more); float32.
        indices: Slot of each token, shape (tokens,); -1 for none.
        scaling: A factor.
    """
    rank = weights.shape[-2]
    output[: indices.shape[0], :rank] = 0
    for slot, rows in by_slot(indices):
        chosen = inputs[rows].to(dtype=output.dtype)
        output[rows, :rank] = scaling * (chosen @ matrix(weights, slot).to(output.dtype).T)


def bgmv_expand(
    inputs: Tensor,
    weights: Tensor,
    output: Tensor,
    indices: Tensor,
    add_inputs: bool = True,  # noqa: FBT001, FBT002 - vLLM passes it by position
) -> None:
    """Add `B x` of each token to its row, or write it there.

    Args:
        inputs: Shape (tokens, rank).
        weights: B of every slot, shape (slots, 1, features, rank) or without the 1.
        output: Shape (tokens, features); padding may make it narrower or wider.
        indices: Slot of each token, shape (tokens,); -1 for none.
        add_inputs: Whether to add; else a token without an adapter gets zero.
    """
    width = min(weights.shape[-2], output.shape[1])
    bgmv_expand_slice(inputs, weights, output, indices, 0, width, add_inputs)


def bgmv_expand_slice(
    inputs: Tensor,
    weights: Tensor,
    output: Tensor,
    indices: Tensor,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = True,  # noqa: FBT001, FBT002 - vLLM passes it by position
) -> None:
    """Do what `bgmv_expand` does in the columns from `slice_offset` on, `slice_size` of them."""
    columns = slice(slice_offset, slice_offset + slice_size)
    if not add_inputs:
        output[: indices.shape[0], columns] = 0
    for slot, rows in by_slot(indices):
        outer = matrix(weights, slot)[:slice_size].to(output.dtype).T
        output[rows, columns] += inputs[rows].to(dtype=output.dtype) @ outer
