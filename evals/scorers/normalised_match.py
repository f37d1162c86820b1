"""Normalised match: the answer is the target, but for case, punctuation and spacing.

It refuses to know synonyms.
"""

import unicodedata
from functools import lru_cache

from evals.scorers.rowwise import RowMetric


class NormalisedMatch(RowMetric):
    """1 where answer and target are equal once both are normalised, else 0."""

    key = "normalised_match"
    summary = "Share of answers that equal their target but for case, punctuation and spacing."

    @staticmethod
    def row(answer: str, target: str) -> float:
        """Return 1 for equal, 0 for different."""
        return float(normalised(answer) == normalised(target))


def normalised(text: str) -> str:
    """Return a text without case, punctuation and needless space (Unicode's form KC).

    A text of nothing but punctuation stays as it is: there it is what counts.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    letters = "".join(map(_spaced, folded))
    return " ".join(letters.split()) or folded.strip()


@lru_cache(maxsize=4096)  # texts are made of few letters, and their kinds are asked for often
def _spaced(letter: str) -> str:
    return " " if unicodedata.category(letter)[0] == "P" else letter
