"""What a job trains with: every `auto` resolved, every figure in range.

It refuses to know rows, tokens and processes; it reads nothing and starts nothing.
"""

import math
from typing import Any, Final

import msgspec

from registry.errors import Invalid
from registry.planning.rules import AUTO_LORA_RANK, auto_batch_size, auto_epochs
from registry.records import Record
from registry.training_options import LoraStart, Technique, TrainingOptions

MAX_AUTO_LEARNING_RATE: Final = 4e-3
"""The cap of the learning rate's rule, which was not fitted below a hidden size of 1,000."""
ALPHA_PER_RANK: Final = 2
"""LoRA alpha, as a multiple of the rank."""
WARMUP_SHARE: Final = 0.05
"""Share of the steps in which the learning rate rises."""
TECHNIQUE_FACTORS: Final = {Technique.FULL: 0.1}
"""Factors on LoRA's learning rate, by technique; 1 where there is none."""
DPO_SHARE: Final = 0.1
"""Learning rate of DPO, as a share of supervised training's with the same technique."""
AUTO_BETA: Final = 0.1
"""DPO's beta, as in arXiv 2305.18290."""

FAMILY_EXPONENTS: Final = {"llama": 0.781, "qwen2": 0.0775, "qwen3": 0.0775}
"""Exponents of the learning rate's rule, by model type; Llama's where a family has none."""

_RANGES: Final[dict[str, tuple[float, float, type]]] = {
    "n_epochs": (1, 50, int),
    "batch_size": (1, 256, int),
    "learning_rate_multiplier": (0.0, math.inf, float),
    "learning_rate": (0.0, 1.0, float),
    "lora_rank": (1, 512, int),
    "lora_alpha": (1, 1024, int),
    "beta": (0.0, 10.0, float),
}
_DPO_ONLY: Final = frozenset({"beta"})


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
    beta: float | None = None
    """DPO's beta: how much a departure from the reference costs; none for other methods."""

    def public(self) -> dict[str, Any]:
        """Return what a job shows; resolving it again gives the same."""
        chosen = {name: getattr(self, name) for name in _RANGES}
        return {name: value for name, value in chosen.items() if value is not None}


def resolve(
    requested: dict[str, Any],
    *,
    rows: int,
    model: ModelShape,
    max_lora_rank: int,
    method: str = "supervised",
    options: TrainingOptions | None = None,
) -> Hyperparameters:
    """Return the hyperparameters of a run.

    Args:
        requested: By OpenAI's names (`n_epochs`, `batch_size`, `learning_rate_multiplier`, and
            for DPO `beta`) and ours (`learning_rate`, absolute; `lora_rank`; `lora_alpha`);
            `"auto"` or absent ones are chosen here.
        rows: Rows to train on.
        model: The base model.
        max_lora_rank: The largest rank the engine takes.
        method: `supervised` or `dpo`.
        options: How it is trained beyond these; plain LoRA by default.

    Raises:
        Invalid: A field is unknown, or its value out of range; the field is named.
    """
    options = options or TrainingOptions()
    is_dpo = method == "dpo"
    known = [name for name in _RANGES if is_dpo or name not in _DPO_ONLY]
    for name in requested:
        if name not in known:
            raise _invalid(name, f"is not known. Use {', '.join(known)}.")
    given = {name: _number(name, requested.get(name)) for name in _RANGES}
    multiplier = given["learning_rate_multiplier"] or 1.0
    rate = base_learning_rate(model, method=method, options=options)
    rank = _rank(given["lora_rank"], options, max_lora_rank)
    return Hyperparameters(
        n_epochs=int(given["n_epochs"] or auto_epochs(rows, method)),
        batch_size=int(given["batch_size"] or auto_batch_size(rows)),
        learning_rate_multiplier=multiplier,
        learning_rate=given["learning_rate"] or multiplier * rate,
        lora_rank=rank,
        lora_alpha=int(given["lora_alpha"] or ALPHA_PER_RANK * rank),
        lora_dropout=options.lora_dropout,
        beta=(given["beta"] or AUTO_BETA) if is_dpo else None,
    )


def base_learning_rate(
    model: ModelShape, *, method: str = "supervised", options: TrainingOptions | None = None
) -> float:
    """Return the learning rate of a multiplier of 1.

    The rule is `5e-5 · 10 · (2000 / hidden) ** p`: full fine-tuning's rate, ten times higher for
    LoRA, scaled with the width. Source: Thinking Machines, "LoRA Without Regret" (2025) and the
    `get_lr` of its cookbook, with p = 0.781 for Llama and 0.0775 for Qwen. It was fitted on widths
    of 2,000 and more, so it is capped at `MAX_AUTO_LEARNING_RATE`.

    What is ours, and not measured yet (`make bench-methods` would): each technique takes what
    `TECHNIQUE_FACTORS` says of LoRA's rate, and DPO `DPO_SHARE` of its technique's. With LoRA+ the
    rate is A's, and is divided by the root of the ratio, so that the geometric mean of A's and B's
    rates stays the rule's.
    """
    options = options or TrainingOptions()
    exponent = FAMILY_EXPONENTS.get(model.model_type, FAMILY_EXPONENTS["llama"])
    scale: float = (2000 / model.hidden_size) ** exponent
    rate = min(5e-5 * 10 * scale, MAX_AUTO_LEARNING_RATE)
    rate *= TECHNIQUE_FACTORS.get(options.technique, 1.0)
    rate /= math.sqrt(options.lora_plus_ratio or 1.0)
    return rate * (DPO_SHARE if method == "dpo" else 1.0)


def published_rank(hyperparameters: Hyperparameters, technique: Technique, max_rank: int) -> int:
    """Return the largest rank of what a conversion to plain LoRA publishes.

    A converted update is not low-rank by itself: it gets every rank the engine takes, but for full
    fine-tuning, where `lora_rank` can mean nothing else.
    """
    return hyperparameters.lora_rank if technique is Technique.FULL else max_rank


def _rank(given: float | None, options: TrainingOptions, max_lora_rank: int) -> int:
    """Return the rank; a PiSSA start is published with twice the rank it is trained with."""
    largest = max_lora_rank
    if options.lora_start is LoraStart.PISSA:
        largest //= 2
    auto = largest if options.technique is Technique.FULL else min(AUTO_LORA_RANK, largest)
    rank = int(given or auto)
    twice = "" if largest == max_lora_rank else "; a 'pissa' start is published with twice its rank"
    if not 1 <= rank <= largest:
        what = f"is {rank}, and the engine takes at most {max_lora_rank} (max_lora_rank){twice}."
        raise _invalid("lora_rank", what)
    for wanted in options.rank_pattern.values():
        if wanted > largest:
            message = (
                f"'rank_pattern' has {wanted}; the engine takes at most {max_lora_rank}{twice}."
            )
            raise Invalid(message, "training.rank_pattern", "invalid_hyperparameters")
    return rank


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
