"""Which texts are kept: by what each project chose, sampled, for a time.

It refuses to know what is in them, and writes none itself: `interaction_log.py` does.
"""

import asyncio
import logging
import time
from zlib import crc32

from registry.errors import GraftlineError
from registry.records import Project
from registry.store import Store

REFRESH_SECONDS = 1.0
"""Longest time that another process's change of a project stays unseen."""
SWEEP_SECONDS = 60.0
"""Time between two sweeps of texts whose time is over."""
_DAY_SECONDS = 86_400

logger = logging.getLogger(__name__)


class Texts:
    """The projects' choices in memory, and the sweep of old texts."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._shares: dict[str, float] = {}
        self._projects: list[Project] = []
        # Protects the order: choices read before a change never replace those read after.
        self._refreshing = asyncio.Lock()

    def wanted(self, project: str, interaction_id: str) -> bool:
        """Return whether the text of an interaction is kept; ask at its start, it takes 0.3 µs.

        The id is random and ours, so that a plain checksum of it spreads evenly; every process
        decides alike.
        """
        share = self._shares.get(project)
        return share is not None and crc32(interaction_id.encode()) < share * 4294967296

    async def refresh(self) -> None:
        """Read the projects' choices; call it after each change.

        Raises:
            Unavailable: The database cannot be reached; the choices stay as they were.
        """
        async with self._refreshing:
            self._projects = await self._store.projects.all()
            self._shares = {p.name: p.text_share for p in self._projects if p.text_share > 0}

    async def sweep(self, now: float) -> int:
        """Delete the texts whose time is over, and return how many went.

        Args:
            now: Unix time in seconds.
        """
        removed = 0
        for project in self._projects:
            oldest = now - project.text_retention_days * _DAY_SECONDS
            removed += await self._store.projects.forget_texts(project.name, before=oldest)
        return removed

    async def run(self) -> None:
        """Refresh and sweep until cancelled."""
        next_sweep = 0.0
        while True:
            try:
                await self.refresh()
                if time.monotonic() >= next_sweep:
                    await self.sweep(time.time())
                    next_sweep = time.monotonic() + SWEEP_SECONDS
            except GraftlineError as exc:
                logger.warning("projects not refreshed: %s", exc)
            await asyncio.sleep(REFRESH_SECONDS)
