"""`/v1/webhook_endpoints`: who is told of a project's events. Only for the scope `admin`.

It refuses to deliver: that is the courier's.
"""

import time
from collections.abc import Sequence

from litestar import Router, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET

from registry.errors import Invalid
from registry.identifiers import new_id
from registry.records import Scope, WebhookEndpoint, WebhookEvent
from registry.store.outbox import new_delivery
from service.auth import needs
from service.context import After, Caller, Limit, Parts
from service.description import may
from service.webhooks.signing import new_webhook_secret
from service.wire.lists import Deleted, ListOf
from service.wire.webhooks import (
    CreateWebhook,
    DeliveryObject,
    RotateWebhookSecret,
    TestWebhook,
    UpdateWebhook,
    WebhookEventTypes,
    WebhookList,
    WebhookObject,
    WebhookTestResult,
    WebhookWithSecret,
    delivery_object,
    webhook_list,
    webhook_object,
    with_secret,
)

MOST_ENDPOINTS = 20
"""Webhook endpoints of one project."""
GRACE_SECONDS = 86_400
"""Time an old secret signs beside its successor, when that is asked for."""
_LONGEST_NAME = 100


@post("/", status_code=200, responses=may(409))
async def create_webhook(
    services: Parts, caller: Caller, data: JSONBody[CreateWebhook]
) -> WebhookWithSecret:
    """Make an endpoint. This answer and that to a rotation are all that ever show its secret."""
    now = int(time.time())
    services.sender.reachable.check(data.url)
    endpoint = WebhookEndpoint(
        id=new_id("we"),
        project=caller.project,
        name=_checked_name(data.name),
        url=data.url,
        event_types=_checked_events(data.event_types),
        secret=new_webhook_secret(),
        created_at=now,
        updated_at=now,
    )
    await services.store.webhooks.add(endpoint, most=MOST_ENDPOINTS)
    return with_secret(endpoint)


@get("/")
async def list_webhooks(
    services: Parts, caller: Caller, after: After = None, limit: Limit = 20
) -> WebhookList:
    """List the project's endpoints, newest first, without their secrets."""
    page = await services.store.webhooks.page(project=caller.project, after=after, limit=limit)
    return webhook_list(page.data, has_more=page.has_more)


@get("/{webhook_endpoint_id:str}")
async def get_webhook(
    services: Parts, caller: Caller, webhook_endpoint_id: FromPath[str]
) -> WebhookObject:
    """Return an endpoint, without its secret."""
    return webhook_object(
        await services.store.webhooks.get(webhook_endpoint_id, project=caller.project)
    )


@post("/{webhook_endpoint_id:str}", status_code=200)
async def update_webhook(
    services: Parts,
    caller: Caller,
    webhook_endpoint_id: FromPath[str],
    data: JSONBody[UpdateWebhook],
) -> WebhookObject:
    """Change name, URL or events; what waits to be delivered goes to the new URL."""
    changes: dict[str, object] = {}
    if data.name is not UNSET:
        changes["name"] = _checked_name(data.name)
    if data.url is not UNSET:
        services.sender.reachable.check(data.url)
        changes["url"] = data.url
    if data.event_types is not UNSET:
        changes["event_types"] = _checked_events(data.event_types)
    if changes:
        changes["updated_at"] = int(time.time())
    return webhook_object(
        await services.store.webhooks.change(webhook_endpoint_id, project=caller.project, **changes)
    )


@delete("/{webhook_endpoint_id:str}", status_code=200)
async def delete_webhook(
    services: Parts, caller: Caller, webhook_endpoint_id: FromPath[str]
) -> Deleted:
    """Delete an endpoint; what waits for it is not delivered any more."""
    await services.store.webhooks.delete(webhook_endpoint_id, project=caller.project)
    return Deleted(id=webhook_endpoint_id, object="webhook_endpoint.deleted")


@post("/{webhook_endpoint_id:str}/rotate_secret", status_code=200)
async def rotate_secret(
    services: Parts,
    caller: Caller,
    webhook_endpoint_id: FromPath[str],
    data: JSONBody[RotateWebhookSecret],
) -> WebhookWithSecret:
    """Make another secret; the old one signs beside it for a day, or not at all any more."""
    present = await services.store.webhooks.get(webhook_endpoint_id, project=caller.project)
    now, keeps = int(time.time()), data.keep_old_secret_active_for_24_hours
    changed = await services.store.webhooks.change(
        present.id,
        project=caller.project,
        secret=new_webhook_secret(),
        old_secret=present.secret if keeps else None,
        old_secret_until=now + GRACE_SECONDS if keeps else None,
        updated_at=now,
    )
    return with_secret(changed)


@post("/{webhook_endpoint_id:str}/test", status_code=200)
async def test_webhook(
    services: Parts,
    caller: Caller,
    webhook_endpoint_id: FromPath[str],
    data: JSONBody[TestWebhook],
) -> WebhookTestResult:
    """Send a sample at once; 400 when the receiver cannot be reached."""
    (event,) = _checked_events([data.event_type])
    endpoint = await services.store.webhooks.get(webhook_endpoint_id, project=caller.project)
    kind = "ftjob" if event.startswith("fine_tuning") else "eval"
    sample = new_delivery(endpoint, event, new_id(kind), int(time.time()))
    attempt = await services.sender.send(endpoint, sample)
    if attempt.status is None:
        message = f"The sample did not reach '{endpoint.url}': {attempt.error}"
        raise Invalid(message, "url", "webhook_unreachable")
    return WebhookTestResult(
        webhook_endpoint_id=endpoint.id, event_type=event, status_code=attempt.status
    )


@get("/{webhook_endpoint_id:str}/deliveries")
async def list_deliveries(
    services: Parts,
    caller: Caller,
    webhook_endpoint_id: FromPath[str],
    after: After = None,
    limit: Limit = 20,
) -> ListOf[DeliveryObject]:
    """List what was sent or is to be sent, newest first, with every try; kept for 30 days."""
    await services.store.webhooks.get(webhook_endpoint_id, project=caller.project)
    page = await services.store.webhooks.deliveries(webhook_endpoint_id, after=after, limit=limit)
    listed = [delivery_object(delivery) for delivery in page.data]
    return ListOf(data=listed, has_more=page.has_more)


@get("/v1/webhook_event_types", guards=[needs(Scope.ADMIN)], tags=["Webhooks"])
async def list_event_types() -> WebhookEventTypes:
    """List what webhooks can be told of."""
    return WebhookEventTypes(data=list(WebhookEvent))


def _checked_name(name: str) -> str:
    if not 1 <= len(name) <= _LONGEST_NAME:
        raise Invalid(f"'name' must have 1 to {_LONGEST_NAME} characters.", "name")
    return name


def _checked_events(wanted: Sequence[str]) -> list[WebhookEvent]:
    known = ", ".join(f"'{event}'" for event in WebhookEvent)
    if not wanted:
        raise Invalid(f"Name at least one event: {known}.", "event_types")
    for each in wanted:
        if each not in set(WebhookEvent):
            message = f"There are no events '{each[:64]}' here. There are {known}."
            raise Invalid(message, "event_types", "unknown_event")
    return sorted({WebhookEvent(each) for each in wanted})


router = Router(
    "/",
    route_handlers=[
        list_event_types,
        Router(
            "/v1/webhook_endpoints",
            route_handlers=[
                create_webhook,
                list_webhooks,
                get_webhook,
                update_webhook,
                delete_webhook,
                rotate_secret,
                test_webhook,
                list_deliveries,
            ],
            guards=[needs(Scope.ADMIN)],
            tags=["Webhooks"],
        ),
    ],
)
