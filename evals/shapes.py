"""What kind of answer a file asks for, seen in its targets.

It refuses to know metrics, and what the models answered.
"""

from collections.abc import Iterable
from enum import StrEnum

from evals.scorers.jsontext import is_structure
from evals.scorers.normalised_match import normalised
from evals.scorers.numeric import last_number
from registry.records import Record

MAX_LABELS = 200
"""Most labels of a classification."""
MAX_LABEL = 60
"""Longest label, in characters."""
ROWS_A_LABEL = 3
"""Fewest rows a label has on average; below it the targets are texts."""


class RowKind(StrEnum):
    """What a target is."""

    JSON = "json"
    """A JSON object or array."""
    LABEL = "label"
    """One of a small set of texts."""
    NUMBER = "number"
    """A number."""
    TEXT = "text"
    """Any other text."""


class Shape(Record, frozen=True, kw_only=True):
    """The targets of a suite, as a whole."""

    rows: int
    """Rows."""
    json_rows: int
    """Rows whose target is a JSON object or array."""
    other: RowKind
    """What the targets of all other rows are."""
    labels: int = 0
    """Different labels, where the other targets are labels."""

    def kind_of(self, target: str) -> RowKind:
        """Return what one target is."""
        return RowKind.JSON if is_structure(target) else self.other

    def __str__(self) -> str:
        rest = self.rows - self.json_rows
        words = {
            RowKind.LABEL: f"{rest} with one of {self.labels} labels",
            RowKind.NUMBER: f"{rest} with a number",
        }
        parts = [f"{self.json_rows} with a JSON object or array"] if self.json_rows else []
        if rest:
            parts.append(words.get(self.other, f"{rest} with text"))
        return " and ".join(parts) or "none"


def shape_of(targets: Iterable[str]) -> Shape:
    """Return the shape of targets."""
    every = list(targets)
    others = [target for target in every if not is_structure(target)]
    labels = {normalised(target) for target in others}
    return Shape(
        rows=len(every),
        json_rows=len(every) - len(others),
        other=_kind(others, len(labels)),
        labels=len(labels),
    )


def _kind(targets: list[str], labels: int) -> RowKind:
    if targets and all(_is_number(target) for target in targets):
        return RowKind.NUMBER
    is_short = all(len(target) <= MAX_LABEL for target in targets)
    most = min(MAX_LABELS, len(targets) // ROWS_A_LABEL)
    return RowKind.LABEL if is_short and 2 <= labels <= most else RowKind.TEXT


def _is_number(target: str) -> bool:
    text = target.strip().lstrip("+-").replace(",", "").replace(".", "", 1)
    return text.isdecimal() and last_number(target) is not None
