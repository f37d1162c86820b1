"""What a target must be able to do.

It refuses to know any target. Every call may block and may raise whatever its library raises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class RunEnd(StrEnum):
    """How a run of the training child ended; after a pause the job has another one."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class RunCard:
    """What is shown of a job beside its figures."""

    job_id: str
    """The job; a run that goes on after a crash or a pause has the same."""
    project: str
    """The project that owns it."""
    model: str
    """The model it trains."""
    suffix: str | None
    """The user's part of the new model's name."""
    choices: Mapping[str, Any]
    """Hyperparameters, seed, files and the user's metadata, by name."""


class Reporter(Protocol):
    """One target, for one run."""

    def begin(self, card: RunCard) -> None:
        """Begin the run, or go on with the one of the same job."""

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Show the figures of one optimiser step."""

    def finish(self, end: RunEnd) -> None:
        """End the run, with all that was logged."""
