"""Artifacts: whole or invisible, and altered bytes are noticed."""

import errno
from pathlib import Path

import msgspec
import pytest

from registry import artifacts
from registry.artifacts import MANIFEST, Manifest, publish, read_manifest, verify
from registry.durable import storage_errors, write_file
from registry.errors import CorruptArtifact, StorageFull

MANIFEST_OF_TEST = Manifest(
    name="ft:tiny-base:default:x:1",
    job_id="ftjob-1",
    base_model="tiny-base",
    base_sha256="0",
    training_sha256="1",
    validation_sha256=None,
    hyperparameters={"n_epochs": 1},
    seed=1,
    step=10,
    libraries={"peft": "0"},
    probe=[],
    metrics={},
    created_at=1,
)


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """Return a folder with the files of an adapter."""
    folder = tmp_path / "work" / "adapter"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


def test_a_published_artifact_verifies(staged: Path, tmp_path: Path) -> None:
    """What was published is what is read back."""
    published = publish(staged, tmp_path / "adapters" / "a", MANIFEST_OF_TEST)
    manifest = verify(published.directory)
    assert manifest.name == MANIFEST_OF_TEST.name
    assert set(manifest.files) == {"adapter_config.json", "adapter_model.safetensors"}
    assert not staged.exists()


def test_publishing_twice_is_publishing_once(staged: Path, tmp_path: Path) -> None:
    """A step that is repeated after a crash changes nothing."""
    target = tmp_path / "adapters" / "a"
    first = publish(staged, target, MANIFEST_OF_TEST)
    again = publish(staged, target, msgspec.structs.replace(MANIFEST_OF_TEST, created_at=2))
    assert first == again


def test_a_torn_target_is_replaced(staged: Path, tmp_path: Path) -> None:
    """A folder without a manifest is no artifact, and does not stand in the way."""
    target = tmp_path / "adapters" / "a"
    target.mkdir(parents=True)
    (target / "adapter_model.safetensors").write_bytes(b"half")
    publish(staged, target, MANIFEST_OF_TEST)
    assert verify(target).files


@pytest.mark.parametrize("harm", ["altered", "missing", "unlisted", "folder", "manifest", "bit"])
def test_harm_is_noticed(staged: Path, tmp_path: Path, harm: str) -> None:
    """Altered, missing and unlisted files, and a broken manifest, are corruption."""
    target = publish(staged, tmp_path / "adapters" / "a", MANIFEST_OF_TEST).directory
    weights = target / "adapter_model.safetensors"
    if harm == "altered":
        weights.write_bytes(b"other")
    elif harm == "missing":
        weights.unlink()
    elif harm == "unlisted":
        (target / "extra.json").write_text("{}")
    elif harm == "folder":
        weights.unlink()
        weights.mkdir()
    elif harm == "bit":  # in the middle of a name: no UTF-8 any more
        (target / MANIFEST).write_bytes(
            (target / MANIFEST).read_bytes().replace(b"base", b"b\xe1se")
        )
    else:
        (target / MANIFEST).write_text("{")
    with pytest.raises(CorruptArtifact):
        verify(target)


def test_a_pickle_is_never_published(staged: Path, tmp_path: Path) -> None:
    """Only kinds of files that cannot run code are published."""
    (staged / "training_args.bin").write_bytes(b"")
    with pytest.raises(CorruptArtifact, match="training_args"):
        publish(staged, tmp_path / "adapters" / "a", MANIFEST_OF_TEST)


def test_a_full_disk_leaves_nothing_visible(
    staged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the manifest cannot be written there is no artifact."""

    def full(path: Path, content: bytes) -> None:
        with storage_errors(path):
            raise OSError(errno.ENOSPC, f"no room for {len(content)} bytes")

    monkeypatch.setattr(artifacts, "write_file", full)
    with pytest.raises(StorageFull, match="No space left"):
        publish(staged, tmp_path / "adapters" / "a", MANIFEST_OF_TEST)
    assert not (tmp_path / "adapters" / "a").exists()
    with pytest.raises(CorruptArtifact):
        read_manifest(tmp_path / "adapters" / "a")


def test_a_written_file_has_its_mode_and_leaves_no_parts(tmp_path: Path) -> None:
    """Keys are readable by their owner alone."""
    write_file(tmp_path / "k" / "key", b"secret", mode=0o600)
    assert (tmp_path / "k" / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "k").iterdir()] == ["key"]
