"""The whole loop against the real stack, driven by the unmodified `openai` client and httpx.

The tests of this file run in order and build on one another, as a user's day does.
"""

from typing import Any

import httpx
import pytest
from openai import APIStatusError, ConflictError, NotFoundError, OpenAI

from tests.integration.examples import rows_of, upload
from tests.integration.stack import Stack
from tests.integration.training import Trained
from tests.integration.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.slow]
DEPLOYMENT = "support-loop"


def ask(client: OpenAI, model: str, row: dict[str, Any], **extra: Any) -> str:
    """Return the answer to a row's prompt."""
    answer = client.chat.completions.create(
        model=model, messages=row["messages"][:-1], temperature=0, max_tokens=96, **extra
    )
    return answer.choices[0].message.content or ""


def test_a_job_reports_its_progress(client: OpenAI, trained: Trained) -> None:
    """Messages and metrics are there, newest first, and page completely."""
    events = list(client.fine_tuning.jobs.list_events(trained.job.id, limit=5))
    metrics = [event for event in events if event.type == "metrics"]
    assert metrics
    assert all(isinstance(event.data, dict) and "step" in event.data for event in metrics)
    assert [e.created_at for e in events] == sorted((e.created_at for e in events), reverse=True)
    assert len({event.id for event in events}) == len(events)


def test_a_job_has_openais_shape(client: OpenAI, trained: Trained) -> None:
    """Fields a client reads are filled: tokens, hyperparameters, result file, metadata."""
    job = trained.job
    assert job.trained_tokens
    assert job.hyperparameters.n_epochs not in {None, "auto"}
    assert job.metadata == {"team": "support"}
    content = client.files.content(job.result_files[0]).text
    assert content.startswith("step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy")
    assert len(client.fine_tuning.jobs.checkpoints.list(job.id).data) <= 3


def test_the_adapter_is_loaded_and_probed(trained: Trained) -> None:
    """It becomes ready in the vLLM that was running before."""
    assert trained.adapter["status"] == "ready", trained.adapter
    assert trained.adapter["loaded"]
    before, after = trained.engine_pids
    assert before == after is not None


def test_the_adapter_answers_and_the_base_does_not(client: OpenAI, trained: Trained) -> None:
    """On held-out rows the adapter's answers match, the base model's do not."""
    rows = trained.heldout[:20]
    right = {
        model: sum(ask(client, model, row) == row["messages"][-1]["content"] for row in rows)
        for model in ("tiny-base", trained.model)
    }
    assert right["tiny-base"] <= 2
    assert right[trained.model] >= 16


def test_a_stream_says_the_same(client: OpenAI, trained: Trained) -> None:
    """Streamed and plain answers are equal, and the stream ends properly."""
    row = trained.heldout[0]
    with client.chat.completions.create(
        model=trained.model,
        messages=row["messages"][:-1],
        temperature=0,
        max_tokens=96,
        stream=True,
    ) as stream:
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == ask(client, trained.model, row)
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert all(chunk.usage is None for chunk in chunks)


