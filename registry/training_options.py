"""How a job trains beyond OpenAI's hyperparameters: the request's `training`, checked.

It refuses to know rows, models and what the machine can do: `auto` is resolved by the trainer.
"""

from enum import StrEnum
from typing import Any, Literal

import msgspec

from registry.errors import Invalid
from registry.records.record import Record

Auto = Literal["auto"]


class Technique(StrEnum):
    """Which weights are trained, and in which form."""

    LORA = "lora"
    """Low-rank matrices beside frozen weights."""
    QLORA = "qlora"
    """LoRA beside weights quantised to 4 bits (nf4, double quantisation)."""
    DORA = "dora"
    """LoRA with a trained magnitude; converted to plain LoRA before it is published."""
    FULL = "full"
    """Every weight; published as a low-rank extraction beside the full checkpoint."""


class LoraStart(StrEnum):
    """What the LoRA matrices are before the first step."""

    DEFAULT = "default"
    """A random, B zero."""
    PISSA = "pissa"
    """The principal singular vectors of the frozen weights (arXiv 2404.02948)."""


class TrainingOptions(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request's `training`; every field has a good default."""

    technique: Technique = Technique.LORA
    """Which weights are trained."""
    lora_start: LoraStart = LoraStart.DEFAULT
    """What the LoRA matrices are at first."""
    rank_stabilized: bool = False
    """Whether LoRA's scale is alpha / sqrt(rank) instead of alpha / rank (arXiv 2312.03732)."""
    lora_plus_ratio: float | None = None
    """Learning rate of B to that of A, at least 1 (arXiv 2402.12354); none for equal ones."""
    lora_dropout: float = 0.0
    """Share of LoRA's inputs that are dropped in a step, 0 up to below 1."""
    target_modules: Literal["all-linear"] | list[str] = "all-linear"
    """Names of the linear layers that are adapted; all but the head by default."""
    rank_pattern: dict[str, int] = msgspec.field(default_factory=dict)
    """Ranks of some layers, by the end of their names or a pattern, as in PEFT."""
    alpha_pattern: dict[str, int] = msgspec.field(default_factory=dict)
    """Alphas of some layers, likewise."""
    max_conversion_loss: float = 0.1
    """Largest rise of the validation loss, in nats a token, that a conversion to plain LoRA may
    cost; above it nothing is published."""
    packing: bool | Auto = "auto"
    """Whether several rows share one sequence, without seeing one another."""
    gradient_checkpointing: bool | Auto = "auto"
    """Whether activations are computed again instead of kept."""
    max_length: int | None = None
    """Longest row in tokens, at least 16; the engine's context by default."""
    early_stopping_patience: int | None = None
    """Epochs without a lower validation loss after which the training ends, at least 1."""
    keep_best: bool = True
    """Whether the published version is the epoch with the lowest validation loss; else the last."""


_BOUNDS: dict[str, tuple[float, float]] = {
    "lora_plus_ratio": (1, 1024),
    "lora_dropout": (0, 0.99),
    "max_conversion_loss": (0, 100),
    "max_length": (16, 1 << 20),
    "early_stopping_patience": (1, 50),
}
_MAX_NAMES = 64


def read_options(requested: dict[str, Any]) -> TrainingOptions:
    """Return a request's options with defaults for what it does not choose.

    Raises:
        Invalid: A field is unknown, of the wrong type or out of range; it is named.
    """
    try:
        options = msgspec.convert(requested, TrainingOptions)
    except msgspec.ValidationError as exc:
        raise Invalid(f"'training' cannot be used: {exc}.", "training") from exc
    for name, (low, high) in _BOUNDS.items():
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise Invalid(f"'{name}' must lie between {low:g} and {high:g}.", f"training.{name}")
    for name in ("target_modules", "rank_pattern", "alpha_pattern"):
        if not isinstance(getattr(options, name), str):
            _check_names(name, getattr(options, name))
    return options


def _check_names(name: str, value: list[str] | dict[str, int]) -> None:
    where = f"training.{name}"
    if name == "target_modules" and not value:
        raise Invalid("'target_modules' names no layer. Name some, or use 'all-linear'.", where)
    if len(value) > _MAX_NAMES or not all(value):
        raise Invalid(f"'{name}' must have at most {_MAX_NAMES} names, none empty.", where)
    if isinstance(value, dict) and not all(1 <= number <= 1024 for number in value.values()):
        raise Invalid(f"Each value of '{name}' must lie between 1 and 1024.", where)
