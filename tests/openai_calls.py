"""A table of the `openai` client's calls whose answer is one of the client's models.

It refuses to know how an answer is judged.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import md5
from typing import Any

import openai
from openai.types import FileDeleted, FileObject, Model, ModelDeleted, Upload
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.checkpoints import PermissionRetrieveResponse
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
from openai.types.uploads import UploadPart
from openai.types.webhooks import (
    DeletedWebhookEndpoint,
    WebhookEndpoint,
    WebhookEndpointTestResult,
    WebhookEndpointWithSecret,
    WebhookEventTypeList,
)

from registry.lifecycle import JobStatus
from registry.settings import Settings
from registry.store import Store
from tests.openai_client import in_store
from tests.service_api import add_version, rows
from tests.webhook_receiver import Receiver

_WEBHOOK: dict[str, Any] = {"name": "ours", "event_types": ["fine_tuning.job.succeeded"]}


@dataclass
class World:
    """The client, and what its calls stand on."""

    client: openai.OpenAI
    """The client."""
    settings: Settings
    """The service's settings."""
    receiver: Receiver
    """Takes webhooks."""

    def file(self) -> str:
        """Upload a file and return its id."""
        made = self.client.files.create(file=("train.jsonl", rows()), purpose="fine-tune")
        return made.id

    def job(self, status: JobStatus | None = None) -> str:
        """Create a job, bring it to a state as the trainer would, and return its id."""
        made = self.client.fine_tuning.jobs.create(model="tiny-base", training_file=self.file())
        if status is not None:

            async def bring(store: Store) -> None:
                for state in dict.fromkeys((JobStatus.QUEUED, JobStatus.RUNNING, status)):
                    await store.jobs.move(made.id, state)

            in_store(self.settings, bring)
        return made.id

    def version(self, job_id: str | None = None) -> str:
        """Record an adapter version as the trainer would, and return its name."""

        async def add(store: Store) -> str:
            return (await add_version(store, job_id=job_id)).name

        return in_store(self.settings, add)

    def upload(self) -> str:
        """Announce an upload of `rows()` and return its id."""
        return self.client.uploads.create(
            bytes=len(rows()), filename="train.jsonl", mime_type="text/jsonl", purpose="fine-tune"
        ).id

    def webhook(self) -> WebhookEndpointWithSecret:
        """Make a webhook endpoint."""
        return self.client.webhooks.create(url=self.receiver.url, **_WEBHOOK)


Answer = Any
"""What a raw call of the client returns."""


@dataclass(frozen=True)
class Call:
    """One call, and what its answer must be."""

    make: Callable[[World], Answer]
    """Makes it, and returns the raw answer."""
    model: Any
    """What the client says the answer is, or each entry of a page."""
    is_page: bool = False
    """Whether the answer is a page."""


def _complete(world: World) -> Answer:
    upload = world.upload()
    parts = [
        world.client.uploads.parts.create(upload, data=piece).id
        for piece in (rows()[:100], rows()[100:])
    ]
    digest = md5(rows(), usedforsecurity=False).hexdigest()
    return world.client.uploads.with_raw_response.complete(upload, part_ids=parts, md5=digest)


