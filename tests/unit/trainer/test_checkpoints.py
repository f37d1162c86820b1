"""Which checkpoint a run resumes from."""

from pathlib import Path

import pytest

from trainer import checkpoints


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a folder with sealed checkpoints of the steps 10 and 20."""
    for step in (10, 20):
        checkpoints.seal(written(tmp_path, step))
    return tmp_path


def written(directory: Path, step: int) -> Path:
    """Write a checkpoint without a seal."""
    folder = directory / f"checkpoint-{step}"
    folder.mkdir()
    (folder / "optimizer.pt").write_bytes(b"state %d" % step)
    return folder


def test_newest_sealed_checkpoint_is_taken(directory: Path) -> None:
    """A run resumes from the newest sealed checkpoint."""
    assert checkpoints.newest(directory) == directory / "checkpoint-20"


def test_torn_checkpoint_is_passed_over(directory: Path) -> None:
    """A checkpoint whose writing was interrupted is deleted, and the one before it is taken."""
    torn = written(directory, 100)
    assert checkpoints.newest(directory) == directory / "checkpoint-20"
    assert not torn.exists()


def test_altered_checkpoint_is_passed_over(directory: Path) -> None:
    """A checkpoint whose bytes are not what was sealed is not resumed from."""
    (directory / "checkpoint-20" / "optimizer.pt").write_bytes(b"zeros")
    assert checkpoints.newest(directory) == directory / "checkpoint-10"


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    """Without a checkpoint a run starts at its beginning."""
    assert checkpoints.newest(tmp_path) is None


def test_two_checkpoints_are_kept(directory: Path) -> None:
    """Sealing a third deletes the first."""
    checkpoints.seal(written(directory, 30))
    assert sorted(path.name for path in directory.iterdir()) == ["checkpoint-20", "checkpoint-30"]
