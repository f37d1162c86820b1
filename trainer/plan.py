"""What a job trains with: every `auto` resolved, every figure in range.

It refuses to know rows, tokens and processes; it reads nothing and starts nothing.
"""

import math
from typing import Any, Final

import msgspec

from registry.errors import Invalid
from registry.planning.rates import ModelShape, base_learning_rate
from registry.planning.rules import AUTO_LORA_RANK, auto_batch_size, auto_epochs
from registry.records import Record
from registry.training_options import LoraStart, Technique, TrainingOptions

ALPHA_PER_RANK: Final = 2
"""LoRA alpha, as a multiple of the rank."""
WARMUP_SHARE: Final = 0.05
"""Share of the steps in which the learning rate rises."""
AUTO_BETA: Final = 0.1
"""DPO's beta, as in arXiv 2305.18290."""

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
