"""A real trainer process on a store and a folder of its own.

It refuses to know what a test does to it.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import psutil

from registry.artifacts import sha256_of
from registry.blobs import Blobs
from registry.lifecycle import JOB_MOVES, is_final
from registry.records import DataFile, FineTuningJob, JobEvent, Purpose
from registry.settings import Settings, child_environment
from registry.store import Store, open_store
from tests.processes import free_ports
from tests.records import fine_tuning_job

JOB = "ftjob-" + "ab" * 12
"""Every test's job has this id, so that its bytes can be compared."""
LONG: dict[str, Any] = {"n_epochs": 12, "batch_size": 4, "lora_rank": 32}
"""120 steps: long enough to be interrupted."""
SHORT: dict[str, Any] = {"n_epochs": 4, "batch_size": 8}
"""20 steps."""
CHECKPOINT_STEPS = 10


class TrainerBench:
    """A trainer that a test starts, kills and asks."""

    def __init__(
        self, settings: Settings, store: Store, variables: Mapping[str, str] | None = None
    ) -> None:
        self.settings = settings
        self.store = store
        self._variables = variables or {}
        self.process: subprocess.Popen[bytes] | None = None
        self.spare: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the trainer."""
        self.process = self._started(self.settings)

    def start_spare(self) -> None:
        """Start a second trainer on the same data."""
        self.spare = self._started(
            self.settings.model_copy(update={"trainer_port": free_ports(1)[0]})
        )

    def _started(self, settings: Settings) -> subprocess.Popen[bytes]:
        with (self.settings.data_dir / "trainer.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "trainer"],
                # A model this small gains nothing from threads, and loses much beside other work.
                env=child_environment(settings, {"OMP_NUM_THREADS": "1", **self._variables}),
                stderr=log,
                stdout=log,
            )

    def kill(self) -> None:
        """Kill the trainer with -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask the trainer to stop, and return its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=self.settings.shutdown_seconds)

    def child(self) -> psutil.Process | None:
        """Return the training child, while there is one; its trainer is `process` from then on."""
        assert self.process is not None
        if self.spare is not None and psutil.Process(self.spare.pid).children():
            self.process, self.spare = self.spare, self.process
        found = psutil.Process(self.process.pid).children()
        return found[0] if found else None

    def child_of(self, job_id: str) -> psutil.Process | None:
        """Return the training child of one of several jobs, whichever trainer started it."""
        folder = str(self.settings.work_dir / job_id)
        for trainer in (self.process, self.spare):
            if trainer is not None and trainer.poll() is None:
                for child in psutil.Process(trainer.pid).children():
                    with suppress(psutil.Error):
                        if folder in child.cmdline():
                            return child
        return None

    async def add_job(self, rows: int, hyperparameters: dict[str, Any], **changes: Any) -> None:
        """Upload rows and create a job, as the service does."""
        await self.add_file("file-training", b"".join(row_line(number) for number in range(rows)))
        await self.submit(JOB, hyperparameters, **changes)

    async def add_file(self, file_id: str, content: bytes) -> None:
        """Upload rows."""
        Blobs(self.settings.files_dir).write(file_id, content)
        await self.store.files.add(
            DataFile(
                id=file_id,
                project="default",
                filename="train.jsonl",
                purpose=Purpose.FINE_TUNE,
                bytes=len(content),
                sha256=sha256(content).hexdigest(),
                rows=content.count(b"\n"),
                created_at=1,
            )
        )

    async def submit(self, job_id: str, hyperparameters: dict[str, Any], **changes: Any) -> None:
        """Create a job."""
        job = new_job(self.settings, hyperparameters)
        job = msgspec.structs.replace(job, id=job_id, **changes)
        event = JobEvent(
            id=f"ftevent-{job_id}", job_id=job_id, created_at=1, level="info", message="Created."
        )
        await self.store.jobs.add(job, event)

    async def until(self, holds: Callable[[], Any], what: str, seconds: float = 120.0) -> None:
        """Wait for a condition; fail with the trainer's log if it does not come true."""
        end = asyncio.get_running_loop().time() + seconds
        while not holds():
            if asyncio.get_running_loop().time() > end:
                raise AssertionError(f"not within {seconds:g} s: {what}\n{self.log()[-3000:]}")
            await asyncio.sleep(0.05)

    def log(self) -> str:
        """Return what the trainers said."""
        return (self.settings.data_dir / "trainer.log").read_text()

    async def job(self, job_id: str = JOB) -> FineTuningJob:
        """Return the job."""
        return await self.store.jobs.get(job_id)

    async def until_over(self, seconds: float = 240.0, *, job_id: str = JOB) -> FineTuningJob:
        """Wait until the job is in a final state, and return it."""
        async with asyncio.timeout(seconds):
            while True:
                job = await self.job(job_id)
                if is_final(JOB_MOVES, job.status):
                    return job
                await asyncio.sleep(0.1)

    async def until_training(self) -> psutil.Process:
        """Wait until the first checkpoint is sealed, and return the training child."""
        checkpoints = self.settings.work_dir / JOB / "checkpoints"
        await self.until(
            lambda: list(checkpoints.glob("checkpoint-*/sealed.json")), "a sealed checkpoint"
        )
        child = self.child()
        assert child is not None
        return child

    async def until_tidy(self) -> None:
        """Wait until the job's folder is gone, which is the last thing a job does."""
        await self.until(lambda: not (self.settings.work_dir / JOB).exists(), "no folder", 20)

    async def messages(self, job_id: str = JOB) -> list[str]:
        """Return the job's events, oldest first."""
        page = await self.store.jobs.events(job_id, after=None, limit=100)
        return [event.message for event in reversed(page.data)]

    def weights_sha256(self, job_id: str = JOB) -> str:
        """Return the hash of the published weights."""
        return sha256_of(self.settings.adapters_dir / job_id / "adapter_model.safetensors")


@asynccontextmanager
async def trainer_bench(
    folder: Path, base: Path, *, variables: Mapping[str, str] | None = None, **changes: Any
) -> AsyncIterator[TrainerBench]:
    """Open a bench, and leave no process behind.

    Args:
        folder: Its data directory.
        base: The base model.
        variables: The trainers' environment beside ours.
        changes: Settings.
    """
    chosen: dict[str, Any] = {
        "data_dir": folder,
        "base_model": str(base),
        "trainer_port": free_ports(1)[0],
        "checkpoint_steps": CHECKPOINT_STEPS,
        "max_model_len": 256,
    }
    settings = Settings(**(chosen | changes))
    store = await open_store(settings)
    bench = TrainerBench(settings, store, variables)
    try:
        yield bench
    finally:
        for process in (bench.process, bench.spare):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        await store.close()


def row_line(number: int) -> bytes:
    """Return a line of training data."""
    row = {
        "messages": [
            {"role": "user", "content": f"What comes after {number}?"},
            {"role": "assistant", "content": f"{number + 1} does."},
        ]
    }
    return json.dumps(row).encode() + b"\n"


def new_job(settings: Settings, hyperparameters: dict[str, Any]) -> FineTuningJob:
    """Return a job that waits."""
    return fine_tuning_job(
        JOB,
        model=settings.base_name,
        training_file="file-training",
        suffix="test",
        seed=7,
        hyperparameters=hyperparameters,
    )
