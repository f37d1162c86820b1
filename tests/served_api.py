"""The whole service in a thread of its own, with one of everything, for tests that block.

It refuses to know what is asked of it.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from registry.lifecycle import JobStatus
from registry.records import JobEvent, Verdict
from registry.reports import ReportFormat, report_path
from tests.adapter_folders import write
from tests.records import fine_tuning_job
from tests.service_api import judge, rows
from tests.serving import BASE, Serving, serving

QUEUED_JOB = "ftjob-queued"
"""A job that waits for a trainer."""
START_SECONDS = 60.0
"""Longest time until the service answers."""
VERSIONS = [f"ft:tiny-base:default:test:{number:08}" for number in range(3)]
"""The adapter versions that are served."""
_TALK = [{"role": "user", "content": "hi"}]
_ROWS = 10


@dataclass(frozen=True, kw_only=True)
class Made:
    """One answer to a request that made something."""

    path: str
    """Path of the operation, as it is described."""
    answer: httpx.Response
    """The answer to its POST."""


@dataclass(frozen=True, kw_only=True)
class ServedApi:
    """A running service and what lies in it."""

    url: str
    """Its address."""
    admin_key: str
    """A key that opens everything."""
    inference_key: str
    """A key with the scope `inference` alone."""
    known: dict[str, list[str]]
    """Names that exist, by what they name."""
    made: list[Made]
    """How it was furnished."""


@contextmanager
def served_api(folder: Path, **changes: Any) -> Iterator[ServedApi]:
    """Run the service over a fake vLLM for the length of a block, in another thread."""
    ready, stop = threading.Event(), threading.Event()
    found: list[Serving] = []
    failed: list[BaseException] = []

    async def hold() -> None:
        async with serving(folder, **changes) as served:
            for name in VERSIONS:
                version = await served.serve(name)
                seen = version.manifest_sha256
                await judge(served.services.store, version, Verdict.GO, manifest_sha256=seen)
            await _wait_in_queue(served)
            found.append(served)
            ready.set()
            await asyncio.to_thread(stop.wait)

    def run() -> None:
        try:
            asyncio.run(hold())
        except BaseException as exc:  # noqa: BLE001 - told to the test's own thread
            failed.append(exc)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="served api")
    thread.start()
    try:
        assert ready.wait(START_SECONDS), "the service did not start"
        assert not failed, failed
        yield _furnished(found[0], folder)
    finally:
        stop.set()
        thread.join(START_SECONDS)
    assert not failed, failed


async def _wait_in_queue(served: Serving) -> None:
    """Record a job as a trainer does that found its files in order."""
    event = JobEvent(
        id="ftevent-queued", job_id=QUEUED_JOB, created_at=1, level="info", message="Created."
    )
    job = fine_tuning_job(QUEUED_JOB, status=JobStatus.QUEUED)
    await served.services.store.jobs.add(job, event)


class _Maker:
    """Makes things over the API, and keeps the answers."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.answers: list[Made] = []

    def __call__(self, path: str, **body: Any) -> str:
        """Make something of a JSON body, and return its id; a path takes its name from the body."""
        target = path.format(name=body.pop("name")) if "{name}" in path else path
        return self._kept(path, self._client.post(target, json=body))

    def upload(self, path: str, files: dict[str, bytes], **fields: str) -> str:
        """Make something of files, and return its id."""
        parts = {name: (f"{name}.jsonl", content) for name, content in files.items()}
        return self._kept(path, self._client.post(path, data=fields, files=parts))

    def _kept(self, path: str, answer: httpx.Response) -> str:
        assert answer.status_code == 200, answer.text
        answer.request.read()  # a form was streamed; what is checked later wants it whole
        self.answers.append(Made(path=path, answer=answer))
        return str(answer.json().get("secret") or answer.json()["id"])


def _furnished(served: Serving, folder: Path) -> ServedApi:
    url = f"http://127.0.0.1:{served.port}"
    admin = served.settings.admin_key_file.read_text().strip()
    headers = {"Authorization": f"Bearer {admin}"}
    with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
        client.put("/v1/project", json={"text_share": 1.0}).raise_for_status()
        make = _Maker(client)
        files = [make.upload("/v1/files", {"file": rows()}, purpose="fine-tune") for _ in range(2)]
        for name in ("support", "spare"):
            make("/v1/deployments", name=name, stable=BASE, candidate=VERSIONS[0])
        answers = [
            make(
                "/v1/chat/completions", model="support", messages=[{**_TALK[0], "content": str(n)}]
            )
            for n in range(_ROWS)
        ]
        for answer in answers:
            make("/v1/feedback", interaction_id=answer, score=1)
        make("/v1/files/from-feedback", purpose="supervised")
        job = make("/v1/fine_tuning/jobs", model=BASE, training_file=files[0])
        exam = make("/v1/evaluations", model=VERSIONS[0], heldout_file=files[0])
        reports = served.settings.exam_reports_dir
        reports.mkdir(parents=True)
        for kind in ReportFormat:
            report_path(reports, exam, kind).write_text("{}")
        user = make("/v1/api_keys", name="user", scopes=["inference"])
        make("/v1/api_keys", name="spare", scopes=["inference"])
        spare = make.answers[-1].answer.json()["id"]
        imported = write(folder / "import")
        parts = {
            "adapter_config": (imported / "adapter_config.json").read_bytes(),
            "adapter_model": (imported / "adapter_model.safetensors").read_bytes(),
        }
        make.upload("/v1/adapters", parts, suffix="mine")
        make("/v1/adapters/{name}", name=f"{VERSIONS[1]}/pin")
        around = _furnished_around(make, f"{url}/health/live")
    known = {
        "models": [BASE, "support", *VERSIONS],
        "versions": VERSIONS,
        "files": files,
        "jobs": [job, QUEUED_JOB],
        "evaluations": [exam],
        "deployments": ["support", "spare"],
        "interactions": answers,
        "keys": [spare],
        "rows": [rows().decode()],
        **around,
    }
    return ServedApi(url=url, admin_key=admin, inference_key=user, known=known, made=make.answers)


def _furnished_around(make: _Maker, hook: str) -> dict[str, list[str]]:
    """Make uploads in parts and webhooks that lead to `hook`, and return their names."""
    upload = make(
        "/v1/uploads",
        bytes=len(rows()),
        filename="train.jsonl",
        mime_type="text/jsonl",
        purpose="fine-tune",
    )
    hooks = [
        make(
            "/v1/webhook_endpoints",
            name="ours",
            url=hook,
            event_types=["fine_tuning.job.cancelled"],
        )
        for _ in range(2)
    ]
    return {
        "uploads": [upload],
        "webhooks": hooks,
        "hooks": [hook],
        "permissions": [f"{name}/permissions" for name in VERSIONS],
    }
