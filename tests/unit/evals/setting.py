"""One adapter with its files in a real store, ready to be evaluated.

It refuses to know how it was trained.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from hashlib import sha256
from typing import Any

from registry.blobs import Blobs
from registry.lifecycle import AdapterStatus, EvaluationStatus
from registry.records import AdapterVersion, DataFile, Evaluation, JobCheckpoint, Purpose
from registry.settings import Settings
from registry.store import Store
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
    evaluation = Evaluation(
        id=identifier,
        project="default",
        adapter=name,
        heldout_file=HELDOUT,
        training_file=TRAINING,
        policy=policy,
        status=EvaluationStatus.QUEUED,
        created_at=1,
        options={"suites": []} if options is None else options,
    )
    await store.evaluations.add(evaluation)
    return evaluation


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    """Wait until something outside of this task holds.

    Raises:
        TimeoutError: It did not within `seconds`.
    """
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - it changes in the store, which wakes nobody
            await asyncio.sleep(0.01)
