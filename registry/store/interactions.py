"""Interactions and the feedback on them.

It refuses to know what was said: no text of a request is stored.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import func, insert, select, update

from registry.errors import NotFound
from registry.records import ArmOutcome, Feedback, Interaction, UsageRow
from registry.store import tables
from registry.store.database import Database
from registry.store.rows import add, columns, fetch_all, fetch_first, to_record
from registry.store.usage import add_usage


class Interactions:
    """The records of requests and of the judgements on them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_many(
        self, interactions: Sequence[Interaction], usage: Sequence[UsageRow] = ()
    ) -> None:
        """Store a batch, and add the usage that goes with it, in one transaction."""
        if not interactions and not usage:
            return
        rows = [columns(interaction) for interaction in interactions]
        async with self._database.write() as connection:
            if rows:
                await connection.execute(insert(tables.interactions), rows)
            await add_usage(connection, usage, is_sqlite=self._database.is_sqlite)

    async def is_stored(self, identifier: str) -> bool:
        """Return whether an interaction is stored: whether a batch in doubt went through."""
        query = select(tables.interactions.c.id).where(tables.interactions.c.id == identifier)
        async with self._database.read() as connection:
            return (await connection.execute(query)).first() is not None

    async def get(self, identifier: str, *, project: str) -> Interaction:
        """Return an interaction.

        Raises:
            NotFound: The project has none with this id.
        """
        table = tables.interactions
        query = select(table).where(table.c.id == identifier, table.c.project == project)
        async with self._database.read() as connection:
            found = await fetch_first(connection, query, Interaction)
        if found is None:
            raise NotFound("interaction", identifier)
        return found

    async def judge(self, feedback: Feedback) -> Feedback:
        """Store a judgement, in place of an earlier one on the same interaction.

        It is durable when this returns. The stored record is returned: a repeated judgement keeps
        the id and the time of the first.

        Raises:
            NotFound: The project has no such interaction.
        """
        table, owner = tables.feedback, tables.interactions
        known = (
            select(owner.c.id)
            .where(owner.c.id == feedback.interaction_id, owner.c.project == feedback.project)
            .with_for_update()
        )  # two judgements of one interaction take turns
        earlier = select(table).where(table.c.interaction_id == feedback.interaction_id)
        async with self._database.write() as connection:
            if (await connection.execute(known)).first() is None:
                raise NotFound("interaction", feedback.interaction_id)
            present = await fetch_first(connection, earlier, Feedback)
            if present is None:
                await add(connection, table, feedback)
                return feedback
            merged = msgspec.structs.replace(feedback, id=present.id, created_at=present.created_at)
            await connection.execute(
                update(table).where(table.c.id == present.id).values(**columns(merged))
            )
            return merged

    async def feedback(self, *, project: str, limit: int = 100) -> list[Feedback]:
        """Return a project's newest judgements."""
        table = tables.feedback
        query = select(table).where(table.c.project == project).order_by(table.c.seq.desc())
        async with self._database.read() as connection:
            return await fetch_all(connection, query.limit(limit), Feedback)

    async def outcomes(self, *, project: str, deployment: str) -> list[ArmOutcome]:
        """Return what each arm and version of a deployment did so far."""
        seen, judged = tables.interactions, tables.feedback
        query = (
            select(
                seen.c.arm,
                seen.c.model,
                func.count(seen.c.id).label("interactions"),
                func.count(func.distinct(seen.c.unit_hash)).label("units"),
                func.count(judged.c.id).label("feedback"),
                func.avg(judged.c.score).label("mean_score"),
            )
            .select_from(seen.outerjoin(judged, judged.c.interaction_id == seen.c.id))
            .where(seen.c.project == project, seen.c.deployment == deployment)
            .group_by(seen.c.arm, seen.c.model)
            .order_by(seen.c.arm, seen.c.model)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings()
            return [to_record(row, ArmOutcome) for row in rows]
