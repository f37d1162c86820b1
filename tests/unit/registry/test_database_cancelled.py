"""Connections to SQLite that are cancelled while they are opened."""

import asyncio
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from registry.store.database import Database

CONNECTIONS = 3
MOMENTS = 20


async def _read(database: Database) -> None:
    async with database.read() as connection:
        await connection.execute(text("SELECT 1"))


async def _cancelled_at(file: Path, moment: int) -> None:
    """Open connections, and cancel them after so many turns of the event loop."""
    database = Database(f"sqlite+aiosqlite:///{file}")
    with suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(_read(database)) for _ in range(CONNECTIONS)]
            for _ in range(moment):
                await asyncio.sleep(0)
            for reader in readers:
                reader.cancel()
    await database.close()


def test_no_thread_outlives_a_connection_that_was_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whatever moment it comes; a thread that did would fail once the event loop is closed."""
    connect = sqlite3.connect

    def slowly(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.02)  # a slow disk, in the driver's thread
        return connect(*arguments, **options)

    monkeypatch.setattr(sqlite3, "connect", slowly)
    failures: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda hook: failures.append(str(hook.exc_value)))
    before = set(threading.enumerate())
    for moment in range(MOMENTS):
        asyncio.run(_cancelled_at(tmp_path / "x.db", moment))
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
    assert failures == []
