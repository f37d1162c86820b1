"""What a training child makes of errors."""

import errno
import signal

import pytest
from pydantic import SecretStr

from registry.errors import StorageFull
from registry.settings import Settings
from trainer.child import EXIT_OUT_OF_MEMORY, is_out_of_memory, is_storage_full
from trainer.several import telling
from trainer.stopping import EXIT_STOPPED
from trainer.supervision import child_variables, describe_death


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


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_memory_that_ran_out_is_known_in_every_guise(error: Exception) -> None:
    """Python's, PyTorch's and C++'s words for it all mean that less at a time may do."""
    assert is_out_of_memory(error)


def test_other_errors_are_no_lack_of_memory() -> None:
    """An error of another kind is not tried again with less."""
    assert not is_out_of_memory(ValueError("shapes do not fit"))


def test_a_child_inherits_no_secret(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Keys, tokens and the database's address stay with the trainer."""
    secret = "do-not-tell"
    for name in ("GRAFTLINE_DATABASE_URL", "GRAFTLINE_ENGINE_KEY", "HF_TOKEN", "AWS_SECRET_X"):
        monkeypatch.setenv(name, secret)
    chosen = settings.model_copy(update={"metrics_key": SecretStr(secret)})
    assert not any(secret in value for value in child_variables(chosen).values())


def test_of_processes_that_end_together_the_one_with_a_reason_counts() -> None:
    """Its peers ended because it did, or were ended."""
    assert telling({1, EXIT_STOPPED, EXIT_OUT_OF_MEMORY}) == EXIT_OUT_OF_MEMORY
    assert telling({EXIT_STOPPED, -signal.SIGKILL, 1}) == -signal.SIGKILL
    assert telling({1, EXIT_STOPPED}) == 1
