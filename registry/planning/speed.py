"""How long a run takes and what it costs, from a speed that was seen or that a formula tells.

It refuses to know where the figures come from.
"""

from collections.abc import Sequence
from statistics import median
from typing import Final

from registry.planning.shape import BaseShape
from registry.records.record import Record

START_SECONDS: Final = 15.0
"""From a job's creation to its first step, and from its last step to its version, about."""
PROCESSOR_FLOPS: Final = 2e10
"""Floating-point operations a second of one processor core. Measured: 8 rows of 100 tokens of a
model of 2 million parameters took 0.32 s in float32 and 0.12 s in bfloat16 on one thread."""


class Speed(Record, frozen=True, kw_only=True):
    """How fast a run goes."""

    tokens_per_second: float
    """Training tokens, padding excluded."""
    basis: str
    """Where the figure comes from, as a sentence."""


def seen_speed(speeds: Sequence[float]) -> Speed | None:
    """Return the median speed of earlier runs on the same base model, or none without any."""
    if not speeds:
        return None
    found = median(speeds)
    count = f"{len(speeds)} finished job" + ("s" if len(speeds) > 1 else "")
    basis = f"The median of {found:.0f} tokens/s of the project's last {count} on this base model."
    return Speed(tokens_per_second=found, basis=basis)


def stated_speed(shape: BaseShape, *, length: float, flops: float, trains_all: bool) -> Speed:
    """Return the speed that the model's size tells.

    A token takes 2 operations for each weight it is multiplied with on the way forth, 2 on the way
    back, 2 more where the weights are trained, and 12 · layers · width · length for attention
    (Kaplan et al. 2020, arXiv 2001.08361, section 2.1).

    Args:
        shape: The base model.
        length: Mean tokens of a row.
        flops: Operations a second that the machine reaches.
        trains_all: Whether every weight is trained instead of an adapter.
    """
    weights = (6 if trains_all else 4) * shape.active_parameters
    operations = weights + 12 * shape.layers * shape.heads * shape.head * length
    basis = (
        f"No job of the project on this base model has ended yet: {operations:.2g} operations a "
        f"token at {flops:.2g} a second (GRAFTLINE_TRAINING_FLOPS)."
    )
    return Speed(tokens_per_second=flops / operations, basis=basis)


def seconds_of(tokens: int, speed: Speed) -> float:
    """Return the time from a job's creation to its version."""
    return START_SECONDS + tokens / speed.tokens_per_second
