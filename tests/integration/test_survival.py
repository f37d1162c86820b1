"""Jobs of other kinds than plain LoRA, all at once, through all that may befall a trainer.

On a real PostgreSQL: a trainer killed with -9 and replaced, a pause, a database that is away until
the training has ended. What comes out is compared with an undisturbed run of the same plan.
"""

import asyncio
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from pydantic import SecretStr

from registry.artifacts import sha256_of
from registry.lifecycle import JobStatus
from registry.records import FineTuningJob
from tests.integration.trainer_bench import (
    SHORT,
    TrainerBench,
    row_line,
    trainer_bench,
)
from tests.postgres import PostgresServer, own_server
from trainer.finetune import train
from trainer.protocol import decode_plan
from trainer.stopping import Stopping
from trainer.workplace import Workplace

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROWS = 44
"""39 to train on and 5 held out."""
STEPS: dict[str, Any] = {"n_epochs": 12, "batch_size": 4}
"""120 steps."""
JOBS = {
    kind: f"ftjob-{index}" + "0" * 23 for index, kind in enumerate(("dpo", "continued", "qlora"), 1)
}
"""A job of each kind: pairs; packed rows upon an earlier version; a quantised base model."""
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class Survivor:
    """What became of a job, and of the same plan undisturbed."""

    job: FineTuningJob
    """The job at its end."""
    said: list[str]
    """Its events."""
    sha256: str
    """Hash of the published weights."""
    undisturbed_sha256: str
    """Hash of the undisturbed run's."""


def pair_line(number: int) -> bytes:
    """Return a line of two answers to the same."""
    row = json.loads(row_line(number))["messages"]
    worse = [{"role": "assistant", "content": "No idea."}]
    pair = {"input": {"messages": row[:1]}, "preferred_output": row[1:]}
    return json.dumps(pair | {"non_preferred_output": worse}).encode() + b"\n"


async def submit_all(bench: TrainerBench, parent: str) -> None:
    """Create the jobs."""
    await bench.add_file("file-pairs", b"".join(map(pair_line, range(ROWS))))
    dpo: dict[str, Any] = {"method": {"type": "dpo"}, "training_file": "file-pairs"}
    await bench.submit(JOBS["dpo"], STEPS, **dpo)
    await bench.submit(JOBS["continued"], STEPS, model=parent, training={"packing": True})
    await bench.submit(JOBS["qlora"], STEPS, training={"technique": "qlora"})


def step_of(bench: TrainerBench, job_id: str) -> int:
    """Return the step of a job's newest sealed checkpoint; 0 before the first."""
    sealed = (bench.settings.work_dir / job_id / "checkpoints").glob("checkpoint-*/sealed.json")
    return max((int(path.parent.name.rpartition("-")[2]) for path in sealed), default=0)


async def freeze_all(bench: TrainerBench, beyond: dict[str, int]) -> dict[str, psutil.Process]:
    """Stop each job's child once it has sealed a checkpoint beyond a step; return the children."""
    frozen: dict[str, psutil.Process] = {}

    def done() -> bool:
        for job_id in JOBS.values():
            child = bench.child_of(job_id)
            if child is None or job_id in frozen or step_of(bench, job_id) <= beyond[job_id]:
                continue
            child.suspend()
            frozen[job_id] = child
        return len(frozen) == len(JOBS)

    await bench.until(done, "every job in mid-training")
    return frozen


def steps(bench: TrainerBench) -> dict[str, int]:
    """Return each job's step."""
    return {job_id: step_of(bench, job_id) for job_id in JOBS.values()}


async def gone(bench: TrainerBench, children: Iterable[psutil.Process], seconds: float) -> None:
    """Wait until processes have ended."""
    known = list(children)
    await bench.until(lambda: not any(c.is_running() for c in known), "their end", seconds)


