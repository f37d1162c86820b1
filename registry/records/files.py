"""Data files and what they are for.

It refuses to know their content.
"""

from enum import StrEnum

from registry.records.record import Record


class Purpose(StrEnum):
    """What a data file is for, by OpenAI's names."""

    FINE_TUNE = "fine-tune"
    FINE_TUNE_RESULTS = "fine-tune-results"
    EVALS = "evals"


class DataFile(Record, frozen=True, kw_only=True):
    """An uploaded or produced file, immutable once stored."""

    id: str
    """`file-` and 24 hexadecimal digits."""
    project: str
    """The project that owns it."""
    filename: str
    """The name the uploader gave; never used as a path."""
    purpose: Purpose
    """What it is for."""
    bytes: int
    """Size in bytes."""
    sha256: str
    """Hash of the content, hexadecimal."""
    rows: int
    """Rows of data in it; 0 for files that hold no rows."""
    created_at: int
    """Unix time in seconds."""
