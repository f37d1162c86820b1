"""Length: how far the answer's length is from the target's.

It refuses to read.
"""

import math

from evals.scorers.rowwise import RowMetric


class Length(RowMetric):
    """|ln((1 + answer) / (1 + target))| in characters: 0 as long, 0.69 twice or half as long."""

    key = "length"
    summary = "Mean logarithm of the ratio of the lengths of answer and target, without its sign."

    @staticmethod
    def row(answer: str, target: str) -> float:
        """Return the distance of the lengths, 0 or more."""
        return abs(math.log((1 + len(answer.strip())) / (1 + len(target.strip()))))