async def take_over(bench: TrainerBench) -> None:
    """Kill the trainer with -9 in the middle of every job; another one must go on."""
    children = await freeze_all(bench, dict.fromkeys(JOBS.values(), 0))
    for job_id in JOBS.values():
        place = bench.settings.work_dir / job_id
        shutil.copytree(place, place.parent.parent / "copies" / job_id, ignore=_only_the_plan)
    bench.start_spare()
    await bench.until(lambda: bench.log().count("is ready") == 2, "two trainers")
    bench.kill()
    await gone(bench, children.values(), 10)
    await bench.until(lambda: "goes on elsewhere" in bench.log(), "the take-over", 60)


async def pause(bench: TrainerBench) -> None:
    """Pause every job in the middle, and resume it."""
    children = await freeze_all(bench, steps(bench))
    for job_id, child in children.items():
        await bench.store.jobs.move(job_id, JobStatus.PAUSED)
        child.resume()
    await gone(bench, children.values(), 30)
    for job_id in JOBS.values():
        assert (await bench.job(job_id)).status is JobStatus.PAUSED
        await bench.store.jobs.move(job_id, JobStatus.QUEUED)


async def lose_the_database(bench: TrainerBench, server: PostgresServer) -> None:
    """Stop the database in the middle of every job until the training has ended."""
    children = await freeze_all(bench, steps(bench))
    await asyncio.to_thread(server.stop)
    for child in children.values():
        child.resume()
    outcomes = [bench.settings.work_dir / job_id / "outcome.json" for job_id in JOBS.values()]
    await bench.until(lambda: all(path.exists() for path in outcomes), "the training's end")
    await asyncio.to_thread(server.start)


def undisturbed_sha256(copy: Path) -> str:
    """Train a copy of a job's plan in one go, and return the hash of what would be published."""
    place = Workplace(copy)
    result = train(decode_plan(place.plan.read_bytes()), place, lambda _: None, Stopping())
    assert result is not None
    return sha256_of(place.root / result.versions[-1].folder / WEIGHTS)


async def disturb(folder: Path, base: Path) -> dict[str, Survivor]:
    """Take every job through everything."""
    with own_server() as server:
        url = SecretStr(server.url)
        concurrency = len(JOBS)
        async with trainer_bench(
            folder / "data", base, database_url=url, trainer_concurrency=concurrency
        ) as bench:
            await bench.add_job(ROWS, {**SHORT, "n_epochs": 1})
            bench.start()
            parent = await bench.until_over()
            assert parent.fine_tuned_model is not None, parent.error
            await submit_all(bench, parent.fine_tuned_model)
            await take_over(bench)
            await pause(bench)
            await lose_the_database(bench, server)
            return {kind: await survivor(bench, job_id) for kind, job_id in JOBS.items()}


async def survivor(bench: TrainerBench, job_id: str) -> Survivor:
    """Wait for a job's end, and train its plan undisturbed."""
    job = await bench.until_over(job_id=job_id)
    assert job.status is JobStatus.SUCCEEDED, f"{job.error}\n{bench.log()}"
    return Survivor(
        job=job,
        said=await bench.messages(job_id),
        sha256=bench.weights_sha256(job_id),
        undisturbed_sha256=undisturbed_sha256(bench.settings.data_dir / "copies" / job_id),
    )


@pytest.fixture(scope="module")
def survivors(tmp_path_factory: pytest.TempPathFactory, base: Path) -> dict[str, Survivor]:
    """Return what became of each job."""
    torch.set_num_threads(1)
    return asyncio.run(disturb(tmp_path_factory.mktemp("survival"), base))


@pytest.mark.parametrize("kind", JOBS)
def test_what_survives_is_what_nothing_befell(survivors: dict[str, Survivor], kind: str) -> None:
    """The weights are an undisturbed run's bit by bit, and nothing counts as a child's fault."""
    found = survivors[kind]
    assert found.job.child_deaths == 0
    assert sum("resumes from step" in text for text in found.said) == 2
    assert found.sha256 == found.undisturbed_sha256


def _only_the_plan(folder: str, names: list[str]) -> list[str]:
    kept = {"plan.json", "training.jsonl", "validation.jsonl", "parent"}
    return [] if Path(folder).name == "parent" else [name for name in names if name not in kept]
