"""Fine-tuning jobs, their events and checkpoints.

It refuses to know how a job is trained. Every change of status goes through the lifecycle table.
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import String, cast, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.errors import IllegalTransition, NotFound
from registry.lifecycle import JOB_MOVES, JobStatus, is_final
from registry.records import AdapterVersion, FineTuningJob, JobCheckpoint, JobEvent
from registry.store import tables
from registry.store.database import Database
from registry.store.leases import require
from registry.store.moves import Moves
from registry.store.outbox import announce
from registry.store.rows import Page, add, fetch_all, fetch_first, fetch_page

_MOVES = Moves(
    record=FineTuningJob,
    table=tables.jobs,
    key="id",
    called="fine-tuning job",
    legal=JOB_MOVES,
)
_OPEN = [status for status in JobStatus if not is_final(JOB_MOVES, status)]


def lease_of(job_id: str) -> str:
    """Return the name of the lease to work on a job."""
    return f"job:{job_id}"


class Jobs:
    """The records of fine-tuning jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, job: FineTuningJob, event: JobEvent) -> None:
        """Store a new job with its first event, in one transaction."""
        async with self._database.write() as connection:
            await add(connection, tables.jobs, job)
            await add(connection, tables.job_events, event)

    async def get(self, identifier: str, *, project: str | None = None) -> FineTuningJob:
        """Return a job; any project's when `project` is none.

        Raises:
            NotFound: There is none, or it belongs to another project.
        """
        async with self._database.read() as connection:
            return await _get(connection, identifier, project)

    async def page(
        self, *, project: str, after: str | None, limit: int, metadata: dict[str, str] | None = None
    ) -> Page[FineTuningJob]:
        """Return a page of a project's jobs, newest first.

        Args:
            project: Whose jobs.
            after: Id of the job before the page.
            limit: Most jobs.
            metadata: Pairs that the jobs have; an empty dictionary finds those without any pair.
        """
        table = tables.jobs
        query = select(table).where(table.c.project == project)
        if metadata is not None and not metadata:
            query = query.where(cast(table.c.metadata, String) == "{}")
        for key, value in (metadata or {}).items():
            query = query.where(table.c.metadata[key].as_string() == value)
        async with self._database.read() as connection:
            return await fetch_page(
                connection, query, FineTuningJob, table=table, after=after, limit=limit
            )

    async def unfinished(self) -> list[FineTuningJob]:
        """Return every job that is not in a final state, oldest first."""
        table = tables.jobs
        query = select(table).where(table.c.status.in_(_OPEN)).order_by(table.c.seq)
        async with self._database.read() as connection:
            return await fetch_all(connection, query, FineTuningJob)

    async def counts(self) -> dict[JobStatus, int]:
        """Return how many jobs are in each state; every state is present."""
        table = tables.jobs
        query = select(table.c.status, func.count()).group_by(table.c.status)
        async with self._database.read() as connection:
            found = {JobStatus(status): n for status, n in await connection.execute(query)}
        return {status: found.get(status, 0) for status in JobStatus}

    async def move(
        self,
        identifier: str,
        to: JobStatus,
        *,
        event: JobEvent | None = None,
        project: str | None = None,
        holder: str | None = None,
        **changes: object,
    ) -> FineTuningJob:
        """Move a job to a state, with changes of other fields and an event, in one transaction.

        Raises:
            NotFound: There is no such job.
            IllegalTransition: The lifecycle table forbids the move from its present state.
            LostLease: `holder` is named, and somebody else holds the lease to work on the job.
        """
        async with self._database.write() as connection:
            if holder is not None:
                await require(connection, lease_of(identifier), holder)
            return await _move(connection, identifier, to, event, project, changes)

    async def bring(
        self,
        identifier: str,
        to: JobStatus,
        *,
        already: Collection[JobStatus],
        event: JobEvent,
        project: str,
        **changes: object,
    ) -> FineTuningJob:
        """Move a job to a state unless it is in one that is as good, and return it.

        Args:
            identifier: The job.
            to: The state.
            already: States in which nothing is left to do.
            event: What is told of the move; nothing is told without one.
            project: The job's project.
            changes: New values of other fields.

        Raises:
            NotFound: There is no such job.
            IllegalTransition: The lifecycle table forbids the move from its present state.
        """
        try:
            async with self._database.write() as connection:
                return await _move(connection, identifier, to, event, project, changes)
        except IllegalTransition as exc:
            if exc.present not in already:
                raise
        return await self.get(identifier, project=project)

    async def change(self, identifier: str, **changes: object) -> None:
        """Set fields other than the status."""
        table = tables.jobs
        query = update(table).where(table.c.id == identifier).values(**_builtins(changes))
        async with self._database.write() as connection:
            await connection.execute(query)

    async def succeed(
        self,
        identifier: str,
        *,
        version: AdapterVersion,
        event: JobEvent,
        checkpoints: Sequence[tuple[JobCheckpoint, AdapterVersion]] = (),
        holder: str | None = None,
        **changes: object,
    ) -> None:
        """Record the adapter version, the checkpoints and the job's success, in one transaction.

        Raises:
            IllegalTransition: The job was cancelled meanwhile; nothing is recorded.
            LostLease: `holder` is named, and somebody else holds the lease to work on the job.
        """
        async with self._database.write() as connection:
            if holder is not None:
                await require(connection, lease_of(identifier), holder)
            changes["fine_tuned_model"] = version.name
            await _move(connection, identifier, JobStatus.SUCCEEDED, event, None, changes)
            for checkpoint, usable in checkpoints:
                await add(connection, tables.job_checkpoints, checkpoint)
                await add(connection, tables.adapters, usable)
            await add(connection, tables.adapters, version)

    async def add_event(self, event: JobEvent) -> None:
        """Append an event."""
        async with self._database.write() as connection:
            await add(connection, tables.job_events, event)

    async def events(self, job_id: str, *, after: str | None, limit: int) -> Page[JobEvent]:
        """Return a page of a job's events, newest first."""
        table = tables.job_events
        query = select(table).where(table.c.job_id == job_id)
        async with self._database.read() as connection:
            return await fetch_page(
                connection, query, JobEvent, table=table, after=after, limit=limit
            )

    async def add_checkpoint(self, checkpoint: JobCheckpoint, version: AdapterVersion) -> None:
        """Record a checkpoint and the version it can be used as; a repeat changes nothing."""
        table = tables.job_checkpoints
        known = select(table.c.id).where(
            table.c.job_id == checkpoint.job_id, table.c.step == checkpoint.step
        )
        async with self._database.write() as connection:
            if (await connection.execute(known)).first() is None:
                await add(connection, table, checkpoint)
                await add(connection, tables.adapters, version)

    async def checkpoints(
        self, job_id: str, *, after: str | None, limit: int
    ) -> Page[JobCheckpoint]:
        """Return a page of a job's checkpoints, newest first."""
        table = tables.job_checkpoints
        query = select(table).where(table.c.job_id == job_id)
        async with self._database.read() as connection:
            return await fetch_page(
                connection, query, JobCheckpoint, table=table, after=after, limit=limit
            )


async def _get(connection: AsyncConnection, identifier: str, project: str | None) -> FineTuningJob:
    table = tables.jobs
    query = select(table).where(table.c.id == identifier)
    if project is not None:
        query = query.where(table.c.project == project)
    found = await fetch_first(connection, query, FineTuningJob)
    if found is None:
        raise NotFound("fine-tuning job", identifier)
    return found


async def _move(
    connection: AsyncConnection,
    identifier: str,
    to: JobStatus,
    event: JobEvent | None,
    project: str | None,
    changes: dict[str, object],
) -> FineTuningJob:
    job = await _MOVES.movable(connection, identifier, to, project)
    if (job.status, to) == (JobStatus.PAUSED, JobStatus.QUEUED):
        changes = {**changes, "attempt": job.attempt + 1}
    job = await _MOVES.settle(connection, job, to, changes)
    if event is not None:
        await add(connection, tables.job_events, event)
    await announce(connection, job)
    return job


def _builtins(changes: dict[str, object]) -> dict[str, Any]:
    return {name: msgspec.to_builtins(value) for name, value in changes.items()}
