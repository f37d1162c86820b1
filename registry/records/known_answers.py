"""Answers of base models, kept so that the next exam on the same rows need not ask for them.

It refuses to know questions: a key is a hash of all that an answer depends on.
"""

from registry.records.record import Record


class KnownAnswer(Record, frozen=True, kw_only=True):
    """One answer of a base model."""

    project: str
    """The project that asked; no other ever sees it."""
    scope: str
    """Hash of what answered: project, base model, chat template, engine."""
    key: str
    """Hash of scope and request."""
    content: str
    """What came back, as JSON."""
    bytes: int
    """Size of `content`."""
    created_at: int
    """Unix time in seconds."""
