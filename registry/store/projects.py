"""What projects chose about their data, and the texts kept because of it.

It refuses to know which interactions are sampled, and when the time of a text is over.
"""

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from registry.records import InteractionText, Project
from registry.store import tables
from registry.store.database import Database
from registry.store.prepared import Prepared
from registry.store.rows import columns, fetch_first

_SWEEP_ROWS = 500

_FIELDS = Project.__struct_fields__
_ALL = Prepared(select(*(tables.projects.c[name] for name in _FIELDS)))


class Projects:
    """The records of projects' choices and of kept texts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Project]:
        """Return every project that ever chose something."""
        rows = await self._database.look(_ALL)
        return [Project(**dict(zip(_FIELDS, row, strict=True))) for row in rows]

    async def get(self, name: str) -> Project:
        """Return a project's choices: the defaults, when it never chose."""
        table = tables.projects
        async with self._database.read() as connection:
            query = select(table).where(table.c.name == name)
            return await fetch_first(connection, query, Project) or Project(name=name)

    async def put(self, project: Project) -> None:
        """Store a project's choices in place of the earlier ones; durable when this returns."""
        values = columns(project)
        insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
        statement = (
            insert(tables.projects)
            .values(**values)
            .on_conflict_do_update(index_elements=["name"], set_=values)
        )
        async with self._database.write() as connection:
            await connection.execute(statement)

    async def text(self, interaction_id: str, *, project: str) -> InteractionText | None:
        """Return the text of an interaction, if it was kept."""
        table = tables.interaction_texts
        chosen = (table.c.interaction_id == interaction_id) & (table.c.project == project)
        async with self._database.read() as connection:
            return await fetch_first(connection, select(table).where(chosen), InteractionText)

    async def forget_texts(self, project: str, *, before: float | None = None) -> int:
        """Delete a project's texts, or those from before a moment, and return how many went.

        It goes in small transactions, so that no other writer waits long.
        """
        removed = 0
        while count := await self._forget_some(project, before):
            removed += count
        return removed

    async def _forget_some(self, project: str, before: float | None) -> int:
        table = tables.interaction_texts
        chosen = table.c.project == project
        if before is not None:
            chosen &= table.c.created_at < before
        some = select(table.c.seq).where(chosen).limit(_SWEEP_ROWS)
        async with self._database.write() as connection:
            done = await connection.execute(delete(table).where(table.c.seq.in_(some)))
            return done.rowcount
