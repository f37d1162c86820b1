"""Contains: the answer says the target somewhere.

It refuses to know what else the answer says.
"""

from evals.scorers.rowwise import RowMetric


class Contains(RowMetric):
    """1 where the target stands in the answer, else 0; case does not count unless asked for."""

    key = "contains"
    summary = "Share of answers that contain their target."

    @staticmethod
    def row(answer: str, target: str, *, case_sensitive: bool = False) -> float:
        """Return 1 if the target stands in the answer, else 0."""
        if case_sensitive:
            return float(target.strip() in answer)
        return float(target.strip().casefold() in answer.casefold())
