"""From figures to places in a picture, in per cent of its width or height.

It refuses to know what is drawn there.
"""

import math
from collections.abc import Sequence

from registry.records import Record

_TICKS = 5
_MARGIN = 0.06


class Tick(Record, frozen=True, kw_only=True):
    """A round number on an axis."""

    at: float
    """Its place, in per cent."""
    label: str
    """The number."""


class Scale(Record, frozen=True, kw_only=True):
    """A linear map from figures to per cent; upside down where `start` is above `end`."""

    low: float
    """The figure at `start`."""
    high: float
    """The figure at `end`; above `low`."""
    start: float = 0.0
    """Per cent."""
    end: float = 100.0
    """Per cent."""

    def at(self, value: float) -> float:
        """Return where a figure stands."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self) -> list[Tick]:
        """Return about five round numbers within the scale."""
        step = _round_step((self.high - self.low) / _TICKS)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        values = [round(count * step, 10) for count in range(first, last + 1)]
        return [Tick(at=self.at(value), label=_label(value)) for value in values]


def around(values: Sequence[float]) -> Scale:
    """Return a scale that holds every figure, with a margin at both ends."""
    low, high = min(values), max(values)
    margin = (high - low) * _MARGIN or max(abs(high), 1.0) * 0.1
    return Scale(low=low - margin, high=high + margin)


def _label(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:g}"


def _round_step(step: float) -> float:
    size: float = 10.0 ** math.floor(math.log10(step))
    return next(factor * size for factor in (1, 2, 5, 10) if step <= factor * size * (1 + 1e-9))
