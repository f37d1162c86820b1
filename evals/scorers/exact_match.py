"""Exact match: the answer is the target, whole.

It refuses partial credit.
"""

from evals.scorers.jsontext import canonical
from evals.scorers.rowwise import RowMetric


class ExactMatch(RowMetric):
    """1 where answer and target are equal after normalisation, else 0.

    JSON objects and arrays are compared as values (order of keys and white space do not count),
    all other texts without the white space around them.
    """

    key = "exact_match"
    summary = "Share of answers that equal their target."

    @staticmethod
    def row(answer: str, target: str) -> float:
        """Return 1 for equal, 0 for different."""
        return float(canonical(answer) == canonical(target))
