"""What a job's training may take: memory, time and disk, watched from outside.

It refuses to know what the job does with it.
"""

import logging
import time
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil
from anyio import to_thread

from registry.durable import write_file
from registry.errors import StorageFull, TrainingFailed
from registry.settings import Settings
from trainer.workplace import Workplace

logger = logging.getLogger(__name__)

DISK_SECONDS = 2.0
"""Time between two looks at the size of a job's folder."""


class Breach(StrEnum):
    """The limit that was passed."""

    MEMORY = "memory"
    TIME = "time"
    DISK = "disk"


class Spending:
    """The time that a job's children take, kept in its folder from child to child.

    The time of a child whose trainer is killed is not counted.
    """

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._started_at = time.monotonic()
        self._before = 0.0

    async def __aenter__(self) -> Self:
        self._started_at = time.monotonic()
        self._before = _read_seconds(self._place.spent)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            write_file(self._place.spent, msgspec.json.encode(self.seconds))
        except StorageFull as full:  # the child says so too
            logger.warning("the time of a child is not counted: %s", full)

    @property
    def seconds(self) -> float:
        """The time of all children so far."""
        return self._before + time.monotonic() - self._started_at


class Limits:
    """The limits of one job, and what it takes of them."""

    def __init__(self, settings: Settings, place: Workplace, spent: Spending) -> None:
        self._settings = settings
        self._place = place
        self._spent = spent
        self._measured_at = float("-inf")

    async def breach(self, pid: int) -> Breach | None:
        """Return the limit that the child with a process id has passed, or none."""
        memory, seconds = self._settings.training_memory_bytes, self._settings.training_seconds
        if memory is not None and _memory_of(pid) > memory:
            return Breach.MEMORY
        if seconds is not None and self._spent.seconds > seconds:
            return Breach.TIME
        return Breach.DISK if await self._fills_disk() else None

    def failure(self, breach: Breach) -> TrainingFailed:
        """Return what a job fails with that passed a limit."""
        if breach is Breach.TIME:
            text = (
                f"The job trained for longer than {self._settings.training_seconds:g} s, which is "
                "the limit here (GRAFTLINE_TRAINING_SECONDS). Train on fewer rows or epochs."
            )
            return TrainingFailed("time_limit_exceeded", text)
        text = (
            f"The job's folder grew beyond {self._settings.training_disk_bytes} bytes, which is "
            "the limit here (GRAFTLINE_TRAINING_DISK_BYTES). Use a lower rank or a smaller file."
        )
        return TrainingFailed("disk_limit_exceeded", text)

    async def _fills_disk(self) -> bool:
        most = self._settings.training_disk_bytes
        now = time.monotonic()
        if most is None or now - self._measured_at < DISK_SECONDS:
            return False
        self._measured_at = now
        return await to_thread.run_sync(_size_of, self._place.root) > most


def _memory_of(pid: int) -> int:
    """Return the memory of a process and its children in bytes, 0 once it is gone."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family)
    except psutil.NoSuchProcess:
        return 0


def _size_of(folder: Path) -> int:
    """Return the bytes of the files below a folder; those that vanish meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total


def _read_seconds(path: Path) -> float:
    try:
        return msgspec.json.decode(path.read_bytes(), type=float)
    except (OSError, msgspec.MsgspecError):
        return 0.0
