"""The stages of a job around its training: repeated, cancelled, out of room."""

import json
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from registry import artifacts
from registry.artifacts import ProbeRow
from registry.blobs import Blobs
from registry.lifecycle import JobStatus
from registry.records import DataFile, FineTuningJob, JobEvent, Purpose
from registry.settings import Settings
from registry.store import Store
from tests.full_disk import limited_file_size
from tests.records import fine_tuning_job
from trainer.metrics import TrainerMetrics
from trainer.preparation import Preparation
from trainer.protocol import HistoryRow, Result, TrainedVersion
from trainer.publish import Publisher
from trainer.tenure import Tenure
from trainer.training import Training
from trainer.worker import Worker
from trainer.workplace import Workplace

JOB = "ftjob-" + "cd" * 12
ROWS = 30
WEIGHT_BYTES = 6 * 1024 * 1024
LIMIT_BYTES = 5 * 1024 * 1024


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with a base model that has a configuration and nothing else."""
    base = tmp_path / "tiny"
    base.mkdir()
    (base / "config.json").write_text('{"hidden_size": 192, "model_type": "llama"}')
    return Settings(data_dir=tmp_path / "data", base_model=str(base))


@pytest.fixture
async def worker(settings: Settings, store: Store) -> Worker:
    """Return a worker whose job waits for validation."""
    blobs = Blobs(settings.files_dir)
    content = b"".join(
        json.dumps({"prompt": f"{number}+1=", "completion": str(number + 1)}).encode() + b"\n"
        for number in range(ROWS)
    )
    blobs.write("file-training", content)
    await store.files.add(
        DataFile(
            id="file-training",
            project="default",
            filename="sums.jsonl",
            purpose=Purpose.FINE_TUNE,
            bytes=len(content),
            sha256=sha256(content).hexdigest(),
            rows=ROWS,
            created_at=1,
        )
    )
    await store.jobs.add(
        fine_tuning_job(JOB, model="tiny", training_file="file-training", suffix="sums"),
        JobEvent(id="ftevent-1", job_id=JOB, created_at=1, level="info", message="Created."),
    )
    metrics = TrainerMetrics(CollectorRegistry())
    return Worker(
        settings=settings,
        store=store,
        tenure=Tenure(store, "trainer-1"),
        preparation=Preparation(settings, store, blobs),
        training=Training(settings, store, metrics),
        publisher=Publisher(settings, store, blobs),
    )


def write_result(settings: Settings) -> Workplace:
    """Write what a training child leaves at its end."""
    place = Workplace(settings.work_dir / JOB)
    place.final.mkdir(parents=True)
    (place.final / "adapter_model.safetensors").write_bytes(bytes(WEIGHT_BYTES))
    (place.final / "adapter_config.json").write_text("{}")
    probe = ProbeRow(token_ids=[1, 2], target_start=1, base_logprobs=[-2], adapter_logprobs=[-1])
    result = Result(
        versions=[
            TrainedVersion(
                folder="final", step=9, is_final=True, metrics={"train_loss": 0.5}, probe=[probe]
            )
        ],
        history=[HistoryRow(step=9, train_loss=0.5, train_accuracy=1.0)],
        trained_tokens=100,
        base_sha256="0" * 64,
        libraries={"torch": "2"},
        settings={"device": "cpu"},
    )
    place.outcome.write_bytes(msgspec.json.encode(result))
    return place


async def test_validation_queues_the_job(worker: Worker, store: Store) -> None:
    """A valid job is queued, with everything `auto` resolved."""
    await worker.validate(JOB)
    job = await store.jobs.get(JOB)
    assert job.status is JobStatus.QUEUED
    assert job.hyperparameters["n_epochs"] == 10
    assert "auto" not in job.hyperparameters.values()


async def test_preparing_again_makes_the_same_plan(
    worker: Worker, settings: Settings, store: Store
) -> None:
    """A job whose folder is lost is prepared again, and its plan is the same."""
    await worker.validate(JOB)
    place = Workplace(settings.work_dir / JOB)
    first = place.plan.read_bytes()
    place.remove()
    blobs = Blobs(settings.files_dir)
    await Preparation(settings, store, blobs).prepare(await store.jobs.get(JOB), place)
    assert place.plan.read_bytes() == first


async def test_finished_training_is_published(
    worker: Worker, settings: Settings, store: Store
) -> None:
    """A result that a dead trainer left behind is published without training again."""
    await worker.validate(JOB)
    write_result(settings)
    await worker.train(JOB)
    job = await store.jobs.get(JOB)
    assert job.status is JobStatus.SUCCEEDED, job.error
    version = await store.adapters.get(str(job.fine_tuned_model))
    assert artifacts.verify(settings.adapters_dir / version.directory).step == 9


async def test_training_stage_may_run_twice(
    worker: Worker, settings: Settings, store: Store
) -> None:
    """A stage that is repeated after its end changes nothing, and asks for one exam."""
    await worker.validate(JOB)
    write_result(settings)
    await worker.train(JOB)
    await worker.train(JOB)
    assert len(await store.adapters.usable()) == 1
    assert len(await store.evaluations.unfinished()) == 1


class CancelledAtTheEnd(Training):
    """A training whose job is cancelled just after its end."""

    def __init__(self, settings: Settings, store: Store) -> None:
        super().__init__(settings, store, TrainerMetrics(CollectorRegistry()))
        self._jobs = store.jobs

    async def run(self, job: FineTuningJob, place: Workplace) -> Result:
        """Return the result of a job that is cancelled by then."""
        result = await super().run(job, place)
        await self._jobs.move(job.id, JobStatus.CANCELLED)
        return result


async def test_cancel_before_publication_wins(
    worker: Worker, settings: Settings, store: Store
) -> None:
    """A job that is cancelled between training and publication leaves no files."""
    await worker.validate(JOB)
    place = write_result(settings)
    worker._training = CancelledAtTheEnd(settings, store)
    await worker.train(JOB)
    assert (await store.jobs.get(JOB)).status is JobStatus.CANCELLED
    assert not await store.adapters.usable()
    assert not place.root.exists()
    assert not list(settings.adapters_dir.glob("*"))


async def test_full_disk_while_publishing_shows_no_adapter(
    worker: Worker, settings: Settings, store: Store
) -> None:
    """A disk that is full while publishing fails the job, and nothing of the adapter remains."""
    await worker.validate(JOB)
    place = write_result(settings)
    with limited_file_size(LIMIT_BYTES):
        await worker.train(JOB)
    job = await store.jobs.get(JOB)
    assert job.error is not None
    assert job.error.code == "storage_full"
    assert not await store.adapters.usable()
    assert not place.root.exists()
    assert not list(settings.adapters_dir.glob("*"))


async def test_other_base_model_is_refused(
    worker: Worker, settings: Settings, store: Store
) -> None:
    """A job for a base model that this trainer does not have fails with a clear message."""
    other = settings.model_copy(update={"base_model_name": "another"})
    preparation = Preparation(other, store, Blobs(settings.files_dir))
    worker._preparation = preparation
    await worker.validate(JOB)
    job = await store.jobs.get(JOB)
    assert job.error is not None
    assert job.error.code == "base_model_unavailable"


async def test_validation_tells_what_stands_out(
    worker: Worker, settings: Settings, store: Store
) -> None:
    """The events name the format, rows that nearly stand on both sides, and secrets."""
    asked = "Please tell me where the parcel with the red kettle is, I ordered it {n} weeks ago."
    training = ["question,answer\n"]
    training += [f"What is {n} times {n + 3}?,It is {n * (n + 3)}.\n" for n in range(20)]
    training += [f'"{asked.format(n="two")}",It is late.\n']
    training += ["The password: Tr0ub4dor&3x does not work?,Change it.\n"]
    validation = json.dumps({"prompt": asked.format(n="six"), "completion": "On its way."})
    blobs = Blobs(settings.files_dir)
    blobs.write("file-training", "".join(training).encode())
    blobs.write("file-heldout", validation.encode() + b"\n")
    file = await store.files.get("file-training")
    await store.files.add(msgspec.structs.replace(file, id="file-heldout", rows=1))
    await store.jobs.change(JOB, validation_file="file-heldout")
    await worker.validate(JOB)
    events = (await store.jobs.events(JOB, after=None, limit=100)).data
    told = {event.message: event.level for event in events}
    said = "\n".join(told)
    assert told["The training file is read as question-answer rows in CSV."] == "info"
    assert "nearly the same prompt as a validation row: 1 (line 22)" in said
    assert "what looks like a secret (password or key by its name): 1 (line 23)" in said
    assert "Tr0ub4dor" not in said
