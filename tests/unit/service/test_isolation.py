"""Projects see nothing of one another."""

from dataclasses import dataclass

import httpx
import pytest
from litestar import Litestar

from registry.records import Scope, UsageRow, Verdict
from registry.store import Store
from tests.service_api import Connect, add_version, judge, new_job

ROUTES = [
    ("GET", "/v1/files/{file}"),
    ("GET", "/v1/files/{file}/content"),
    ("DELETE", "/v1/files/{file}"),
    ("GET", "/v1/fine_tuning/jobs/{job}"),
    ("POST", "/v1/fine_tuning/jobs/{job}/cancel"),
    ("GET", "/v1/fine_tuning/jobs/{job}/events"),
    ("GET", "/v1/fine_tuning/jobs/{job}/checkpoints"),
    ("GET", "/v1/models/{model}"),
    ("DELETE", "/v1/models/{model}"),
    ("GET", "/v1/adapters/{model}"),
    ("GET", "/v1/deployments/support"),
    ("PATCH", "/v1/deployments/support"),
    ("POST", "/v1/deployments/support"),
    ("POST", "/v1/deployments/support/promote"),
    ("POST", "/v1/deployments/support/rollback"),
    ("DELETE", "/v1/deployments/support"),
    ("GET", "/v1/evaluations/{evaluation}"),
    ("GET", "/v1/evaluations/{evaluation}/rows"),
]
LISTS = [
    "/v1/files",
    "/v1/fine_tuning/jobs",
    "/v1/models",
    "/v1/adapters",
    "/v1/deployments",
    "/v1/evaluations",
    "/v1/api_keys",
    "/v1/usage?group_by=key",
    "/v1/metrics",
]


@dataclass
class Owned:
    """What the project `default` has."""

    names: dict[str, str]
    """Names and ids by kind."""


@pytest.fixture
async def owned(client: httpx.AsyncClient, store: Store, app: Litestar) -> Owned:
    """Make one of everything, and a series that names the version."""
    job = await new_job(client)
    version = await add_version(store)
    evaluation = await judge(store, version, Verdict.GO)
    made = await client.post("/v1/deployments", json={"name": "support", "stable": version.name})
    assert made.status_code == 200, made.text
    row = UsageRow(
        project="default",
        key_id="key-of-default",
        model=version.name,
        day="2026-11-25",
        requests=1,
        prompt_tokens=1,
        completion_tokens=1,
    )
    await store.interactions.add_many([], [row])
    app.state.services.metrics.tokens.labels(version.name, "prompt").inc()
    return Owned(
        {
            "file": job["training_file"],
            "job": job["id"],
            "model": version.name,
            "evaluation": evaluation.id,
        }
    )


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_another_projects_record_is_not_found(
    owned: Owned, connect: Connect, method: str, path: str
) -> None:
    """404, never 403: it is as if it did not exist."""
    async with await connect(Scope.ADMIN, project="other") as stranger:
        body: dict[str, str] | None = {} if method in {"POST", "PATCH"} else None
        answer = await stranger.request(method, path.format(**owned.names), json=body)
    assert answer.status_code == 404, answer.text


@pytest.mark.parametrize("path", LISTS)
async def test_a_list_shows_the_callers_project_only(
    owned: Owned, connect: Connect, path: str
) -> None:
    """Neither names nor ids of another project are in it."""
    async with await connect(Scope.ADMIN, project="other") as stranger:
        answer = await stranger.get(path)
    assert answer.status_code == 200
    for hidden in (*owned.names.values(), "support", "key-of-default"):
        assert hidden not in answer.text


async def test_another_projects_records_cannot_be_used(owned: Owned, connect: Connect) -> None:
    """No deployment, job, exam or judgement of one project stands on another's records."""
    names = owned.names
    version = {"name": "mine", "stable": names["model"], "override_reason": "x"}
    training = {"model": "tiny-base", "training_file": names["file"]}
    async with await connect(Scope.ADMIN, project="other") as stranger:
        answers = [
            await stranger.post("/v1/deployments", json=version),
            await stranger.post("/v1/fine_tuning/jobs", json=training),
            await stranger.post("/v1/evaluations", json={"model": names["model"]}),
        ]
    assert all(answer.status_code in {400, 404} for answer in answers)
    assert not any(answer.is_success for answer in answers)


async def test_a_project_sees_its_own_series(owned: Owned, client: httpx.AsyncClient) -> None:
    """Those that name its versions, and no figure of the process."""
    shown = (await client.get("/v1/metrics")).text
    assert owned.names["model"] in shown
    assert "graftline_engine_up" not in shown
