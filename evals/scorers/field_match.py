"""Fields of JSON: which of the target's fields the answer has, with the right value.

It refuses to know which fields matter more than others.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from evals.scorers.jsontext import parse_json
from evals.scorers.rowwise import RowMetric

Fields = Counter[tuple[str, bytes]]
"""Path and value of each leaf; the entries of a list of plain values share one path."""


class FieldPrecision(RowMetric):
    """Share of the answer's fields that the target has too, with the same value."""

    key = "field_precision"
    summary = "Share of the fields of the answer that are right."

    @staticmethod
    def row(answer: str, target: str) -> float | None:
        """Return a share; 0 where the answer is not JSON, none where the target is not."""
        return _share(answer, target, of_answer=True)


class FieldRecall(RowMetric):
    """Share of the target's fields that the answer has too, with the same value."""

    key = "field_recall"
    summary = "Share of the fields of the target that were found."

    @staticmethod
    def row(answer: str, target: str) -> float | None:
        """Return a share; 0 where the answer is not JSON, none where the target is not."""
        return _share(answer, target, of_answer=False)


class FieldF1(RowMetric):
    """The harmonic mean of both: twice the common fields over all fields of both."""

    key = "field_f1"
    summary = "Harmonic mean of field precision and field recall."

    @staticmethod
    def row(answer: str, target: str) -> float | None:
        """Return a share; 0 where the answer is not JSON, none where the target is not."""
        wanted, found = fields_of(target), fields_of(answer)
        if wanted is None:
            return None
        if found is None:
            return 0.0
        together = wanted.total() + found.total()
        return 2 * (wanted & found).total() / together if together else 1.0


def fields_of(text: str) -> Fields | None:
    """Return the leaves of a JSON text with their paths; none when it is not JSON."""
    try:
        return Counter(_leaves("", parse_json(text)))
    except (ValueError, RecursionError):
        return None


def _share(answer: str, target: str, *, of_answer: bool) -> float | None:
    wanted, found = fields_of(target), fields_of(answer)
    if wanted is None:
        return None
    if found is None:
        return 0.0
    whole = (found if of_answer else wanted).total()
    if not whole:
        return float(not found.total() and not wanted.total()) if of_answer else 1.0
    return (wanted & found).total() / whole


def _leaves(path: str, value: Any) -> Iterator[tuple[str, bytes]]:  # noqa: ANN401 - JSON is any value
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}", item)
    elif isinstance(value, list) and value:
        for place, item in enumerate(value):
            is_plain = not isinstance(item, dict | list)
            yield from _leaves(f"{path}[]" if is_plain else f"{path}[{place}]", item)
    else:
        yield path, msgspec.json.encode(value, order="sorted")
