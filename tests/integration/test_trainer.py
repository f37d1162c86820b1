"""The trainer as a process: a job from row to adapter, and everything that may interrupt it."""

import asyncio
import resource
import signal
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from registry import artifacts
from registry.lifecycle import EvaluationStatus, JobStatus
from registry.records import DataFile
from registry.settings import embedded_base
from tests.integration.trainer_bench import JOB, LONG, SHORT, TrainerBench, trainer_bench

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TEMPLATE = embedded_base() / "chat_template.jinja"
"""The chat template that the base model comes with."""
ROWS = 44
"""39 to train on and 5 held out: see `rules.MIN_HELDOUT`."""


@pytest.fixture
async def bench(tmp_path: Path, base: Path) -> AsyncIterator[TrainerBench]:
    """Open a bench with a folder of its own."""
    async with trainer_bench(tmp_path / "data", base) as opened:
        yield opened


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, base: Path) -> str:
    """Return the hash of the weights of a long job that nothing interrupts."""

    async def run() -> str:
        async with trainer_bench(tmp_path_factory.mktemp("undisturbed"), base) as bench:
            await bench.add_job(ROWS, LONG)
            bench.start()
            assert (await bench.until_over()).status is JobStatus.SUCCEEDED
            return bench.weights_sha256()

    return asyncio.run(run())


async def test_job_becomes_verified_adapter(bench: TrainerBench) -> None:
    """A job ends with adapters whose files are what their manifests say, and with an exam."""
    await bench.add_job(ROWS, SHORT)
    bench.start()
    job = await bench.until_over()
    assert job.status is JobStatus.SUCCEEDED, job.error
    await bench.until_tidy()

    versions = {version.name: version for version in await bench.store.adapters.usable()}
    final = versions[str(job.fine_tuned_model)]
    manifest = artifacts.verify(bench.settings.adapters_dir / final.directory)
    assert manifest.step == 20
    assert manifest.hyperparameters["n_epochs"] == 4
    assert manifest.template_sha256 == sha256(TEMPLATE.read_bytes()).hexdigest()
    assert all(row.base_logprobs != row.adapter_logprobs for row in manifest.probe)
    assert sum(":ckpt-step-" in name for name in versions) == 3
    page = await bench.store.jobs.checkpoints(JOB, after=None, limit=10)
    assert [checkpoint.step for checkpoint in page.data] == [20, 15, 10]

    [evaluation] = await bench.store.evaluations.unfinished()
    assert evaluation.status is EvaluationStatus.QUEUED
    heldout = await bench.store.files.get(evaluation.heldout_file)
    trained_on = await bench.store.files.get(str(evaluation.training_file))
    assert heldout.rows + trained_on.rows == ROWS
    assert not lines_of(bench, heldout) & lines_of(bench, trained_on)

    csv = (bench.settings.files_dir / job.result_files[0]).read_text().splitlines()
    assert csv[0] == "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    assert len(csv) == 21
    assert job.trained_tokens
    assert bench.stop() == 0


async def test_killed_trainer_resumes_bit_by_bit(bench: TrainerBench, undisturbed: str) -> None:
    """A trainer killed with -9 in mid-training goes on, and no bit of the result changes."""
    await bench.add_job(ROWS, LONG)
    bench.start()
    child = await bench.until_training()
    bench.kill()
    await bench.until(lambda: not child.is_running(), "the child dies with its parent", 10)
    bench.start()
    job = await bench.until_over()
    assert job.status is JobStatus.SUCCEEDED, job.error
    assert job.child_deaths == 0
    assert any("resumes from step" in text for text in await bench.messages())
    assert bench.weights_sha256() == undisturbed


async def test_stopped_trainer_resumes_bit_by_bit(bench: TrainerBench, undisturbed: str) -> None:
    """SIGTERM stops trainer and child in time, and the next trainer goes on."""
    await bench.add_job(ROWS, LONG)
    bench.start()
    child = await bench.until_training()
    assert bench.stop() == 0
    assert not child.is_running()
    assert (await bench.job()).status is JobStatus.RUNNING
    bench.start()
    job = await bench.until_over()
    assert (job.status, job.child_deaths) == (JobStatus.SUCCEEDED, 0)
    assert bench.weights_sha256() == undisturbed


async def test_paused_job_goes_on_bit_by_bit(bench: TrainerBench, undisturbed: str) -> None:
    """A paused job's child saves and ends within seconds; resumed, it ends as if undisturbed."""
    await bench.add_job(ROWS, LONG)
    bench.start()
    child = await bench.until_training()
    await bench.store.jobs.move(JOB, JobStatus.PAUSED)
    await bench.until(lambda: not child.is_running(), "the child ends", 10)
    assert (await bench.job()).status is JobStatus.PAUSED
    await bench.store.jobs.move(JOB, JobStatus.QUEUED)
    job = await bench.until_over()
    assert (job.status, job.child_deaths) == (JobStatus.SUCCEEDED, 0), job.error
    assert "Fine-tuning job resumed" in await bench.messages()
    assert bench.weights_sha256() == undisturbed


