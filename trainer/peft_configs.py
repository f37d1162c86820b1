"""PEFT's configuration of each technique, from rank, alpha and the widths of a model's layers.

It refuses to know learning rates, rows, and what becomes of the weights.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from peft import (
    DeloraConfig,
    GraloraConfig,
    LoHaConfig,
    LoKrConfig,
    LoraConfig,
    MissConfig,
    PeftConfig,
    PsoftConfig,
    TinyLoraConfig,
    UniLoraConfig,
    VBLoRAConfig,
    VeraConfig,
)

from registry.records import Record
from registry.training_options import LORA_FAMILY, LoraStart, Technique, TrainingOptions
from trainer.plan import Hyperparameters

VERA_RANK_FACTOR = 16
"""Rank of VeRA's random matrices, as a multiple of `lora_rank`: only scales on them are trained."""
SHARED_PER_RANK = 160
"""Numbers in the one vector that UniLoRA trains, as a multiple of `lora_rank`."""
VECTOR_LENGTH = 256
"""Longest vector of VB-LoRA's bank (its paper's length, where the widths allow it)."""


class Targets(Record, frozen=True, kw_only=True):
    """The layers that are adapted."""

    names: Sequence[str]
    """Their names, or the ends of them."""
    shapes: frozenset[tuple[int, int]]
    """Outputs and inputs of all of them, each pair once."""

    @property
    def divisor(self) -> int:
        """The largest number that divides every width."""
        return math.gcd(*(width for shape in self.shapes for width in shape))


def config_of(options: TrainingOptions, chosen: Hyperparameters, targets: Targets) -> PeftConfig:
    """Return the configuration of a technique other than full fine-tuning."""
    every = {"target_modules": list(targets.names), "task_type": "CAUSAL_LM"}
    if options.technique in LORA_FAMILY:
        return _lora(options, chosen, every)
    rank, alpha = chosen.lora_rank, chosen.lora_alpha
    return _OTHERS[options.technique](rank, alpha, targets, every)


def _lora(
    options: TrainingOptions, chosen: Hyperparameters, every: Mapping[str, Any]
) -> LoraConfig:
    is_pissa = options.lora_start is LoraStart.PISSA
    return LoraConfig(
        r=chosen.lora_rank,
        lora_alpha=chosen.lora_alpha,
        lora_dropout=chosen.lora_dropout,
        use_rslora=options.rank_stabilized,
        use_dora=options.technique is Technique.DORA,
        init_lora_weights="pissa" if is_pissa else True,
        rank_pattern=dict(options.rank_pattern),
        alpha_pattern=dict(options.alpha_pattern),
        bias="none",
        **every,
    )


def _divisor(number: int, most: int) -> int:
    """Return the largest divisor of a number that is at most so large."""
    return max(part for part in range(1, min(number, most) + 1) if number % part == 0)


_Made = Callable[[int, int, Targets, Mapping[str, Any]], PeftConfig]
_OTHERS: dict[Technique, _Made] = {
    Technique.LOHA: lambda rank, alpha, _to, every: LoHaConfig(r=rank, alpha=alpha, **every),
    Technique.LOKR: lambda rank, alpha, _to, every: LoKrConfig(r=rank, alpha=alpha, **every),
    Technique.MISS: lambda rank, _alpha, _to, every: MissConfig(r=rank, **every),
    Technique.DELORA: lambda rank, alpha, _to, every: DeloraConfig(
        r=rank, delora_lambda=alpha, **every
    ),
    Technique.VERA: lambda rank, _alpha, _to, every: VeraConfig(r=VERA_RANK_FACTOR * rank, **every),
    Technique.GRALORA: lambda rank, alpha, to, every: GraloraConfig(
        r=rank, alpha=alpha, gralora_k=_divisor(math.gcd(rank, to.divisor), 2), **every
    ),
    Technique.TINYLORA: lambda rank, _alpha, _to, every: TinyLoraConfig(r=rank, **every),
    Technique.UNILORA: lambda rank, _alpha, _to, every: UniLoraConfig(
        r=rank, theta_d_length=SHARED_PER_RANK * rank, **every
    ),
    Technique.VBLORA: lambda rank, _alpha, to, every: VBLoRAConfig(
        r=rank, vector_length=_divisor(to.divisor, VECTOR_LENGTH), **every
    ),
    Technique.PSOFT: lambda rank, _alpha, _to, every: PsoftConfig(
        r=rank, psoft_alpha=rank, **every
    ),
}
"""Configurations from rank, alpha, the layers, and what every method has. Most know no alpha. Those
of PEFT's convertible methods whose updates have every rank are not here: see docs/lab-log.md."""
