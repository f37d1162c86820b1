"""Known answers of base models: a cache, bounded in bytes and in age.

It refuses to know what is asked. They are written in the transaction that stores the rows they
were answers to (`Evaluations.add_rows`), so a crash keeps both or neither.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import Insert, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.records import KnownAnswer
from registry.store import tables
from registry.store.database import Database
from registry.store.rows import columns


class KnownAnswers:
    """The cache."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, project: str, keys: Collection[str]) -> dict[str, str]:
        """Return the contents that a project has, by key; a few hundred keys at a time."""
        table = tables.known_answers
        query = select(table.c.key, table.c.content).where(
            table.c.project == project, table.c.key.in_(keys)
        )
        async with self._database.read() as connection:
            return {str(key): str(content) for key, content in await connection.execute(query)}

    async def forget(self, scope: str) -> int:
        """Drop what one engine answered; return how many there were."""
        table = tables.known_answers
        async with self._database.write() as connection:
            return (await connection.execute(delete(table).where(table.c.scope == scope))).rowcount

    async def size(self) -> int:
        """Return the bytes of all contents together."""
        query = select(func.coalesce(func.sum(tables.known_answers.c.bytes), 0))
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def trim(self, *, max_bytes: int, before: int) -> int:
        """Drop answers from before a time, and the oldest while all take more than `max_bytes`.

        Args:
            max_bytes: Most bytes of content, of all projects together.
            before: Unix time in seconds.

        Returns:
            How many were dropped.
        """
        table = tables.known_answers
        newest_first = func.sum(table.c.bytes).over(order_by=table.c.seq.desc())
        sized = select(table.c.seq, newest_first.label("bytes")).subquery()
        beyond = select(sized.c.seq).where(sized.c.bytes > max_bytes)
        async with self._database.write() as connection:
            old = await connection.execute(delete(table).where(table.c.created_at < before))
            large = await connection.execute(delete(table).where(table.c.seq.in_(beyond)))
        return old.rowcount + large.rowcount


async def add_known(
    connection: AsyncConnection, answers: Sequence[KnownAnswer], *, is_sqlite: bool
) -> None:
    """Add answers inside the caller's transaction; what is known already stays as it is.

    They are written in one fixed order: two processes that add the same ones do not deadlock.
    """
    if answers:
        ordered = sorted(answers, key=lambda answer: (answer.project, answer.key))
        await connection.execute(_insert(is_sqlite=is_sqlite), [columns(one) for one in ordered])


def _insert(*, is_sqlite: bool) -> Insert:
    key = ["project", "key"]
    if is_sqlite:
        return sqlite.insert(tables.known_answers).on_conflict_do_nothing(index_elements=key)
    return postgresql.insert(tables.known_answers).on_conflict_do_nothing(index_elements=key)
