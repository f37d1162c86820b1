"""What the tests of the service's API share: rows, uploads, adapter versions and verdicts.

It refuses to know which claim a test makes.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx

from registry.lifecycle import AdapterStatus, EvaluationStatus
from registry.records import AdapterVersion, Evaluation, JobCheckpoint, Verdict
from registry.store import Store
from service.front import Front
from tests.records import adapter_version

Connect = Callable[..., Awaitable[httpx.AsyncClient]]
"""Opens a client with a key of its own: `connect(Scope.INFERENCE, project="other")`."""


def open_client(app: Front, key: str | None = None) -> httpx.AsyncClient:
    """Return a client of an application that runs in this process."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    # httpx and litestar describe the same protocol in different types.
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers)


def rows(count: int = 12) -> bytes:
    """Return a valid data file, no row twice."""
    return b"".join(
        json.dumps({"prompt": f"Question {number}", "completion": f"Answer {number}"}).encode()
        + b"\n"
        for number in range(count)
    )


async def upload(
    client: httpx.AsyncClient,
    content: bytes,
    *,
    purpose: str = "fine-tune",
    filename: str = "train.jsonl",
) -> httpx.Response:
    """Upload a file."""
    return await client.post(
        "/v1/files", data={"purpose": purpose}, files={"file": (filename, content)}
    )


async def uploaded(client: httpx.AsyncClient, *, purpose: str = "fine-tune") -> str:
    """Upload a valid file and return its id."""
    answer = await upload(client, rows(), purpose=purpose)
    return str(answer.json()["id"])


async def new_job(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    """Create a job on a new file and return its object."""
    body = {"model": "tiny-base", "training_file": await uploaded(client), **changes}
    answer = await client.post("/v1/fine_tuning/jobs", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def add_version(
    store: Store,
    *,
    project: str = "default",
    status: AdapterStatus = AdapterStatus.READY,
    job_id: str | None = None,
    heldout_file: str | None = None,
) -> AdapterVersion:
    """Record an adapter version, as a trainer and the reconcile loop would."""
    short = uuid4().hex[:8]
    version = adapter_version(
        f"ft:tiny-base:{project}:triage:{short}",
        project=project,
        job_id=job_id or f"ftjob-{short}",
        step=1,
        directory=short,
        manifest_sha256="a" * 64,
        heldout_file=heldout_file,
        status=AdapterStatus.PUBLISHED,
        created_at=1_700_000_000,
    )
    checkpoint = JobCheckpoint(
        id=f"ftckpt-{short}",
        job_id=job_id or f"ftjob-{short}",
        step=1,
        fine_tuned_model_checkpoint=version.name,
        metrics={"train_loss": 0.5},
        created_at=1_700_000_000,
    )
    await store.jobs.add_checkpoint(checkpoint, version)
    if status is AdapterStatus.PUBLISHED:
        return version
    return await store.adapters.move(version.name, status)


async def judge(
    store: Store,
    version: AdapterVersion,
    verdict: Verdict,
    *,
    manifest_sha256: str = "a" * 64,
    options: dict[str, Any] | None = None,
) -> Evaluation:
    """Record a finished evaluation of a version, as the evals process would."""
    evaluation = await _begin(store, version, options or {})
    return await store.evaluations.move(
        evaluation.id,
        EvaluationStatus.SUCCEEDED,
        verdict=verdict,
        results={"hashes": {"adapter": manifest_sha256}},
    )


async def refuse(store: Store, version: AdapterVersion) -> Evaluation:
    """Record an evaluation that ended without a verdict, as the evals process would."""
    evaluation = await _begin(store, version, {})
    return await store.evaluations.move(
        evaluation.id,
        EvaluationStatus.FAILED,
        error="A verdict is refused.",
        results={
            "hashes": {"adapter": "a" * 64},
            "verdict": {"verdict": None, "refusal": "too_many_unscored"},
        },
    )


async def _begin(store: Store, version: AdapterVersion, options: dict[str, Any]) -> Evaluation:
    evaluation = Evaluation(
        id=f"eval-{uuid4().hex[:24]}",
        project=version.project,
        adapter=version.name,
        heldout_file="file-heldout",
        training_file=None,
        policy={},
        status=EvaluationStatus.QUEUED,
        created_at=1_700_000_000,
        options=options,
    )
    await store.evaluations.add(evaluation)
    return await store.evaluations.move(evaluation.id, EvaluationStatus.RUNNING)
