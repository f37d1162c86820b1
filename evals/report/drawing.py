"""The page's pictures, as SVG text in the colours of the page.

It refuses to know what the figures mean.
"""

import math
from collections.abc import Sequence
from html import escape

from markupsafe import Markup

from registry.records import Record

_WIDTH = 760
_LABELS = 250
_RIGHT = 150
_ROW = 26
_HEIGHT = 230
_TICKS = 5


class Interval(Record, frozen=True, kw_only=True):
    """One line of a forest plot."""

    label: str
    """What it is."""
    mean: float
    """The estimate."""
    low: float | None = None
    """Lower bound; none without an interval."""
    high: float | None = None
    """Upper bound; none likewise."""
    note: str = ""
    """Written at its right."""
    tone: str = "ink"
    """A class of the page's style: `good`, `bad`, `unsure` or `ink`."""


class Line(Record, frozen=True, kw_only=True):
    """One curve."""

    label: str
    """What it is."""
    points: list[tuple[float, float]]
    """Places, by x."""
    tone: str
    """A class of the page's style."""


class _Scale(Record, frozen=True, kw_only=True):
    """A linear map from figures to pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Return round numbers within the scale."""
        step = _round_step((self.high - self.low) / _TICKS)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(count * step, 10) for count in range(first, last + 1)]


def forest(rows: Sequence[Interval], *, title: str, zero: bool) -> Markup:
    """Return a forest plot; with `zero` the line of no difference is drawn."""
    if not rows:
        return Markup("")
    edges = [value for row in rows for value in (row.mean, row.low, row.high) if value is not None]
    scale = _scale([*edges, *([0.0] if zero else [])], _LABELS, _WIDTH - _RIGHT)
    height = _ROW * len(rows) + 34
    bottom = height - 26
    parts = [_grid(scale, 4, bottom)]
    if zero:
        parts.append(
            f'<line class="zero" x1="{scale.at(0)}" x2="{scale.at(0)}" y1="4" y2="{bottom}"/>'
        )
    for place, row in enumerate(rows):
        parts.append(_interval(row, scale, _ROW * place + 17))
    return _svg(parts, height, title)


def lines(curves: Sequence[Line], *, title: str, x_label: str) -> Markup:
    """Return curves over a common axis, from 0 upwards."""
    drawn = [curve for curve in curves if curve.points]
    if not drawn:
        return Markup("")
    steps = [x for curve in drawn for x, _ in curve.points]
    values = [y for curve in drawn for _, y in curve.points]
    across = _Scale(low=0, high=max(*steps, 1), start=48, end=_WIDTH - 16)
    up = _Scale(low=0, high=max(*values, 1e-9) * 1.05, start=_HEIGHT - 40, end=24)
    parts = []
    for tick in up.ticks():
        y = up.at(tick)
        parts.append(f'<line class="grid" x1="48" x2="{_WIDTH - 16}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="42" y="{y + 4}" text-anchor="end">{tick:g}</text>')
    for tick in across.ticks():
        x, y = across.at(tick), _HEIGHT - 24
        parts.append(f'<text class="tick" x="{x}" y="{y}" text-anchor="middle">{tick:g}</text>')
    parts.append(
        f'<text class="tick" x="{_WIDTH / 2}" y="{_HEIGHT - 6}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
    )
    for place, curve in enumerate(drawn):
        parts.extend(_curve(curve, across, up, 60 + 180 * place))
    return _svg(parts, _HEIGHT, title)


def _curve(curve: Line, across: _Scale, up: _Scale, legend: float) -> list[str]:
    places = " ".join(f"{across.at(x)},{up.at(y)}" for x, y in curve.points)
    dots = [
        f'<circle class="{curve.tone}" cx="{across.at(x)}" cy="{up.at(y)}" r="2.6"/>'
        for x, y in curve.points
        if len(curve.points) <= 40
    ]
    return [
        f'<polyline class="line {curve.tone}" points="{places}"/>',
        *dots,
        f'<circle class="{curve.tone}" cx="{legend}" cy="11" r="4"/>',
        f'<text class="label" x="{legend + 9}" y="15">{escape(curve.label)}</text>',
    ]


def _interval(row: Interval, scale: _Scale, y: float) -> str:
    label = row.label if len(row.label) <= 40 else f"{row.label[:39]}…"
    at = f'x="{_LABELS - 12}" y="{y + 4}" text-anchor="end"'
    name = f"<title>{escape(row.label)}</title>{escape(label)}"
    parts = [f'<text class="label" {at}>{name}</text>']
    if row.low is not None and row.high is not None:
        parts.append(
            f'<line class="bar {row.tone}" x1="{scale.at(row.low)}" x2="{scale.at(row.high)}" '
            f'y1="{y}" y2="{y}"/>'
        )
    parts.append(f'<circle class="{row.tone}" cx="{scale.at(row.mean)}" cy="{y}" r="4.5"/>')
    parts.append(
        f'<text class="tick" x="{_WIDTH - _RIGHT + 10}" y="{y + 4}">{escape(row.note)}</text>'
    )
    return "".join(parts)


def _grid(scale: _Scale, top: float, bottom: float) -> str:
    parts = []
    for tick in scale.ticks():
        x = scale.at(tick)
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>')
        parts.append(
            f'<text class="tick" x="{x}" y="{bottom + 17}" text-anchor="middle">{tick:g}</text>'
        )
    return "".join(parts)


def _scale(values: Sequence[float], start: float, end: float) -> _Scale:
    low, high = min(values), max(values)
    margin = (high - low) * 0.06 or max(abs(high), 1.0) * 0.1
    return _Scale(low=low - margin, high=high + margin, start=start, end=end)


def _round_step(step: float) -> float:
    size: float = 10.0 ** math.floor(math.log10(step))
    return next(factor * size for factor in (1, 2, 5, 10) if step <= factor * size * (1 + 1e-9))


def _svg(parts: Sequence[str], height: float, title: str) -> Markup:
    return Markup(  # noqa: S704 - drawn here; every text is escaped where it is put in
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
