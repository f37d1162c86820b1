"""A plugin of vLLM's CPU build (0.32): adapters of linear layers in two products a slice.

It refuses to know which adapter is in which slot. vLLM looks up once for every layer, and twice for
every slice of it, which tokens belong to which slot, and goes through a buffer of 32 bits between
the two products; here that is looked up once for a step, and tokens that stand together are taken
as they stand.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from importlib import import_module
from typing import Any

Tensor = Any
"""A torch.Tensor: torch itself is not imported, the tensors bring their methods along."""

Rows = Any
"""The places of tokens: a slice where they stand together, else a tensor of indices."""

_USER, _WRAPPER = "vllm.lora.punica_wrapper.punica_cpu", "PunicaWrapperCPU"
_KNOWN = ("update_metadata", "add_lora_linear", "token_lora_indices")
_GROUPS = "graftline_groups"


def install() -> None:
    """Put these routines in the place of vLLM's.

    Raises:
        RuntimeError: This vLLM is not the one we know.
    """
    wrapper = getattr(import_module(_USER), _WRAPPER)
    for name in _KNOWN:
        if not hasattr(wrapper, name):
            raise RuntimeError(f"{_WRAPPER} has no {name}: this vLLM is not the one we know.")
    wrapper.update_metadata = looking_up(wrapper.update_metadata)
    wrapper.add_lora_linear = add_lora_linear


def looking_up(update: Callable[..., None]) -> Callable[..., None]:
    """Return `update`, which takes note of a step's tokens, with one look at their slots."""

    @wraps(update)
    def update_and_look(self: Any, *args: Any, **options: Any) -> None:  # noqa: ANN401 - vLLM's own
        update(self, *args, **options)
        setattr(self, _GROUPS, list(by_slot(self.token_lora_indices)))

    return update_and_look


def add_lora_linear(
    self: Any,  # noqa: ANN401 - vLLM's own type
    y: Tensor,
    x: Tensor,
    lora_a_stacked: Sequence[Tensor],
    lora_b_stacked: Sequence[Tensor],
    scale: float,
    output_slices: Sequence[int],
    **_unused: object,
) -> None:
    """Add `scale · B A x` of each token to its row, slice by slice.

    Args:
        self: What knows the step: the slots of its tokens.
        y: Shape (tokens, all slices).
        x: Shape (tokens, hidden).
        lora_a_stacked: A of every slot, one for each slice, shape (slots, 1, rank, hidden).
        lora_b_stacked: B of every slot, one for each slice, shape (slots, 1, width, rank).
        scale: A factor.
        output_slices: Width of each slice.
    """
    y, x = y.view(-1, y.shape[-1]), x.view(-1, x.shape[-1])
    for slot, rows in getattr(self, _GROUPS):
        inputs, start = x[rows], 0
        for a, b, width in zip(lora_a_stacked, lora_b_stacked, output_slices, strict=True):
            columns = y[:, start : start + width]
            start += width
            inner, outer = inputs @ matrix(a, slot).T, matrix(b, slot).T
            if isinstance(rows, slice):
                columns[rows].addmm_(inner, outer, alpha=scale)
            else:
                columns.index_add_(0, rows, inner @ outer, alpha=scale)


def by_slot(indices: Tensor) -> Iterator[tuple[int, Rows]]:
    """Yield each slot that is used, and the rows of its tokens.

    Args:
        indices: Slot of each token, shape (tokens,); -1 for none.
    """
    slots = indices.unique().tolist()
    if len(slots) == 1 and slots[0] >= 0:
        yield slots[0], slice(0, indices.shape[0])
        return
    for slot in slots:
        if slot >= 0:
            yield slot, _together((indices == slot).nonzero().squeeze(1))


def matrix(weights: Tensor, slot: int) -> Tensor:
    """Return a slot's matrix of weights with or without a dimension of 1 beside the slots."""
    chosen = weights[slot]
    return chosen.squeeze(0) if chosen.dim() == 3 else chosen


def _together(rows: Tensor) -> Rows:
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == rows.shape[0] else rows
