"""Webhook endpoints, and the deliveries that wait for them.

It refuses to know what is sent and how: `outbox` writes the deliveries.
"""

import msgspec
from sqlalchemy import bindparam, delete, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.errors import Conflict, NotFound
from registry.records import DeliveryStatus, WebhookDelivery, WebhookEndpoint
from registry.store import exchange_tables
from registry.store.database import Database
from registry.store.prepared import Prepared
from registry.store.rows import Page, add, columns, fetch_all, fetch_first, fetch_page

_ENDPOINTS, _DELIVERIES = exchange_tables.webhook_endpoints, exchange_tables.webhook_deliveries


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery whose time has come."""

    delivery: WebhookDelivery
    """What is sent."""
    endpoint: WebhookEndpoint
    """Whom it goes to, as it is now."""


_ANY_DUE = Prepared(
    select(_DELIVERIES.c.seq)
    .where(
        _DELIVERIES.c.status == DeliveryStatus.PENDING.value,
        _DELIVERIES.c.next_attempt_at <= bindparam("now"),
    )
    .limit(literal_column("1"))
)


class Webhooks:
    """The records of webhooks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, endpoint: WebhookEndpoint, *, most: int) -> None:
        """Store a new endpoint, unless its project has too many.

        Raises:
            Conflict: It has.
        """
        counting = select(func.count()).where(_ENDPOINTS.c.project == endpoint.project)
        async with self._database.write() as connection:
            if (await connection.execute(counting)).scalar_one() >= most:
                raise Conflict(f"The project has {most} webhook endpoints; delete one first.")
            await add(connection, _ENDPOINTS, endpoint)

    async def get(self, identifier: str, *, project: str) -> WebhookEndpoint:
        """Return a project's endpoint.

        Raises:
            NotFound: There is none, or it belongs to another project.
        """
        async with self._database.read() as connection:
            return await _get(connection, identifier, project)

    async def page(self, *, project: str, after: str | None, limit: int) -> Page[WebhookEndpoint]:
        """Return a page of a project's endpoints, newest first."""
        query = select(_ENDPOINTS).where(_ENDPOINTS.c.project == project)
        async with self._database.read() as connection:
            return await fetch_page(
                connection, query, WebhookEndpoint, table=_ENDPOINTS, after=after, limit=limit
            )

    async def change(self, identifier: str, *, project: str, **changes: object) -> WebhookEndpoint:
        """Change fields of an endpoint, and return it.

        Raises:
            NotFound: There is none, or it belongs to another project.
        """
        async with self._database.write() as connection:
            present = await _get(connection, identifier, project)
            changed = msgspec.structs.replace(present, **changes)
            query = update(_ENDPOINTS).where(_ENDPOINTS.c.id == identifier)
            await connection.execute(query.values(**columns(changed)))
        return changed

    async def delete(self, identifier: str, *, project: str) -> None:
        """Delete an endpoint with all that waits for it.

        Raises:
            NotFound: There is none, or it belongs to another project.
        """
        async with self._database.write() as connection:
            await _get(connection, identifier, project)
            await connection.execute(
                delete(_DELIVERIES).where(_DELIVERIES.c.endpoint_id == identifier)
            )
            await connection.execute(delete(_ENDPOINTS).where(_ENDPOINTS.c.id == identifier))

    async def due(self, *, now: float, limit: int) -> list[Due]:
        """Return deliveries that are to be tried now, the longest due first."""
        if not await self._database.look(_ANY_DUE, now=now):
            return []
        query = (
            select(_DELIVERIES)
            .where(
                _DELIVERIES.c.status == DeliveryStatus.PENDING,
                _DELIVERIES.c.next_attempt_at <= now,
            )
            .order_by(_DELIVERIES.c.next_attempt_at)
            .limit(limit)
        )
        async with self._database.read_as_one() as connection:
            waiting = await fetch_all(connection, query, WebhookDelivery)
            wanted = {delivery.endpoint_id for delivery in waiting}
            named = select(_ENDPOINTS).where(_ENDPOINTS.c.id.in_(wanted))
            found = await fetch_all(connection, named, WebhookEndpoint) if wanted else []
        endpoints = {endpoint.id: endpoint for endpoint in found}
        return [
            Due(delivery=delivery, endpoint=endpoints[delivery.endpoint_id])
            for delivery in waiting
            if delivery.endpoint_id in endpoints  # its endpoint is being deleted
        ]

    async def settle(self, delivery: WebhookDelivery) -> None:
        """Store what became of a try; a delivery that was deleted meanwhile stays away."""
        query = update(_DELIVERIES).where(_DELIVERIES.c.id == delivery.id)
        async with self._database.write() as connection:
            await connection.execute(query.values(**columns(delivery)))

    async def deliveries(
        self, endpoint_id: str, *, after: str | None, limit: int
    ) -> Page[WebhookDelivery]:
        """Return a page of an endpoint's deliveries, newest first."""
        query = select(_DELIVERIES).where(_DELIVERIES.c.endpoint_id == endpoint_id)
        async with self._database.read() as connection:
            return await fetch_page(
                connection, query, WebhookDelivery, table=_DELIVERIES, after=after, limit=limit
            )

    async def forget(self, *, before: int) -> None:
        """Delete deliveries that ended and are of a Unix time before `before`, in seconds."""
        old = (_DELIVERIES.c.status != DeliveryStatus.PENDING) & (_DELIVERIES.c.created_at < before)
        async with self._database.write() as connection:
            await connection.execute(delete(_DELIVERIES).where(old))


async def _get(connection: AsyncConnection, identifier: str, project: str) -> WebhookEndpoint:
    query = select(_ENDPOINTS).where(_ENDPOINTS.c.id == identifier, _ENDPOINTS.c.project == project)
    found = await fetch_first(connection, query.with_for_update(), WebhookEndpoint)
    if found is None:
        raise NotFound("webhook endpoint", identifier)
    return found
