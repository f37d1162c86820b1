"""The rows that drift is computed from, and the newest report on each target.

It refuses to know how samples are compared. Every query is bounded: it reads at most as many rows
as it is asked for, in the order of one index.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, delete, exists, select
from sqlalchemy.dialects import postgresql, sqlite

from registry.records import (
    Arm,
    DriftReport,
    DriftRow,
    DriftTarget,
    InteractionText,
    Record,
)
from registry.store import tables
from registry.store.database import Database
from registry.store.rows import columns, fetch_all, to_record

_SEEN = tables.interactions
_REPORTS = tables.drift_reports
_ROW = [_SEEN.c[name] for name in DriftRow.__struct_fields__]


class KeptPlace(Record, frozen=True, kw_only=True):
    """An interaction whose text is kept."""

    seq: int
    """Its place in the order of all interactions."""
    id: str
    """Its id."""
    unit_hash: str | None
    """Hash of its unit."""


class Drift:
    """Samples of interactions, and reports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def targets(self) -> list[DriftTarget]:
        """Return every version that a deployment points at as stable or candidate, by name."""
        table = tables.deployments
        query = select(table.c.project, table.c.name, table.c.stable, table.c.candidate)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        named = [
            DriftTarget(project=project, deployment=name, arm=arm, model=model)
            for project, name, stable, candidate in rows
            for arm, model in ((Arm.STABLE, stable), (Arm.CANDIDATE, candidate))
            if model is not None
        ]
        return sorted(named)

    async def rows(
        self, target: DriftTarget, *, after: int, before: int | None = None, limit: int
    ) -> list[DriftRow]:
        """Return a target's interactions, oldest first; with `before`, newest first.

        Args:
            target: Whose.
            after: `seq` that they come after; -1 for the beginning.
            before: `seq` that they come before.
            limit: Most rows.
        """
        query = select(*_ROW).where(_of(target), _SEEN.c.seq > after).limit(limit)
        if before is None:
            query = query.order_by(_SEEN.c.seq)
        else:
            query = query.where(_SEEN.c.seq < before).order_by(_SEEN.c.seq.desc())
        async with self._database.read() as connection:
            return await fetch_all(connection, query, DriftRow)

    async def first_since(self, moment: float) -> int | None:
        """Return the `seq` of the oldest interaction since a Unix time in seconds, if any."""
        query = (
            select(_SEEN.c.seq)
            .where(_SEEN.c.created_at >= moment)
            .order_by(_SEEN.c.created_at)
            .limit(1)
        )
        async with self._database.read() as connection:
            found = (await connection.execute(query)).scalar_one_or_none()
        return None if found is None else int(found)

    async def kept(
        self, target: DriftTarget, *, after: int, newest: bool, reach: int, limit: int
    ) -> list[KeptPlace]:
        """Return where texts of a target's interactions are kept, oldest first or newest first.

        Args:
            target: Whose.
            after: `seq` that they come after; -1 for the beginning.
            newest: Whether to begin at the newest.
            reach: Most interactions that are looked at.
            limit: Most that are returned.
        """
        order = _SEEN.c.seq.desc() if newest else _SEEN.c.seq
        near = (
            select(_SEEN.c.seq, _SEEN.c.id, _SEEN.c.unit_hash)
            .where(_of(target), _SEEN.c.seq > after)
            .order_by(order)
            .limit(reach)
            .subquery()
        )
        texts = tables.interaction_texts
        query: Select[tuple[object, ...]] = (
            select(near.c.seq, near.c.id, near.c.unit_hash)
            .join(texts, texts.c.interaction_id == near.c.id)
            .where(texts.c.project == target.project)
            .order_by(near.c.seq.desc() if newest else near.c.seq)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return await fetch_all(connection, query, KeptPlace)

    async def texts(self, project: str, identifiers: Sequence[str]) -> list[InteractionText]:
        """Return texts by their interactions' ids; ask for few, each may have half a megabyte."""
        table = tables.interaction_texts
        query = select(table).where(
            table.c.project == project, table.c.interaction_id.in_(identifiers)
        )
        async with self._database.read() as connection:
            return await fetch_all(connection, query, InteractionText)

    async def save(self, report: DriftReport) -> None:
        """Store a report in place of the last one on its deployment's arm."""
        values = columns(report)
        insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
        statement = (
            insert(_REPORTS)
            .values(**values)
            .on_conflict_do_update(index_elements=["project", "deployment", "arm"], set_=values)
        )
        async with self._database.write() as connection:
            await connection.execute(statement)

    async def latest(
        self,
        *,
        project: str | None = None,
        deployment: str | None = None,
        limit: int | None = None,
    ) -> list[DriftReport]:
        """Return the newest report on each target that is still pointed at, by name.

        Args:
            project: Whose; every project's by default.
            deployment: Of which deployment; all by default.
            limit: Most reports: those computed last.
        """
        query = select(_REPORTS).where(_is_pointed_at())
        if project is not None:
            query = query.where(_REPORTS.c.project == project)
        if deployment is not None:
            query = query.where(_REPORTS.c.deployment == deployment)
        query = query.order_by(_REPORTS.c.computed_at.desc()).limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        found = [to_record(row, DriftReport) for row in rows]
        return sorted(found, key=lambda each: (each.project, each.deployment, each.arm))

    async def computed(self) -> dict[DriftTarget, float]:
        """Return when each target that is still pointed at was compared last, in Unix time."""
        named = [_REPORTS.c[name] for name in DriftTarget.__struct_fields__]
        query = select(*named, _REPORTS.c.computed_at).where(_is_pointed_at())
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return {to_record(row, DriftTarget): row["computed_at"] for row in rows}

    async def sweep(self) -> int:
        """Delete reports on what no deployment points at any more; return how many went."""
        async with self._database.write() as connection:
            return (await connection.execute(delete(_REPORTS).where(~_is_pointed_at()))).rowcount


def _of(target: DriftTarget) -> ColumnElement[bool]:
    return (
        (_SEEN.c.project == target.project)
        & (_SEEN.c.deployment == target.deployment)
        & (_SEEN.c.arm == target.arm)
        & (_SEEN.c.model == target.model)
    )


def _is_pointed_at() -> ColumnElement[bool]:
    """Return the condition that a report's deployment has its version in its arm still."""
    table = tables.deployments
    in_arm = ((_REPORTS.c.arm == Arm.STABLE) & (table.c.stable == _REPORTS.c.model)) | (
        (_REPORTS.c.arm == Arm.CANDIDATE) & (table.c.candidate == _REPORTS.c.model)
    )
    return exists().where(
        table.c.project == _REPORTS.c.project, table.c.name == _REPORTS.c.deployment, in_arm
    )
