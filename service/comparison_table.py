"""Two models side by side, as a terminal shows them.

It refuses to know how they were compared.
"""

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from service.comparison import Compared


def table_of(compared: Compared) -> Table:
    """Return scores with intervals and the paired difference, a line for each metric."""
    results = compared.results
    shown = Table(
        "metric",
        escape(compared.first),
        escape(compared.second),
        "second minus first",
        "n",
        "p",
        title=f"{results['rows']} rows; brackets are "
        f"{100 * (1 - results['policy']['alpha']):g} % intervals",
        title_justify="left",
    )
    arms = results["arms"]
    for found in compared.differences:
        metric = found["metric"]
        shown.add_row(
            metric,
            _interval(arms[compared.first_arm]["metrics"][metric]),
            _interval(arms[compared.second_arm]["metrics"][metric]),
            _interval(found | {"mean": found["estimate"]}, sign="+"),
            str(found["n"]),
            "–" if found["p_value"] is None else f"{found['p_value']:.4f}",
        )
    return shown


def _interval(found: Mapping[str, Any], *, sign: str = "") -> str:
    """Return a figure with its interval, or a dash when there is none."""
    if found["mean"] is None:
        return "–"
    centre = format(found["mean"], f"{sign}.3f")
    if found["low"] is None or found["high"] is None:
        return centre
    return f"{centre} \\[{found['low']:.3f}, {found['high']:.3f}]"
