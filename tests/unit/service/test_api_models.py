"""`/v1/models` and `/v1/adapters`: names that can be asked for, and what is known about them."""

import httpx
import msgspec
import pytest

from registry.artifacts import MANIFEST, Manifest
from registry.lifecycle import AdapterStatus
from registry.records import Scope, Verdict
from registry.settings import Settings
from registry.store import Store
from tests.service_api import Connect, add_version, judge


async def test_the_list_holds_base_versions_and_deployments(
    client: httpx.AsyncClient, store: Store
) -> None:
    """Everything that can be sent as `model`, and nothing else."""
    version = await add_version(store)
    await add_version(store, status=AdapterStatus.REJECTED)
    await add_version(store, project="other")
    await client.post("/v1/deployments", json={"name": "support", "stable": "tiny-base"})
    models = (await client.get("/v1/models")).json()["data"]
    assert [(model["id"], model["owned_by"]) for model in models] == [
        ("tiny-base", "graftline"),
        (version.name, "default"),
        ("support", "deployment"),
    ]


async def test_a_version_is_found_by_its_name_with_colons(
    client: httpx.AsyncClient, store: Store
) -> None:
    """Names are paths in the URL, colons and all."""
    version = await add_version(store)
    found = (await client.get(f"/v1/models/{version.name}")).json()
    assert found["id"] == version.name
    assert found["created"] == version.created_at


async def test_a_model_with_a_slash_is_looked_up_whole(client: httpx.AsyncClient) -> None:
    """Base models from a hub have one."""
    answer = await client.get("/v1/models/org/model")
    assert answer.status_code == 404
    assert "'org/model'" in answer.json()["error"]["message"]


async def test_a_deleted_version_is_retired(client: httpx.AsyncClient, store: Store) -> None:
    """It leaves the list, and its record stays."""
    version = await add_version(store)
    answer = await client.delete(f"/v1/models/{version.name}")
    assert answer.json() == {"id": version.name, "object": "model", "deleted": True}
    assert (await client.get(f"/v1/models/{version.name}")).status_code == 404
    assert (await client.delete(f"/v1/models/{version.name}")).status_code == 404
    assert (await store.adapters.get(version.name)).status is AdapterStatus.RETIRED


async def test_a_version_that_a_deployment_needs_is_not_deleted(
    client: httpx.AsyncClient, store: Store
) -> None:
    """The answer names the deployment."""
    version = await add_version(store)
    body = {"name": "support", "stable": "tiny-base", "candidate": version.name}
    await client.post("/v1/deployments", json=body)
    answer = await client.delete(f"/v1/models/{version.name}")
    assert answer.status_code == 409
    assert "support" in answer.json()["error"]["message"]


async def test_the_base_model_is_not_deleted(client: httpx.AsyncClient) -> None:
    """It is not ours to delete."""
    assert (await client.delete("/v1/models/tiny-base")).status_code == 400


async def test_an_inference_key_reads_models_but_deletes_none(
    connect: Connect, store: Store
) -> None:
    """Deleting belongs to the scope `training`."""
    version = await add_version(store)
    async with await connect(Scope.INFERENCE) as reader:
        assert (await reader.get(f"/v1/models/{version.name}")).status_code == 200
        assert (await reader.delete(f"/v1/models/{version.name}")).status_code == 403


@pytest.mark.parametrize("path", ["/v1/models", "/v1/adapters"])
async def test_another_projects_version_is_not_found(
    client: httpx.AsyncClient, store: Store, path: str
) -> None:
    """Not even its existence is told."""
    version = await add_version(store, project="other")
    assert (await client.get(f"{path}/{version.name}")).status_code == 404
    assert (await client.delete(f"/v1/models/{version.name}")).status_code == 404


async def test_an_adapter_shows_state_and_whether_it_is_loaded(
    client: httpx.AsyncClient, store: Store
) -> None:
    """Without an engine nothing is loaded; without files there is no manifest."""
    version = await add_version(store)
    found = (await client.get(f"/v1/adapters/{version.name}")).json()
    assert (found["status"], found["loaded"], found["manifest"]) == ("ready", False, None)
    listed = (await client.get("/v1/adapters")).json()["data"]
    assert [adapter["id"] for adapter in listed] == [version.name]


async def test_a_version_has_a_card(
    client: httpx.AsyncClient, connect: Connect, store: Store, settings: Settings
) -> None:
    """Markdown from its manifest and its newest exam; another project's is not there."""
    version = await add_version(store)
    folder = settings.adapters_dir / version.directory
    folder.mkdir(parents=True)
    manifest = Manifest(
        name=version.name,
        job_id=version.job_id,
        base_model="tiny-base",
        base_sha256="0",
        training_sha256="1",
        validation_sha256=None,
        hyperparameters={},
        seed=7,
        step=1,
        libraries={},
        probe=[],
        metrics={},
        created_at=1,
    )
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    exam = await judge(store, version, Verdict.GO)
    answer = await client.get(f"/v1/models/{version.name}/card")
    assert answer.headers["content-type"].startswith("text/markdown")
    assert "| seed | 7 |" in answer.text
    assert exam.id in answer.text
    async with await connect(Scope.INFERENCE, project="other") as guest:
        assert (await guest.get(f"/v1/models/{version.name}/card")).status_code == 404


async def test_what_has_no_manifest_has_no_card(client: httpx.AsyncClient, store: Store) -> None:
    """A version whose files are gone, the base model, and nothing at all."""
    version = await add_version(store)
    for name in (version.name, "tiny-base", "nobody"):
        assert (await client.get(f"/v1/models/{name}/card")).status_code == 404
