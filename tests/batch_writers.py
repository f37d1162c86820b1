"""The process that writes long batches, as tests look at it and hinder it.

It refuses to start one: only a store does.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
from anyio import to_thread

from registry.store import Store
from registry.store.batch_process import BatchProcess
from registry.store.batches import packed
from registry.store.interactions import MANY_ROWS
from tests.processes import still_alive, wait_until
from tests.records import interaction

ROWS = 3 * MANY_ROWS + 7
"""Rows of a batch that such a process writes."""


def names(prefix: str, count: int = ROWS) -> list[str]:
    """Return ids that begin alike."""
    return [f"{prefix}{number}" for number in range(count)]


def rows(identifiers: Sequence[str]) -> list[bytes]:
    """Return interactions as a batch takes them."""
    return [packed(interaction(name, project="p")) for name in identifiers]


def batches_of(store: Store) -> BatchProcess:
    """Return the handle of a store on SQLite."""
    batches = store._batches
    assert batches is not None
    return batches


def writer_of(store: Store) -> psutil.Process:
    """Return the process, which runs."""
    pid = batches_of(store).pid
    assert pid is not None, "no process was started"
    return psutil.Process(pid)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep everybody else from writing into a database."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


class Reading:
    """What a process has read: make it before the batch is written.

    Args:
        writer: The process.
    """

    def __init__(self, writer: psutil.Process) -> None:
        self._writer = writer
        self._before = self._read_bytes()

    async def whole(self, rows: Sequence[bytes]) -> None:
        """Return once the process has read a batch of these rows."""
        size = sum(map(len, rows))
        await until(lambda: self._read_bytes() - self._before > size, "the process has the batch")

    def _read_bytes(self) -> int:
        return int(self._writer.io_counters().read_chars)


async def gone(process: psutil.Process) -> None:
    """Return once a process does not run any more."""
    await until(lambda: not still_alive([process]), f"{process.pid} is gone")


async def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds, while the event loop goes on."""
    await to_thread.run_sync(wait_until, holds, what)


def stored_ids(file: Path) -> list[str]:
    """Return the ids of the interactions that are stored, oldest first."""
    with closing(sqlite3.connect(file)) as reader:
        return [row[0] for row in reader.execute("SELECT id FROM interactions ORDER BY seq")]


def stored_requests(file: Path) -> int:
    """Return how many requests the stored usage counts."""
    with closing(sqlite3.connect(file)) as reader:
        return int(reader.execute("SELECT coalesce(sum(requests), 0) FROM usage").fetchone()[0])
