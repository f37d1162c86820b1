"""Keys: who gets in, what they may do, and how keys come and go."""

import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from registry.records import Scope
from registry.settings import Settings
from registry.store import Store
from service.bootstrap import bootstrap
from service.front import Front
from tests.service_api import Connect, open_client

PATHS = ["/v1/files", "/v1/fine_tuning/jobs", "/v1/models", "/v1/deployments", "/v1/api_keys"]
ROOT = Path(__file__).parents[3]
FIRST_START = """
import asyncio, sys
from pathlib import Path
from registry.settings import Settings
from registry.store import open_store
from service.bootstrap import announce, bootstrap

async def main():
    settings = Settings(data_dir=Path(sys.argv[1]))
    store = await open_store(settings)
    announce(await bootstrap(settings, store), settings)
    await store.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic eHg6eHg=", "Bearer sk-graftline-wrong"]
)
async def test_without_a_valid_key_nothing_opens(
    anonymous: httpx.AsyncClient, path: str, header: str | None
) -> None:
    """The answer is OpenAI's 401."""
    headers = {} if header is None else {"Authorization": header}
    answer = await anonymous.get(path, headers=headers)
    assert answer.status_code == 401
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("invalid_api_key", "invalid_request_error")


@pytest.mark.parametrize("path", ["/v1/files", "/v1/deployments", "/v1/evaluations"])
async def test_inference_keys_do_not_train(connect: Connect, path: str) -> None:
    """The answer names the scope that is missing."""
    async with await connect(Scope.INFERENCE) as reader:
        answer = await reader.get(path)
    assert answer.status_code == 403
    assert "'training'" in answer.json()["error"]["message"]


async def test_training_keys_neither_infer_nor_govern(connect: Connect) -> None:
    """Scopes do not imply one another, but for `admin`."""
    async with await connect(Scope.TRAINING) as trainer:
        assert (await trainer.post("/v1/chat/completions", json={})).status_code == 403
        assert (await trainer.post("/v1/feedback", json={})).status_code == 403
        assert (await trainer.get("/v1/api_keys")).status_code == 403


async def test_an_admin_key_may_do_everything(connect: Connect) -> None:
    """`admin` implies the other scopes."""
    async with await connect(Scope.ADMIN) as admin:
        assert (await admin.get("/v1/files")).status_code == 200


async def test_a_secret_is_shown_once(client: httpx.AsyncClient, store: Store) -> None:
    """It is neither listed nor stored."""
    body = {"name": "app", "scopes": ["inference"]}
    made = (await client.post("/v1/api_keys", json=body)).json()
    assert made["secret"].startswith("sk-graftline-")
    listed = (await client.get("/v1/api_keys")).text
    assert made["id"] in listed
    assert made["secret"] not in listed
    assert made["secret"] not in str(await store.keys.valid())


async def test_a_revoked_key_opens_nothing_at_once(
    client: httpx.AsyncClient, connect: Connect
) -> None:
    """Revocation does not wait for the next refresh."""
    async with await connect(Scope.TRAINING) as holder:
        keys = (await client.get("/v1/api_keys")).json()["data"]
        revoked = next(key for key in keys if key["name"] == "test")
        assert (await client.delete(f"/v1/api_keys/{revoked['id']}")).status_code == 200
        assert (await holder.get("/v1/files")).status_code == 401


async def test_the_last_operator_key_stays(client: httpx.AsyncClient) -> None:
    """Nobody locks everybody out."""
    keys = (await client.get("/v1/api_keys")).json()["data"]
    first = next(key for key in keys if "admin" in key["scopes"])
    assert (await client.delete(f"/v1/api_keys/{first['id']}")).status_code == 409


async def test_a_projects_admin_governs_its_project_only(
    client: httpx.AsyncClient, connect: Connect
) -> None:
    """Other projects' keys are neither seen nor made nor revoked."""
    keys = (await client.get("/v1/api_keys")).json()["data"]
    async with await connect(Scope.ADMIN, project="other") as governor:
        seen = (await governor.get("/v1/api_keys")).json()["data"]
        assert {key["project"] for key in seen} == {"other"}
        body = {"name": "x", "scopes": ["admin"], "project": "default"}
        assert (await governor.post("/v1/api_keys", json=body)).status_code == 400
        assert (await governor.delete(f"/v1/api_keys/{keys[0]['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes"),
        ({"name": ""}, "name"),
        ({"project": "*"}, "project"),
        ({"project": "a:b"}, "project"),
    ],
)
async def test_a_key_at_fault_is_refused(
    client: httpx.AsyncClient, changes: dict[str, object], param: str
) -> None:
    """The parameter is named."""
    body = {"name": "x", "scopes": ["inference"], **changes}
    answer = await client.post("/v1/api_keys", json=body)
    assert answer.status_code == 400
    assert param in str(answer.json()["error"]["param"])


@pytest.mark.usefixtures("app")
def test_the_first_keys_are_readable_by_their_owner_only(settings: Settings) -> None:
    """Mode 0600."""
    for path in (settings.admin_key_file, settings.evals_key_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_the_evals_key_sees_models_of_every_project(app: Front, settings: Settings) -> None:
    """It may run inference, and nothing else."""
    async with open_client(app, settings.evals_key_file.read_text().strip()) as evals:
        assert (await evals.get("/v1/models")).status_code == 200
        assert (await evals.get("/v1/files")).status_code == 403


async def test_a_second_start_makes_no_second_key(settings: Settings, store: Store) -> None:
    """The key is made and shown once."""
    first = await bootstrap(settings, store)
    second = await bootstrap(settings, store)
    assert first.admin_secret
    assert second.admin_secret is None
    assert await store.keys.count() == 2


async def test_a_start_that_died_before_the_record_is_taken_up(
    settings: Settings, store: Store
) -> None:
    """The secret in the file becomes the key."""
    settings.admin_key_file.write_text("sk-graftline-left-behind\n")
    first = await bootstrap(settings, store)
    assert first.admin_secret == "sk-graftline-left-behind"


def test_two_processes_that_start_together_make_one_admin_key(tmp_path: Path) -> None:
    """One prints it, both agree on the file, and the database holds it once."""
    command = [sys.executable, "-c", FIRST_START, str(tmp_path / "data")]
    starts = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    printed = [start.communicate(timeout=60)[0] for start in starts]
    assert [start.returncode for start in starts] == [0, 0]
    secret = (tmp_path / "data" / "admin.key").read_text().strip()
    assert sorted(printed) == ["", f"Admin API key (shown once): {secret}\n"]
