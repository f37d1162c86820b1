"""Normalised match: the answer is the target, but for case, punctuation and spacing.

It refuses to know synonyms.
"""

import unicodedata

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
    return " ".join(folded.translate(_SPACED).split()) or folded.strip()


class _Spaced(dict[int, str]):
    """A space for punctuation and each other letter for itself, by code; asked for but once."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        self[code] = " " if unicodedata.category(letter)[0] == "P" else letter
        return self[code]


_SPACED = _Spaced()
