"""Signs of life: a process says in the store that it is there, and readers judge its silence.

It refuses to know what the process does.
"""

import asyncio
import logging
import os
import time

from registry.errors import GraftlineError
from registry.records import Heartbeat
from registry.store import Store

BEAT_SECONDS = 2.0
"""Time between two heartbeats."""
SILENCE_SECONDS = 10.0
"""Silence after which a part counts as dead."""

logger = logging.getLogger(__name__)


async def keep_beating(store: Store, part: str) -> None:
    """Write a heartbeat every `BEAT_SECONDS` until cancelled; a failed write is logged."""
    while True:
        try:
            await store.parts.beat(Heartbeat(part=part, pid=os.getpid(), at=time.time()))
        except GraftlineError as exc:
            logger.warning("heartbeat of %s not written: %s", part, exc)
        await asyncio.sleep(BEAT_SECONDS)


def is_alive(heartbeat: Heartbeat, now: float) -> bool:
    """Return whether a part was heard of lately."""
    return now - heartbeat.at < SILENCE_SECONDS
