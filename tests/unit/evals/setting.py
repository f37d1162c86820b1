"""One adapter with its files in a real store, ready to be evaluated.

It refuses to know how it was trained.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp

from evals.client import Client, Patience
from evals.judging import Endpoint, Judge
from evals.recall import CacheLimits
from evals.runner import Limits, Runner
from registry.blobs import Blobs
from registry.lifecycle import AdapterStatus, EvaluationStatus
from registry.records import (
    AdapterVersion,
    DataFile,
    Evaluation,
    EvaluationRow,
    JobCheckpoint,
    Purpose,
)
from registry.settings import Settings
from registry.store import Store
from tests.fakes.char_tokenizer import CharTokenizer
from tests.fakes.fake_service import KEY, FakeService, serving
from tests.fakes.judge import JUDGE_KEY
from tests.records import adapter_version

ADAPTER = "ft:tiny-base:default:triage:0123abcd"
BASE = "tiny-base"
HELDOUT = "file-heldout"
TRAINING = "file-training"


def row(number: int) -> dict[str, Any]:
    """Return the chat row of a number: the answer is a small JSON object."""
    return {
        "messages": [
            {"role": "user", "content": f"ticket {number}"},
            {"role": "assistant", "content": json.dumps({"id": number})},
        ]
    }


def right_if(*models: str) -> Any:
    """Return a speaker: these models know the answer of `row`, others say 'no'."""

    def speak(model: str, prompt: str) -> str:
        return f'{{"id":{prompt.rsplit(maxsplit=1)[-1]}}}' if model in models else "no"

    return speak


async def add_file(
    store: Store, settings: Settings, identifier: str, rows: Iterable[dict[str, Any]]
) -> DataFile:
    """Store a data file and its record."""
    content = "\n".join(json.dumps(each) for each in rows).encode()
    file = DataFile(
        id=identifier,
        project="default",
        filename="rows.jsonl",
        purpose=Purpose.FINE_TUNE,
        bytes=len(content),
        sha256=sha256(content).hexdigest(),
        rows=content.count(b"\n") + 1,
        created_at=1,
    )
    Blobs(settings.files_dir).write(identifier, content)
    await store.files.add(file)
    return file


async def add_adapter(
    store: Store, status: AdapterStatus = AdapterStatus.READY, name: str = ADAPTER
) -> AdapterVersion:
    """Store an adapter version in a state."""
    adapter = adapter_version(
        name,
        base_model=BASE,
        heldout_file=HELDOUT,
        training_file=TRAINING,
        status=AdapterStatus.PUBLISHED,
    )
    checkpoint = JobCheckpoint(
        id=f"ftckpt-{name}",
        job_id=f"ftjob-{name}",
        step=1,
        fine_tuned_model_checkpoint=name,
        metrics={},
        created_at=1,
    )
    await store.jobs.add_checkpoint(checkpoint, adapter)
    if status == AdapterStatus.PUBLISHED:
        return adapter
    first = AdapterStatus.RETIRED if status == AdapterStatus.DELETED else status
    adapter = await store.adapters.move(name, first, reason="as told")
    return adapter if status == first else await store.adapters.move(name, status)


async def add_evaluation(
    store: Store,
    identifier: str = "eval-1",
    name: str = ADAPTER,
    options: dict[str, Any] | None = None,
    **policy: Any,
) -> Evaluation:
    """Store a queued evaluation, of the held-out rows alone unless options say more."""
    evaluation = evaluation_record(
        id=identifier,
        adapter=name,
        policy=policy,
        options={"suites": []} if options is None else options,
    )
    await store.evaluations.add(evaluation)
    return evaluation


def evaluation_record(**changes: Any) -> Evaluation:
    """Return a queued evaluation."""
    values: dict[str, Any] = {
        "id": "eval-1",
        "project": "default",
        "adapter": ADAPTER,
        "heldout_file": HELDOUT,
        "training_file": TRAINING,
        "policy": {},
        "status": EvaluationStatus.QUEUED,
        "created_at": 1,
    }
    return Evaluation(**(values | changes))


def answer_row(evaluation_id: str, number: int, output: str, arm: str = "base") -> EvaluationRow:
    """Return an answer without scores."""
    return EvaluationRow(evaluation_id=evaluation_id, arm=arm, row=number, output=output, scores={})


@asynccontextmanager
async def runner(
    service: FakeService,
    store: Store,
    settings: Settings,
    *,
    suites_dir: Path | None = None,
    judge_url: str | None = None,
    cache: CacheLimits | None = None,
    now: float = 1_000_000.0,
    **limits: Any,
) -> AsyncIterator[Runner]:
    """Yield a runner that asks a fake service at a fixed time."""
    settings.evals_key_file.parent.mkdir(parents=True, exist_ok=True)
    settings.evals_key_file.write_text(KEY)
    chosen = Limits(**{"max_model_len": 500, "concurrency": 8, **limits})
    async with serving(service) as url, aiohttp.ClientSession() as session:
        patience = Patience(
            deadline_seconds=5,
            missing_seconds=0.05,
            first_pause_seconds=0.01,
            longest_pause_seconds=0.02,
        )
        client = Client(
            session,
            url=url,
            key_file=settings.evals_key_file,
            concurrency=chosen.concurrency,
            patience=patience,
        )
        blobs = Blobs(settings.files_dir)
        yield Runner(
            store,
            client,
            blobs,
            CharTokenizer(),
            limits=chosen,
            suites_dir=suites_dir,
            judge=None if judge_url is None else _judge(session, store, judge_url),
            cache=cache,
            now=lambda: now,
        )


def _judge(session: aiohttp.ClientSession, store: Store, url: str) -> Judge:
    endpoint = Endpoint(url=url, model="judge-1", key=JUDGE_KEY, pause_seconds=0.01)
    return Judge(session, store, endpoint)


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    """Wait until something outside of this task holds.

    Raises:
        TimeoutError: It did not within `seconds`.
    """
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - it changes in the store, which wakes nobody
            await asyncio.sleep(0.01)
