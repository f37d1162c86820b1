"""The steps of the loop, each as a user of the `openai` client would write it.

It refuses to know how they are shown, beyond a progress bar.
"""

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx
from openai import APIError, OpenAI
from openai.types.chat import ChatCompletionMessageParam
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from rich.console import Console

from examples.demo.facts import (
    ArmCount,
    FinishedJob,
    LossPoint,
    StreamedAnswer,
    Traffic,
    UploadedFiles,
)
from examples.demo.show import mean_score, training_progress
from examples.demo.stack import RunningStack

DEPLOYMENT = "support"
UNITS = 40
REQUESTS = 80
_POLL_SECONDS = 0.3
_PATIENCE_SECONDS = 600.0
_EVERY_ARM_SECONDS = 3600.0
T = TypeVar("T")


def upload(console: Console, client: OpenAI, training: Path, heldout: Path) -> UploadedFiles:
    """Upload both files."""
    ids, rows = [], []
    for path in (training, heldout):
        with path.open("rb") as stream:
            file = client.files.create(file=stream, purpose="fine-tune")
        ids.append(file.id)
        rows.append(len(rows_of(path)))
        console.print(f"  {path.name}: {rows[-1]} rows, {file.bytes:,} bytes → {file.id}")
    return UploadedFiles(
        training=ids[0], heldout=ids[1], training_rows=rows[0], heldout_rows=rows[1]
    )


def create_job(
    console: Console, client: OpenAI, files: UploadedFiles, *, model: str, epochs: int | None
) -> FineTuningJob:
    """Create a job on both files; it begins at once."""
    job = client.fine_tuning.jobs.create(
        model=model,
        training_file=files.training,
        validation_file=files.heldout,
        suffix="triage",
        seed=7,
        method={
            "type": "supervised",
            "supervised": {"hyperparameters": {"n_epochs": epochs or "auto"}},
        },
    )
    console.print(f"  {job.id}")
    return job


def follow_job(console: Console, client: OpenAI, job: FineTuningJob) -> FinishedJob:
    """Follow a job's events, and return what it made."""
    losses: list[LossPoint] = []
    with training_progress(console) as bar:
        for event in _events(client, job.id):
            if event.type == "metrics" and isinstance(event.data, dict):
                losses.append(_loss_point(event.data))
                bar.update(event.data)
            else:
                console.print(f"  {event.message}")
    done = client.fine_tuning.jobs.retrieve(job.id)
    if done.fine_tuned_model is None:
        raise SystemExit(f"The job {done.status}: {done.error and done.error.message}")
    return FinishedJob(
        id=job.id,
        model=done.fine_tuned_model,
        seconds=float((done.finished_at or done.created_at) - done.created_at),
        trained_tokens=done.trained_tokens or 0,
        hyperparameters=done.hyperparameters.to_dict(),
        losses=losses,
    )


def await_adapter(console: Console, client: OpenAI, name: str) -> dict[str, Any]:
    """Wait until the adapter was loaded and probed."""
    adapter = _until(
        lambda: client.get(f"/adapters/{name}", cast_to=dict[str, Any]),
        lambda found: found["status"] != "published",
    )
    console.print(f"  {name}: {adapter['status']}")
    for key, value in (adapter.get("probe") or {}).items():
        console.print(f"    {key}: {value}")
    if adapter["status"] != "ready":
        raise SystemExit(f"The adapter was rejected: {adapter.get('reason')}")
    return adapter


def check_engine_process(console: Console, stack: RunningStack, before: int) -> None:
    """Make sure that vLLM is the process it was before the adapter existed."""
    present = stack.engine_pid()
    if present != before:
        raise SystemExit(f"vLLM was restarted: process {before}, now {present}.")
    console.print(f"  vLLM is still process {present}")


def await_evaluation(console: Console, client: OpenAI, name: str) -> dict[str, Any]:
    """Wait until the held-out evaluation of the adapter has ended."""

    def latest() -> dict[str, Any]:
        page = client.get(
            "/evaluations", cast_to=dict[str, Any], options={"params": {"model": name}}
        )
        return page["data"][0] if page["data"] else {"status": "absent"}

    with console.status("  examining three arms on the held-out rows …"):
        found = _until(latest, lambda e: e["status"] in {"succeeded", "failed", "cancelled"})
    if found["status"] != "succeeded":
        raise SystemExit(f"The evaluation {found['status']}: {found.get('error')}")
    return found


def examine_with_every_arm(
    console: Console,
    client: OpenAI,
    name: str,
    files: UploadedFiles,
    *,
    instruction: str,
    deployment: str | None = None,
    models: Sequence[str] = (),
) -> dict[str, Any]:
    """Ask for one more evaluation, with every arm and suite, and wait until it has ended.

    Args:
        console: Where progress is shown.
        client: The user's.
        name: The adapter to examine.
        files: Its rows.
        instruction: What one arm tells the base model.
        deployment: Its stable version is the arm `production`.
        models: Further versions or checkpoints to examine.
    """
    body = {
        "model": name,
        "heldout_file": files.heldout,
        "training_file": files.training,
        "arms": ["few_shot", "few_shot_nearest"],
        "choose_examples": True,
        "instruction": instruction,
        "deployment": deployment,
        "models": list(models),
    }
    made = client.post("/evaluations", cast_to=dict[str, Any], body=body)
    with console.status("  examining every arm on the held-out rows …"):
        found = _until(
            lambda: client.get(f"/evaluations/{made['id']}", cast_to=dict[str, Any]),
            lambda e: e["status"] in {"succeeded", "failed", "cancelled"},
            seconds=_EVERY_ARM_SECONDS,
        )
    if found["status"] != "succeeded":
        raise SystemExit(f"The evaluation {found['status']}: {found.get('error')}")
    return found


