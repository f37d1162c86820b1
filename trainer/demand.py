"""What a run asks of this machine: which attention, how much at a time, what is computed again.

It refuses to know rows and how they are trained on.
"""

import torch

from registry.planning.memory import EAGER_ATTENTION_TOKENS, Footprint, Precision, fit
from registry.planning.shape import shape_of
from registry.settings import process_number
from registry.training_options import Technique
from trainer import footprints
from trainer.base_config import read_config
from trainer.footprints import Taken, free_memory
from trainer.language_model import engine_dtype, has_fast_half_precision
from trainer.protocol import Plan
from trainer.workplace import Workplace

_QUANTISED_BYTES = 0.6
"""Bytes of a weight in nf4 with double quantisation, head and embedding left as they are."""
_SHARE = 0.9
"""Share of a GPU's free memory that a run plans with."""


def attention_for(longest: int) -> str:
    """Return the faster attention.

    Measured on short rows and a CPU: the backward pass of PyTorch's fused attention takes a third
    of the time of a step, and attention written out makes the whole step 1.5 times faster. Its
    memory grows with the square of the length, so long rows and GPUs use the fused one.
    """
    is_short = longest <= EAGER_ATTENTION_TOKENS
    return "eager" if is_short and not torch.cuda.is_available() else "sdpa"


def footprint_for(plan: Plan, place: Workplace, longest: int) -> Footprint:
    """Return how much goes through the model at a time: as before, or as the memory allows."""
    before = footprints.recall(place)
    if before is not None:
        return before.footprint
    asked = plan.options.gradient_checkpointing
    footprint = Footprint(gradient_checkpointing=asked is True)
    try:
        shape = shape_of(read_config(plan.base_model))
    except ValueError:  # a model of another make: its memory is found out by trying
        pass
    else:
        footprint = fit(
            shape,
            _precision(plan, longest),
            rank=plan.hyperparameters.lora_rank,
            longest=longest,
            batch_size=plan.hyperparameters.batch_size,
            available=_available(plan),
            checkpointing=None if asked == "auto" else asked,
        )
    if process_number() == 0:
        footprints.keep(place, Taken(footprint=footprint, longest=longest))
    return footprint


def _precision(plan: Plan, longest: int) -> Precision:
    is_quantised = plan.options.technique is Technique.QLORA
    return Precision(
        weight_bytes=_QUANTISED_BYTES if is_quantised else engine_dtype(plan.base_model).itemsize,
        compute_bytes=2 if has_fast_half_precision() else 4,
        trains_all=plan.options.technique is Technique.FULL,
        written_out=attention_for(longest) == "eager",
    )


def _available(plan: Plan) -> int:
    free = free_memory()
    if torch.cuda.is_available():
        free = int(_SHARE * torch.cuda.mem_get_info()[0])
    return free if plan.memory_bytes is None else min(free, plan.memory_bytes)
