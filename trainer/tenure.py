"""What this trainer may work on: leases in the store, renewed while it lives, inherited if it dies.

It refuses to know what a job is. Whoever lost a lease cannot publish: the store asks for it in the
transaction that records a result.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from registry.errors import LostLease, Unavailable
from registry.records import Lease
from registry.store import Store
from registry.store.jobs import lease_of

BEAT_SECONDS = 3.0
"""Time between two renewals, and between two looks at the other trainers."""
SILENCE_SECONDS = 15.0
"""Silence after which a trainer counts as dead, by the own clock: hosts' clocks may differ."""
WAIT_SECONDS = 0.2
"""Time between two attempts to take a lease that somebody has."""
TRAINER = "trainer:"
"""Beginning of the names of the trainers' own leases."""

OnDeath = Callable[[str], Awaitable[None]]
"""Gives back to the queue what a dead trainer had taken from it."""

logger = logging.getLogger(__name__)


class Tenure:
    """The leases of one trainer.

    Args:
        store: Where the leases are.
        name: What this trainer calls itself; no two that live are alike.
        steady: A clock that only goes forward, in seconds.
    """

    def __init__(
        self, store: Store, name: str, *, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        """What this trainer calls itself."""
        self._store = store
        self._steady = steady
        self._busy: set[str] = set()
        self._blocks: dict[str, asyncio.Timeout] = {}
        self._silent_since: dict[Lease, float] = {}

    async def enter(self) -> None:
        """Take this trainer's own lease; waits while another one still inherits from it.

        It is never given back: a trainer that stops and does not come back is inherited from too.
        """
        await self._obtain(TRAINER + self.name)

    @asynccontextmanager
    async def of(self, job_id: str) -> AsyncIterator[None]:
        """Hold the lease to work on a job while the block lasts; waits until it is free.

        Raises:
            LostLease: It was taken while the block lasted, because this trainer was not heard of;
                the block was cancelled.
        """
        lease = lease_of(job_id)
        while lease in self._busy:  # noqa: ASYNC110 - seldom: a stage that is just ending
            await asyncio.sleep(WAIT_SECONDS)
        self._busy.add(lease)
        try:
            await self._obtain(lease)
        except BaseException:
            self._busy.discard(lease)
            raise
        block = asyncio.timeout(None)
        try:
            async with block:
                self._blocks[lease] = block
                yield
        except asyncio.CancelledError:
            raise  # the process ends, and goes on under the same name
        except Exception as exc:
            await self._store.leases.give_back(lease, self.name)
            if isinstance(exc, TimeoutError) and block.expired():
                raise LostLease(lease, self.name) from exc
            raise
        else:
            await self._store.leases.give_back(lease, self.name)
        finally:
            self._blocks.pop(lease, None)
            self._busy.discard(lease)

    async def confirm(self, job_id: str) -> None:
        """Make sure that this trainer may still work on a job.

        Raises:
            LostLease: It may not.
        """
        lease = lease_of(job_id)
        found = await self._find(lease)
        if found is None or found.holder != self.name:
            raise LostLease(lease, self.name)

    async def run(self, on_death: OnDeath) -> None:
        """Renew the leases and look for dead trainers, until cancelled.

        Raises:
            LostLease: This trainer was taken for dead. Everything it did was cancelled; it must
                start again.
        """
        while True:
            try:
                await self.renew()
                await self.look(on_death)
            except LostLease:
                raise
            except Unavailable as exc:
                self._silent_since.clear()  # a silence that nobody could break is none
                logger.warning("the leases wait for the database: %s", exc)
            except Exception:
                logger.exception("a dead trainer's work is not handed on yet")
            await asyncio.sleep(BEAT_SECONDS)

    async def renew(self) -> None:
        """Renew every lease; cancel what lost its own.

        Raises:
            LostLease: This trainer was taken for dead.
        """
        blocks = dict(self._blocks)  # one that begins meanwhile is not among those renewed
        held = await self._store.leases.renew(self.name, expires_at=_end())
        is_dead = TRAINER + self.name not in held
        for lease, block in blocks.items():
            if (is_dead or lease not in held) and self._blocks.get(lease) is block:
                block.reschedule(asyncio.get_running_loop().time())
        if is_dead:
            raise LostLease(TRAINER + self.name, self.name)

    async def look(self, on_death: OnDeath) -> None:
        """Inherit from the trainers that have been silent for too long."""
        leases = await self._store.leases.all(TRAINER)
        others = [lease for lease in leases if lease.holder != self.name]
        now = self._steady()
        self._silent_since = {lease: self._silent_since.get(lease, now) for lease in others}
        for lease in leases:
            if lease.name == TRAINER + self.name:
                continue
            is_silent = now - self._silent_since.get(lease, now) >= SILENCE_SECONDS
            inherits = is_silent and await self._inherit(lease, ending=lease_of(""))
            if lease.holder == self.name or inherits:
                await self._bury(lease.name, on_death)

    async def _inherit(self, lease: Lease, *, ending: str | None = None) -> bool:
        """Take a lease from a dead holder, and end its others whose names begin so, if asked."""
        heir = Lease(name=lease.name, holder=self.name, expires_at=_end())
        return await self._store.leases.inherit(lease, heir, ending=ending)

    async def _bury(self, lease: str, on_death: OnDeath) -> None:
        """Hand on what a dead trainer had; a crash in here leaves the lease, and is made up for."""
        dead = lease.removeprefix(TRAINER)
        logger.warning("trainer %s is silent; what it did goes on elsewhere", dead)
        await on_death(dead)
        await self._store.leases.give_back(lease, self.name)

    async def _obtain(self, name: str) -> None:
        """Take a lease once nobody has it, or whoever has it has been silent for too long.

        The end that a lease names is of its holder's clock, and is compared with no other: only
        whether it changes counts.

        Raises:
            Unavailable: The database is away; what was silent meanwhile could not speak.
        """
        seen: Lease | None = None
        since = self._steady()
        while not await self._take(name):
            found = await self._find(name)
            if found is None or found != seen:
                seen, since = found, self._steady()
            elif self._steady() - since >= SILENCE_SECONDS and await self._inherit(found):
                return
            await asyncio.sleep(WAIT_SECONDS)

    async def _take(self, name: str) -> bool:
        """Take a lease that nobody has, or that is this trainer's already."""
        lease = Lease(name=name, holder=self.name, expires_at=_end())
        return await self._store.leases.take(lease, now=0.0)  # none has ended

    async def _find(self, name: str) -> Lease | None:
        held = await self._store.leases.all(name)
        return next((lease for lease in held if lease.name == name), None)


def _end() -> float:
    return time.time() + SILENCE_SECONDS