CALLS: dict[str, Call] = {
    "files.create": Call(
        lambda world: world.client.files.with_raw_response.create(
            file=("train.jsonl", rows()), purpose="fine-tune"
        ),
        FileObject,
    ),
    "files.retrieve": Call(
        lambda world: world.client.files.with_raw_response.retrieve(world.file()), FileObject
    ),
    "files.list": Call(
        lambda world: (
            world.file(),
            world.client.files.with_raw_response.list(purpose="fine-tune", limit=2),
        )[-1],
        FileObject,
        is_page=True,
    ),
    "files.delete": Call(
        lambda world: world.client.files.with_raw_response.delete(world.file()), FileDeleted
    ),
    "models.list": Call(
        lambda world: world.client.models.with_raw_response.list(), Model, is_page=True
    ),
    "models.retrieve": Call(
        lambda world: world.client.models.with_raw_response.retrieve(world.version()), Model
    ),
    "models.delete": Call(
        lambda world: world.client.models.with_raw_response.delete(world.version()), ModelDeleted
    ),
    "fine_tuning.jobs.create": Call(
        lambda world: world.client.fine_tuning.jobs.with_raw_response.create(
            model="tiny-base",
            training_file=world.file(),
            validation_file=world.file(),
            suffix="triage",
            seed=7,
            metadata={"team": "support"},
            method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
        ),
        FineTuningJob,
    ),
    "fine_tuning.jobs.retrieve": Call(
        lambda world: world.client.fine_tuning.jobs.with_raw_response.retrieve(
            world.job(JobStatus.FAILED)
        ),
        FineTuningJob,
    ),
    "fine_tuning.jobs.list": Call(
        lambda world: (
            world.job(),
            world.client.fine_tuning.jobs.with_raw_response.list(
                limit=2, extra_query={"metadata": "null"}
            ),
        )[-1],
        FineTuningJob,
        is_page=True,
    ),
    "fine_tuning.jobs.cancel": Call(
        lambda world: world.client.fine_tuning.jobs.with_raw_response.cancel(world.job()),
        FineTuningJob,
    ),
    "fine_tuning.jobs.resume": Call(
        lambda world: world.client.fine_tuning.jobs.with_raw_response.resume(
            world.job(JobStatus.PAUSED)
        ),
        FineTuningJob,
    ),
    "fine_tuning.jobs.list_events": Call(
        lambda world: world.client.fine_tuning.jobs.with_raw_response.list_events(world.job()),
        FineTuningJobEvent,
        is_page=True,
    ),
    "fine_tuning.jobs.checkpoints.list": Call(
        lambda world: (
            job := world.job(),
            world.version(job),
            world.client.fine_tuning.jobs.checkpoints.with_raw_response.list(job),
        )[-1],
        FineTuningJobCheckpoint,
        is_page=True,
    ),
    "fine_tuning.checkpoints.permissions.retrieve": Call(
        lambda world: world.client.fine_tuning.checkpoints.permissions.with_raw_response.retrieve(
            world.version()
        ),
        PermissionRetrieveResponse,
    ),
    "uploads.create": Call(
        lambda world: world.client.uploads.with_raw_response.create(
            bytes=10, filename="a.jsonl", mime_type="text/jsonl", purpose="fine-tune"
        ),
        Upload,
    ),
    "uploads.cancel": Call(
        lambda world: world.client.uploads.with_raw_response.cancel(world.upload()), Upload
    ),
    "uploads.complete": Call(_complete, Upload),
    "uploads.parts.create": Call(
        lambda world: world.client.uploads.parts.with_raw_response.create(
            world.upload(), data=b"piece"
        ),
        UploadPart,
    ),
    "webhooks.create": Call(
        lambda world: world.client.webhooks.with_raw_response.create(
            url=world.receiver.url, **_WEBHOOK
        ),
        WebhookEndpointWithSecret,
    ),
    "webhooks.retrieve": Call(
        lambda world: world.client.webhooks.with_raw_response.retrieve(world.webhook().id),
        WebhookEndpoint,
    ),
    "webhooks.update": Call(
        lambda world: world.client.webhooks.with_raw_response.update(
            world.webhook().id, name="theirs", event_types=["eval.run.failed"]
        ),
        WebhookEndpoint,
    ),
    "webhooks.list": Call(
        lambda world: (world.webhook(), world.client.webhooks.with_raw_response.list(limit=2))[-1],
        WebhookEndpoint,
        is_page=True,
    ),
    "webhooks.delete": Call(
        lambda world: world.client.webhooks.with_raw_response.delete(world.webhook().id),
        DeletedWebhookEndpoint,
    ),
    "webhooks.rotate_secret": Call(
        lambda world: world.client.webhooks.with_raw_response.rotate_secret(
            world.webhook().id, keep_old_secret_active_for_24_hours=True
        ),
        WebhookEndpointWithSecret,
    ),
    "webhooks.test": Call(
        lambda world: world.client.webhooks.with_raw_response.test(
            world.webhook().id, event_type="fine_tuning.job.failed"
        ),
        WebhookEndpointTestResult,
    ),
    "webhooks.event_types.list": Call(
        lambda world: world.client.webhooks.event_types.with_raw_response.list(),
        WebhookEventTypeList,
    ),
}
"""The calls whose answer is one of the client's models."""
