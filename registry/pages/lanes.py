"""Pictures with a lane for each thing: estimates with intervals, or bars, each beside its words.

It refuses to draw (`pictures.html.j2` does) and to know what the figures mean.
"""

from collections.abc import Sequence

from registry.pages.scale import Tick, around
from registry.records import Record

_SPACE = 11
"""Pixels from one estimate of a lane to the next."""


class Mark(Record, frozen=True, kw_only=True):
    """One estimate."""

    mean: float
    """The estimate."""
    low: float | None = None
    """Lower bound; none without an interval."""
    high: float | None = None
    """Upper bound; none likewise."""
    tone: str = "blue"
    """A colour of the style sheet: `good`, `bad`, `unsure`, `blue`, `orange` or `grey`."""


class Lane(Record, frozen=True, kw_only=True):
    """What a lane shows."""

    label: str
    """What it is."""
    marks: list[Mark]
    """Its estimates, one below the other."""
    note: str
    """The same figures in words, at its right."""


class Dot(Record, frozen=True, kw_only=True):
    """A drawn estimate."""

    at: float
    """Per cent of the width."""
    start: float | None
    """Where its interval begins; none without one."""
    end: float | None
    """Where it ends."""
    y: float
    """Pixels from the lane's top."""
    tone: str
    """Its colour."""


class Strip(Record, frozen=True, kw_only=True):
    """A drawn lane."""

    label: str
    """What it is."""
    dots: list[Dot]
    """Its estimates."""
    height: int
    """In pixels."""
    note: str
    """Its figures in words."""


class Forest(Record, frozen=True, kw_only=True):
    """Estimates with intervals over a common axis."""

    strips: list[Strip]
    """From top to bottom."""
    ticks: list[Tick]
    """Of the axis."""
    zero: float | None
    """Where no difference stands; none where that means nothing."""


class Bar(Record, frozen=True, kw_only=True):
    """A bar, with its words."""

    label: str
    """What it counts."""
    width: float
    """Per cent of the longest."""
    note: str
    """The count."""


def forest(lanes: Sequence[Lane], *, zero: bool) -> Forest | None:
    """Return estimates over an axis that holds them all; none without an estimate."""
    marks = [mark for lane in lanes for mark in lane.marks]
    if not marks:
        return None
    edges = [v for mark in marks for v in (mark.mean, mark.low, mark.high) if v is not None]
    scale = around([*edges, *([0.0] if zero else [])])
    strips = [
        Strip(
            label=lane.label,
            dots=[
                Dot(
                    at=scale.at(mark.mean),
                    start=None if mark.low is None else scale.at(mark.low),
                    end=None if mark.high is None else scale.at(mark.high),
                    y=_SPACE * (place + 1),
                    tone=mark.tone,
                )
                for place, mark in enumerate(lane.marks)
            ],
            height=_SPACE * (len(lane.marks) + 1),
            note=lane.note,
        )
        for lane in lanes
    ]
    return Forest(strips=strips, ticks=scale.ticks(), zero=scale.at(0) if zero else None)


def bars(counts: Sequence[tuple[str, int]]) -> list[Bar]:
    """Return a bar for each name and count."""
    longest = max([1, *(count for _, count in counts)])
    return [
        Bar(label=name, width=round(100 * count / longest, 2), note=f"{count:,}")
        for name, count in counts
    ]
