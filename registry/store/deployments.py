"""Deployments and the history of who changed what.

It refuses to know how a request is routed.
"""

from typing import Any

from sqlalchemy import Insert, Select, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.errors import Conflict, NotFound
from registry.lifecycle import AdapterStatus
from registry.records import Deployment, DeploymentChange
from registry.store import tables
from registry.store.database import Database
from registry.store.rows import Page, columns, fetch_all, fetch_first, fetch_page

_USABLE = frozenset({AdapterStatus.PUBLISHED, AdapterStatus.READY})


class Deployments:
    """The records of deployments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, deployment: Deployment, change: DeploymentChange) -> None:
        """Store a new deployment and the first line of its history.

        Raises:
            Conflict: The project has a deployment of this name, or a version was retired.
        """
        try:
            async with self._database.write() as connection:
                await _require_usable(connection, deployment)
                values = columns(deployment)
                await connection.execute(insert(tables.deployments).values(**values))
                await connection.execute(_line(change))
        except IntegrityError as exc:
            raise Conflict(f"The deployment '{deployment.name}' exists already.") from exc

    async def get(self, name: str, *, project: str) -> Deployment:
        """Return a deployment.

        Raises:
            NotFound: The project has none of this name.
        """
        table = tables.deployments
        query = select(table).where(table.c.name == name, table.c.project == project)
        async with self._database.read() as connection:
            found = await fetch_first(connection, query, Deployment)
        if found is None:
            raise NotFound("deployment", name)
        return found

    async def of(self, project: str | None) -> list[Deployment]:
        """Return a project's deployments, or every project's, by name."""
        table = tables.deployments
        query = select(table).order_by(table.c.name)
        if project is not None:
            query = query.where(table.c.project == project)
        async with self._database.read() as connection:
            return await fetch_all(connection, query, Deployment)

    async def replace(self, deployment: Deployment, change: DeploymentChange) -> None:
        """Store the next generation of a deployment and a line of history, in one transaction.

        Raises:
            Conflict: Somebody else changed it since it was read; read it again. Or a version that
                it would point at was retired.
        """
        table = tables.deployments
        async with self._database.write() as connection:
            await _require_usable(connection, deployment)
            changed = await connection.execute(
                update(table)
                .where(
                    table.c.name == deployment.name,
                    table.c.project == deployment.project,
                    table.c.generation == deployment.generation - 1,
                )
                .values(**columns(deployment))
            )
            if not changed.rowcount:
                message = f"The deployment '{deployment.name}' was changed meanwhile; try again."
                raise Conflict(message)
            await connection.execute(_line(change))

    async def delete(self, name: str, change: DeploymentChange) -> None:
        """Delete a deployment; its history stays.

        Raises:
            NotFound: The project has none of this name.
        """
        table = tables.deployments
        chosen = (table.c.name == name) & (table.c.project == change.project)
        async with self._database.write() as connection:
            if not (await connection.execute(delete(table).where(chosen))).rowcount:
                raise NotFound("deployment", name)
            await connection.execute(_line(change))

    async def history(self, name: str, *, project: str) -> list[DeploymentChange]:
        """Return a deployment's whole history, newest first."""
        query = _changes(name, project).order_by(tables.deployment_changes.c.seq.desc())
        async with self._database.read() as connection:
            return await fetch_all(connection, query, DeploymentChange)

    async def history_page(
        self, name: str, *, project: str, after: int | None, limit: int
    ) -> Page[DeploymentChange]:
        """Return a page of a deployment's history, newest first; a deleted one has its history.

        Args:
            name: The deployment's name.
            project: Its project.
            after: `seq` of the change before the page.
            limit: Most changes on the page.

        Raises:
            NotFound: The history has no change `after`.
        """
        async with self._database.read() as connection:
            return await fetch_page(
                connection,
                _changes(name, project),
                DeploymentChange,
                table=tables.deployment_changes,
                after=after,
                limit=limit,
                key="seq",
            )


def _changes(name: str, project: str) -> Select[Any]:
    table = tables.deployment_changes
    return select(table).where(table.c.deployment == name, table.c.project == project)


def _line(change: DeploymentChange) -> Insert:
    values = columns(change)
    del values["seq"]  # the database counts
    return insert(tables.deployment_changes).values(**values)


async def _require_usable(connection: AsyncConnection, deployment: Deployment) -> None:
    """Check that no version the deployment points at is gone, and keep it until the commit."""
    table = tables.adapters
    pointed = [deployment.stable, deployment.candidate, deployment.shadow]
    query = select(table.c.name, table.c.status).where(table.c.name.in_(pointed))
    for name, status in await connection.execute(query.order_by(table.c.seq).with_for_update()):
        if status not in _USABLE:
            raise Conflict(f"The model '{name}' is {status} and cannot serve.")
