"""Every call of the `openai` client's files, models, fine-tuning, uploads and webhooks.

Each answer is read by the client's own model without any leniency: wrong types, nulls where none
may be and missing fields fail.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest
from openai.resources.files import Files
from openai.resources.fine_tuning.alpha.graders import Graders
from openai.resources.fine_tuning.checkpoints.permissions import Permissions
from openai.resources.fine_tuning.jobs import Jobs
from openai.resources.fine_tuning.jobs.checkpoints import Checkpoints
from openai.resources.models import Models
from openai.resources.uploads import Uploads
from openai.resources.uploads.parts import Parts
from openai.resources.webhooks import Webhooks
from openai.resources.webhooks.event_types import EventTypes
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from registry.blobs import Blobs
from registry.lifecycle import JobStatus
from registry.records import DataFile, JobError, JobEvent, Purpose
from registry.settings import Settings
from registry.store import Store
from tests.database_template import prepare
from tests.openai_calls import CALLS, Call, World
from tests.openai_client import in_store, served_client
from tests.records import adapter_version
from tests.service_api import rows
from tests.webhook_receiver import Receiver
from trainer.protocol import HistoryRow
from trainer.results import as_csv

_RESOURCES: Mapping[str, type] = {
    "files": Files,
    "models": Models,
    "fine_tuning.jobs": Jobs,
    "fine_tuning.jobs.checkpoints": Checkpoints,
    "fine_tuning.checkpoints.permissions": Permissions,
    "fine_tuning.alpha.graders": Graders,
    "uploads": Uploads,
    "uploads.parts": Parts,
    "webhooks": Webhooks,
    "webhooks.event_types": EventTypes,
}
_GRADER: dict[str, Any] = {
    "type": "string_check",
    "name": "same",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Serve everything once."""
    folder = tmp_path_factory.mktemp("calls")
    prepare(folder / "data")
    settings = Settings(
        data_dir=folder / "data",
        engine_url="http://127.0.0.1:9",
        webhook_plain_http=True,
        webhook_private_addresses=True,
    )
    with Receiver.listening() as receiver, served_client(settings) as client:
        yield World(client, settings, receiver)


OTHERS = {
    "files.content": "test_content_comes_back_byte_for_byte",
    "files.retrieve_content": "test_content_comes_back_byte_for_byte",
    "files.wait_for_processing": "test_a_file_is_processed_when_it_is_there",
    "fine_tuning.jobs.pause": "test_a_pause_is_a_job_but_for_the_clients_list_of_states",
    "fine_tuning.checkpoints.permissions.create": "test_checkpoints_are_not_shared",
    "fine_tuning.checkpoints.permissions.delete": "test_checkpoints_are_not_shared",
    "fine_tuning.checkpoints.permissions.list": "test_checkpoints_are_not_shared",
    "fine_tuning.alpha.graders.run": "test_graders_say_what_to_use_instead",
    "fine_tuning.alpha.graders.validate": "test_graders_say_what_to_use_instead",
    "uploads.upload_file_chunked": "test_a_file_in_chunks_is_one_file",
    "webhooks.unwrap": "test_a_sample_is_verified_by_the_client",
    "webhooks.verify_signature": "test_a_sample_is_verified_by_the_client",
}
"""The other calls, with the test of each."""


def check(call: Call, text: str) -> None:
    """Check an answer against the client's model, strictly."""
    if not call.is_page:
        call.model.model_validate_json(text, strict=True)
        return
    page = pydantic.TypeAdapter(dict[str, Any]).validate_json(text)
    assert page["object"] == "list"
    assert isinstance(page["has_more"], bool)
    assert page["data"], "an empty page shows nothing"
    for entry in page["data"]:
        encoded = pydantic.TypeAdapter(Any).dump_json(entry)
        call.model.model_validate_json(encoded, strict=True)


