"""What a job trains with: every `auto` resolved, every figure in range.

It refuses to know rows, tokens and processes; it reads nothing and starts nothing.
"""

import math
from typing import Any, Final

import msgspec

from registry.errors import Invalid
from registry.planning.rules import AUTO_LORA_RANK, auto_batch_size, auto_epochs
from registry.records import Record

MAX_AUTO_LEARNING_RATE: Final = 4e-3
"""The cap of the learning rate's rule, which was not fitted below a hidden size of 1,000."""
ALPHA_PER_RANK: Final = 2
"""LoRA alpha, as a multiple of the rank."""
WARMUP_SHARE: Final = 0.05
"""Share of the steps in which the learning rate rises."""

FAMILY_EXPONENTS: Final = {"llama": 0.781, "qwen2": 0.0775, "qwen3": 0.0775}
"""Exponents of the learning rate's rule, by model type; Llama's where a family has none."""

_RANGES: Final[dict[str, tuple[float, float, type]]] = {
    "n_epochs": (1, 50, int),
    "batch_size": (1, 256, int),
    "learning_rate_multiplier": (0.0, math.inf, float),
    "learning_rate": (0.0, 1.0, float),
    "lora_rank": (1, 512, int),
    "lora_alpha": (1, 1024, int),
}


class ModelShape(Record, frozen=True, kw_only=True):
    """What the rules need to know about a base model."""

    hidden_size: int
    """Width of the residual stream."""
    model_type: str
    """The family, such as `llama`."""


class Hyperparameters(Record, frozen=True, kw_only=True):
    """Resolved: nothing is `auto`."""

    n_epochs: int
    """Passes over the training rows."""
    batch_size: int
    """Rows in one optimiser step."""
    learning_rate_multiplier: float
    """As requested; 1 for `auto`."""
    learning_rate: float
    """The highest learning rate of the schedule."""
    lora_rank: int
    """Rank of every LoRA matrix."""
    lora_alpha: int
    """LoRA's scale is alpha / rank."""
    lora_dropout: float = 0.0
    """None: the runs are short, and a run is repeatable bit by bit."""
    warmup_share: float = WARMUP_SHARE
    """Share of the steps in which the learning rate rises."""
    schedule: str = "cosine"
    """How the learning rate falls to zero."""
    weight_decay: float = 0.0
    """AdamW's weight decay."""
    max_grad_norm: float = 1.0
    """Gradients are clipped to this norm."""

    def public(self) -> dict[str, Any]:
        """Return what a job shows; resolving it again gives the same."""
        return {name: getattr(self, name) for name in _RANGES}


def resolve(
    requested: dict[str, Any], *, rows: int, model: ModelShape, max_lora_rank: int
) -> Hyperparameters:
    """Return the hyperparameters of a run.

    Args:
        requested: By OpenAI's names (`n_epochs`, `batch_size`, `learning_rate_multiplier`) and
            ours (`learning_rate`, absolute; `lora_rank`; `lora_alpha`); `"auto"` or absent ones
            are chosen here.
        rows: Rows to train on.
        model: The base model.
        max_lora_rank: The largest rank the engine takes.

    Raises:
        Invalid: A field is unknown, or its value out of range; the field is named.
    """
    for name in requested:
        if name not in _RANGES:
            known = ", ".join(_RANGES)
            raise _invalid(name, f"is not known. Use {known}.")
    given = {name: _number(name, requested.get(name)) for name in _RANGES}
    multiplier = given["learning_rate_multiplier"] or 1.0
    rank = int(given["lora_rank"] or min(AUTO_LORA_RANK, max_lora_rank))
    if rank > max_lora_rank:
        raise _invalid(
            "lora_rank", f"is {rank}, and the engine takes at most {max_lora_rank} (max_lora_rank)."
        )
    return Hyperparameters(
        n_epochs=int(given["n_epochs"] or auto_epochs(rows)),
        batch_size=int(given["batch_size"] or auto_batch_size(rows)),
        learning_rate_multiplier=multiplier,
        learning_rate=given["learning_rate"] or multiplier * base_learning_rate(model),
        lora_rank=rank,
        lora_alpha=int(given["lora_alpha"] or ALPHA_PER_RANK * rank),
    )


def base_learning_rate(model: ModelShape) -> float:
    """Return the learning rate of a multiplier of 1.

    The rule is `5e-5 · 10 · (2000 / hidden) ** p`: full fine-tuning's rate, ten times higher for
    LoRA, scaled with the width. Source: Thinking Machines, "LoRA Without Regret" (2025) and the
    `get_lr` of its cookbook, with p = 0.781 for Llama and 0.0775 for Qwen. It was fitted on widths
    of 2,000 and more, so it is capped at `MAX_AUTO_LEARNING_RATE`.
    """
    exponent = FAMILY_EXPONENTS.get(model.model_type, FAMILY_EXPONENTS["llama"])
    scale: float = (2000 / model.hidden_size) ** exponent
    return min(5e-5 * 10 * scale, MAX_AUTO_LEARNING_RATE)


def manifest_hyperparameters(hyperparameters: Hyperparameters, max_length: int) -> dict[str, Any]:
    """Return everything a manifest records about how the weights were made."""
    return {**msgspec.to_builtins(hyperparameters), "max_length": max_length}


def _number(name: str, value: object) -> float | None:
    if value is None or value == "auto":
        return None
    low, high, kind = _RANGES[name]
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not isinstance(value, int | float) or (kind is int and not whole):
        what = "a whole number" if kind is int else "a number"
        raise _invalid(name, f"must be {what} or 'auto', not {value!r}.")
    inside = low < value <= high if kind is float else low <= value <= high
    if not inside or not math.isfinite(value):
        bounds = f"between {low:g} and {high:g}" if math.isfinite(high) else f"above {low:g}"
        raise _invalid(name, f"is {value:g} and must lie {bounds}.")
    return float(value)


def _invalid(name: str, what: str) -> Invalid:
    return Invalid(
        f"The hyperparameter '{name}' {what}",
        f"hyperparameters.{name}",
        "invalid_hyperparameters",
    )