async def test_another_trainer_takes_over_bit_by_bit(bench: TrainerBench, undisturbed: str) -> None:
    """A trainer that dies and stays away is replaced within a minute by one that lives."""
    bench.start()
    bench.start_spare()
    log = bench.settings.data_dir / "trainer.log"
    await bench.until(lambda: log.read_text().count("is ready") == 2, "two trainers")
    await bench.add_job(ROWS, LONG)
    await bench.until_training()
    bench.kill()
    await bench.until(lambda: "goes on elsewhere" in log.read_text(), "the take-over", 60)
    job = await bench.until_over()
    assert (job.status, job.child_deaths) == (JobStatus.SUCCEEDED, 0), job.error
    assert any("resumes from step" in text for text in await bench.messages())
    assert bench.weights_sha256() == undisturbed


async def test_a_frozen_trainer_is_replaced_and_publishes_nothing(
    bench: TrainerBench, undisturbed: str
) -> None:
    """Its child, which still runs, is in nobody's way; awake again, it sees that it is replaced."""
    bench.start()
    bench.start_spare()
    log = bench.settings.data_dir / "trainer.log"
    await bench.until(lambda: log.read_text().count("is ready") == 2, "two trainers")
    await bench.add_job(ROWS, LONG)
    child = await bench.until_training()
    assert bench.process is not None
    frozen = bench.process
    # The child is as far as it gets before its pipe is full, or before it has ended by itself.
    child.suspend()
    frozen.send_signal(signal.SIGSTOP)
    await bench.until(lambda: "goes on elsewhere" in log.read_text(), "the take-over", 60)
    child.resume()
    job = await bench.until_over()
    assert (job.status, job.child_deaths) == (JobStatus.SUCCEEDED, 0), job.error
    assert bench.weights_sha256() == undisturbed
    published = await bench.store.adapters.usable()
    frozen.send_signal(signal.SIGCONT)
    assert await asyncio.to_thread(frozen.wait, 60) != 0
    assert "another one took over" in log.read_text()
    assert await bench.store.adapters.usable() == published


async def test_child_killed_twice_fails_with_reason(bench: TrainerBench) -> None:
    """The first death of the child is mended by a resume, the second fails the job."""
    await bench.add_job(ROWS, LONG)
    bench.start()
    first = await bench.until_training()
    first.kill()
    await bench.until(
        lambda: (second := bench.child()) is not None and second.pid != first.pid, "a second child"
    )
    second = bench.child()
    assert second is not None
    second.kill()
    job = await bench.until_over()
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error.code == "training_process_died"
    assert "SIGKILL" in job.error.message
    assert job.child_deaths == 2
    await bench.until_tidy()
    assert not await bench.store.adapters.usable()


async def test_child_killed_once_resumes_bit_by_bit(bench: TrainerBench, undisturbed: str) -> None:
    """One kill -9 of the child costs the steps since its last checkpoint, and nothing else."""
    await bench.add_job(ROWS, LONG)
    bench.start()
    (await bench.until_training()).kill()
    job = await bench.until_over()
    assert (job.status, job.child_deaths) == (JobStatus.SUCCEEDED, 1)
    assert any("started again from its last checkpoint" in m for m in await bench.messages())
    assert bench.weights_sha256() == undisturbed


async def test_cancel_stops_child_and_publishes_nothing(bench: TrainerBench) -> None:
    """A cancelled job's child is gone within seconds, its folder too, and no adapter appears."""
    await bench.add_job(ROWS, LONG)
    bench.start()
    child = await bench.until_training()
    await bench.store.jobs.move(JOB, JobStatus.CANCELLED)
    await bench.until(lambda: not child.is_running(), "the child stops", 5)
    await bench.until_tidy()
    assert (await bench.job()).status is JobStatus.CANCELLED
    assert not await bench.store.adapters.usable()


async def test_nine_rows_fail_the_job(bench: TrainerBench) -> None:
    """A training file of nine rows fails the job with OpenAI's code."""
    await bench.add_job(9, SHORT)
    bench.start()
    job = await bench.until_over()
    assert job.error is not None
    assert (job.error.code, job.error.param) == ("invalid_training_file", "training_file")
    assert "9 rows" in job.error.message


async def test_full_disk_fails_the_job_and_shows_nothing(bench: TrainerBench) -> None:
    """A child that cannot write fails the job with `storage_full`, and leaves nothing."""
    await bench.add_job(ROWS, LONG)
    bench.start()
    await bench.until(lambda: bench.child() is not None, "a child")
    child = bench.child()
    assert child is not None
    # A limit on the size of files is a full disk that needs no root and harms nobody else.
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (32_768, 32_768))
    job = await bench.until_over()
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error.code == "storage_full"
    await bench.until_tidy()
    assert not await bench.store.adapters.usable()
    assert not list(bench.settings.adapters_dir.glob("*"))


async def test_missing_base_model_fails_the_job(tmp_path: Path) -> None:
    """A base model that is not there fails the job with a code of its own."""
    async with trainer_bench(tmp_path / "data", tmp_path / "nowhere") as bench:
        await bench.add_job(ROWS, SHORT)
        bench.start()
        job = await bench.until_over()
        assert job.error is not None
        assert job.error.code == "base_model_unavailable"


def lines_of(bench: TrainerBench, file: DataFile) -> set[bytes]:
    """Return a file's lines."""
    return set((bench.settings.files_dir / file.id).read_bytes().splitlines())
