"""Adapter versions without training: published on disk and recorded, as a trainer would.

It refuses to know what they do; the mock upstream gives every adapter the same effect.
"""

import asyncio
import shutil
import time
from pathlib import Path

from registry.artifacts import Manifest, ProbeRow, publish
from registry.identifiers import new_id
from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion, JobCheckpoint
from registry.settings import Settings
from registry.store import Store, open_store
from tests.benchmarks.serving.upstream import BASE

PROJECT = "default"
_PROBE = ProbeRow(
    token_ids=[5, 6, 7, 8],
    target_start=2,
    base_logprobs=[-1.0, -1.0],
    adapter_logprobs=[-0.5, -0.5],
)
"""What the mock upstream answers."""


def names(count: int) -> list[str]:
    """Return the names of the first `count` adapter versions."""
    return [f"ft:{BASE}:{PROJECT}:bench:{number:08x}" for number in range(1, count + 1)]


def record(settings: Settings, *, served: int, known: int) -> None:
    """Record `known` adapter versions, of which the first `served` are to be loaded.

    The others are checkpoints of a job, which are loaded only when a request asks for one.
    """
    asyncio.run(_record(settings, served, known))


async def _record(settings: Settings, served: int, known: int) -> None:
    store = await open_store(settings)
    try:
        for number, name in enumerate(names(known)):
            await _add(store, settings, name, step=None if number < served else 1)
    finally:
        await store.close()


async def _add(store: Store, settings: Settings, name: str, *, step: int | None) -> None:
    directory = name.replace(":", "-")
    sha256 = "0" * 64 if step else _publish(settings, name, directory)
    version = AdapterVersion(
        name=name,
        project=PROJECT,
        base_model=BASE,
        job_id=None,
        step=step,
        directory=directory,
        manifest_sha256=sha256,
        rank=8,
        heldout_file=None,
        training_file=None,
        status=AdapterStatus.PUBLISHED,
        created_at=int(time.time()),
    )
    checkpoint = JobCheckpoint(
        id=new_id("ftckpt"),
        job_id=new_id("ftjob"),
        step=step or 1,
        fine_tuned_model_checkpoint=name,
        metrics={},
        created_at=version.created_at,
    )
    await store.jobs.add_checkpoint(checkpoint, version)


def _publish(settings: Settings, name: str, directory: str) -> str:
    staged: Path = settings.work_dir / directory
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    (staged / "adapter_config.json").write_text("{}")
    (staged / "adapter_model.safetensors").write_bytes(name.encode())
    manifest = Manifest(
        name=name,
        job_id=None,
        base_model=BASE,
        base_sha256="0" * 64,
        training_sha256="0" * 64,
        validation_sha256=None,
        hyperparameters={},
        seed=1,
        step=1,
        libraries={},
        probe=[_PROBE],
        metrics={},
        created_at=1,
    )
    return publish(staged, settings.adapters_dir / directory, manifest).manifest_sha256
