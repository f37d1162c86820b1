"""The replicas of now, and the pick of one for a request.

It refuses to load adapters and to probe replicas: `service/reconcile.py` does, and tells.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection

from service.fleet.choice import PREFIX_SLACK, choose
from service.fleet.discovery import LOOKUP_SECONDS, Discovery
from service.fleet.health import Failure, Health, failed, succeeded
from service.fleet.replica import Replica
from service.metrics import ServiceMetrics
from service.vllm import Engine

_SERVER_ERRORS = frozenset({500, 502, 503, 504})
PrefixKey = Callable[[str], int | None]
"""Returns the hash of a request's prefix for a model."""

logger = logging.getLogger(__name__)


class Fleet:
    """Every vLLM server. `open` it before the first request, `close` it after the last."""

    def __init__(
        self,
        discovery: Discovery,
        make_engine: Callable[[str], Engine],
        metrics: ServiceMetrics,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._discovery = discovery
        self._make_engine = make_engine
        self._metrics = metrics
        self._clock = clock
        self._holders: dict[str, tuple[Replica, ...]] = {}
        self._leaving: list[Replica] = []
        self._turn = 0
        self.replicas: tuple[Replica, ...] = ()
        """The replicas that are there now, healthy or not."""

    async def open(self) -> None:
        """Find the replicas."""
        await self.refresh()

    async def close(self) -> None:
        """Close every connection."""
        for replica in (*self.replicas, *self._leaving):
            await replica.engine.close()
        self.replicas, self._leaving = (), []
        self.changed()

    async def run(self) -> None:
        """Find the replicas again every `LOOKUP_SECONDS`, until cancelled."""
        while True:
            await asyncio.sleep(LOOKUP_SECONDS)
            await self.refresh()

    async def refresh(self) -> None:
        """Find the replicas now: new ones join, and those that vanished finish what they have."""
        await self._discovery.refresh()
        present = {replica.url: replica for replica in self.replicas}
        for url in self._discovery.urls:
            if url not in present:
                present[url] = await self._joined(url)
        gone = [one for one in self.replicas if one.url not in self._discovery.urls]
        self.replicas = tuple(present[url] for url in self._discovery.urls)
        for replica in gone:
            logger.info("%s is no replica any more", replica.name)
            self._metrics.forget_replica(replica.name)
        self._leaving += gone
        self.changed()
        await self._see_off()

    def pick(
        self,
        model: str,
        *,
        is_base: bool,
        key_of: PrefixKey | None = None,
        tried: Collection[Replica] = (),
    ) -> Replica | None:
        """Return the replica that gets a request; none when no replica can answer it.

        Args:
            model: Name of the version or the base model.
            is_base: Whether it is the base model, which every replica holds.
            key_of: Tells the hash of the request's prefix, if it has one; it is asked only when
                there is a choice. Requests that share it meet the same replica where that does not
                unbalance.
            tried: Replicas that failed this request.
        """
        holders = self._holders.get(model)
        if holders is None:
            holders = self._holders[model] = self._find(model, is_base=is_base)
        if tried:
            holders = tuple(one for one in holders if one not in tried)
        if len(holders) < 2:
            return holders[0] if holders else None
        prefix_key = None if key_of is None else key_of(model)
        if prefix_key is None:
            self._turn += 1
            return choose(holders, self._turn, 0)
        return choose(holders, prefix_key, PREFIX_SLACK)

    def has_other(self, tried: Collection[Replica]) -> bool:
        """Return whether a replica answers probes that did not fail this request."""
        return any(one.health.answers and one not in tried for one in self.replicas)

    def holders(self, model: str) -> tuple[Replica, ...]:
        """Return the replicas that may answer for a version now."""
        return self._find(model, is_base=False)

    def changed(self) -> None:
        """Take note that a replica's health, or what it serves, is not what it was."""
        self._holders.clear()

    def note_failure(self, replica: Replica, failure: Failure) -> None:
        """Take note that a request failed on a replica; it is looked at now, and may be ejected."""
        is_needed = self._is_needed(replica)
        self.judge(replica, failed(replica.health, failure, self._clock(), is_needed=is_needed))
        replica.woken.set()

    def note_answer(self, replica: Replica, status: int) -> None:
        """Take note that a replica answered a request, and with which HTTP status.

        A status below 500 is a success of the replica, whatever the request was.
        """
        if status in _SERVER_ERRORS:
            self.note_failure(replica, Failure.ERROR)
        elif replica.health.failures or replica.health.errors:
            replica.health = succeeded(replica.health)

    def judge(self, replica: Replica, health: Health) -> None:
        """Give a replica another health; one that does not answer is believed to hold nothing."""
        before, replica.health = replica.health, health
        if replica in self.replicas and health.is_ejected and not before.is_ejected:
            self._metrics.ejections.labels(replica.name).inc()
            logger.warning("%s is ejected for a while", replica.name)
        if not health.answers:
            replica.forget_all()
            replica.serving = frozenset()
        if health.standing is not before.standing:
            logger.info("%s is %s", replica.name, health.standing)
            self.changed()

    def _is_needed(self, replica: Replica) -> bool:
        """Return whether half of the replicas would not be up any more without this one."""
        out = sum(not one.is_up for one in self.replicas if one is not replica)
        return out >= len(self.replicas) // 2

    def _find(self, model: str, *, is_base: bool) -> tuple[Replica, ...]:
        able = [
            replica
            for replica in self.replicas
            if replica.health.answers and (is_base or model in replica.serving)
        ]
        # When every one of them is ejected, a doubtful answer is better than none.
        return tuple(replica for replica in able if replica.is_up) or tuple(able)

    async def _joined(self, url: str) -> Replica:
        replica = Replica(url, self._make_engine(url))
        await replica.engine.open()
        self._metrics.replica_requests.labels(replica.name).set_function(
            lambda: replica.outstanding
        )
        return replica

    async def _see_off(self) -> None:
        for replica in [one for one in self._leaving if not one.outstanding]:
            self._leaving.remove(replica)
            await replica.engine.close()
