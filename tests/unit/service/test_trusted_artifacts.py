"""Where adapters come from: signatures and a bucket, over a fake engine."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from registry.artifact_store import ArtifactStore
from registry.artifacts import CARD, read_manifest
from registry.errors import Conflict
from registry.lifecycle import AdapterStatus
from registry.settings import Settings
from registry.signing import SIGNATURE, sign
from service.importing.publication import Importer, Request
from tests.adapter_folders import write
from tests.s3_server import BUCKET, S3Server, running_s3
from tests.serving import Serving, serving
from tests.signing_keys import KeyPair, key_pair

NAME = "ft:tiny-base:default:test:00000001"
OTHER = "ft:tiny-base:default:test:00000002"


@pytest.fixture
def keys(tmp_path: Path) -> KeyPair:
    """Return the keys that the service trusts."""
    return key_pair(tmp_path)


@pytest.fixture
async def strict(tmp_path: Path, keys: KeyPair) -> AsyncIterator[Serving]:
    """Run a service that wants signatures, over two replicas."""
    async with serving(tmp_path, replicas=2, verification_key=keys.public) as running:
        yield running


async def test_an_unsigned_version_never_reaches_an_engine(strict: Serving, keys: KeyPair) -> None:
    """It is rejected with the reason; a signed one is served by every replica."""
    await strict.publish(NAME)
    version = await strict.until(NAME, AdapterStatus.REJECTED)
    assert "it has no signature" in str(version.reason)
    await strict.publish(OTHER, damage=lambda folder: sign(folder, keys.private))
    await strict.until(OTHER, AdapterStatus.READY)
    assert [vllm.loads for vllm in strict.vllms if NAME in vllm.loads] == []


async def test_a_foreign_signature_is_refused(strict: Serving, tmp_path: Path) -> None:
    """Whoever can write the folder cannot make the service trust it."""
    foreign = key_pair(tmp_path, "foreign").private
    await strict.publish(NAME, damage=lambda folder: sign(folder, foreign))
    version = await strict.until(NAME, AdapterStatus.REJECTED)
    assert "does not verify" in str(version.reason)
    assert [vllm.loads for vllm in strict.vllms] == [[], []]


async def test_a_signature_that_goes_is_noticed_at_the_next_load(
    strict: Serving, keys: KeyPair
) -> None:
    """On the replica that lost the version; the reason is shown, and the other one goes on."""
    version = await strict.publish(NAME, damage=lambda folder: sign(folder, keys.private))
    await strict.services.reconciler.ensure(version)
    async with asyncio.timeout(20):
        while len(strict.services.fleet.holders(NAME)) < 2:  # examined there, not only loaded
            await strict.passed()
    (strict.settings.adapters_dir / version.directory / SIGNATURE).unlink()
    strict.vllm.forget()
    async with asyncio.timeout(20):
        while strict.services.reconciler.fault_of(NAME) is None:
            await strict.passed()
    assert "no signature" in str(strict.services.reconciler.fault_of(NAME))
    assert (await strict.chat(NAME)).status == 200
    assert strict.vllm.loads == [NAME]


async def test_an_import_is_signed_or_refused(tmp_path: Path, keys: KeyPair) -> None:
    """Without the key to sign it would be rejected later: it is said at once."""
    trusting: dict[str, Any] = {"signing_key": keys.private, "verification_key": keys.public}
    async with serving(tmp_path, **trusting) as running:
        importer = Importer(running.settings, running.services.store)
        wanted = Request(project="default", suffix=None, heldout_file=None)
        staged = write(running.settings.adapters_dir / ".import-1.part")
        version = (await importer.publish(staged, wanted)).version
        folder = running.settings.adapters_dir / version.directory
        assert {SIGNATURE, CARD} <= {path.name for path in folder.iterdir()}
        ArtifactStore(running.settings).bring(version.directory, version.manifest_sha256)
        mute = running.settings.model_copy(update={"signing_key": None})
        with pytest.raises(Conflict, match="GRAFTLINE_SIGNING_KEY"):
            await Importer(mute, running.services.store).publish(staged, wanted)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    """Run an S3-compatible server."""
    with running_s3(tmp_path / "s3") as running:
        yield running


@pytest.fixture
async def remote(tmp_path: Path, server: S3Server) -> AsyncIterator[Serving]:
    """Run a service whose adapters come from a bucket."""
    there: dict[str, Any] = {
        "artifacts_url": f"s3://{BUCKET}/team",
        "artifacts_endpoint": server.url,
    }
    async with serving(tmp_path / "service", **there) as running:
        yield running


async def test_a_version_comes_from_the_bucket_and_goes_with_its_deletion(
    remote: Serving, server: S3Server, tmp_path: Path
) -> None:
    """While the bucket is away imports are refused with 503 and the load waits; then it is done."""
    trainer = remote.settings.model_copy(update={"data_dir": tmp_path / "trainer"})
    await remote.publish(NAME, damage=lambda folder: _carry_off(folder, trainer, server))
    async with asyncio.timeout(30):
        while remote.services.reconciler.fault_of(NAME) is None:
            await remote.passed()
    assert "artifact store" in str(remote.services.reconciler.fault_of(NAME))
    answer = await remote.chat(NAME)
    assert answer.status == 503
    assert "artifact store" in (await answer.json())["error"]["message"]
    refused = await _import(remote, tmp_path)
    assert refused.status == 503
    assert (await refused.json())["error"]["code"] == "artifact_store_unavailable"

    server.start()
    version = await remote.until(NAME, AdapterStatus.READY)
    assert (remote.settings.adapters_dir / version.directory).exists()
    assert server.keys()
    async with remote.client.delete(f"/v1/models/{NAME}") as deleted:
        assert deleted.status == 200
    async with asyncio.timeout(30):
        while server.keys():
            await remote.passed()
    assert not (remote.settings.adapters_dir / version.directory).exists()


def _carry_off(folder: Path, trainer: Settings, server: S3Server) -> None:
    """Make a published folder one that only the bucket holds, and take the bucket away."""
    there = trainer.adapters_dir / folder.name
    there.parent.mkdir(parents=True)
    shutil.move(folder, there)
    ArtifactStore(trainer).publish(there, folder.name, read_manifest(there))
    server.stop()


async def _import(running: Serving, folder: Path) -> aiohttp.ClientResponse:
    files = write(folder / "lora")
    form = aiohttp.FormData()
    for name, file in (
        ("adapter_config", "adapter_config.json"),
        ("adapter_model", "adapter_model.safetensors"),
    ):
        form.add_field(name, (files / file).read_bytes(), filename=file)
    async with running.client.post("/v1/adapters", data=form) as response:
        await response.read()
    return response
