"""`/v1/estimates`: what a job would take, before anything runs."""

from typing import Any

import httpx
import pytest

from registry.lifecycle import JobStatus
from registry.records import JobEvent, Scope
from registry.store import Store
from tests.records import fine_tuning_job
from tests.service_api import Connect, rows, upload

PATH = "/v1/estimates"


async def estimate(client: httpx.AsyncClient, count: int = 100, **changes: Any) -> httpx.Response:
    """Ask for the estimate of a job on so many rows."""
    file = (await upload(client, rows(count))).json()["id"]
    return await client.post(PATH, json={"model": "tiny-base", "training_file": file, **changes})


async def test_an_estimate_counts_rows_steps_and_tokens(client: httpx.AsyncClient) -> None:
    """Ten of a hundred rows are held out; the rest makes its steps, and nothing is created."""
    answer = await estimate(client, hyperparameters={"n_epochs": 2, "batch_size": 8})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["training_rows"], found["heldout_rows"]) == (90, 10)
    assert found["total_steps"] == 2 * 12
    assert found["tokens"] == pytest.approx(2 * 90 * found["longest_row_tokens"], rel=0.2)
    assert found["seconds"] > found["tokens"] / found["tokens_per_second"]
    assert found["memory_bytes"] > 600 * 2**20
    assert "GRAFTLINE_TRAINING_FLOPS" in found["basis"]["seconds"]
    assert (await client.get("/v1/fine_tuning/jobs")).json()["data"] == []


async def test_auto_is_resolved_by_the_trainers_rules(client: httpx.AsyncClient) -> None:
    """What is not chosen is what the trainer would choose."""
    found = (await estimate(client)).json()
    assert (found["n_epochs"], found["batch_size"]) == (10, 4)


async def test_the_speed_of_finished_jobs_counts(client: httpx.AsyncClient, store: Store) -> None:
    """A job of the project that ended tells the speed, one of another project does not."""
    for name, project, speed in (("a", "default", 500.0), ("b", "other", 9.0)):
        job = fine_tuning_job(
            f"ftjob-{name}",
            project=project,
            model="tiny-base",
            status=JobStatus.SUCCEEDED,
            fine_tuned_model=f"ft:{name}",
        )
        event = JobEvent(
            id=f"ftevent-{name}",
            job_id=job.id,
            created_at=1,
            level="info",
            message="Step 9/9",
            type="metrics",
            data={"step": 9, "tokens_per_second": speed},
        )
        await store.jobs.add(job, event)
    found = (await estimate(client)).json()
    assert found["tokens_per_second"] == 500
    assert "1 finished job" in found["basis"]["seconds"]


async def test_rows_beyond_the_longest_are_counted_as_cut(client: httpx.AsyncClient) -> None:
    """A shorter `max_length` cuts rows, and the estimate says how many."""
    found = (await estimate(client, training={"max_length": 16})).json()
    whole = (await estimate(client)).json()
    if whole["longest_row_tokens"] > 16:
        assert found["cut_rows"] > 0
    assert found["longest_row_tokens"] <= 16


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"training_file": "file-none"}, "training_file"),
        ({"validation_file": "file-none"}, "validation_file"),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs"),
        ({"training": {"packing": "perhaps"}}, "training"),
    ],
)
async def test_what_no_job_could_have_is_refused(
    client: httpx.AsyncClient, changes: dict[str, Any], param: str
) -> None:
    """A request is checked like the creation of a job, and the field is named."""
    answer = await estimate(client, **changes)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_another_projects_file_is_not_there(
    client: httpx.AsyncClient, connect: Connect
) -> None:
    """An estimate tells nothing about what belongs to others."""
    file = (await upload(client, rows())).json()["id"]
    other = await connect(Scope.TRAINING, project="other")
    answer = await other.post(PATH, json={"model": "tiny-base", "training_file": file})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "file_not_found"
