"""Limits of the policy that findings are held against, before the verdict.

It refuses to know scores: a measure with its interval comes in, a standing goes out.
"""

from enum import StrEnum

from evals.intervals import Estimate
from registry.records import Record

ROUNDING = 1e-9
"""What a measure may differ by for no reason but floating-point rounding."""


class Standing(StrEnum):
    """Whether a limit holds."""

    HELD = "held"
    """Over the whole interval."""
    BROKEN = "broken"
    """The whole interval lies beyond it."""
    OPEN = "open"
    """The interval lies on both sides of it, or nothing could be measured."""


class Condition(Record, frozen=True, kw_only=True):
    """One limit, and how a measure stands to it."""

    name: str
    """The policy's field."""
    standing: Standing
    """Whether it holds."""
    sentence: str
    """The same in words."""


def upper_limit(name: str, what: str, measured: Estimate, limit: float) -> Condition:
    """Return how a measure stands to the most it may be.

    Args:
        name: The policy's field.
        what: What is measured, to begin a sentence with.
        measured: The measure.
        limit: The most it may be.
    """
    mean, low, high = measured.mean, measured.low, measured.high
    if mean is None or low is None or high is None:
        sentence = f"{what} could not be measured; the policy allows at most {limit:g}."
        return Condition(name=name, standing=Standing.OPEN, sentence=sentence)
    figures = f"{mean:.4g} ({low:.4g} to {high:.4g}, n = {measured.n})"
    if low > limit + ROUNDING:
        standing, words = Standing.BROKEN, "more than"
    elif high > limit + ROUNDING:
        standing, words = Standing.OPEN, "not surely at most"
    else:
        standing, words = Standing.HELD, "at most"
    sentence = f"{what} is {figures}: {words} the {limit:g} that the policy allows."
    return Condition(name=name, standing=standing, sentence=sentence)
