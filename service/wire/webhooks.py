"""Webhook endpoints and their deliveries, in OpenAI's shapes where it has them.

It refuses to know how a delivery is signed and sent.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from registry.records import DeliveryStatus, WebhookDelivery, WebhookEndpoint, WebhookEvent
from service.webhooks.signing import hint_of


class CreateWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """A request to be told of events."""

    name: str
    """What the operator calls it, 1 to 100 characters."""
    url: str
    """Where deliveries go; `https://` and a public address, unless settings allow others."""
    event_types: list[str]
    """What it is told of."""


class UpdateWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """A request to change an endpoint; absent fields stay as they are."""

    name: str | UnsetType = UNSET
    """What the operator calls it, 1 to 100 characters."""
    url: str | UnsetType = UNSET
    """Where deliveries go."""
    event_types: list[str] | UnsetType = UNSET
    """All that it is told of."""


class RotateWebhookSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A request for another secret."""

    keep_old_secret_active_for_24_hours: bool = False
    """Whether the old one signs too for a day, so that receivers can change over."""


class TestWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a sample delivery."""

    __test__ = False  # pytest would take it for a test

    event_type: str
    """What the sample tells."""


class WebhookObject(msgspec.Struct, frozen=True, kw_only=True):
    """A URL that is told of a project's events."""

    id: str
    """`we-` and 24 hexadecimal digits."""
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    """Always `webhook_endpoint`."""
    created_at: int
    """Unix time in seconds."""
    updated_at: int
    """Unix time in seconds of the last change."""
    event_types: list[WebhookEvent]
    """What it is told of."""
    name: str
    """What the operator calls it."""
    url: str
    """Where deliveries go."""
    signing_secret_hint: str
    """The end of the secret."""


class WebhookWithSecret(WebhookObject, frozen=True, kw_only=True):
    """The same with its secret, in the only answer that ever shows it."""

    signing_secret: str
    """`whsec_…`: what the receiver verifies signatures with."""


class WebhookList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of endpoints."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[WebhookObject]
    """The endpoints, newest first."""
    first_id: str | None
    """Id of the first one on the page."""
    last_id: str | None
    """Id of the last one on the page."""
    has_more: bool
    """Whether another page follows."""


class WebhookTestResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the receiver answered to a sample."""

    object: Literal["webhook_endpoint.test"] = "webhook_endpoint.test"
    """Always `webhook_endpoint.test`."""
    webhook_endpoint_id: str
    """The endpoint."""
    event_type: WebhookEvent
    """What the sample told."""
    status_code: int
    """What the receiver answered."""
    success: Literal[True] = True
    """That it answered at all."""


class WebhookEventTypes(msgspec.Struct, frozen=True, kw_only=True):
    """What webhooks can be told of."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[WebhookEvent]
    """Their names."""


class DeliveryObject(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one endpoint."""

    id: str
    """`whd-` and 24 hexadecimal digits."""
    object: Literal["webhook_endpoint.delivery"] = "webhook_endpoint.delivery"
    """Always `webhook_endpoint.delivery`."""
    event_id: str
    """What the header `webhook-id` carries, the same at each try."""
    event_type: WebhookEvent
    """What happened."""
    subject: str
    """Id of the job or evaluation it happened to."""
    created_at: int
    """Unix time in seconds when it happened."""
    status: DeliveryStatus
    """What became of it."""
    next_attempt_at: float | None
    """Unix time in seconds of the next try; null when there is none."""
    attempts: list[dict[str, Any]]
    """Every try: `at`, `seconds`, `status`, `error`."""


def webhook_object(endpoint: WebhookEndpoint) -> WebhookObject:
    """Return a record as it goes over the wire, without its secret."""
    return WebhookObject(
        id=endpoint.id,
        created_at=endpoint.created_at,
        updated_at=endpoint.updated_at,
        event_types=endpoint.event_types,
        name=endpoint.name,
        url=endpoint.url,
        signing_secret_hint=hint_of(endpoint.secret),
    )


def with_secret(endpoint: WebhookEndpoint) -> WebhookWithSecret:
    """Return a record as it goes over the wire, with its secret."""
    return WebhookWithSecret(
        **msgspec.structs.asdict(webhook_object(endpoint)), signing_secret=endpoint.secret
    )


def webhook_list(endpoints: list[WebhookEndpoint], *, has_more: bool) -> WebhookList:
    """Return a page of records as it goes over the wire."""
    return WebhookList(
        data=[webhook_object(endpoint) for endpoint in endpoints],
        first_id=endpoints[0].id if endpoints else None,
        last_id=endpoints[-1].id if endpoints else None,
        has_more=has_more,
    )


def delivery_object(delivery: WebhookDelivery) -> DeliveryObject:
    """Return a record as it goes over the wire."""
    is_open = delivery.status is DeliveryStatus.PENDING
    return DeliveryObject(
        id=delivery.id,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        subject=delivery.subject,
        created_at=delivery.created_at,
        status=delivery.status,
        next_attempt_at=delivery.next_attempt_at if is_open else None,
        attempts=delivery.attempts,
    )
