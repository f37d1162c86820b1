"""Numbers: the answer's value is the target's, within a tolerance.

It refuses to know units.
"""

import math
import re

from evals.scorers.rowwise import RowMetric

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?|[-+]?\.\d+")


class Numeric(RowMetric):
    """1 where the last number of the answer is within the tolerance of the target's, else 0."""

    key = "numeric"
    summary = "Share of answers whose number is the target's within a tolerance."

    @staticmethod
    def row(answer: str, target: str, *, tolerance: float = 1e-6) -> float | None:
        """Return 1 within the tolerance, 0 beyond it; none when the target has no number.

        Args:
            answer: Its last number counts: what stands before it is the way there.
            target: Likewise.
            tolerance: Relative to the target; below 1 in size, absolute.
        """
        wanted = last_number(target)
        if wanted is None:
            return None
        found = last_number(answer)
        if found is None:
            return 0.0
        return float(abs(found - wanted) <= tolerance * max(1.0, abs(wanted)))


def last_number(text: str) -> float | None:
    """Return the last number in a text; none when there is none, or none that is finite."""
    found = _NUMBER.findall(text)
    value = float(found[-1].replace(",", "")) if found else math.nan
    return value if math.isfinite(value) else None
