"""`/v1/fine_tuning/jobs`: what may be asked for, and what a job shows."""

from typing import Any

import httpx
import pytest

from registry.lifecycle import AdapterStatus, JobStatus
from registry.records import JobEvent, Scope
from registry.store import Store
from tests.service_api import Connect, add_version, new_job, uploaded

PATH = "/v1/fine_tuning/jobs"


async def test_a_new_job_is_openais_object_with_its_nulls(client: httpx.AsyncClient) -> None:
    """Every field of OpenAI's job is there, null where nothing is known yet."""
    job = await new_job(client, suffix="triage", seed=7, metadata={"team": "support"})
    choices = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    for name in ("id", "created_at", "training_file"):
        assert job.pop(name)
    assert job.pop("training")["technique"] == "lora"  # ours alone
    assert job == {
        "object": "fine_tuning.job",
        "error": None,
        "finished_at": None,
        "fine_tuned_model": None,
        "hyperparameters": choices,
        "method": {"type": "supervised", "supervised": {"hyperparameters": choices}},
        "model": "tiny-base",
        "organization_id": "default",
        "result_files": [],
        "status": "validating_files",
        "trained_tokens": None,
        "validation_file": None,
        "seed": 7,
        "estimated_finish": None,
        "integrations": None,
        "metadata": {"team": "support"},
    }


async def test_an_unknown_model_is_not_found(client: httpx.AsyncClient) -> None:
    """The error is OpenAI's."""
    body = {"model": "gpt-9", "training_file": await uploaded(client)}
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("param", ["training_file", "validation_file"])
async def test_an_unknown_file_is_named_by_its_parameter(
    client: httpx.AsyncClient, param: str
) -> None:
    """The client learns which of its two files is at fault."""
    body = {"model": "tiny-base", "training_file": await uploaded(client), param: "file-none"}
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_a_file_of_the_wrong_purpose_is_refused(client: httpx.AsyncClient) -> None:
    """Rows to examine on are not trained on."""
    body = {"model": "tiny-base", "training_file": await uploaded(client, purpose="evals")}
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 400
    assert "'evals'" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"n_epochs": "many"}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"batch_size": 257}}, "hyperparameters.batch_size"),
        (
            {"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 0}}}},
            "method.supervised.hyperparameters.n_epochs",
        ),
        (
            {"hyperparameters": {"learning_rate_multiplier": 0}},
            "hyperparameters.learning_rate_multiplier",
        ),
        ({"hyperparameters": {"lora_rank": 0}}, "hyperparameters.lora_rank"),
        ({"hyperparameters": {"learning_rate": 2}}, "hyperparameters.learning_rate"),
        ({"method": {"type": "reinforcement"}}, "method.type"),
        (
            {"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0}}}},
            "method.dpo.hyperparameters.beta",
        ),
        ({"training": {"technique": "magic"}}, "training"),
        ({"suffix": ""}, "suffix"),
        ({"suffix": "x" * 65}, "suffix"),
        ({"seed": -1}, "seed"),
        ({"seed": "lucky"}, "seed"),
        ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
        ({"metadata": {"x" * 65: "x"}}, "metadata"),
        ({"metadata": {"x": "x" * 513}}, "metadata"),
        ({"integrations": [{"type": "wandb"}]}, "integrations"),
    ],
)
async def test_a_value_out_of_range_is_named(
    client: httpx.AsyncClient, changes: dict[str, Any], param: str
) -> None:
    """Bad values are refused before anything is stored."""
    body = {"model": "tiny-base", "training_file": await uploaded(client), **changes}
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert (await client.get(PATH)).json()["data"] == []


async def test_the_older_place_of_hyperparameters_works(client: httpx.AsyncClient) -> None:
    """Clients written for OpenAI's first API keep working."""
    job = await new_job(client, hyperparameters={"n_epochs": 3})
    assert job["hyperparameters"]["n_epochs"] == 3


async def test_graftlines_own_hyperparameters_reach_the_job(client: httpx.AsyncClient) -> None:
    """What the trainer knows beyond OpenAI's names may be asked for."""
    job = await new_job(client, hyperparameters={"lora_rank": 8, "learning_rate": 0.003})
    assert job["hyperparameters"]["lora_rank"] == 8
    assert job["hyperparameters"]["learning_rate"] == 0.003


