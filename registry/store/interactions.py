"""Interactions, the texts kept of them and the feedback on them.

It refuses to know what was said, and who wants to know.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Select, exists, func, select, update

from registry.errors import NotFound
from registry.records import (
    ArmOutcome,
    Feedback,
    Interaction,
    InteractionText,
    Record,
    UsageRow,
)
from registry.store import tables
from registry.store.batch_process import BatchProcess
from registry.store.batches import add_packed, insertion, packed
from registry.store.database import Database
from registry.store.rows import Page, add, columns, fetch_all, fetch_first, fetch_page, to_record
from registry.store.usage import add_usage, usage_insertion

MANY_ROWS = 50
"""Rows from which a batch is written by a process of its own, where there is one."""
_encode = msgspec.msgpack.Encoder().encode


class Choice(Record, frozen=True, kw_only=True):
    """Which interactions are wanted; a field that is none chooses all."""

    project: str
    """The project."""
    deployment: str | None = None
    """The deployment that was asked for."""
    arm: str | None = None
    """The side that answered."""
    model: str | None = None
    """The version that answered."""
    since: float | None = None
    """Unix time in seconds of the earliest request."""
    until: float | None = None
    """Unix time in seconds before which the request came."""
    has_feedback: bool | None = None
    """Whether it was judged."""


class Judged(Record, frozen=True, kw_only=True):
    """A judged interaction, and its text if that was kept."""

    interaction_id: str
    """The interaction."""
    feedback: Feedback
    """The judgement."""
    text: InteractionText | None
    """What was asked and answered."""


class JudgedPage(Record, frozen=True, kw_only=True):
    """Some judged interactions."""

    data: list[Judged]
    """They themselves."""
    next: int | None
    """Where the next page begins; none when this was the last."""


class Interactions:
    """The records of requests and of the judgements on them."""

    def __init__(self, database: Database, batches: BatchProcess | None = None) -> None:
        self._database = database
        self._batches = batches

    async def add_many(
        self, interactions: Sequence[Interaction], usage: Sequence[UsageRow] = ()
    ) -> None:
        """Store a batch, and add the usage that goes with it, in one transaction."""
        await self.add_packed([packed(interaction) for interaction in interactions], (), usage)

    async def is_stored(self, identifier: str) -> bool:
        """Return whether an interaction is stored: whether a batch in doubt went through."""
        query = select(tables.interactions.c.id).where(tables.interactions.c.id == identifier)
        async with self._database.read() as connection:
            return (await connection.execute(query)).first() is not None

    async def add_packed(
        self,
        rows: Sequence[bytes],
        texts: Sequence[bytes] = (),
        usage: Sequence[UsageRow] = (),
    ) -> None:
        """Store a batch, and add the usage that goes with it, in one transaction.

        Args:
            rows: Interactions, each from `packed`.
            texts: Texts of interactions, each from `packed`.
            usage: Sums to be added.
        """
        if self._batches is not None and len(rows) >= MANY_ROWS:
            await self._batches.write(_as_batch(rows, texts, usage))
            return
        async with self._database.write() as connection:
            if rows:
                await add_packed(connection, tables.interactions, Interaction, rows)
            if texts:
                table = tables.interaction_texts
                await add_packed(connection, table, InteractionText, texts)
            await add_usage(connection, usage, is_sqlite=self._database.is_sqlite)

    async def page(self, choice: Choice, *, after: str | None, limit: int) -> Page[Interaction]:
        """Return a page of interactions, newest first."""
        async with self._database.read() as connection:
            return await fetch_page(
                connection,
                _chosen(choice),
                Interaction,
                table=tables.interactions,
                after=after,
                limit=limit,
            )

    async def judged(self, choice: Choice, *, before: int | None, limit: int) -> JudgedPage:
        """Return judged interactions with their texts, the newest judgement first.

        Args:
            choice: Which interactions.
            before: `next` of the page before; none for the first page.
            limit: Most on the page.
        """
        given, kept = tables.feedback, tables.interaction_texts
        wanted = _chosen(choice).with_only_columns(tables.interactions.c.id)
        query = select(given).where(
            given.c.project == choice.project, given.c.interaction_id.in_(wanted)
        )
        if before is not None:
            query = query.where(given.c.seq < before)
        query = query.order_by(given.c.seq.desc()).limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
            names = [row["interaction_id"] for row in rows]
            found = select(kept).where(kept.c.interaction_id.in_(names))
            texts = await fetch_all(connection, found, InteractionText)
        by_name = {text.interaction_id: text for text in texts}
        data = [
            Judged(
                interaction_id=row["interaction_id"],
                feedback=to_record(row, Feedback),
                text=by_name.get(row["interaction_id"]),
            )
            for row in rows
        ]
        return JudgedPage(data=data, next=rows[-1]["seq"] if len(rows) == limit else None)

    async def judgement_on(self, identifier: str, *, project: str) -> Feedback | None:
        """Return the judgement on an interaction, if there is one."""
        table = tables.feedback
        chosen = (table.c.interaction_id == identifier) & (table.c.project == project)
        async with self._database.read() as connection:
            return await fetch_first(connection, select(table).where(chosen), Feedback)

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
                func.count(judged.c.score).label("feedback"),
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


def _as_batch(rows: Sequence[bytes], texts: Sequence[bytes], usage: Sequence[UsageRow]) -> bytes:
    insertions = [
        insertion(tables.interactions, Interaction, rows),
        insertion(tables.interaction_texts, InteractionText, texts),
        usage_insertion(usage),
    ]
    return _encode(insertions)


def _chosen(choice: Choice) -> Select[tuple[object, ...]]:
    table, judged = tables.interactions, tables.feedback
    query = select(table).where(table.c.project == choice.project)
    for name in ("deployment", "arm", "model"):
        wanted = getattr(choice, name)
        if wanted is not None:
            query = query.where(table.c[name] == wanted)
    if choice.since is not None:
        query = query.where(table.c.created_at >= choice.since)
    if choice.until is not None:
        query = query.where(table.c.created_at < choice.until)
    if choice.has_feedback is not None:
        found = exists().where(judged.c.interaction_id == table.c.id)
        query = query.where(found if choice.has_feedback else ~found)
    return query
