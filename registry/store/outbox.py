"""The outbox: what happened becomes a delivery to every webhook that wants to be told.

It refuses to know how a delivery is sent. A row is written in the transaction in which the thing
itself happens, so a crash loses neither or both.
"""

import time
from collections.abc import Mapping
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.identifiers import new_id
from registry.lifecycle import EvaluationStatus, JobStatus
from registry.records import (
    DeliveryStatus,
    Evaluation,
    FineTuningJob,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from registry.store import exchange_tables
from registry.store.rows import add, fetch_all

_EVENTS: Mapping[type, Mapping[str, WebhookEvent]] = {
    FineTuningJob: {
        JobStatus.SUCCEEDED: WebhookEvent.JOB_SUCCEEDED,
        JobStatus.FAILED: WebhookEvent.JOB_FAILED,
        JobStatus.CANCELLED: WebhookEvent.JOB_CANCELLED,
    },
    Evaluation: {
        EvaluationStatus.SUCCEEDED: WebhookEvent.EVALUATION_SUCCEEDED,
        EvaluationStatus.FAILED: WebhookEvent.EVALUATION_FAILED,
        EvaluationStatus.CANCELLED: WebhookEvent.EVALUATION_CANCELLED,
    },
}


async def announce(connection: AsyncConnection, moved: FineTuningJob | Evaluation) -> None:
    """Write a delivery for each webhook of the project that wants to hear of a move.

    Args:
        connection: Of the transaction in which the record moved.
        moved: The record after its move; most states are nobody's news.
    """
    event = _EVENTS[type(moved)].get(moved.status)
    if event is None:
        return
    table = exchange_tables.webhook_endpoints
    query = select(table).where(table.c.project == moved.project)
    at = moved.finished_at or int(time.time())
    for endpoint in await fetch_all(connection, query, WebhookEndpoint):
        if event in endpoint.event_types:
            delivery = new_delivery(endpoint, event, moved.id, at)
            await add(connection, exchange_tables.webhook_deliveries, delivery)


def new_delivery(
    endpoint: WebhookEndpoint, event: WebhookEvent, subject: str, at: int
) -> WebhookDelivery:
    """Return what is to be sent to an endpoint.

    Args:
        endpoint: Whom it goes to.
        event: What happened.
        subject: Id of what it happened to.
        at: Unix time in seconds.
    """
    return WebhookDelivery(
        id=new_id("whd"),
        endpoint_id=endpoint.id,
        project=endpoint.project,
        event_id=f"evt-{sha256(f'{subject}:{event}'.encode()).hexdigest()[:24]}",
        event_type=event,
        subject=subject,
        created_at=at,
        status=DeliveryStatus.PENDING,
        next_attempt_at=float(at),
    )