async def test_unknown_fields_are_ignored(client: httpx.AsyncClient) -> None:
    """As OpenAI does."""
    assert (await new_job(client, colour="blue"))["status"] == "validating_files"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{", "cannot be read"),
        (b"[]", "object"),
        (b'{"model": "tiny-base"}', "'training_file' is required"),
        (b'{"model": 3, "training_file": "x"}', "'model'"),
        (b"", "needs a JSON body"),
        (b"\xff\xfe", "cannot be read"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
async def test_a_body_at_fault_is_explained(
    client: httpx.AsyncClient, body: bytes, word: str
) -> None:
    """The message says what is wrong with the JSON, in OpenAI's shape."""
    answer = await client.post(PATH, content=body)
    assert answer.status_code == 400
    assert word in answer.json()["error"]["message"]


async def test_jobs_are_listed_newest_first_and_by_metadata(client: httpx.AsyncClient) -> None:
    """The filter keeps the jobs with that pair."""
    first = await new_job(client, metadata={"team": "support"})
    second = await new_job(client, metadata={"team": "sales"})
    found = (await client.get(PATH)).json()
    assert [job["id"] for job in found["data"]] == [second["id"], first["id"]]
    kept = await client.get(PATH, params={"metadata[team]": "support"})
    assert [job["id"] for job in kept.json()["data"]] == [first["id"]]


@pytest.mark.parametrize("name", ['metadata[a"]', "metadata[]", "metadata[a", "metadata[a][b]"])
async def test_a_metadata_filter_that_is_none_is_refused(
    client: httpx.AsyncClient, name: str
) -> None:
    """No word of the client's becomes part of a query."""
    answer = await client.get(PATH, params={name: "x"})
    assert answer.status_code == 400


async def test_a_cancelled_job_says_so(client: httpx.AsyncClient) -> None:
    """Cancelling is final, with its time and an event."""
    job = await new_job(client)
    cancelled = (await client.post(f"{PATH}/{job['id']}/cancel")).json()
    assert cancelled["status"] == "cancelled"
    assert cancelled["finished_at"]
    events = (await client.get(f"{PATH}/{job['id']}/events")).json()["data"]
    assert events[0]["message"] == "The job was cancelled."


@pytest.mark.parametrize("end", [JobStatus.FAILED, JobStatus.CANCELLED])
async def test_a_finished_job_is_not_cancelled(
    client: httpx.AsyncClient, store: Store, end: JobStatus
) -> None:
    """The answer says where the job stands."""
    job = await new_job(client)
    await store.jobs.move(job["id"], end)
    answer = await client.post(f"{PATH}/{job['id']}/cancel")
    assert answer.status_code == 409
    assert end in answer.json()["error"]["message"]


async def test_a_pause_is_kept_and_ends(client: httpx.AsyncClient, store: Store) -> None:
    """A job that waits or runs is paused and queued again, each with an event."""
    job = await new_job(client)
    path = f"{PATH}/{job['id']}"
    for state in (JobStatus.QUEUED, JobStatus.RUNNING):
        await store.jobs.move(job["id"], state)
        assert (await client.post(f"{path}/pause")).json()["status"] == "paused"
        assert (await client.post(f"{path}/resume")).json()["status"] == "queued"
    events = (await client.get(f"{path}/events")).json()["data"]
    assert [event["message"] for event in events[:4]] == [
        "The job was resumed.",
        "The job was paused.",
    ] * 2


async def test_pausing_and_resuming_again_change_nothing(
    client: httpx.AsyncClient, store: Store
) -> None:
    """The second call has the same answer and tells no event."""
    job = await new_job(client)
    path = f"{PATH}/{job['id']}"
    await store.jobs.move(job["id"], JobStatus.QUEUED)
    for action in ("pause", "resume"):
        first = await client.post(f"{path}/{action}")
        again = await client.post(f"{path}/{action}")
        assert (first.status_code, first.json()) == (again.status_code, again.json())
    await store.jobs.move(job["id"], JobStatus.RUNNING)
    assert (await client.post(f"{path}/resume")).json()["status"] == "running"
    assert len((await client.get(f"{path}/events")).json()["data"]) == 3


async def test_a_job_that_cannot_is_neither_paused_nor_resumed(
    client: httpx.AsyncClient, store: Store
) -> None:
    """Before it is queued and once it has ended; the answer says where it stands."""
    for state in ("validating_files", "failed", "cancelled"):
        job = await new_job(client)
        if state != "validating_files":
            await store.jobs.move(job["id"], JobStatus(state))
        for action in ("pause", "resume"):
            answer = await client.post(f"{PATH}/{job['id']}/{action}")
            assert answer.status_code == 409
            assert state in answer.json()["error"]["message"]


async def test_a_paused_job_is_cancelled(client: httpx.AsyncClient, store: Store) -> None:
    """And never comes back."""
    job = await new_job(client)
    await store.jobs.move(job["id"], JobStatus.QUEUED)
    await client.post(f"{PATH}/{job['id']}/pause")
    assert (await client.post(f"{PATH}/{job['id']}/cancel")).json()["status"] == "cancelled"
    assert (await client.post(f"{PATH}/{job['id']}/resume")).status_code == 409


async def test_jobs_without_metadata_are_found(client: httpx.AsyncClient) -> None:
    """`metadata=null` keeps them alone; both forms together are refused."""
    bare = await new_job(client)
    await new_job(client, metadata={"team": "support"})
    found = (await client.get(PATH, params={"metadata": "null"})).json()["data"]
    assert [job["id"] for job in found] == [bare["id"]]
    for params in ({"metadata": "null", "metadata[team]": "x"}, {"metadata": "x"}):
        assert (await client.get(PATH, params=params)).status_code == 400


async def test_an_empty_value_is_a_value(client: httpx.AsyncClient) -> None:
    """`metadata[key]=` keeps the jobs whose pair is empty."""
    kept = await new_job(client, metadata={"team": ""})
    await new_job(client)
    found = (await client.get(PATH, params={"metadata[team]": ""})).json()["data"]
    assert [job["id"] for job in found] == [kept["id"]]


async def test_jobs_are_paged_to_the_last(client: httpx.AsyncClient) -> None:
    """`after` goes on behind a job, whatever the limit."""
    made = [(await new_job(client))["id"] for _ in range(3)][::-1]
    first = (await client.get(PATH, params={"limit": 2})).json()
    assert ([job["id"] for job in first["data"]], first["has_more"]) == (made[:2], True)
    rest = (await client.get(PATH, params={"limit": 2, "after": made[1]})).json()
    assert ([job["id"] for job in rest["data"]], rest["has_more"]) == (made[2:], False)


async def test_events_come_newest_first_with_their_data(
    client: httpx.AsyncClient, store: Store
) -> None:
    """A metrics event keeps its figures."""
    job = await new_job(client)
    event = JobEvent(
        id="ftevent-1",
        job_id=job["id"],
        created_at=1,
        level="info",
        message="Step 1",
        type="metrics",
        data={"step": 1, "train_loss": 0.5},
    )
    await store.jobs.add_event(event)
    page = (await client.get(f"{PATH}/{job['id']}/events", params={"limit": 1})).json()
    assert page["has_more"]
    assert page["data"][0]["data"] == {"step": 1, "train_loss": 0.5}
    assert page["data"][0]["object"] == "fine_tuning.job.event"


async def test_checkpoints_name_first_and_last(client: httpx.AsyncClient, store: Store) -> None:
    """An empty page has neither."""
    job = await new_job(client)
    page = (await client.get(f"{PATH}/{job['id']}/checkpoints")).json()
    assert (page["first_id"], page["last_id"], page["has_more"]) == (None, None, False)
    await add_version(store, job_id=job["id"])
    page = (await client.get(f"{PATH}/{job['id']}/checkpoints")).json()
    assert page["first_id"] == page["last_id"] == page["data"][0]["id"]
    assert page["data"][0]["fine_tuning_job_id"] == job["id"]


@pytest.mark.parametrize("path", ["", "/events", "/checkpoints"])
async def test_another_projects_job_is_not_found(
    client: httpx.AsyncClient, connect: Connect, path: str
) -> None:
    """Reading it is as impossible as cancelling it."""
    job = await new_job(client)
    async with await connect(Scope.TRAINING, project="other") as stranger:
        assert (await stranger.get(f"{PATH}/{job['id']}{path}")).status_code == 404
        assert (await stranger.post(f"{PATH}/{job['id']}/cancel")).status_code == 404
        assert (await stranger.get(PATH)).json()["data"] == []


async def test_another_projects_file_trains_nothing(
    client: httpx.AsyncClient, connect: Connect
) -> None:
    """A file's id is worth nothing outside its project."""
    body = {"model": "tiny-base", "training_file": await uploaded(client)}
    async with await connect(Scope.TRAINING, project="other") as stranger:
        answer = await stranger.post(PATH, json=body)
    assert answer.json()["error"]["code"] == "file_not_found"


async def test_a_dpo_job_shows_its_method(client: httpx.AsyncClient) -> None:
    """The method comes back in OpenAI's shape, with what was chosen and what is left to us."""
    method = {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2, "n_epochs": 2}}}
    job = await new_job(client, method=method)
    shown = job["method"]["dpo"]["hyperparameters"]
    assert job["method"]["type"] == "dpo"
    assert (shown["beta"], shown["n_epochs"], shown["batch_size"]) == (0.2, 2, "auto")


async def test_training_goes_on_from_a_version(client: httpx.AsyncClient, store: Store) -> None:
    """A job may name an earlier version of the project as its model."""
    version = await add_version(store)
    body = {"model": version.name, "training_file": await uploaded(client)}
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 200
    assert answer.json()["model"] == version.name


@pytest.mark.parametrize("status", [AdapterStatus.REJECTED, AdapterStatus.RETIRED])
async def test_training_does_not_go_on_from_a_version_that_cannot_serve(
    client: httpx.AsyncClient, store: Store, status: AdapterStatus
) -> None:
    """A rejected or retired version is refused by name before anything is stored."""
    version = await add_version(store, status=status)
    body = {"model": version.name, "training_file": await uploaded(client)}
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "model"
    assert status.value in answer.json()["error"]["message"]


async def test_anothers_version_is_not_found(client: httpx.AsyncClient, store: Store) -> None:
    """A version of another project does not exist for the caller."""
    version = await add_version(store, project="theirs")
    body = {"model": version.name, "training_file": await uploaded(client)}
    assert (await client.post(PATH, json=body)).status_code == 404
