"""The learning rate that `auto` means: by method, technique, and the size of the base model. Pure.

It refuses to know rows, epochs and what a request asks for.
"""

import math
from typing import Final

from registry.records.record import Record
from registry.training_options import Technique, TrainingOptions

MAX_LORA_RATE: Final = 4e-3
"""The cap of LoRA's rule, which was not fitted below a hidden size of 1,000."""
MAX_FULL_RATE: Final = 1e-3
"""The cap of full fine-tuning's rule: the highest rate of a published recipe that we know of
(alignment-handbook, SmolLM-360M)."""
FULL_RATE: Final = 3e-5
"""Full fine-tuning's rate for a model of `FULL_PARAMETERS`."""
FULL_PARAMETERS: Final = 8.03e9
"""Weights of Llama 3.1 8B."""
LORA_OVER_FULL: Final = 10.0
"""LoRA's rate, as a multiple of full fine-tuning's, where nothing else tells that."""
TECHNIQUE_FACTORS: Final = {
    Technique.DELORA: 10.0,
    Technique.GRALORA: 2.0,
    Technique.TINYLORA: 10.0,
    Technique.VBLORA: 5.0,
    Technique.VERA: 10.0,
}
"""Factors on LoRA's rate, by technique; 1 where there is none."""
DPO_SHARE: Final = 0.1
"""Learning rate of DPO, as a share of supervised training's with the same technique."""
FAMILY_EXPONENTS: Final = {"llama": 0.781, "qwen2": 0.0775, "qwen3": 0.0775}
"""Exponents of LoRA's rule, by model type; Llama's where a family has none."""


class ModelShape(Record, frozen=True, kw_only=True):
    """What the rules need to know about a base model."""

    hidden_size: int
    """Width of the residual stream."""
    model_type: str
    """The family, such as `llama`."""
    parameters: int | None = None
    """Weights; none where the configuration does not tell."""


def base_learning_rate(
    model: ModelShape, *, method: str = "supervised", options: TrainingOptions | None = None
) -> float:
    """Return the learning rate of a multiplier of 1.

    **LoRA**: `5e-4 · (2000 / hidden) ** p` with p = 0.781 for Llama and 0.0775 for Qwen, at most
    `MAX_LORA_RATE`. Source: Thinking Machines, "LoRA Without Regret" (2025,
    doi:10.64434/tml.20250929) and the `get_lr` of its cookbook in its first versions; it was fitted
    on widths of 2,000 and more.

    **Full fine-tuning**: `3e-5 · sqrt(8.03e9 / weights)`, at most `MAX_FULL_RATE`. The shape is the
    cookbook's `get_full_finetune_lr_multiplier` (inversely to the root of the number of weights),
    the anchor its value for Llama 3.1 8B, a tenth of LoRA's 3e-4. Recipes set 2e-5 (Axolotl for
    8B, torchtune for 1B) or 1e-5 (PEFT's comparison, 3B) by hand, whatever the size;
    alignment-handbook has 1e-3 for SmolLM-360M (1.4e-4 here). Where the number of weights is
    unknown: a tenth of LoRA's.

    **Other techniques** take what `TECHNIQUE_FACTORS` says of LoRA's rate.
    Source: PEFT's own comparison (`method_comparison/MetaMathQA` in its repository) on Llama 3.2
    3B, where LoRA has 1e-4, DeLoRA, TinyLoRA and VeRA 1e-3, VB-LoRA 5e-4, GraLoRA 2e-4, the others
    1e-4.

    **DPO** takes `DPO_SHARE` of its technique's rate. Recipes have a twentieth to a fortieth
    (LLaMA-Factory 5e-6 beside 1e-4, alignment-handbook's Zephyr 5e-7 beside 2e-5) for tens of
    thousands of pairs; ours is higher because jobs here have hundreds.

    With LoRA+ the rate is A's, and is divided by the root of the ratio, so that the geometric mean
    of A's and B's rates stays the rule's. What was measured of all this on the tiny base model
    stands in docs/lab-log.md.
    """
    options = options or TrainingOptions()
    if options.technique is Technique.FULL:
        rate = _full_rate(model)
    else:
        rate = _lora_rate(model) * TECHNIQUE_FACTORS.get(options.technique, 1.0)
    rate /= math.sqrt(options.lora_plus_ratio or 1.0)
    return rate * (DPO_SHARE if method == "dpo" else 1.0)


def _lora_rate(model: ModelShape) -> float:
    exponent = FAMILY_EXPONENTS.get(model.model_type, FAMILY_EXPONENTS["llama"])
    scale: float = (2000 / model.hidden_size) ** exponent
    return min(5e-5 * LORA_OVER_FULL * scale, MAX_LORA_RATE)


def _full_rate(model: ModelShape) -> float:
    if model.parameters is None:
        return _lora_rate(model) / LORA_OVER_FULL
    return min(FULL_RATE * math.sqrt(FULL_PARAMETERS / model.parameters), MAX_FULL_RATE)
