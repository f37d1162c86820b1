"""Bar charts as inline SVG: no script, no network.

It refuses to know what the figures mean.
"""

from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT, _FOOT, _LEFT = 640, 180, 36, 8
_ROW, _NAME, _NUMBER = 22, 220, 70
_MAX_NAME = 34


def columns(title: str, bars: Sequence[tuple[str, int]], mark: float | None = None) -> str:
    """Return upright bars, the first and last named.

    Args:
        title: What is shown, for those who cannot see it.
        bars: Name and height of each.
        mark: Where a line stands, as a share of the width; none for no line.
    """
    if not bars:
        return ""
    highest = max(1, *(height for _, height in bars))
    width = (_WIDTH - 2 * _LEFT) / len(bars)
    plot = _HEIGHT - _FOOT
    parts = [_opening(title, _HEIGHT)]
    for index, (name, height) in enumerate(bars):
        tall = plot * height / highest * 0.95
        parts.append(
            f'<rect x="{_LEFT + index * width:.1f}" y="{plot - tall:.1f}" '
            f'width="{max(1.0, width - 2):.1f}" height="{tall:.1f}" class="bar">'
            f"<title>{escape(name)}: {height:,}</title></rect>"
        )
    if mark is not None and 0 <= mark <= 1:
        place = _LEFT + mark * (_WIDTH - 2 * _LEFT)
        parts.append(f'<line x1="{place:.1f}" y1="0" x2="{place:.1f}" y2="{plot}" class="mark"/>')
    for index, anchor in ((0, "start"), (len(bars) - 1, "end")):
        place = _LEFT if anchor == "start" else _WIDTH - _LEFT
        name = escape(bars[index][0])
        parts.append(f'<text x="{place}" y="{plot + 18}" text-anchor="{anchor}">{name}</text>')
    return "".join([*parts, "</svg>"])


def rows(title: str, bars: Sequence[tuple[str, int]]) -> str:
    """Return lying bars, each with its name before and its number after it."""
    if not bars:
        return ""
    longest = max(1, *(length for _, length in bars))
    room = _WIDTH - _NAME - _NUMBER
    parts = [_opening(title, _ROW * len(bars) + 4)]
    for index, (name, length) in enumerate(bars):
        top = index * _ROW
        wide = room * length / longest
        shown = name if len(name) <= _MAX_NAME else f"{name[:_MAX_NAME]}…"
        parts.append(
            f'<text x="{_NAME - 8}" y="{top + 15}" text-anchor="end">{escape(shown)}</text>'
            f'<rect x="{_NAME}" y="{top + 3}" width="{max(1.0, wide):.1f}" height="16" '
            f'class="bar"/>'
            f'<text x="{_NAME + wide + 6:.1f}" y="{top + 15}">{length:,}</text>'
        )
    return "".join([*parts, "</svg>"])


def _opening(title: str, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">'
    )
