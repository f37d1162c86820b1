"""Data files' records.

It refuses to know where their content lies: see `registry/blobs.py`.
"""

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.errors import InUse, NotFound
from registry.lifecycle import JOB_MOVES, EvaluationStatus, JobStatus, is_final
from registry.records import DataFile, Purpose
from registry.store import tables
from registry.store.database import Database
from registry.store.rows import Page, add, fetch_first, fetch_page

_OPEN_JOBS = [status for status in JobStatus if not is_final(JOB_MOVES, status)]
_OPEN_EVALUATIONS = [EvaluationStatus.QUEUED, EvaluationStatus.RUNNING]


class Files:
    """The records of data files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, file: DataFile) -> None:
        """Store a new record."""
        async with self._database.write() as connection:
            await add(connection, tables.files, file)

    async def get(self, identifier: str, *, project: str | None = None) -> DataFile:
        """Return a file's record; any project's when `project` is none.

        Raises:
            NotFound: There is none, or it belongs to another project.
        """
        query = select(tables.files).where(tables.files.c.id == identifier)
        if project is not None:
            query = query.where(tables.files.c.project == project)
        async with self._database.read() as connection:
            found = await fetch_first(connection, query, DataFile)
        if found is None:
            raise NotFound("file", identifier)
        return found

    async def page(
        self,
        *,
        project: str,
        purpose: Purpose | None,
        after: str | None,
        limit: int,
        ascending: bool = False,
    ) -> Page[DataFile]:
        """Return a page of a project's files, newest first unless `ascending`."""
        query = select(tables.files).where(tables.files.c.project == project)
        if purpose is not None:
            query = query.where(tables.files.c.purpose == purpose)
        async with self._database.read() as connection:
            return await fetch_page(
                connection,
                query,
                DataFile,
                table=tables.files,
                after=after,
                limit=limit,
                ascending=ascending,
            )

    async def delete(self, identifier: str, *, project: str) -> None:
        """Delete a file's record, unless an unfinished job or evaluation needs it.

        Raises:
            NotFound: There is none, or it belongs to another project.
            InUse: A job or an evaluation still needs it.
        """
        table = tables.files
        chosen = (table.c.id == identifier) & (table.c.project == project)
        async with self._database.write() as connection:
            # Before anything about its use is told: strangers learn nothing of a file.
            if (await connection.execute(select(table.c.id).where(chosen))).first() is None:
                raise NotFound("file", identifier)
            jobs = select(tables.jobs.c.id).where(
                tables.jobs.c.status.in_(_OPEN_JOBS),
                or_(
                    tables.jobs.c.training_file == identifier,
                    tables.jobs.c.validation_file == identifier,
                ),
            )
            evaluations = select(tables.evaluations.c.id).where(
                tables.evaluations.c.status.in_(_OPEN_EVALUATIONS),
                or_(
                    tables.evaluations.c.heldout_file == identifier,
                    tables.evaluations.c.training_file == identifier,
                ),
            )
            user = (await connection.execute(jobs.union_all(evaluations).limit(1))).scalar()
            user = user or await _suite_user(connection, identifier, project)
            if user is not None:
                raise InUse("file", identifier, user)
            if not (await connection.execute(delete(table).where(chosen))).rowcount:
                raise NotFound("file", identifier)


async def _suite_user(connection: AsyncConnection, identifier: str, project: str) -> str | None:
    """Return an unfinished evaluation that has the file as a suite; none when there is none."""
    table = tables.evaluations
    query = select(table.c.id, table.c.options).where(
        table.c.status.in_(_OPEN_EVALUATIONS), table.c.project == project
    )
    found = (await connection.execute(query)).all()
    return next((user for user, opts in found if identifier in opts.get("suite_files", [])), None)
