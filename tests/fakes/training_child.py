"""A training child that does what a test says, without a process.

It refuses to train.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from registry.settings import Settings
from trainer.protocol import Message
from trainer.stopping import EXIT_STOPPED
from trainer.workplace import Workplace


@dataclass
class FakeChild:
    """A child that ends by itself with a status, or runs until it is ended."""

    status: int | None = None
    """The status it ends with; none for one that runs on."""
    pid: int = field(default_factory=os.getpid)
    """The process that is measured in its stead."""
    reports: Sequence[Message] = ()
    """What it says before its end."""
    others_see_first: bool = False
    """Whether whoever ended it is the last one to learn that it has."""
    asked: list[str] = field(default_factory=list)
    """How it was ended: `stop`, `kill`."""
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def messages(self) -> AsyncIterator[Message]:
        """Report nothing, and close the pipe at the end."""
        if self.status is None:
            await self._ended.wait()
        for report in self.reports:
            yield report

    async def wait(self) -> int:
        """Return the exit status."""
        if self.status is None:
            await self._ended.wait()
        return -signal.SIGKILL if self.status is None else self.status

    async def stop(self, _seconds: float = 0.0) -> None:
        """End gently."""
        if not self._ended.is_set():
            self.asked.append("stop")
            self.status = EXIT_STOPPED
            await self._end()

    async def kill(self) -> None:
        """End at once."""
        if not self._ended.is_set():
            self.asked.append("kill")
            await self._end()

    async def _end(self) -> None:
        self._ended.set()
        if self.others_see_first:
            await asyncio.sleep(1)


class FakeChildren:
    """Children one after another; each may do something in the job's folder first."""

    def __init__(
        self, children: Sequence[FakeChild], begin: Callable[[int, Workplace], None]
    ) -> None:
        self.children = children
        self.started = 0
        self._begin = begin

    @asynccontextmanager
    async def __call__(self, _settings: Settings, folder: Path) -> AsyncIterator[FakeChild]:
        """Run the next child."""
        child = self.children[self.started]
        self.started += 1
        self._begin(self.started, Workplace(folder))
        try:
            yield child
        finally:
            await child.stop()
