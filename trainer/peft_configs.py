"""PEFT's configuration of each technique, from rank, alpha and the widths of a model's layers.

It refuses to know learning rates, rows, and what becomes of the weights.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from peft import (
    C3AConfig,
    DeloraConfig,
    FourierFTConfig,
    GraloraConfig,
    LoHaConfig,
    LoKrConfig,
    LoraConfig,
    MissConfig,
    PeftConfig,
    PsoftConfig,
    RandLoraConfig,
    TinyLoraConfig,
    UniLoraConfig,
    VBLoRAConfig,
    VeraConfig,
    WaveFTConfig,
)

from registry.records import Record
from registry.training_options import LORA_FAMILY, LoraStart, Technique, TrainingOptions
from trainer.plan import Hyperparameters

VERA_RANK_FACTOR = 16
"""Rank of VeRA's random matrices, as a multiple of `lora_rank`: only scales on them are trained."""
FREQUENCIES_PER_RANK = 160
"""Coefficients that FourierFT and WaveFT train in each layer, as a multiple of `lora_rank`: about
as many as their defaults (1,000 and 2,592) at the usual rank of 16."""
C3A_BLOCK = 128
"""Largest block of C3A, which keeps its parameters few and a block's transform short."""
VECTOR_LENGTH = 256
"""Longest vector of VB-LoRA's bank (its paper's length, where the widths allow it)."""
RANDLORA_ALPHA_PER_RANK = 20
"""RandLoRA's alpha, as a multiple of its rank (PEFT's default, arXiv 2502.00987)."""


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

    @property
    def weights(self) -> int:
        """Weights of the smallest of them."""
        return min(outputs * inputs for outputs, inputs in self.shapes)


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
    Technique.RANDLORA: lambda rank, _alpha, _to, every: RandLoraConfig(
        r=rank, randlora_alpha=RANDLORA_ALPHA_PER_RANK * rank, **every
    ),
    Technique.TINYLORA: lambda rank, _alpha, _to, every: TinyLoraConfig(r=rank, **every),
    Technique.UNILORA: lambda rank, _alpha, _to, every: UniLoraConfig(
        r=rank, theta_d_length=FREQUENCIES_PER_RANK * rank, **every
    ),
    Technique.VBLORA: lambda rank, _alpha, to, every: VBLoRAConfig(
        r=rank, vector_length=_divisor(to.divisor, VECTOR_LENGTH), **every
    ),
    Technique.PSOFT: lambda rank, _alpha, _to, every: PsoftConfig(
        r=rank, psoft_alpha=rank, **every
    ),
    Technique.C3A: lambda _rank, _alpha, to, every: C3AConfig(
        block_size=_divisor(to.divisor, C3A_BLOCK), **every
    ),
    Technique.FOURIERFT: lambda rank, _alpha, to, every: FourierFTConfig(
        n_frequency=min(FREQUENCIES_PER_RANK * rank, to.weights), **every
    ),
    Technique.WAVEFT: lambda rank, _alpha, to, every: WaveFTConfig(
        n_frequency=min(FREQUENCIES_PER_RANK * rank, to.weights), **every
    ),
}
"""Configurations from rank, alpha, the layers, and what every method has. Those without a rank of
their own take it as a measure of how much is trained; most know no alpha."""
