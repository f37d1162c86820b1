"""kill -9 of each process in the middle of its work: nothing acknowledged is lost.

The stack's own supervision restarts what was killed; no test helps.
"""

import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import APIConnectionError, APIError, InternalServerError, OpenAI

from tests.integration.examples import rows_of, upload
from tests.integration.stack import Stack
from tests.integration.training import Trained
from tests.integration.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.slow]
EXAM_ROWS = 60


@pytest.fixture(scope="module")
def heldout() -> list[dict[str, Any]]:
    """Return the rows of the exam."""
    return rows_of("heldout.jsonl")


def start_job(client: OpenAI, suffix: str, *, rows: int = 150, epochs: int = 4) -> str:
    """Create a job on the first rows of the example data and return its id."""
    return client.fine_tuning.jobs.create(
        model="tiny-base",
        training_file=upload(client, rows_of("train.jsonl")[:rows]),
        validation_file=upload(client, rows_of("heldout.jsonl")[:12]),
        suffix=suffix,
        seed=7,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": epochs}}},
    ).id


def last_step(client: OpenAI, job_id: str) -> int:
    """Return the newest step that the job has reported; 0 before the first."""
    events = client.fine_tuning.jobs.list_events(job_id, limit=20).data
    steps = [e.data["step"] for e in events if e.type == "metrics" and isinstance(e.data, dict)]
    return max(steps, default=0)


def finished(client: OpenAI, job_id: str) -> str | None:
    """Return the model of a job that succeeded, or none while it goes on."""
    job = client.fine_tuning.jobs.retrieve(job_id)
    assert job.status not in {"failed", "cancelled"}, job.error
    return job.fine_tuned_model if job.status == "succeeded" else None


def adapter_of(http: httpx.Client, name: str) -> dict[str, Any]:
    """Return an adapter version as the API shows it."""
    found: dict[str, Any] = http.get(f"/adapters/{name}").json()
    return found


def answer(client: OpenAI, model: str, row: dict[str, Any]) -> str | None:
    """Return the answer to a row's prompt, or none while nobody answers."""
    try:
        found = client.chat.completions.create(
            model=model, messages=row["messages"][:-1], temperature=0, max_tokens=64
        )
    except (APIConnectionError, InternalServerError):
        return None
    assert found.model == model
    return found.choices[0].message.content


def kill_in_mid_stream(stack: Stack, client: OpenAI, model: str, row: dict[str, Any]) -> None:
    """Read a long stream, and kill vLLM at its fourth event."""
    with client.chat.completions.create(
        model=model,
        messages=row["messages"][:-1],
        max_tokens=1500,
        stream=True,
        extra_body={"ignore_eos": True},
    ) as stream:
        for index, _ in enumerate(stream):
            if index == 3:
                stack.kill("engine", signal.SIGKILL)


@pytest.fixture(scope="module")
def adapter(trained: Trained, http: httpx.Client) -> str:
    """Return a version that is ready."""
    until(lambda: adapter_of(http, trained.model)["status"] == "ready", seconds=60)
    return trained.model


def test_the_trainer_is_killed_while_training(
    stack: Stack, client: OpenAI, http: httpx.Client
) -> None:
    """The job goes on from its last checkpoint, finishes, and its adapter serves."""
    job_id = start_job(client, "trainer-killed")
    until(lambda: last_step(client, job_id) >= 25, seconds=240)
    stack.kill("trainer", signal.SIGKILL)
    name = until(lambda: finished(client, job_id), seconds=300)
    until(lambda: adapter_of(http, name)["status"] == "ready", seconds=60)
    assert answer(client, name, rows_of("heldout.jsonl")[0])


