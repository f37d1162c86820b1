"""What a training child makes of errors."""

import errno

import pytest

from registry.errors import StorageFull
from trainer.child import is_storage_full
from trainer.supervision import describe_death


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "no space"),
        OSError(errno.EDQUOT, "quota"),
        StorageFull("x"),
        RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"),
        ValueError("Error while serializing: I/O error: No space left (os error 28)"),
    ],
)
def test_full_disk_is_known_in_every_guise(error: Exception) -> None:
    """A full disk is recognised from Python's, Rust's and C++'s writers."""
    assert is_storage_full(error)


def test_full_disk_is_known_as_a_cause() -> None:
    """A full disk is recognised behind the error it led to."""
    error = RuntimeError("saving failed")
    error.__cause__ = OSError(errno.ENOSPC, "no space")
    assert is_storage_full(error)


def test_other_errors_are_no_full_disk() -> None:
    """An error of another kind is not taken for a full disk."""
    assert not is_storage_full(OSError(errno.EACCES, "denied"))


def test_sigkill_may_mean_memory() -> None:
    """The reason of a SIGKILL says that memory may have run out."""
    assert "out of memory" in describe_death(-9)


def test_exit_without_result_is_described() -> None:
    """A child that ended by itself without a result is described by its status."""
    assert "status 3" in describe_death(3)
