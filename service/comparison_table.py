"""Two models side by side, as a terminal shows them.

It refuses to know how they were compared.
"""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from service.comparison import Compared

_WIDE = 104
"""Columns from which on a figure and its interval stand on one line."""
_LARGE = 10
_LEAST_P = 0.0001
_COLOURS = {"better": "green", "worse": "red", "undecided": "yellow"}


def table_of(compared: Compared, width: int) -> Group:
    """Return who A and B are, and scores and paired differences, a line for each metric.

    Args:
        compared: What was found.
        width: Columns of the terminal.
    """
    results, differences = compared.results, compared.differences
    counts = sorted({found["n"] for found in differences})
    level = f"{100 * (1 - results['policy']['alpha']):g} %"
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    for name in ("metric", "A", "B", "B minus A", "p", *(["n"] if len(counts) > 1 else [])):
        shown.add_column(name, no_wrap=True)
    gap = " " if width >= _WIDE else "\n"
    for found in differences:
        cells = _cells(compared, found, gap)
        shown.add_row(*cells, *([str(found["n"])] if len(counts) > 1 else []))
    rows = f"{results['rows']} rows"
    if len(counts) == 1 and counts[0] != results["rows"]:
        rows += f", {counts[0]} of them scored on both sides"
    return Group(
        f"A  {escape(compared.first)}",
        f"B  {escape(compared.second)}",
        f"{rows}; brackets are {level} intervals\n",
        shown,
    )


def _cells(compared: Compared, found: dict[str, Any], gap: str) -> list[str]:
    metric, arms = found["metric"], compared.results["arms"]
    word = _word(found, compared.results["metric_kinds"][metric])
    difference = _interval(found | {"mean": found["estimate"]}, f", {word}{gap}", sign="+")
    return [
        metric.replace("_", " "),
        _interval(arms[compared.first_arm]["metrics"][metric], gap),
        _interval(arms[compared.second_arm]["metrics"][metric], gap),
        f"[{_COLOURS[word]}]{difference}[/]",
        _p_value(found["p_value"]),
    ]


def _word(found: Mapping[str, Any], kind: Mapping[str, Any]) -> str:
    """Return whether B is better for sure, worse for sure, or neither."""
    low, high = found["low"], found["high"]
    if low is None or high is None or low <= 0 <= high:
        return "undecided"
    return "better" if (low > 0) is kind["higher_is_better"] else "worse"


def _interval(found: Mapping[str, Any], gap: str, *, sign: str = "") -> str:
    """Return a figure with its interval, or a dash when there is none."""
    if found["mean"] is None:
        return "–"
    centre = _figure(found["mean"], sign)
    if found["low"] is None or found["high"] is None:
        return centre
    return f"{centre}{gap}\\[{_figure(found['low'], sign)}, {_figure(found['high'], sign)}]"


def _figure(value: float, sign: str) -> str:
    return format(value, f"{sign}.3f" if abs(value) < _LARGE else f"{sign}.1f")


def _p_value(value: float | None) -> str:
    if value is None:
        return "–"
    return f"< {_LEAST_P}" if value < _LEAST_P else f"{value:.4f}"