@pytest.mark.filterwarnings("ignore:Retrieve is deprecated")  # one of the calls
@pytest.mark.parametrize("name", CALLS)
def test_an_answer_is_the_clients_own_model(world: World, name: str) -> None:
    """Every field has the type that the client says, and none is null that may not be."""
    check(CALLS[name], CALLS[name].make(world).text)


def test_no_call_is_forgotten() -> None:
    """Every public method of the client's resources has a test here."""
    methods = {
        f"{place}.{name}"
        for place, resource in _RESOURCES.items()
        for name, _ in inspect.getmembers(resource, inspect.isfunction)
        if not name.startswith("_")
    }
    assert methods == set(CALLS) | set(OTHERS)
    assert set(OTHERS.values()) <= set(globals())


@pytest.mark.filterwarnings("ignore:The `.content")  # the client says it is deprecated
def test_content_comes_back_byte_for_byte(world: World) -> None:
    """By both of the client's ways."""
    file = world.file()
    assert world.client.files.content(file).read() == rows()
    assert world.client.files.retrieve_content(file) == rows().decode()


def test_a_file_is_processed_when_it_is_there(world: World) -> None:
    """The client does not wait at all."""
    found = world.client.files.wait_for_processing(world.file(), poll_interval=60)
    assert found.status == "processed"


def test_a_pause_is_a_job_but_for_the_clients_list_of_states(world: World) -> None:
    """The client has the call, and its type of a job lacks the state that follows."""
    jobs = world.client.fine_tuning.jobs
    job = world.job()

    async def queue(store: Store) -> None:
        await store.jobs.move(job, JobStatus.QUEUED)

    in_store(world.settings, queue)
    text = jobs.with_raw_response.pause(job).text
    with pytest.raises(pydantic.ValidationError, match="status"):
        FineTuningJob.model_validate_json(text, strict=True)
    FineTuningJob.model_validate_json(text.replace('"paused"', '"queued"'), strict=True)
    assert str(jobs.retrieve(job).status) == "paused"


def test_checkpoints_are_not_shared(world: World) -> None:
    """The list of permissions is empty, and none can be given or taken."""
    permissions = world.client.fine_tuning.checkpoints.permissions
    checkpoint = world.version()
    assert list(permissions.list(checkpoint)) == []
    with pytest.raises(openai.BadRequestError) as refused:
        permissions.create(checkpoint, project_ids=["other"])
    assert refused.value.code == "unsupported_operation"
    with pytest.raises(openai.NotFoundError):
        permissions.delete("cp-1", fine_tuned_model_checkpoint=checkpoint)
    with pytest.raises(openai.NotFoundError):
        permissions.list("ft:tiny-base:default:none:00000000")


def test_graders_say_what_to_use_instead(world: World) -> None:
    """A clear error, not a missing page."""
    graders: Any = world.client.fine_tuning.alpha.graders
    calls: list[Callable[[], Any]] = [
        lambda: graders.run(grader=_GRADER, model_sample="x"),
        lambda: graders.validate(grader=_GRADER),
    ]
    for call in calls:
        with pytest.raises(openai.BadRequestError, match="evaluations") as refused:
            call()
        assert refused.value.code == "unsupported_operation"


def test_a_file_in_chunks_is_one_file(world: World, tmp_path: Path) -> None:
    """The client's own way to send a large file."""
    path = tmp_path / "train.jsonl"
    path.write_bytes(rows(40))
    upload = world.client.uploads.upload_file_chunked(
        file=path, mime_type="text/jsonl", purpose="fine-tune", part_size=700
    )
    assert upload.file is not None
    assert world.client.files.content(upload.file.id).read() == rows(40)


def test_a_sample_is_verified_by_the_client(world: World) -> None:
    """What the receiver got is what the client says was signed with the endpoint's secret."""
    endpoint = world.webhook()
    world.client.webhooks.test(endpoint.id, event_type="fine_tuning.job.cancelled")
    got = world.receiver.taken[-1]
    event = world.client.webhooks.unwrap(got.body, got.headers, secret=endpoint.signing_secret)
    assert event.type == "fine_tuning.job.cancelled"
    with pytest.raises(openai.InvalidWebhookSignatureError):
        world.client.webhooks.verify_signature(
            got.body + b" ", got.headers, secret=endpoint.signing_secret
        )