def save_reports(client: OpenAI, evaluation: dict[str, Any], folder: Path) -> Path:
    """Save an evaluation's page, table and document; return the page."""
    for kind in ("csv", "json", "html"):
        path = folder / f"evaluation.{kind}"
        place = f"/evaluations/{evaluation['id']}/report.{kind}"
        path.write_bytes(client.get(place, cast_to=httpx.Response).content)
    return path


def split_traffic(
    console: Console, client: OpenAI, stable: str, candidate: str, heldout: Path
) -> Traffic:
    """Create a deployment with two arms, send traffic as many units, and judge the answers."""
    body = {"name": DEPLOYMENT, "stable": stable, "candidate": candidate, "candidate_weight": 0.5}
    client.post("/deployments", cast_to=dict[str, Any], body=body)
    rows = random.Random(7).choices(rows_of(heldout), k=REQUESTS)  # noqa: S311 - a sample, no secret
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(_ask_and_judge, client, row, f"user-{index % UNITS}")
            for index, row in enumerate(rows)
        ]
        arms = [job.result() for job in jobs]
    met: dict[int, set[str]] = defaultdict(set)
    for index, arm in enumerate(arms):
        if arm is not None:
            met[index % UNITS].add(arm)
    found = client.get(f"/deployments/{DEPLOYMENT}", cast_to=dict[str, Any])
    traffic = Traffic(
        requests=len(arms),
        failed=sum(arm is None for arm in arms),
        units=len(met),
        moved_units=sum(len(seen) > 1 for seen in met.values()),
        arms=[_arm_count(outcome) for outcome in found["arms"]],
    )
    for count in traffic.arms:
        console.print(
            f"  {count.arm:<10} {count.interactions} requests of {count.units} units, "
            f"mean score {mean_score(count)} (n = {count.feedback})"
        )
    console.print(f"  units that changed arms: {traffic.moved_units} of {traffic.units}")
    return traffic


def promote_and_stream(
    console: Console, client: OpenAI, heldout: Path, *, adapter: str, verdict: str
) -> StreamedAnswer:
    """Promote the candidate and print an answer as it arrives.

    Without the verdict `go` nothing is promoted: the adapter answers by its own name.
    """
    asked = DEPLOYMENT
    if verdict == "go":
        client.post(f"/deployments/{DEPLOYMENT}/promote", cast_to=dict[str, Any], body={})
    else:
        console.print(f"  Not promoted, for the verdict is {verdict}; asked by its own name:")
        asked = adapter
    row = rows_of(heldout)[0]
    prompt, expected = row["messages"][:-1], row["messages"][-1]["content"]
    console.print(f"  [dim]{prompt[-1]['content']}[/dim]\n  ", end="")
    pieces: list[str] = []
    with client.chat.completions.with_streaming_response.create(
        model=asked, messages=prompt, stream=True, temperature=0, user="user-1"
    ) as response:
        model = response.headers["x-graftline-model"]
        for chunk in response.parse():
            if chunk.choices and chunk.choices[0].delta.content:
                pieces.append(chunk.choices[0].delta.content)
                console.print(pieces[-1], end="", markup=False)
    console.print(f"\n  answered by {model} in {len(pieces)} chunks")
    return StreamedAnswer(
        prompt=prompt[-1]["content"],
        text="".join(pieces),
        expected=expected,
        chunks=len(pieces),
        model=model,
    )


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def _ask_and_judge(client: OpenAI, row: dict[str, Any], unit: str) -> str | None:
    """Ask as one unit, post feedback, and return the arm; none when the request failed."""
    prompt: list[ChatCompletionMessageParam] = row["messages"][:-1]
    try:
        raw = client.chat.completions.with_raw_response.create(
            model=DEPLOYMENT, messages=prompt, safety_identifier=unit, temperature=0, max_tokens=96
        )
    except (APIError, httpx.HTTPError):
        return None
    completion = raw.parse()
    answer = completion.choices[0].message.content or ""
    score = 1.0 if answer.strip() == row["messages"][-1]["content"].strip() else 0.0
    judgement = {"interaction_id": completion.id, "score": score}
    client.post("/feedback", cast_to=dict[str, Any], body=judgement)
    return raw.headers["x-graftline-arm"]


def _arm_count(outcome: dict[str, Any]) -> ArmCount:
    return ArmCount(**{name: outcome[name] for name in ArmCount.__dataclass_fields__})


def _events(client: OpenAI, job_id: str) -> Iterator[FineTuningJobEvent]:
    """Yield a job's events, oldest first, until the job has ended."""
    seen: set[str] = set()
    while True:
        job: FineTuningJob = client.fine_tuning.jobs.retrieve(job_id)
        page = client.fine_tuning.jobs.list_events(job_id, limit=100)
        fresh = [event for event in page.data if event.id not in seen]
        for event in reversed(fresh):
            seen.add(event.id)
            yield event
        if job.status in {"succeeded", "failed", "cancelled"}:
            return
        time.sleep(_POLL_SECONDS)


def _loss_point(data: dict[str, Any]) -> LossPoint:
    valid = data.get("full_valid_loss", data.get("valid_loss"))
    return LossPoint(step=data["step"], train=data.get("train_loss"), valid=valid)


def _until(
    read: Callable[[], T], done: Callable[[T], bool], *, seconds: float = _PATIENCE_SECONDS
) -> T:
    """Read again and again until it is done.

    Raises:
        TimeoutError: It was not, for ten minutes or as many seconds as are given.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = read()
        if done(found):
            return found
        time.sleep(_POLL_SECONDS)
    raise TimeoutError(f"waited {seconds:.0f} s in vain")
