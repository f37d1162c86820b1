"""Memory that really runs out: PyTorch's allocator fails in a real training child.

The limit on a process's address space does it: it needs no root and harms nobody else.
"""

import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from registry.lifecycle import JobStatus
from registry.planning.memory import MICRO_BATCH_TOKENS, Footprint
from registry.records import FineTuningJob
from tests.integration.trainer_bench import JOB, TrainerBench, row_line, trainer_bench
from trainer import footprints
from trainer.footprints import Taken
from trainer.workplace import Workplace

pytestmark = [pytest.mark.integration, pytest.mark.slow]

EXACT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
"""Every tensor beyond 64 KiB is asked of the kernel, and given back to it at once."""
WORDS = 60
ROWS = 45
"""40 to train on, two steps an epoch."""
STEPS = {"n_epochs": 12, "batch_size": 20}
TOTAL_STEPS = 24


@asynccontextmanager
async def training(folder: Path, base: Path, **changes: object) -> AsyncIterator[TrainerBench]:
    """Open a bench with a job of long rows."""
    async with trainer_bench(folder, base, variables=EXACT, **changes) as bench:
        rows = [row_line(n).replace(b" does.", b" does." * WORDS) for n in range(ROWS)]
        await bench.add_file("file-training", b"".join(rows))
        await bench.submit(JOB, STEPS)
        yield bench


def starve(process: psutil.Process, room: int = 0) -> None:
    """Let a process, and those that it starts, have no more address space than it has now."""
    most = process.memory_info().vms + room
    resource.prlimit(process.pid, resource.RLIMIT_AS, (most, most))


def taken(bench: TrainerBench) -> Footprint:
    """Return how much goes through the model at a time."""
    found = footprints.recall(Workplace(bench.settings.work_dir / JOB))
    assert found is not None
    return found.footprint


async def outcome(bench: TrainerBench) -> FineTuningJob:
    """Return the job at its end; nothing counts as a child's fault."""
    job = await bench.until_over()
    assert job.child_deaths == 0
    return job


async def test_a_job_goes_on_with_less_at_a_time(tmp_path: Path, base: Path) -> None:
    """From its last checkpoint; its events say so, and every step has as many rows as before."""
    async with training(tmp_path, base) as bench:
        bench.start()
        child = await bench.until_training()
        assert taken(bench).tokens == MICRO_BATCH_TOKENS
        starve(child)
        job = await outcome(bench)
        assert job.status is JobStatus.SUCCEEDED, job.error
        said = await bench.messages()
        assert any(f"at most {MICRO_BATCH_TOKENS // 2} tokens at a time" in text for text in said)
        assert "Training resumes from step 10." in said
        lines = (bench.settings.files_dir / job.result_files[0]).read_text().splitlines()
        assert len(lines) == 1 + TOTAL_STEPS


async def test_one_row_at_a_time_is_the_least(tmp_path: Path, base: Path) -> None:
    """A job that has no memory for that fails, says what helps, and leaves nothing."""
    async with training(tmp_path, base) as bench:
        place = Workplace(bench.settings.work_dir / JOB)
        place.root.mkdir(parents=True)
        footprints.keep(place, Taken(footprint=Footprint(tokens=256), longest=256))
        bench.start()
        starve(await bench.until_training())
        job = await outcome(bench)
        assert job.error is not None
        assert job.error.code == "out_of_memory"
        assert "Lower 'max_length'" in job.error.message
        await bench.until_tidy()
        assert not await bench.store.adapters.usable()


async def test_a_limit_that_is_too_low_for_anything_fails_the_job(
    tmp_path: Path, base: Path
) -> None:
    """The setting counts like the machine's memory; the child is killed before its first row."""
    async with training(tmp_path, base, training_memory_bytes=64 * 1024 * 1024) as bench:
        bench.start()
        job = await outcome(bench)
        assert job.error is not None
        assert job.error.code == "out_of_memory"


async def test_one_of_several_processes_runs_out_of_memory(tmp_path: Path, base: Path) -> None:
    """Its peers, which lose it in the middle of a step, fail nothing: all go on with less."""
    async with training(tmp_path, base, training_gpus=2) as bench:
        bench.start()
        torchrun = await bench.until_training()
        second = max(torchrun.children(), key=lambda child: int(child.environ()["RANK"]))
        starve(second)
        job = await outcome(bench)
        assert job.status is JobStatus.SUCCEEDED, job.error
        said = await bench.messages()
        assert any(f"at most {MICRO_BATCH_TOKENS // 2} tokens at a time" in text for text in said)
        assert "Training resumes from step 10." in said