def test_a_finished_job_is_the_clients_own_model_down_to_its_csv(world: World) -> None:
    """Names, figures and the result file, as a trainer leaves them."""
    job = world.job(JobStatus.RUNNING)
    csv = as_csv([HistoryRow(step=1, train_loss=1.5, train_accuracy=0.25)])
    Blobs(world.settings.files_dir).write("file-results", csv)
    results = DataFile(
        id="file-results",
        project="default",
        filename="step_metrics.csv",
        purpose=Purpose.FINE_TUNE_RESULTS,
        bytes=len(csv),
        sha256=sha256(csv).hexdigest(),
        rows=1,
        created_at=1,
    )

    async def succeed(store: Store) -> None:
        await store.files.add(results)
        await store.jobs.succeed(
            job,
            version=adapter_version("ft:tiny-base:default:done:00000001", job_id=job),
            event=JobEvent(id="e-done", job_id=job, created_at=1, level="info", message="Done."),
            finished_at=2,
            trained_tokens=77,
            result_files=["file-results"],
            hyperparameters={"n_epochs": 3, "batch_size": 4, "learning_rate_multiplier": 0.5},
        )

    in_store(world.settings, succeed)
    text = world.client.fine_tuning.jobs.with_raw_response.retrieve(job).text
    done = FineTuningJob.model_validate_json(text, strict=True)
    assert done.fine_tuned_model == "ft:tiny-base:default:done:00000001"
    (name,) = done.result_files
    raw = world.client.files.with_raw_response.retrieve(name).text
    assert FileObject.model_validate_json(raw, strict=True).purpose == "fine-tune-results"
    assert world.client.files.content(name).text.splitlines()[1] == "1,1.50000,0.25000,,"


def test_a_failed_job_says_why(world: World) -> None:
    """In the client's own type of an error."""
    job = world.job(JobStatus.RUNNING)
    error = JobError(code="diverged", message="The loss is not a number.")

    async def fail(store: Store) -> None:
        await store.jobs.move(job, JobStatus.FAILED, error=error, finished_at=2)

    in_store(world.settings, fail)
    text = world.client.fine_tuning.jobs.with_raw_response.retrieve(job).text
    found = FineTuningJob.model_validate_json(text, strict=True).error
    assert found is not None
    assert (found.code, found.param) == ("diverged", None)


def test_a_checkpoint_is_deleted_unless_a_deployment_names_it(world: World) -> None:
    """The error says which deployment."""
    checkpoint = world.version()
    body = {"name": "support", "stable": checkpoint, "override_reason": "a test"}
    world.client.post("/deployments", body=body, cast_to=object)
    with pytest.raises(openai.ConflictError, match="the deployment 'support'"):
        world.client.models.delete(checkpoint)
    world.client.delete("/deployments/support", cast_to=object)
    assert world.client.models.delete(checkpoint).deleted
    with pytest.raises(openai.NotFoundError):
        world.client.models.retrieve(checkpoint)
    with pytest.raises(openai.NotFoundError):
        world.client.models.delete(checkpoint)


def test_the_client_follows_events_as_a_stream(world: World) -> None:
    """With its own decoder, to the last line."""
    job = world.job()
    world.client.fine_tuning.jobs.cancel(job)
    stream: openai.Stream[FineTuningJobEvent] = world.client.get(
        f"/fine_tuning/jobs/{job}/events",
        options={"params": {"stream": True}},
        cast_to=FineTuningJobEvent,
        stream=True,
        stream_cls=openai.Stream[FineTuningJobEvent],
    )
    with stream:
        told = [event.message for event in stream]
    assert told == [f"Created fine-tuning job: {job}", "The job was cancelled."]
