"""The process that writes long batches gives way, and is given its turn where it starves."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psutil
import pytest

from registry.settings import Settings
from registry.store import Store, open_store
from registry.store.batch_process import ORDINARY_SECONDS, STARVED_SECONDS
from tests.batch_writers import Reading, locked, names, rows, stored_ids, until, writer_of
from tests.processes import still_alive

STARVED = "registry.store.batch_process.STARVED_SECONDS"


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """Open a store on SQLite."""
    opened = await open_store(settings)
    yield opened
    await opened.close()


@pytest.fixture
def file(settings: Settings) -> Path:
    """Return the database's file."""
    return settings.data_dir / "graftline.db"


@dataclass
class Clock:
    """A clock that stands still."""

    now: float = 1000.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now


@contextmanager
def busy_cores() -> Iterator[None]:
    """Let two programs want each core all the time."""
    with ExitStack() as stack:
        for _ in range(2 * (os.cpu_count() or 1)):
            busy = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(busy.kill)
        yield


async def scheduler_after(store: Store, prefix: str) -> int:
    """Write a batch, and return the scheduling policy of the process that did."""
    await store.interactions.add_packed(rows(names(prefix)))
    return os.sched_getscheduler(writer_of(store).pid)


async def test_after_it_starved_it_takes_its_turn_for_a_while(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that starves has the lock meanwhile; then it gives way to everybody again."""
    clock = Clock()
    monkeypatch.setattr("registry.store.batch_process.time", clock)
    assert await scheduler_after(store, "a") == os.SCHED_IDLE
    gentle = writer_of(store)
    monkeypatch.setattr(STARVED, -1.0)  # whatever it waited, it was too long
    assert await scheduler_after(store, "b") == os.SCHED_IDLE
    assert writer_of(store) == gentle
    monkeypatch.setattr(STARVED, 3600.0)
    assert await scheduler_after(store, "c") == os.SCHED_OTHER
    ordinary = writer_of(store)
    clock.now += ORDINARY_SECONDS - 1
    assert await scheduler_after(store, "d") == os.SCHED_OTHER
    assert writer_of(store) == ordinary
    clock.now += 1
    assert await scheduler_after(store, "e") == os.SCHED_IDLE
    assert still_alive([gentle, ordinary]) == []
    assert stored_ids(file) == [name for prefix in "abcde" for name in names(prefix)]


async def test_on_a_machine_that_never_rests_it_starves(store: Store) -> None:
    """Cores that others never leave are noticed, and then it takes its turn."""
    assert await scheduler_after(store, "a") == os.SCHED_IDLE
    with busy_cores():
        async with asyncio.timeout(120):
            for number in count():
                if await scheduler_after(store, f"b{number}-") == os.SCHED_OTHER:
                    break


async def test_a_process_that_was_stopped_did_not_starve(store: Store, file: Path) -> None:
    """Nor did one that waited for a lock: only a core that others have is starvation."""
    await scheduler_after(store, "a")
    writer = writer_of(store)
    reading = Reading(writer)
    async with asyncio.TaskGroup() as group:
        with locked(file):
            group.create_task(scheduler_after(store, "b"))
            await reading.whole(rows(names("b")))
            writer.suspend()
            await until(lambda: writer.status() == psutil.STATUS_STOPPED, "it is stopped")
            await asyncio.sleep(2 * STARVED_SECONDS)  # what must not count
        writer.resume()
    assert await scheduler_after(store, "c") == os.SCHED_IDLE
    assert writer_of(store) == writer
