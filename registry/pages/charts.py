"""Pictures with two axes: curves, and columns of a histogram.

It refuses to draw (`pictures.html.j2` does) and to know what the figures mean.
"""

from collections.abc import Sequence

from registry.pages.scale import Scale, Tick
from registry.records import Record

_SIDE = 1_000
"""Units of a curve's own square, which the page stretches to the picture."""
_MOST_DOTS = 40
_LEAST = 1e-9
"""Shortest axis, so that figures that are all 0 have one."""


class Line(Record, frozen=True, kw_only=True):
    """One curve, in figures."""

    label: str
    """What it is."""
    points: list[tuple[float, float]]
    """Places, by x."""
    tone: str
    """A colour of the style sheet."""
    is_dashed: bool = False
    """Whether it is a guide and no measurement."""


class Place(Record, frozen=True, kw_only=True):
    """A point of a picture."""

    x: float
    """Per cent of the width."""
    y: float
    """Per cent of the height, from the top."""


class Curve(Record, frozen=True, kw_only=True):
    """A drawn curve."""

    label: str
    """What it is."""
    path: str
    """Its points, as SVG writes them, in a square of 1,000 units."""
    dots: list[Place]
    """The same, where they are few enough to be seen."""
    tone: str
    """Its colour."""
    is_dashed: bool
    """Whether it is a guide."""
    told: str
    """Its first and last figure, in words."""


class Chart(Record, frozen=True, kw_only=True):
    """Curves over two axes."""

    curves: list[Curve]
    """In the order of the legend."""
    across: list[Tick]
    """Of the lower axis."""
    up: list[Tick]
    """Of the left axis."""


class Column(Record, frozen=True, kw_only=True):
    """A column of a histogram."""

    x: float
    """Per cent from the left."""
    width: float
    """Per cent."""
    height: float
    """Per cent."""
    label: str
    """What it counts, and the count."""


class Histogram(Record, frozen=True, kw_only=True):
    """Columns over an axis of figures."""

    columns: list[Column]
    """From left to right."""
    across: list[Tick]
    """Of the lower axis."""
    up: list[Tick]
    """Of the left axis."""
    mark: float | None
    """Where a limit stands; none where it lies outside."""


class Bin(Record, frozen=True, kw_only=True):
    """One column, in figures."""

    start: float
    """Lowest value in it."""
    end: float
    """Lowest value above it."""
    count: int
    """How many."""
    label: str
    """In words."""


def chart(lines: Sequence[Line]) -> Chart | None:
    """Return curves over axes that begin at 0; none without a point."""
    drawn = [line for line in lines if line.points]
    if not drawn:
        return None
    points = [point for line in drawn for point in line.points]
    across = Scale(low=0, high=max(_LEAST, *(x for x, _ in points)))
    up = Scale(low=0, high=max(_LEAST, *(y for _, y in points)) * 1.05, start=100, end=0)
    curves = [_curve(line, across, up) for line in drawn]
    return Chart(curves=curves, across=across.ticks(), up=up.ticks())


def histogram(bins: Sequence[Bin], *, mark: float | None = None) -> Histogram | None:
    """Return columns; none without one.

    Args:
        bins: The columns, from left to right.
        mark: A figure of the lower axis to mark.
    """
    if not bins:
        return None
    across = Scale(low=bins[0].start, high=bins[-1].end)
    highest = max(1, *(each.count for each in bins))
    up = Scale(low=0, high=highest * 1.05, start=100, end=0)
    columns = [
        Column(
            x=across.at(each.start),
            width=round(across.at(each.end) - across.at(each.start), 2),
            height=round(100 - up.at(each.count), 2),
            label=f"{each.label}: {each.count:,}",
        )
        for each in bins
    ]
    place = None if mark is None else across.at(mark)
    return Histogram(
        columns=columns,
        across=across.ticks(),
        up=up.ticks(),
        mark=place if place is not None and 0 <= place <= 100 else None,
    )


def _curve(line: Line, across: Scale, up: Scale) -> Curve:
    places = [Place(x=across.at(x), y=up.at(y)) for x, y in line.points]
    stretch = _SIDE / 100
    first, last = line.points[0][1], line.points[-1][1]
    return Curve(
        label=line.label,
        path=" ".join(f"{each.x * stretch:g},{each.y * stretch:g}" for each in places),
        dots=places if len(places) <= _MOST_DOTS and not line.is_dashed else [],
        tone=line.tone,
        is_dashed=line.is_dashed,
        told=f"{line.label} from {first:.3g} to {last:.3g}",
    )
