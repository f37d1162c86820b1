"""Jobs' events in the order in which they came, for whoever follows them.

It refuses to know who follows. The newest pages of a list are `jobs`' own matter.
"""

from collections.abc import Collection

import msgspec
from sqlalchemy import func, select

from registry.errors import NotFound
from registry.lifecycle import JobStatus
from registry.records import JobEvent
from registry.store import tables
from registry.store.database import Database
from registry.store.rows import to_record


class JobPulse(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is, as cheaply as it can be told."""

    status: JobStatus
    """Where it stands."""
    events: int
    """How many events it has."""


class PlacedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event with its place."""

    seq: int
    """Grows with time. A transaction that ends late may show a lower one late."""
    event: JobEvent
    """The event."""


class EventFeed:
    """The events of all jobs, by job, the oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pulses(self, job_ids: Collection[str]) -> dict[str, JobPulse]:
        """Return how far some jobs are, all seen at the same moment; unknown ones are absent."""
        jobs, events = tables.jobs, tables.job_events
        counting = (
            select(events.c.job_id, func.count())
            .where(events.c.job_id.in_(job_ids))
            .group_by(events.c.job_id)
        )
        standing = select(jobs.c.id, jobs.c.status).where(jobs.c.id.in_(job_ids))
        async with self._database.read_as_one() as connection:
            counts = {row.job_id: int(row[1]) for row in await connection.execute(counting)}
            found = (await connection.execute(standing)).all()
        return {
            job_id: JobPulse(status=JobStatus(status), events=counts.get(job_id, 0))
            for job_id, status in found
        }

    async def place_of(self, job_id: str, event_id: str) -> int:
        """Return the place of one of a job's events.

        Raises:
            NotFound: The job has no such event.
        """
        table = tables.job_events
        query = select(table.c.seq).where(table.c.job_id == job_id, table.c.id == event_id)
        async with self._database.read() as connection:
            seq = (await connection.execute(query)).scalar_one_or_none()
        if seq is None:
            raise NotFound("cursor", event_id)
        return int(seq)

    async def behind(self, job_id: str, seq: int, *, limit: int) -> list[PlacedEvent]:
        """Return a job's events behind a place, the oldest first."""
        table = tables.job_events
        query = (
            select(table)
            .where(table.c.job_id == job_id, table.c.seq > seq)
            .order_by(table.c.seq)
            .limit(limit)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [PlacedEvent(seq=row["seq"], event=to_record(row, JobEvent)) for row in rows]
