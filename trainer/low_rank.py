"""An update of weights as plain LoRA: what a model learned, layer by layer, in few dimensions.

It refuses to know how the update was trained, files, and rows.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers.pytorch_utils import Conv1D

from registry.records import Record

EXACT_WIDTH = 1_024
"""Width up to which singular values are computed exactly; above it by random projection (Halko,
Martinsson and Tropp, SIAM Review 53 (2011), doi:10.1137/090771806)."""
OVERSAMPLING = 16
"""Dimensions beyond the rank that the random projection keeps."""
POWER_ITERATIONS = 4
"""Iterations of the random projection."""
NOISE = 1e-6
"""Singular values below this share of the largest are rounding."""
_PREFIX = "base_model.model."


class LowRank(Record, frozen=True, kw_only=True):
    """An update of linear layers as products of two matrices; the scale is in them."""

    rank: int
    """Rank of every product."""
    tensors: dict[str, Any]
    """Matrices by PEFT's names: A of shape (rank, inputs), B of shape (outputs, rank)."""
    modules: list[str]
    """Names of the layers, sorted."""


@torch.no_grad()
def low_rank(trained: Any, base: Any, *, rank: int) -> LowRank:  # noqa: ANN401 - peft ships no types
    """Return the best approximation of rank `rank` to what a model learned.

    Each linear layer's update, trained weight minus base weight, is cut to its largest singular
    values (Eckart and Young, Psychometrika 1 (1936), doi:10.1007/BF02288367). What a model learned
    outside its linear layers is left out. PEFT's own `convert_to_lora` is not used: it loses
    DoRA's magnitudes without a word (0.21.2).

    Args:
        trained: The model as trained, an adapted one or a whole one.
        base: The base model as served, untouched.
        rank: Largest rank of the result; it is lower when the update's is.
    """
    served = dict(base.named_modules())
    halves: dict[str, _Halves] = {}
    for name, weight in _effective_weights(trained):
        halves[name] = _factor(weight - _matrix(served[name]), rank)
    widest = max((half.rank for half in halves.values()), default=0)
    tensors: dict[str, Any] = {}
    for name, half in halves.items():
        spare = max(1, widest) - half.rank
        a = nn.functional.pad(half.a, (0, 0, 0, spare))
        b = nn.functional.pad(half.b, (0, spare))
        tensors[f"{_PREFIX}{name}.lora_A.weight"] = a.contiguous().cpu()
        tensors[f"{_PREFIX}{name}.lora_B.weight"] = b.contiguous().cpu()
    return LowRank(rank=max(1, widest), tensors=tensors, modules=sorted(halves))


class _Halves(Record, frozen=True, kw_only=True):
    a: Any
    b: Any

    @property
    def rank(self) -> int:
        return int(self.a.shape[0])


def _effective_weights(trained: Any) -> Iterator[tuple[str, torch.Tensor]]:  # noqa: ANN401 - peft ships no types
    """Yield the weight that each trained linear layer multiplies with, in float32."""
    layers: Mapping[str, Any] = dict(trained.named_modules())
    adapted = {name: layer for name, layer in layers.items() if isinstance(layer, BaseTunerLayer)}
    if adapted:
        for name, layer in adapted.items():
            yield name.removeprefix(_PREFIX), _merged(layer)
        return
    head = trained.get_output_embeddings()
    for name, layer in layers.items():
        if isinstance(layer, nn.Linear) and layer is not head:
            yield name, _matrix(layer)


def _merged(layer: Any) -> torch.Tensor:  # noqa: ANN401 - peft ships no types
    """Return an adapted layer's weight with its adapter in it; the layer stays as it was."""
    inner = layer.get_base_layer()
    kept = inner.weight.data
    inner.weight.data = kept.float()
    try:
        layer.merge(safe_merge=True, adapter_names=list(layer.active_adapters))
        return _matrix(inner)
    finally:
        layer.merged_adapters.clear()
        inner.weight.data = kept


def _matrix(layer: Any) -> torch.Tensor:  # noqa: ANN401 - any kind of linear layer
    """Return a layer's weight of shape (outputs, inputs), in float32."""
    weight: torch.Tensor = layer.weight.detach().float()
    return weight.T if isinstance(layer, Conv1D) else weight


def _factor(update: torch.Tensor, rank: int) -> _Halves:
    """Return A and B of equal norm whose product is nearest to the update."""
    most = min(rank, *update.shape)
    if min(update.shape) <= EXACT_WIDTH:
        left, values, right = torch.linalg.svd(update, full_matrices=False)
    else:
        with torch.random.fork_rng():
            torch.manual_seed(0)  # equal updates give equal bytes
            wide = min(most + OVERSAMPLING, *update.shape)
            left, values, right_t = torch.svd_lowrank(update, q=wide, niter=POWER_ITERATIONS)
            right = right_t.T
    kept = min(most, int((values > NOISE * values[0]).sum()))
    root = values[:kept].sqrt()
    return _Halves(a=root[:, None] * right[:kept], b=left[:, :kept] * root)
