"""`POST /v1/adapters`: what is published, what is refused, and what is left behind."""

import errno
from pathlib import Path

import httpx
import numpy as np
import pytest

from registry import artifacts
from registry.artifacts import CARD, MANIFEST, verify
from registry.records import Scope
from registry.settings import Settings
from tests.adapter_folders import UNSLOTH, tensors, write
from tests.full_disk import limited_file_size
from tests.service_api import Connect

LIMIT_BYTES = 5 * 1024 * 1024


async def send(
    client: httpx.AsyncClient, folder: Path, names: tuple[str, ...] = (), **fields: str
) -> httpx.Response:
    """Import a folder's two files, and `names` beside them."""
    files = {
        "adapter_config": (folder / "adapter_config.json").read_bytes(),
        "adapter_model": (folder / "adapter_model.safetensors").read_bytes(),
        **dict.fromkeys(names, b"x"),
    }
    parts = {name: (name, content) for name, content in files.items()}
    return await client.post("/v1/adapters", data=fields, files=parts)


def left(settings: Settings) -> list[Path]:
    """Return everything in the adapters' folder."""
    return list(settings.adapters_dir.iterdir()) if settings.adapters_dir.exists() else []


async def test_an_import_is_a_published_version(
    client: httpx.AsyncClient, settings: Settings, tmp_path: Path
) -> None:
    """It has a name, a manifest that holds and rows for the probe, and no job."""
    answer = await send(client, write(tmp_path / "lora", config=UNSLOTH), suffix="mine")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["id"].startswith("ft:tiny-base:default:mine:")
    assert (found["status"], found["job_id"], found["rank"]) == ("published", None, 8)
    assert "unsloth/tiny-base-bnb-4bit" in found["notices"][0]
    manifest = verify(left(settings)[0])
    assert set(manifest.files) == {CARD, "adapter_config.json", "adapter_model.safetensors"}
    assert len(manifest.probe) == 4
    shown = (await client.get(f"/v1/adapters/{found['id']}")).json()
    assert shown["manifest"]["training_sha256"] is None


async def test_the_same_bytes_twice_are_a_conflict(
    client: httpx.AsyncClient, settings: Settings, tmp_path: Path
) -> None:
    """It names the first, whatever the suffix, and leaves nothing."""
    folder = write(tmp_path / "lora")
    first = (await send(client, folder, suffix="one")).json()["id"]
    answer = await send(client, folder, suffix="two")
    assert answer.status_code == 409
    assert first in answer.json()["error"]["message"]
    assert len(left(settings)) == 1


async def test_a_deleted_import_may_come_again(client: httpx.AsyncClient, tmp_path: Path) -> None:
    """A user who deleted too much has the files."""
    folder = write(tmp_path / "lora")
    name = (await send(client, folder)).json()["id"]
    assert (await client.delete(f"/v1/models/{name}")).status_code == 200
    assert (await send(client, folder)).status_code == 200


async def test_a_refused_import_leaves_nothing(
    client: httpx.AsyncClient, settings: Settings, tmp_path: Path
) -> None:
    """The error has its own code, and names the tensor."""
    weights = {name: each * np.float32(0) for name, each in tensors().items()}
    answer = await send(client, write(tmp_path / "lora", weights))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_adapter")
    assert left(settings) == []


async def test_other_files_are_left_behind_and_named(
    client: httpx.AsyncClient, settings: Settings, tmp_path: Path
) -> None:
    """Only two files are taken."""
    answer = await send(client, write(tmp_path / "lora"), ("optimizer.pt",))
    assert answer.json()["notices"] == ["'optimizer.pt' was left behind."]
    assert not (left(settings)[0] / "optimizer.pt").exists()


async def test_a_missing_file_and_a_pickle_are_named(client: httpx.AsyncClient) -> None:
    """The remedy for a pickle is its owner's own machine."""
    only = await client.post("/v1/adapters", files={"adapter_config": ("c.json", b"{}")})
    assert only.json()["error"]["param"] == "adapter_model"
    files = {"adapter_config": ("c.json", b"{}"), "adapter_model": ("adapter_model.bin", b"x")}
    told = (await client.post("/v1/adapters", files=files)).json()["error"]["message"]
    assert "safe_serialization=True" in told


async def test_an_import_needs_the_scope(connect: Connect, tmp_path: Path) -> None:
    """A key for inference alone does not bring weights."""
    async with await connect(Scope.INFERENCE) as guest:
        assert (await send(guest, write(tmp_path / "lora"))).status_code == 403


async def test_an_unknown_heldout_file_is_refused(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    """The parameter is named."""
    answer = await send(client, write(tmp_path / "lora"), heldout_file="file-none")
    assert answer.json()["error"]["param"] == "heldout_file"


@pytest.mark.parametrize("excess", [1, 100, LIMIT_BYTES])
async def test_a_disk_that_fills_during_the_upload_is_named(
    client: httpx.AsyncClient, settings: Settings, tmp_path: Path, excess: int
) -> None:
    """The error says so, wherever in the file it happens, and nothing is left."""
    folder = write(tmp_path / "lora")
    (folder / "adapter_model.safetensors").write_bytes(bytes(LIMIT_BYTES + excess))
    with limited_file_size(LIMIT_BYTES):
        answer = await send(client, folder)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (507, "storage_full")
    assert "No space left" in error["message"]
    assert left(settings) == []


async def test_a_disk_that_fills_while_publishing_shows_nothing(
    client: httpx.AsyncClient,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The manifest is written last: without room for it there is no version and no folder."""

    def full(path: Path, content: bytes) -> None:
        assert path.name == MANIFEST
        raise OSError(errno.ENOSPC, f"no room for {len(content)} bytes")

    folder = write(tmp_path / "lora")
    with monkeypatch.context() as patched:
        patched.setattr(artifacts, "write_file", full)
        answer = await send(client, folder)
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "storage_full")
    assert left(settings) == []
    assert (await client.get("/v1/adapters")).json()["data"] == []
    assert (await send(client, folder)).status_code == 200
