"""Edit distance: how many letters would have to change.

It refuses to know which letters matter.
"""

from rapidfuzz.distance import Levenshtein

from evals.scorers.rowwise import RowMetric


class EditDistance(RowMetric):
    """Levenshtein's distance over the length of the longer text: 0 equal, 1 nothing in common."""

    key = "edit_distance"
    summary = "Mean edit distance of answer and target, over the length of the longer one."

    @staticmethod
    def row(answer: str, target: str) -> float:
        """Return a share from 0 (equal) to 1."""
        return float(Levenshtein.normalized_distance(answer.strip(), target.strip()))
