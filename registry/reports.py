"""Where the reports of evaluations lie.

It refuses to know what they hold.
"""

from enum import StrEnum
from pathlib import Path


class ReportFormat(StrEnum):
    """How a report is written."""

    HTML = "html"
    """A page for people."""
    CSV = "csv"
    """Every row's answer of every arm."""
    JSON = "json"
    """Everything else, for programs."""


def report_path(folder: Path, evaluation_id: str, kind: ReportFormat) -> Path:
    """Return where a report lies. Ids are ours, never a user's words."""
    return folder / f"{evaluation_id}.{kind}"
