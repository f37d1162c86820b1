"""Evaluations and their rows.

It refuses to know how a verdict is reached.
"""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from registry.errors import NotFound
from registry.lifecycle import EVALUATION_MOVES, EvaluationStatus
from registry.records import Evaluation, EvaluationRow, KnownAnswer
from registry.store import tables
from registry.store.database import Database
from registry.store.known_answers import add_known
from registry.store.moves import Moves
from registry.store.outbox import announce
from registry.store.rows import Page, add, fetch_all, fetch_first, fetch_page

_UNFINISHED = [EvaluationStatus.QUEUED, EvaluationStatus.RUNNING]
_MOVES = Moves(
    record=Evaluation,
    table=tables.evaluations,
    key="id",
    called="evaluation",
    legal=EVALUATION_MOVES,
)


class Evaluations:
    """The records of evaluations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, evaluation: Evaluation) -> None:
        """Store a new evaluation; one that is there already is left alone."""
        try:
            async with self._database.write() as connection:
                await add(connection, tables.evaluations, evaluation)
        except IntegrityError:
            await self.get(evaluation.id)  # the same id: added before a crash

    async def get(self, identifier: str, *, project: str | None = None) -> Evaluation:
        """Return an evaluation; any project's when `project` is none.

        Raises:
            NotFound: There is none, or it belongs to another project.
        """
        table = tables.evaluations
        query = select(table).where(table.c.id == identifier)
        if project is not None:
            query = query.where(table.c.project == project)
        async with self._database.read() as connection:
            found = await fetch_first(connection, query, Evaluation)
        if found is None:
            raise NotFound("evaluation", identifier)
        return found

    async def page(
        self, *, project: str, adapter: str | None, after: str | None, limit: int
    ) -> Page[Evaluation]:
        """Return a page of a project's evaluations, newest first."""
        table = tables.evaluations
        query = select(table).where(table.c.project == project)
        if adapter is not None:
            query = query.where(table.c.adapter == adapter)
        async with self._database.read() as connection:
            return await fetch_page(
                connection, query, Evaluation, table=table, after=after, limit=limit
            )

    async def unfinished(self) -> list[Evaluation]:
        """Return every queued or running evaluation, oldest first."""
        table = tables.evaluations
        query = select(table).where(table.c.status.in_(_UNFINISHED)).order_by(table.c.seq)
        async with self._database.read() as connection:
            return await fetch_all(connection, query, Evaluation)

    async def latest(self, adapter: str | None = None) -> list[Evaluation]:
        """Return the newest evaluation of each adapter, or of one, whose verdict counts."""
        table = tables.evaluations
        query = select(table).where(table.c.status == EvaluationStatus.SUCCEEDED)
        if adapter is not None:
            query = query.where(table.c.adapter == adapter)
        async with self._database.read() as connection:
            found = await fetch_all(connection, query.order_by(table.c.seq), Evaluation)
        counting = (evaluation for evaluation in found if evaluation.options.get("decides", True))
        return list({evaluation.adapter: evaluation for evaluation in counting}.values())

    async def move(self, identifier: str, to: EvaluationStatus, **changes: object) -> Evaluation:
        """Move an evaluation to a state, with changes of other fields, in one transaction.

        Raises:
            NotFound: There is no such evaluation.
            IllegalTransition: The lifecycle table forbids the move from its present state.
        """
        async with self._database.write() as connection:
            evaluation = await _MOVES.move(connection, identifier, to, changes)
            await announce(connection, evaluation)
        return evaluation

    async def add_row(self, row: EvaluationRow) -> None:
        """Store one answer, in place of an earlier one of the same suite, arm and row."""
        await self.add_rows([row])

    async def add_rows(
        self, rows: Sequence[EvaluationRow], *, known: Sequence[KnownAnswer] = ()
    ) -> None:
        """Store answers in one transaction, each in place of an earlier one of its place.

        Args:
            rows: The answers.
            known: Those of them that later exams need not ask for.
        """
        table = tables.evaluation_rows
        async with self._database.write() as connection:
            for row in rows:
                same = (
                    (table.c.evaluation_id == row.evaluation_id)
                    & (table.c.suite == row.suite)
                    & (table.c.arm == row.arm)
                    & (table.c.row == row.row)
                )
                await connection.execute(delete(table).where(same))
                await add(connection, table, row)
            await add_known(connection, known, is_sqlite=self._database.is_sqlite)

    async def counts(self) -> dict[EvaluationStatus, int]:
        """Return how many evaluations have each status; one that none has is absent."""
        table = tables.evaluations
        query = select(table.c.status, func.count()).group_by(table.c.status)
        async with self._database.read() as connection:
            found = (await connection.execute(query)).all()
        return {EvaluationStatus(status): int(count) for status, count in found}

    async def rows(self, identifier: str) -> list[EvaluationRow]:
        """Return an evaluation's answers, by suite, row and arm."""
        table = tables.evaluation_rows
        query = (
            select(table)
            .where(table.c.evaluation_id == identifier)
            .order_by(table.c.suite, table.c.row, table.c.arm)
        )
        async with self._database.read() as connection:
            return await fetch_all(connection, query, EvaluationRow)