def test_completions_answer_too(client: OpenAI, trained: Trained) -> None:
    """The older endpoint is served, plain and with usage in the stream when asked."""
    plain = client.completions.create(model=trained.model, prompt="Hello", max_tokens=5)
    assert plain.usage
    assert plain.usage.completion_tokens <= 5
    with client.completions.create(
        model="tiny-base",
        prompt="Hello",
        max_tokens=5,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        assert [chunk.usage for chunk in stream if chunk.usage]


def test_the_evaluation_says_go(http: httpx.Client, trained: Trained) -> None:
    """Base at most 10 %, adapter at least 90 %, the paired difference's interval above 0.7."""

    def ended() -> dict[str, Any] | None:
        data = http.get("/evaluations", params={"model": trained.model}).json()["data"]
        first = data[-1] if data else {"status": "absent"}  # others may have been asked since
        return first if first["status"] in {"succeeded", "failed"} else None

    found = until(ended, seconds=500)
    assert found["status"] == "succeeded", found
    arms = found["results"]["arms"]
    assert set(arms) == {"base", "few_shot", "adapter"}
    assert arms["base"]["metrics"]["exact_match"]["mean"] <= 0.1
    assert arms["adapter"]["metrics"]["exact_match"]["mean"] >= 0.9
    assert arms["adapter"]["metrics"]["loss"]["mean"] < arms["base"]["metrics"]["loss"]["mean"]
    against = {(d["metric"], d["baseline"]): d for d in found["results"]["differences"]}
    assert against["exact_match", "base"]["low"] > 0.7
    assert found["verdict"] == "go"


def test_a_split_is_sticky_and_judged(http: httpx.Client, client: OpenAI, trained: Trained) -> None:
    """Each unit meets one arm, both arms are met, and feedback is counted by arm."""
    body = {
        "name": DEPLOYMENT,
        "stable": "tiny-base",
        "candidate": trained.model,
        "candidate_weight": 0.5,
    }
    assert http.post("/deployments", json=body).status_code in {200, 201}
    met: dict[str, set[str]] = {}
    for index in range(32):
        row = trained.heldout[index % 8]
        raw = client.chat.completions.with_raw_response.create(
            model=DEPLOYMENT,
            messages=row["messages"][:-1],
            user=f"unit-{index % 16}",
            temperature=0,
            max_tokens=64,
        )
        answer = raw.parse()
        met.setdefault(f"unit-{index % 16}", set()).add(raw.headers["x-graftline-arm"])
        right = answer.choices[0].message.content == row["messages"][-1]["content"]
        judgement = {"interaction_id": answer.id, "score": float(right)}
        assert http.post("/feedback", json=judgement).status_code in {200, 201}
    assert all(len(arms) == 1 for arms in met.values())
    outcomes = {o["arm"]: o for o in http.get(f"/deployments/{DEPLOYMENT}").json()["arms"]}
    assert sum(outcome["interactions"] for outcome in outcomes.values()) == 32
    assert sum(outcome["feedback"] for outcome in outcomes.values()) == 32
    assert outcomes["candidate"]["mean_score"] > outcomes["stable"]["mean_score"]


def test_promotion_and_rollback_move_the_pointer(
    http: httpx.Client, client: OpenAI, trained: Trained
) -> None:
    """After promotion everyone meets the adapter; after rollback nobody does."""

    def answering_model() -> str:
        raw = client.chat.completions.with_raw_response.create(
            model=DEPLOYMENT, messages=trained.heldout[0]["messages"][:-1], max_tokens=4
        )
        return str(raw.headers["x-graftline-model"])

    assert http.post(f"/deployments/{DEPLOYMENT}/promote", json={}).is_success
    assert {answering_model() for _ in range(5)} == {trained.model}
    assert http.post(f"/deployments/{DEPLOYMENT}/rollback", json={}).is_success
    assert {answering_model() for _ in range(5)} == {"tiny-base"}
    actions = [c["action"] for c in http.get(f"/deployments/{DEPLOYMENT}").json()["history"]]
    assert actions[:2] == ["rollback", "promote"]


def test_what_does_not_exist_is_404(client: OpenAI) -> None:
    """Unknown models, jobs and files are 404 in OpenAI's shape."""
    with pytest.raises(NotFoundError) as caught:
        client.chat.completions.create(model="ft:none", messages=[{"role": "user", "content": "a"}])
    assert caught.value.code == "model_not_found"
    with pytest.raises(NotFoundError):
        client.fine_tuning.jobs.retrieve("ftjob-none")
    with pytest.raises(NotFoundError):
        client.files.retrieve("file-none")


def test_a_finished_job_cannot_be_cancelled(client: OpenAI, trained: Trained) -> None:
    """Cancelling it is a conflict with a reason."""
    with pytest.raises(ConflictError, match="succeeded"):
        client.fine_tuning.jobs.cancel(trained.job.id)


def test_nine_rows_fail_the_job(client: OpenAI) -> None:
    """Too few rows fail the job with OpenAI's code and a number."""
    nine = upload(client, rows_of("train.jsonl")[:9])
    job = client.fine_tuning.jobs.create(model="tiny-base", training_file=nine)
    failed = until(
        lambda: (j := client.fine_tuning.jobs.retrieve(job.id)).status == "failed" and j, seconds=60
    )
    assert failed.error
    assert failed.error.code == "invalid_training_file"
    assert "10" in failed.error.message


def test_a_key_opens_what_its_scopes_say(stack: Stack, http: httpx.Client) -> None:
    """An inference key answers chat, but may not train; no key opens nothing."""
    made = http.post("/api_keys", json={"name": "app", "scopes": ["inference"]}).json()
    with OpenAI(base_url=f"{stack.url}/v1", api_key=made["secret"], max_retries=0) as limited:
        row = rows_of("heldout.jsonl")[0]
        assert ask(limited, "tiny-base", row) is not None
        with pytest.raises(APIStatusError) as caught:
            limited.fine_tuning.jobs.list()
        assert caught.value.status_code == 403
    assert httpx.get(f"{stack.url}/v1/models").status_code == 401