def test_the_service_is_killed_under_traffic(
    stack: Stack, client: OpenAI, http: httpx.Client, adapter: str, heldout: list[dict[str, Any]]
) -> None:
    """Acknowledged files, jobs, deployments and feedback are all there afterwards."""
    body = {"name": "support-kills", "stable": "tiny-base", "candidate": adapter}
    assert http.post("/deployments", json={**body, "candidate_weight": 0.5}).is_success
    job_id = start_job(client, "service-killed", rows=60, epochs=1)
    acknowledged: list[str] = []
    for index, row in enumerate(heldout[:8]):
        asked = client.chat.completions.create(
            model="support-kills", messages=row["messages"][:-1], user=f"u{index}", max_tokens=16
        )
        judgement = {"interaction_id": asked.id, "score": 1, "comment": "kept"}
        assert http.post("/feedback", json=judgement).is_success
        acknowledged.append(asked.id)
    stack.kill("service", signal.SIGKILL)
    stack.wait_ready()
    found = http.get("/deployments/support-kills").json()
    assert sum(outcome["feedback"] for outcome in found["arms"]) == len(acknowledged)
    assert found["candidate"] == adapter
    assert until(lambda: answer(client, adapter, heldout[0]), seconds=30)
    assert until(lambda: finished(client, job_id), seconds=300)


def test_the_exam_is_killed_half_way(
    stack: Stack, client: OpenAI, http: httpx.Client, adapter: str
) -> None:
    """It goes on where it was, and no answered row is asked again."""
    heldout_id = upload(client, rows_of("heldout.jsonl")[:EXAM_ROWS])
    made = http.post("/evaluations", json={"model": adapter, "heldout_file": heldout_id}).json()

    def rows() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = http.get(f"/evaluations/{made['id']}/rows").json()["data"]
        return found

    before = until(lambda: len(found := rows()) >= 20 and found, seconds=240)
    stack.kill("evals", signal.SIGKILL)

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = http.get(f"/evaluations/{made['id']}").json()
        return found if found["status"] in {"succeeded", "failed"} else None

    found = until(ended, seconds=300)
    assert found["status"] == "succeeded", found
    assert found["results"]["rows"] == EXAM_ROWS
    kept = {(row["suite"], row["arm"], row["row"]): row for row in rows()}
    assert all(kept[row["suite"], row["arm"], row["row"]] == row for row in before)


def test_vllm_is_killed_in_mid_stream(
    stack: Stack, client: OpenAI, http: httpx.Client, adapter: str, heldout: list[dict[str, Any]]
) -> None:
    """A stream breaks loudly, requests get 503, and the adapter serves again without help."""
    expected = until(lambda: answer(client, adapter, heldout[0]), seconds=60)
    with pytest.raises((APIError, httpx.HTTPError)):
        kill_in_mid_stream(stack, client, adapter, heldout[0])
    down = http.post("/chat/completions", json={"model": adapter, "messages": []})
    assert down.status_code == 503
    assert int(down.headers["retry-after"]) > 0
    parts = httpx.get(f"{stack.url}/health/ready").json()["parts"]
    assert not parts["engine"]["ok"]
    stack.wait_ready()
    assert until(lambda: answer(client, adapter, heldout[0]), seconds=120) == expected


def test_killing_a_training_child_resumes_it_once(stack: Stack, client: OpenAI) -> None:
    """The first death of the child is mended; the second fails the job with a reason."""
    job_id = start_job(client, "child-killed", epochs=10)
    until(lambda: last_step(client, job_id) >= 20, seconds=240)
    first = until(stack.training_child, seconds=30)
    stack.kill_process(first, signal.SIGKILL)
    second = until(lambda: (c := stack.training_child()) != first and c, seconds=60)
    until(lambda: last_step(client, job_id) >= 20, seconds=120)
    stack.kill_process(second, signal.SIGKILL)
    job = until(
        lambda: (j := client.fine_tuning.jobs.retrieve(job_id)).status == "failed" and j, seconds=90
    )
    assert job.error
    assert job.error.code == "training_process_died"


def test_the_admin_key_stays_the_same(stack: Stack) -> None:
    """After all the restarts there is one key, readable by its owner alone."""
    file = Path(stack.data_dir) / "admin.key"
    assert file.read_text().strip() == stack.admin_key
    assert file.stat().st_mode & 0o777 == 0o600
