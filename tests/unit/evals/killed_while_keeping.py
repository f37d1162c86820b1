"""A process that dies by SIGKILL between an answer's row and the answer that is kept of it.

It refuses to be a test: `test_recall` starts it.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event

from registry.records import KnownAnswer
from registry.settings import Settings
from registry.store import open_store
from tests.unit.evals.setting import answer_row


def _die(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
    if "known_answers" in statement:
        os.kill(os.getpid(), signal.SIGKILL)


async def _store(folder: Path) -> None:
    store = await open_store(Settings(data_dir=folder))
    event.listen(store.database.engine.sync_engine, "before_cursor_execute", _die)
    known = KnownAnswer(project="default", scope="s", key="k", content="{}", bytes=2, created_at=1)
    await store.evaluations.add_rows([answer_row("eval-1", 0, "yes")], known=[known])


asyncio.run(_store(Path(sys.argv[1])))
