"""Takes away the parts of uploads that ended, a while after they did.

It refuses to know who ends them.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from anyio import to_thread

from registry.errors import GraftlineError
from registry.store import Store
from service.assembly import PartStore

SWEEP_SECONDS = 60.0
"""Time between two sweeps."""
GRACE_SECONDS = 600
"""Time after the end of a pending upload in which its parts may still be put together."""

logger = logging.getLogger(__name__)


class PartSweep:
    """Sweeps the parts' folder; any number of processes may do so."""

    def __init__(
        self, store: Store, parts: PartStore, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._parts = parts
        self._clock = clock

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.once()
            except GraftlineError as exc:
                logger.warning("parts of ended uploads stay for now: %s", exc)
            await asyncio.sleep(SWEEP_SECONDS)

    async def once(self) -> None:
        """Delete the parts of every upload that is completed, cancelled, or expired for a while.

        Raises:
            Unavailable: The database does not answer; nothing is deleted.
        """
        # Found before the records are read: a folder that is made meanwhile is not among them.
        found = await to_thread.run_sync(self._parts.known)
        if not found:
            return
        wanted = await self._store.uploads.open_ids(now=int(self._clock()) - GRACE_SECONDS)
        await to_thread.run_sync(self._parts.forget_all, set(found) - wanted)
