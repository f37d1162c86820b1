"""The artifact store over a real S3-compatible server: whole or invisible, and away is not gone."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from registry import bucket
from registry.artifact_store import ArtifactStore
from registry.artifacts import MANIFEST, Manifest, Published, verify
from registry.bucket import Bucket
from registry.errors import CorruptArtifact, StoreAway
from registry.settings import Settings
from tests.s3_server import BUCKET, S3Server, running_s3

WEIGHTS = "adapter_model.safetensors"
SIZE = 3 * 1024 * 1024
OF_TEST = Manifest(
    name="ft:tiny-base:default:x:1",
    job_id="ftjob-1",
    base_model="tiny-base",
    base_sha256="0",
    training_sha256="1",
    validation_sha256=None,
    hyperparameters={},
    seed=1,
    step=10,
    libraries={},
    probe=[],
    metrics={},
    created_at=1,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Run a server for every test here."""
    with running_s3(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def prefix(server: S3Server, tmp_path: Path) -> str:
    """Return a part of the bucket that is the test's own."""
    assert server.port
    return f"team/{tmp_path.name}"


def settings_of(folder: Path, server: S3Server, prefix: str, *, bucket: str = BUCKET) -> Settings:
    """Return the settings of a host with a data directory of its own."""
    return Settings(
        data_dir=folder,
        artifacts_url=f"s3://{bucket}/{prefix}",
        artifacts_endpoint=server.url,
    )


def published(settings: Settings, directory: str = "ftjob-1", fill: bytes = b"w") -> Published:
    """Publish a version from a host."""
    staged = settings.work_dir / directory
    staged.mkdir(parents=True)
    (staged / "adapter_config.json").write_text("{}")
    (staged / WEIGHTS).write_bytes(fill * SIZE)
    return ArtifactStore(settings).publish(staged, directory, OF_TEST)


@pytest.fixture
def trainer(tmp_path: Path, server: S3Server, prefix: str) -> Settings:
    """Return the settings of the host that publishes."""
    return settings_of(tmp_path / "trainer", server, prefix)


@pytest.fixture
def host(tmp_path: Path, server: S3Server, prefix: str) -> Settings:
    """Return the settings of another host, which has nothing yet."""
    return settings_of(tmp_path / "host", server, prefix)


def objects(server: S3Server, prefix: str) -> Path:
    """Return where the test's objects lie."""
    return server.objects / prefix


def bucket_of(settings: Settings) -> Bucket:
    """Return the bucket that a host uses."""
    return Bucket(str(settings.artifacts_url), settings.artifacts_endpoint)


def test_a_version_comes_to_another_host_whole(
    trainer: Settings, host: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are the publisher's, however many pieces they come in, and nothing else is left."""
    monkeypatch.setattr(bucket, "PIECE_BYTES", SIZE // 3 + 1)
    made = published(trainer)
    manifest = ArtifactStore(host).bring("ftjob-1", made.manifest_sha256)
    assert manifest.name == OF_TEST.name
    assert verify(host.adapters_dir / "ftjob-1") == verify(made.directory)
    assert [path.name for path in host.adapters_dir.iterdir()] == ["ftjob-1"]


def test_a_version_that_is_here_needs_no_bucket(
    trainer: Settings, host: Settings, server: S3Server
) -> None:
    """What was brought once is served while the bucket is away."""
    made = published(trainer)
    ArtifactStore(host).bring("ftjob-1", made.manifest_sha256)
    server.stop()
    try:
        assert ArtifactStore(host).bring("ftjob-1", made.manifest_sha256)
    finally:
        server.start()


def test_a_damaged_copy_is_brought_again(trainer: Settings, host: Settings) -> None:
    """The bucket mends what a disk forgot."""
    made = published(trainer)
    ArtifactStore(host).bring("ftjob-1", made.manifest_sha256)
    (host.adapters_dir / "ftjob-1" / WEIGHTS).write_bytes(b"damaged")
    assert ArtifactStore(host).bring("ftjob-1", made.manifest_sha256)
    assert [path.name for path in host.adapters_dir.iterdir()] == ["ftjob-1"]


def test_a_bucket_that_is_away_is_not_an_empty_one(
    trainer: Settings, host: Settings, server: S3Server
) -> None:
    """Nothing is published or brought, both say so, and both work once it is back."""
    made = published(trainer)
    server.stop()
    try:
        with pytest.raises(StoreAway, match="tried again"):
            ArtifactStore(host).bring("ftjob-1", made.manifest_sha256)
        with pytest.raises(StoreAway):
            published(trainer, "ftjob-2")
    finally:
        server.start()
    assert ArtifactStore(host).bring("ftjob-1", made.manifest_sha256)
    staged = trainer.work_dir / "ftjob-2"
    again = ArtifactStore(trainer).publish(staged, "ftjob-2", OF_TEST)
    assert ArtifactStore(host).bring("ftjob-2", again.manifest_sha256)


def test_a_bucket_that_does_not_exist_is_away_too(tmp_path: Path, server: S3Server) -> None:
    """A wrong name is the operator's fault: no version is given up for it."""
    wrong = settings_of(tmp_path / "data", server, "team", bucket="nothing-here")
    with pytest.raises(StoreAway):
        ArtifactStore(wrong).bring("ftjob-1", "0" * 64)


@pytest.mark.parametrize("harm", ["truncated", "missing", "no manifest", "altered manifest"])
def test_harm_in_the_bucket_is_corruption(
    trainer: Settings, host: Settings, tmp_path: Path, harm: str
) -> None:
    """Nothing of it becomes visible on the host."""
    made = published(trainer)
    there, place = bucket_of(trainer), f"ftjob-1/{made.manifest_sha256}"
    changed = tmp_path / "changed"
    if harm == "truncated":
        changed.write_bytes(b"w" * (SIZE // 2))
        there.put(f"{place}/{WEIGHTS}", changed)
    elif harm == "missing":
        there.delete([f"{place}/{WEIGHTS}"])
    elif harm == "no manifest":
        there.delete([f"{place}/{MANIFEST}"])
    else:
        changed.write_bytes((made.directory / MANIFEST).read_bytes().replace(b"10", b"11"))
        there.put(f"{place}/{MANIFEST}", changed)
    with pytest.raises(CorruptArtifact):
        ArtifactStore(host).bring("ftjob-1", made.manifest_sha256)
    assert not list(host.adapters_dir.glob("*"))


def test_the_manifest_is_written_last(trainer: Settings, server: S3Server, prefix: str) -> None:
    """A publication that is cut off in the middle leaves no manifest, and the next one ends it."""
    made = published(trainer)
    there = objects(server, prefix) / "ftjob-1" / made.manifest_sha256
    times = {path.name: path.stat().st_mtime_ns for path in there.iterdir()}
    assert max(times, key=lambda name: times[name]) == MANIFEST
    bucket_of(trainer).delete([f"ftjob-1/{made.manifest_sha256}/{MANIFEST}"])
    again = ArtifactStore(trainer).publish(trainer.work_dir / "gone", "ftjob-1", OF_TEST)
    assert again == made
    assert (there / MANIFEST).exists()


def test_two_pullers_at_once_leave_one_whole_copy(trainer: Settings, host: Settings) -> None:
    """Both have it, and neither disturbs the other."""
    made = published(trainer)
    with ThreadPoolExecutor(4) as pool:
        waiting = [
            pool.submit(ArtifactStore(host).bring, "ftjob-1", made.manifest_sha256)
            for _ in range(4)
        ]
        assert {one.result().name for one in waiting} == {OF_TEST.name}
    assert [path.name for path in host.adapters_dir.iterdir()] == ["ftjob-1"]
    verify(host.adapters_dir / "ftjob-1")


def test_deletion_deletes_there_too(
    trainer: Settings, host: Settings, server: S3Server, prefix: str
) -> None:
    """A neighbour stays; a second deletion is no error."""
    published(trainer)
    published(trainer, "ftjob-2")
    for _ in range(2):
        ArtifactStore(host).delete("ftjob-1")
    assert {path.parts[0] for path in _below(objects(server, prefix))} == {"ftjob-2"}


def test_a_withdrawn_job_leaves_nothing(trainer: Settings, server: S3Server, prefix: str) -> None:
    """Its checkpoints go with it, here and there."""
    for directory in ("ftjob-1", "ftjob-1-step-5", "ftjob-2"):
        published(trainer, directory)
    ArtifactStore(trainer).withdraw("ftjob-1")
    assert {path.parts[0] for path in _below(objects(server, prefix))} == {"ftjob-2"}
    assert [path.name for path in trainer.adapters_dir.iterdir()] == ["ftjob-2"]


def test_a_second_publisher_never_writes_over_the_first(
    trainer: Settings, host: Settings, tmp_path: Path, server: S3Server, prefix: str
) -> None:
    """A host that took a job over and the one that it thought dead may both publish."""
    first = published(trainer)
    other = settings_of(tmp_path / "other", server, prefix)
    second = published(other, fill=b"v")
    assert first.manifest_sha256 != second.manifest_sha256
    ArtifactStore(host).bring("ftjob-1", first.manifest_sha256)
    shutil.rmtree(host.adapters_dir)
    ArtifactStore(host).bring("ftjob-1", second.manifest_sha256)


def _below(folder: Path) -> list[Path]:
    return [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
