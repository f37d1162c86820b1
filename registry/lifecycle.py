"""The states of jobs, adapter versions and evaluations, and every legal move between them.

It refuses to know who makes a move, and how.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

State = TypeVar("State", bound=StrEnum)


class JobStatus(StrEnum):
    """States of a fine-tuning job, by the names OpenAI's API gives them."""

    VALIDATING_FILES = "validating_files"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AdapterStatus(StrEnum):
    """States of an adapter version. `loaded` is none of them: it is observed from the engine."""

    PUBLISHED = "published"
    """On disk with its manifest; not yet examined in the engine."""
    READY = "ready"
    """Loaded once and probed: it changes log-probabilities and agrees with the trainer."""
    REJECTED = "rejected"
    """The engine refused it, or the probe failed."""
    RETIRED = "retired"
    """Nobody wants it loaded; its files remain until it is deleted."""
    DELETED = "deleted"
    """Its files are gone; the record remains."""


class EvaluationStatus(StrEnum):
    """States of an evaluation."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


JOB_MOVES: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.VALIDATING_FILES: frozenset(
        {JobStatus.QUEUED, JobStatus.FAILED, JobStatus.CANCELLED}
    ),
    JobStatus.QUEUED: frozenset(
        {JobStatus.RUNNING, JobStatus.PAUSED, JobStatus.FAILED, JobStatus.CANCELLED}
    ),
    JobStatus.RUNNING: frozenset(
        {JobStatus.PAUSED, JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}
    ),
    JobStatus.PAUSED: frozenset({JobStatus.QUEUED, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}

ADAPTER_MOVES: Mapping[AdapterStatus, frozenset[AdapterStatus]] = {
    AdapterStatus.PUBLISHED: frozenset(
        {AdapterStatus.READY, AdapterStatus.REJECTED, AdapterStatus.RETIRED}
    ),
    AdapterStatus.READY: frozenset({AdapterStatus.RETIRED}),
    AdapterStatus.REJECTED: frozenset({AdapterStatus.RETIRED}),
    AdapterStatus.RETIRED: frozenset({AdapterStatus.DELETED}),
    AdapterStatus.DELETED: frozenset(),
}

EVALUATION_MOVES: Mapping[EvaluationStatus, frozenset[EvaluationStatus]] = {
    EvaluationStatus.QUEUED: frozenset(
        {EvaluationStatus.RUNNING, EvaluationStatus.FAILED, EvaluationStatus.CANCELLED}
    ),
    EvaluationStatus.RUNNING: frozenset(
        {EvaluationStatus.SUCCEEDED, EvaluationStatus.FAILED, EvaluationStatus.CANCELLED}
    ),
    EvaluationStatus.SUCCEEDED: frozenset(),
    EvaluationStatus.FAILED: frozenset(),
    EvaluationStatus.CANCELLED: frozenset(),
}


def sources(moves: Mapping[State, frozenset[State]], wanted: State) -> frozenset[State]:
    """Return the states from which `wanted` may be reached in one move."""
    return frozenset(state for state, targets in moves.items() if wanted in targets)


def is_final(moves: Mapping[State, frozenset[State]], state: State) -> bool:
    """Return whether no move leads out of `state`."""
    return not moves[state]
