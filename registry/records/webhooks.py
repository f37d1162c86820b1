"""Webhooks: who wants to be told of what, and what was sent.

It refuses to know how a delivery is signed and sent.
"""

from enum import StrEnum
from typing import Any

import msgspec

from registry.records.record import Record


class WebhookEvent(StrEnum):
    """What a webhook can tell, by OpenAI's names."""

    JOB_SUCCEEDED = "fine_tuning.job.succeeded"
    JOB_FAILED = "fine_tuning.job.failed"
    JOB_CANCELLED = "fine_tuning.job.cancelled"
    EVALUATION_SUCCEEDED = "eval.run.succeeded"
    EVALUATION_FAILED = "eval.run.failed"
    EVALUATION_CANCELLED = "eval.run.canceled"


class DeliveryStatus(StrEnum):
    """What became of a delivery."""

    PENDING = "pending"
    """It is to be sent, perhaps again."""
    DELIVERED = "delivered"
    """The receiver answered with 2xx."""
    GIVEN_UP = "given_up"
    """It was tried until it was too old."""


class WebhookEndpoint(Record, frozen=True, kw_only=True):
    """A URL that is told of a project's events."""

    id: str
    """`we-` and 24 hexadecimal digits."""
    project: str
    """The project whose events it is told."""
    name: str
    """What the operator calls it."""
    url: str
    """Where deliveries go."""
    event_types: list[WebhookEvent]
    """What it is told of."""
    secret: str
    """`whsec_` and 256 random bits in Base64. Signing needs the secret itself, not its hash."""
    created_at: int
    """Unix time in seconds."""
    updated_at: int
    """Unix time in seconds of the last change."""
    old_secret: str | None = None
    """The secret before the last rotation, if it still signs."""
    old_secret_until: int | None = None
    """Unix time in seconds until which the old secret signs beside the new one."""


class WebhookAttempt(Record, frozen=True, kw_only=True):
    """One try to deliver."""

    at: int
    """Unix time in seconds."""
    seconds: float
    """How long it took."""
    status: int | None
    """What the receiver answered; none when it did not."""
    error: str | None
    """Why it failed; none when it did not."""


class WebhookDelivery(Record, frozen=True, kw_only=True):
    """One event on its way to one endpoint."""

    id: str
    """`whd-` and 24 hexadecimal digits."""
    endpoint_id: str
    """The endpoint."""
    project: str
    """The project."""
    event_id: str
    """`evt-` and 24 hexadecimal digits; the same at each try and for every endpoint."""
    event_type: WebhookEvent
    """What happened."""
    subject: str
    """Id of the job or evaluation it happened to."""
    created_at: int
    """Unix time in seconds when it happened."""
    status: DeliveryStatus
    """What became of it."""
    next_attempt_at: float
    """Unix time in seconds before which it is not tried again."""
    attempts: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """Every try so far, as `WebhookAttempt`, the first one first."""
