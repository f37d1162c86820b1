"""What stands out in a job's rows, as sentences for its events.

It refuses to know tokens: the training child tells which rows are too long.
"""

import logging
from collections.abc import Iterator

from registry.inspection.examine import examine
from registry.inspection.records import Finding
from trainer.protocol import Notice
from trainer.validation import Division

_TOLD_ALREADY = frozenset({"duplicates"})
"""`trainer/validation.py` says it: it needs to be known even where nothing else can be."""

logger = logging.getLogger(__name__)


def notices_of(division: Division) -> Iterator[Notice]:
    """Yield a warning for each thing that stands out. A look that fails never fails a job."""
    try:
        found = examine(division.training, validation=division.heldout or None).findings
    except Exception:  # the edge of a side task: the rows are sound, the look may not be
        logger.exception("the rows of a job could not be looked at")
        yield Notice(level="warn", message="The rows could not be looked at; see the log.")
        return
    for finding in found:
        if finding.kind not in _TOLD_ALREADY:
            yield Notice(level=finding.level, message=_with_place(finding))


def _with_place(finding: Finding) -> str:
    return f"Training rows: {finding.message[0].lower()}{finding.message[1:]}"
