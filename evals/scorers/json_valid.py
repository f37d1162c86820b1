"""JSON validity: a program could read the answer.

It refuses to know what the answer should have said.
"""

from evals.scorers.jsontext import is_json
from evals.scorers.rowwise import RowMetric


class JsonValid(RowMetric):
    """1 where the whole answer is JSON, else 0; a fence or a word around it makes it 0."""

    key = "json_valid"
    summary = "Share of answers that are JSON."
    needs_reference = False

    @staticmethod
    def row(answer: str, target: str = "") -> float:
        """Return 1 for JSON, 0 for anything else."""
        del target
        return float(is_json(answer))
