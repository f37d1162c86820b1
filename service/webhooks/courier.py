"""Delivers what waits in the outbox, until it is taken or too old.

It refuses to know why it waits. One process delivers at a time: it holds a lease. A process that
is killed between a delivery and its record delivers again: at least once, never less.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from registry.errors import GraftlineError
from registry.records import DeliveryStatus, Lease, WebhookAttempt, WebhookDelivery
from registry.store import Store
from registry.store.webhooks import Due
from service.dice import DICE
from service.metrics import ServiceMetrics
from service.webhooks.backoff import next_attempt
from service.webhooks.sender import Sender

LOOK_SECONDS = 1.0
"""Time between two looks into the outbox."""
LEASE = "webhooks"
"""Name of the lease to deliver."""
MOST_AT_ONCE = 32
"""Deliveries under way at a time."""
MOST_FOR_ONE = 2
"""Of those, the most for one endpoint: a slow one does not hold up the others."""
KEEP_SECONDS = 30 * 86_400
"""Age at which deliveries that ended are forgotten."""
_LOOKED_AT = 256
_FORGET_SECONDS = 3600.0
_GONE = 410

logger = logging.getLogger(__name__)


class Courier:
    """Delivers for all projects."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        metrics: ServiceMetrics,
        *,
        process: str,
        retry_seconds: float,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = DICE.random,
    ) -> None:
        self._store = store
        self._sender = sender
        self._metrics = metrics
        self._process = process
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._chance = chance
        self._forgot_at = float("-inf")

    async def run(self) -> None:
        """Deliver what is due, until cancelled."""
        while True:
            try:
                await self.once()
            except GraftlineError as exc:
                logger.warning("webhooks wait for the database: %s", exc)
            await asyncio.sleep(LOOK_SECONDS)

    async def once(self) -> int:
        """Try each delivery that is due, up to some at a time, and return how many.

        Raises:
            GraftlineError: The database does not answer; what was delivered may be so again.
        """
        if not await self._due():
            return 0
        now = self._clock()
        lasts = 2 * self._sender.deadline_seconds + 10
        lease = Lease(name=LEASE, holder=self._process, expires_at=now + lasts)
        if not await self._store.leases.take(lease, now=now):
            return 0
        try:
            # Once more: another process may have delivered before it gave the lease back.
            due = await self._due()
            async with asyncio.TaskGroup() as group:
                for each in due:
                    group.create_task(self._deliver(each))
            await self._forget_old()
        finally:
            await self._store.leases.give_back(LEASE, self._process)
        return len(due)

    async def _due(self) -> list[Due]:
        return chosen(await self._store.webhooks.due(now=self._clock(), limit=_LOOKED_AT))

    async def _deliver(self, due: Due) -> None:
        attempt = await self._sender.send(due.endpoint, due.delivery)
        settled = self._settled(due.delivery, attempt)
        if settled.status is DeliveryStatus.GIVEN_UP:
            logger.warning(
                "the webhook %s was not told of %s: %s",
                due.endpoint.id,
                due.delivery.subject,
                attempt.error,
            )
        outcome = "failed" if settled.status is DeliveryStatus.PENDING else settled.status.value
        self._metrics.webhook_attempts.labels(outcome).inc()
        await self._store.webhooks.settle(settled)

    def _settled(self, delivery: WebhookDelivery, attempt: WebhookAttempt) -> WebhookDelivery:
        attempts = [*delivery.attempts, msgspec.to_builtins(attempt)]
        if attempt.error is None:
            status, again = DeliveryStatus.DELIVERED, None
        else:
            again = next_attempt(
                tries=len(attempts),
                created_at=delivery.created_at,
                now=self._clock(),
                chance=self._chance(),
                retry_seconds=self._retry_seconds,
            )
            ends = again is None or attempt.status == _GONE
            status = DeliveryStatus.GIVEN_UP if ends else DeliveryStatus.PENDING
        return msgspec.structs.replace(
            delivery,
            attempts=attempts,
            status=status,
            next_attempt_at=delivery.next_attempt_at if again is None else again,
        )

    async def _forget_old(self) -> None:
        now = self._clock()
        if now - self._forgot_at >= _FORGET_SECONDS:
            await self._store.webhooks.forget(before=int(now - KEEP_SECONDS))
            self._forgot_at = now


def chosen(due: Sequence[Due]) -> list[Due]:
    """Return which of the deliveries that are due are tried now, the longest due first."""
    taken: Counter[str] = Counter()
    found: list[Due] = []
    for each in due:
        if len(found) < MOST_AT_ONCE and taken[each.endpoint.id] < MOST_FOR_ONE:
            taken[each.endpoint.id] += 1
            found.append(each)
    return found
