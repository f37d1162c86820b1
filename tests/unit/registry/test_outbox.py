"""The outbox: the end of a job or an evaluation and what is told of it are one transaction."""

from typing import Any

import msgspec
import pytest

from registry.errors import Conflict, IllegalTransition, NotFound
from registry.lifecycle import EvaluationStatus, JobStatus
from registry.records import (
    DeliveryStatus,
    Evaluation,
    JobEvent,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from registry.store import Store
from tests.records import fine_tuning_job

JOB = "ftjob-1"


def endpoint(identifier: str = "we-1", **changes: Any) -> WebhookEndpoint:
    """Return an endpoint that wants to hear of every job."""
    values: dict[str, Any] = {
        "id": identifier,
        "project": "default",
        "name": "ours",
        "url": "https://hooks.example/",
        "event_types": [
            WebhookEvent.JOB_SUCCEEDED,
            WebhookEvent.JOB_FAILED,
            WebhookEvent.JOB_CANCELLED,
        ],
        "secret": "whsec_AAAA",
        "created_at": 1,
        "updated_at": 1,
    }
    return WebhookEndpoint(**(values | changes))


async def new_job(store: Store) -> None:
    """Store a job that waits for validation."""
    event = JobEvent(id="ftevent-1", job_id=JOB, created_at=1, level="info", message="Created.")
    await store.jobs.add(fine_tuning_job(JOB), event)


async def waiting(store: Store, identifier: str = "we-1") -> list[WebhookDelivery]:
    """Return what waits for an endpoint."""
    return (await store.webhooks.deliveries(identifier, after=None, limit=10)).data


async def test_the_end_of_a_job_is_told_once(store: Store) -> None:
    """The moves before it are nobody's news, and a move that is refused tells nothing."""
    await store.webhooks.add(endpoint(), most=9)
    await new_job(store)
    await store.jobs.move(JOB, JobStatus.QUEUED)
    assert await waiting(store) == []
    await store.jobs.move(JOB, JobStatus.CANCELLED, finished_at=77)
    with pytest.raises(IllegalTransition):
        await store.jobs.move(JOB, JobStatus.FAILED)
    (told,) = await waiting(store)
    assert (told.event_type, told.subject) == (WebhookEvent.JOB_CANCELLED, JOB)
    assert (told.created_at, told.status) == (77, DeliveryStatus.PENDING)


async def test_the_end_of_an_evaluation_is_told(store: Store) -> None:
    """By the name that OpenAI gives to a run of an eval."""
    await store.webhooks.add(endpoint(event_types=[WebhookEvent.EVALUATION_FAILED]), most=9)
    evaluation = Evaluation(
        id="eval-1",
        project="default",
        adapter="ft:x",
        heldout_file="file-1",
        training_file=None,
        policy={},
        status=EvaluationStatus.QUEUED,
        created_at=1,
    )
    await store.evaluations.add(evaluation)
    await store.evaluations.move("eval-1", EvaluationStatus.FAILED, finished_at=5)
    assert [told.event_type for told in await waiting(store)] == ["eval.run.failed"]


async def test_only_those_who_asked_are_told(store: Store) -> None:
    """Not another project, and not an endpoint for other events."""
    await store.webhooks.add(endpoint(), most=9)
    await store.webhooks.add(endpoint("we-2", project="other"), most=9)
    await store.webhooks.add(endpoint("we-3", event_types=[WebhookEvent.JOB_FAILED]), most=9)
    await new_job(store)
    await store.jobs.move(JOB, JobStatus.CANCELLED)
    assert [len(await waiting(store, each)) for each in ("we-1", "we-2", "we-3")] == [1, 0, 0]


async def test_every_endpoint_is_told_the_same_event(store: Store) -> None:
    """So that a receiver behind two endpoints knows it by its id."""
    for name in ("we-1", "we-2"):
        await store.webhooks.add(endpoint(name), most=9)
    await new_job(store)
    await store.jobs.move(JOB, JobStatus.FAILED)
    (first,), (second,) = await waiting(store, "we-1"), await waiting(store, "we-2")
    assert first.event_id == second.event_id
    assert first.id != second.id


async def test_what_is_due_comes_with_its_endpoint(store: Store) -> None:
    """As the endpoint is then; a deleted one takes what waits for it along."""
    await store.webhooks.add(endpoint(), most=9)
    await new_job(store)
    await store.jobs.move(JOB, JobStatus.FAILED, finished_at=100)
    assert await store.webhooks.due(now=99, limit=9) == []
    await store.webhooks.change("we-1", project="default", url="https://new.example/")
    (due,) = await store.webhooks.due(now=100, limit=9)
    assert due.endpoint.url == "https://new.example/"
    await store.webhooks.delete("we-1", project="default")
    assert await store.webhooks.due(now=100, limit=9) == []
    await store.webhooks.settle(due.delivery)  # a try that was under way
    assert await waiting(store) == []


async def test_a_project_has_so_many_endpoints(store: Store) -> None:
    """One more is refused, and another project's do not count."""
    await store.webhooks.add(endpoint(project="other"), most=1)
    await store.webhooks.add(endpoint("we-2"), most=1)
    with pytest.raises(Conflict):
        await store.webhooks.add(endpoint("we-3"), most=1)


async def test_old_deliveries_that_ended_are_forgotten(store: Store) -> None:
    """Those that wait are not."""
    await store.webhooks.add(endpoint(), most=9)
    await new_job(store)
    await store.jobs.move(JOB, JobStatus.FAILED, finished_at=100)
    await store.webhooks.forget(before=200)
    (told,) = await waiting(store)
    done = msgspec.structs.replace(told, status=DeliveryStatus.DELIVERED)
    await store.webhooks.settle(done)
    await store.webhooks.forget(before=200)
    assert await waiting(store) == []


async def test_another_projects_endpoint_is_not_found(store: Store) -> None:
    """Neither read, nor changed, nor deleted."""
    await store.webhooks.add(endpoint(), most=9)
    with pytest.raises(NotFound):
        await store.webhooks.get("we-1", project="other")
    with pytest.raises(NotFound):
        await store.webhooks.change("we-1", project="other", name="mine")
    with pytest.raises(NotFound):
        await store.webhooks.delete("we-1", project="other")
