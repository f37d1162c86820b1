"""Pattern: the answer matches a regular expression.

It refuses to wait: an expression that takes too long leaves the row unscored.
"""

import regex

from evals.scorers.rowwise import RowMetric

_SECONDS = 0.2
MAX_PATTERN = 2_000
"""Longest expression, in characters."""


class Pattern(RowMetric):
    """1 where the expression is found in the answer, else 0; the target is the expression."""

    key = "regex"
    summary = "Share of answers that match a regular expression."

    @staticmethod
    def row(answer: str, target: str, *, pattern: str | None = None) -> float | None:
        """Return 1 for a match, 0 for none; none when it takes too long or cannot be read."""
        try:
            found = regex.search(pattern or target, answer, timeout=_SECONDS)
        except (TimeoutError, regex.error):
            return None
        return float(found is not None)


def fault_of(pattern: str) -> str | None:
    """Return why an expression cannot be used; none when it can."""
    if len(pattern) > MAX_PATTERN:
        return f"it has {len(pattern)} characters, at most {MAX_PATTERN} are taken"
    try:
        regex.compile(pattern)
    except regex.error as exc:
        return str(exc)
    return None
