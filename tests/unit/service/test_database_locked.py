"""Inference while nobody can write to the database."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.serving import BASE, Serving, serving

REQUESTS = 20


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Serving]:
    """Run the service over a fake engine."""
    async with serving(tmp_path) as running:
        yield running


async def test_a_locked_database_stops_no_answer_and_loses_no_interaction(stack: Serving) -> None:
    """While another writer holds the lock requests are answered; their rows are stored after."""
    file = stack.settings.data_dir / "graftline.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        answers = [await stack.chat(BASE) for _ in range(REQUESTS)]
        assert {answer.status for answer in answers} == {200}
        assert writer.execute("SELECT count(*) FROM interactions").fetchone() == (0,)
        writer.execute("ROLLBACK")
    await stack.services.interaction_log.flush()
    ids = [f"chatcmpl-{answer.headers['x-request-id']}" for answer in answers]
    for identifier in ids:
        await stack.services.store.interactions.get(identifier, project="default")
    assert stack.metric("graftline_interactions_dropped_total") == 0
