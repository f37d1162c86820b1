"""Training files made from judged interactions.

It refuses to know how rows are chosen.
"""

import msgspec

from service.feedback_rows import Method
from service.metrics import GOOD_SCORE
from service.wire.files import FileObject


class CreateFeedbackFile(msgspec.Struct, frozen=True, kw_only=True):
    """Which judged interactions become rows, and of what kind."""

    purpose: Method = Method.SUPERVISED
    """`supervised` for good and corrected answers, `dpo` for pairs of a better and a worse one."""
    deployment: str | None = None
    """Only answers of this deployment."""
    model: str | None = None
    """Only answers of this version."""
    since: float | None = None
    """Only requests from this moment on, Unix time in seconds."""
    until: float | None = None
    """Only requests before this moment, Unix time in seconds."""
    min_score: float = GOOD_SCORE
    """Score from which an answer counts as good, 0 to 1."""
    limit: int = 1000
    """Most rows, 10 to 10,000; the newest judgements come first."""


class FeedbackFileObject(FileObject, frozen=True, kw_only=True):
    """The new file, and what is not in it."""

    considered: int
    """Judgements that were looked at."""
    skipped: dict[str, int]
    """How many were left out, by reason: `no_text`, `not_good`, `no_pair`, `not_trainable`,
    `duplicate`, `over_limit`."""
