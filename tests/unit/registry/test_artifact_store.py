"""The artifact store over a real S3-compatible server: whole or invisible, and away is not gone.

`make object-stores` runs it over another make of server, too.
"""

import shutil
import subprocess
import sys
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
from tests.s3_server import BUCKET, ObjectServer, running_moto, running_s3

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


PUBLISH = """
import os, signal, sys
from pathlib import Path
from registry.bucket import Bucket
from tests.unit.registry.test_artifact_store import published
from registry.settings import Settings

place, url, endpoint = Path(sys.argv[1]), sys.argv[2], sys.argv[3]


def dies_at(moment):
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left, put = [moment], Bucket.put

    def watched(*args):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        put(*args)

    Bucket.put = watched
    published(
        Settings(
            data_dir=place / str(moment),
            artifacts_url=f"{url}/{moment}",
            artifacts_endpoint=endpoint,
        )
    )
    os._exit(0)


moment = 0
while dies_at(moment):
    moment += 1
print(moment)
"""


@pytest.fixture(scope="module")
def server(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ObjectServer]:
    """Run a server for every test here."""
    folder, libraries = tmp_path_factory.mktemp("s3"), pytestconfig.getoption("--moto")
    with running_s3(folder) if libraries is None else running_moto(folder, libraries) as running:
        yield running


@pytest.fixture
def prefix(server: ObjectServer, tmp_path: Path) -> str:
    """Return a part of the bucket that is the test's own."""
    assert server.port
    return f"team/{tmp_path.name}"


def settings_of(
    folder: Path, server: ObjectServer, prefix: str, *, bucket: str = BUCKET
) -> Settings:
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
def trainer(tmp_path: Path, server: ObjectServer, prefix: str) -> Settings:
    """Return the settings of the host that publishes."""
    return settings_of(tmp_path / "trainer", server, prefix)


@pytest.fixture
def host(tmp_path: Path, server: ObjectServer, prefix: str) -> Settings:
    """Return the settings of another host, which has nothing yet."""
    return settings_of(tmp_path / "host", server, prefix)


def bucket_of(settings: Settings) -> Bucket:
    """Return the bucket that a host uses."""
    return Bucket(str(settings.artifacts_url), settings.artifacts_endpoint)


def directories(settings: Settings) -> set[str]:
    """Return the directories of which the bucket holds something."""
    return {listed.key.split("/")[0] for listed in bucket_of(settings).below("")}


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
    trainer: Settings, host: Settings, server: ObjectServer
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
    trainer: Settings, host: Settings, server: ObjectServer
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


def test_a_bucket_that_does_not_exist_is_away_too(tmp_path: Path, server: ObjectServer) -> None:
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


def test_a_publisher_killed_between_two_objects_shows_nothing(
    server: ObjectServer, prefix: str, tmp_path: Path
) -> None:
    """The manifest is the last object; whoever publishes again ends what was begun."""
    url = f"s3://{BUCKET}/{prefix}"
    ended = subprocess.run(
        [sys.executable, "-c", PUBLISH, str(tmp_path), url, server.url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    moments = int(ended.stdout)
    assert moments >= 3, "configuration, weights, manifest"
    for moment in range(moments):
        trainer = settings_of(tmp_path / str(moment), server, f"{prefix}/{moment}")
        host = settings_of(tmp_path / f"host-{moment}", server, f"{prefix}/{moment}")
        with pytest.raises(CorruptArtifact):
            ArtifactStore(host).bring_newest("ftjob-1")
        assert not list(host.adapters_dir.glob("*"))
        again = ArtifactStore(trainer).publish(trainer.work_dir / "gone", "ftjob-1", OF_TEST)
        assert ArtifactStore(host).bring("ftjob-1", again.manifest_sha256)


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


def test_deletion_deletes_there_too(trainer: Settings, host: Settings) -> None:
    """A neighbour stays; a second deletion is no error."""
    published(trainer)
    published(trainer, "ftjob-2")
    for _ in range(2):
        ArtifactStore(host).delete("ftjob-1")
    assert directories(trainer) == {"ftjob-2"}


def test_a_withdrawn_job_leaves_nothing(trainer: Settings) -> None:
    """Its checkpoints go with it, here and there."""
    for directory in ("ftjob-1", "ftjob-1-step-5", "ftjob-2"):
        published(trainer, directory)
    ArtifactStore(trainer).withdraw("ftjob-1")
    assert directories(trainer) == {"ftjob-2"}
    assert [path.name for path in trainer.adapters_dir.iterdir()] == ["ftjob-2"]


def test_a_second_publisher_never_writes_over_the_first(
    trainer: Settings, host: Settings, tmp_path: Path, server: ObjectServer, prefix: str
) -> None:
    """A host that took a job over and the one that it thought dead may both publish."""
    first = published(trainer)
    other = settings_of(tmp_path / "other", server, prefix)
    second = published(other, fill=b"v")
    assert first.manifest_sha256 != second.manifest_sha256
    ArtifactStore(host).bring("ftjob-1", first.manifest_sha256)
    shutil.rmtree(host.adapters_dir)
    ArtifactStore(host).bring("ftjob-1", second.manifest_sha256)
