"""What the child that looks at files is asked, and what it answers, as JSON.

It refuses to know how either travels.
"""

from typing import Literal

from registry.inspection.records import Report, RowView
from registry.records import Record


class Request(Record, frozen=True, kw_only=True):
    """What a child is asked."""

    path: str
    """The file."""
    name: str = ""
    """What it is called, where its path does not tell."""
    validation_path: str | None = None
    """The validation file, for a report."""
    line: int | None = None
    """The row to show; none for a report."""
    base_model: str
    """Path or name of the base model, whose tokenizer counts."""
    max_length: int
    """Longest row, in tokens."""
    seconds: int
    """Time the child has."""


class Refused(Record, frozen=True, kw_only=True, tag="refused"):
    """Why there is no answer."""

    kind: Literal["absent", "invalid", "unavailable"]
    """There is no such row; rows or the template are at fault; the tokenizer is not here."""
    message: str
    """In a sentence."""


class Answer(Record, frozen=True, kw_only=True, tag="answer"):
    """What a child found."""

    report: Report | None = None
    """On a whole file."""
    row: RowView | None = None
    """Of one row."""
