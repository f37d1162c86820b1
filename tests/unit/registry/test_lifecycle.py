"""The lifecycle tables: complete, and final states are final."""

from collections.abc import Mapping
from enum import StrEnum

import pytest

from registry.lifecycle import (
    ADAPTER_MOVES,
    EVALUATION_MOVES,
    JOB_MOVES,
    AdapterStatus,
    EvaluationStatus,
    JobStatus,
    is_final,
    sources,
)

TABLES: list[tuple[type[StrEnum], Mapping[StrEnum, frozenset[StrEnum]]]] = [
    (JobStatus, JOB_MOVES),  # type: ignore[list-item]  # a mapping's key type is invariant
    (AdapterStatus, ADAPTER_MOVES),  # type: ignore[list-item]  # the same
    (EvaluationStatus, EVALUATION_MOVES),  # type: ignore[list-item]  # the same
]


@pytest.mark.parametrize(("states", "moves"), TABLES)
def test_every_state_has_a_line(
    states: type[StrEnum], moves: Mapping[StrEnum, frozenset[StrEnum]]
) -> None:
    """A state without a line would have undefined moves."""
    assert set(moves) == set(states)


def test_finished_jobs_stay_finished() -> None:
    """No move leads out of success, failure or cancellation."""
    final = {status for status in JobStatus if is_final(JOB_MOVES, status)}
    assert final == {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}


def test_only_a_running_job_succeeds() -> None:
    """A cancelled job cannot succeed afterwards."""
    assert sources(JOB_MOVES, JobStatus.SUCCEEDED) == {JobStatus.RUNNING}
