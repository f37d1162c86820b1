"""Adapter versions' records.

It refuses to know which of them are loaded: that is observed from the engine.
"""

from collections.abc import Collection

import msgspec
from sqlalchemy import or_, select, update

from registry.errors import Conflict, InUse, NotFound
from registry.lifecycle import ADAPTER_MOVES, AdapterStatus
from registry.records import AdapterVersion
from registry.store import tables
from registry.store.database import Database
from registry.store.moves import Moves
from registry.store.rows import Page, add, fetch_all, fetch_first, fetch_page

_USABLE = [AdapterStatus.PUBLISHED, AdapterStatus.READY]
_LEAVING = [AdapterStatus.RETIRED, AdapterStatus.DELETED]
_MOVES = Moves(
    record=AdapterVersion, table=tables.adapters, key="name", called="model", legal=ADAPTER_MOVES
)


class Adapters:
    """The records of adapter versions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str, *, project: str | None = None) -> AdapterVersion:
        """Return a version; any project's when `project` is none.

        Raises:
            NotFound: There is none, or it belongs to another project.
        """
        table = tables.adapters
        query = select(table).where(table.c.name == name)
        if project is not None:
            query = query.where(table.c.project == project)
        async with self._database.read() as connection:
            found = await fetch_first(connection, query, AdapterVersion)
        if found is None:
            raise NotFound("model", name)
        return found

    async def page(self, *, project: str, after: str | None, limit: int) -> Page[AdapterVersion]:
        """Return a page of a project's versions, newest first."""
        table = tables.adapters
        query = select(table).where(table.c.project == project)
        async with self._database.read() as connection:
            return await fetch_page(
                connection,
                query,
                AdapterVersion,
                table=table,
                after=after,
                limit=limit,
                key="name",
            )

    async def usable(self) -> list[AdapterVersion]:
        """Return every version that is published or ready, in all projects, oldest first."""
        table = tables.adapters
        query = select(table).where(table.c.status.in_(_USABLE)).order_by(table.c.seq)
        async with self._database.read() as connection:
            return await fetch_all(connection, query, AdapterVersion)

    async def with_status(self, names: Collection[str], status: AdapterStatus) -> frozenset[str]:
        """Return those of some versions that have a status."""
        table = tables.adapters
        query = select(table.c.name).where(table.c.name.in_(names), table.c.status == status)
        async with self._database.read() as connection:
            return frozenset(str(name) for name in (await connection.execute(query)).scalars())

    async def add_import(self, version: AdapterVersion, *, same_bytes: str) -> None:
        """Record an imported version, unless the project has the same bytes already.

        Args:
            version: The new record.
            same_bytes: What the directories of versions of the same bytes begin with.

        Raises:
            Conflict: An earlier import has the same bytes; it names that version.
        """
        table = tables.adapters
        query = select(table).where(
            table.c.project == version.project,
            table.c.directory.startswith(same_bytes, autoescape=True),
            table.c.status.not_in(_LEAVING),
        )
        async with self._database.write() as connection:
            first = await fetch_first(connection, query, AdapterVersion)
            if first is not None:
                raise Conflict(
                    f"These weights were imported as '{first.name}', which is {first.status}. "
                    "Use that version, or delete it first (DELETE /v1/models/{name})."
                )
            await add(connection, table, version)

    async def retire(self, name: str, *, project: str) -> AdapterVersion:
        """Retire a version, unless a deployment points at it.

        Raises:
            NotFound: The project has no such version.
            InUse: A deployment points at it.
            IllegalTransition: It is retired already.
        """
        users = tables.deployments
        pointing = select(users.c.name).where(
            or_(users.c.stable == name, users.c.candidate == name, users.c.shadow == name)
        )
        async with self._database.write() as connection:
            # The row's lock keeps a deployment from starting to point at it meanwhile: see
            # `Deployments`, which takes the same lock before it stores a pointer.
            present = await _MOVES.movable(connection, name, AdapterStatus.RETIRED, project)
            user = (await connection.execute(pointing.limit(1))).scalar()
            if user is not None:
                raise InUse("model", name, f"the deployment '{user}'")
            return await _MOVES.settle(connection, present, AdapterStatus.RETIRED, {})

    async def pin(self, name: str, *, project: str, pinned: bool) -> AdapterVersion:
        """Pin a version, or unpin it; a second call changes nothing.

        Raises:
            NotFound: The project has no such version.
            Conflict: It cannot be loaded any more, so a pin would mean nothing.
        """
        table = tables.adapters
        query = select(table).where(table.c.name == name, table.c.project == project)
        async with self._database.write() as connection:
            present = await fetch_first(connection, query.with_for_update(), AdapterVersion)
            if present is None:
                raise NotFound("model", name)
            if pinned and present.status not in _USABLE:
                raise Conflict(f"The model '{name}' is {present.status} and cannot be pinned.")
            change = update(table).where(table.c.name == name).values(pinned=pinned)
            await connection.execute(change)
        return msgspec.structs.replace(present, pinned=pinned)

    async def present(self) -> list[AdapterVersion]:
        """Return every version that is not deleted, in all projects, oldest first."""
        table = tables.adapters
        query = select(table).where(table.c.status != AdapterStatus.DELETED).order_by(table.c.seq)
        async with self._database.read() as connection:
            return await fetch_all(connection, query, AdapterVersion)

    async def move(self, name: str, to: AdapterStatus, **changes: object) -> AdapterVersion:
        """Move a version to a state, with changes of `probe` or `reason`, in one transaction.

        Raises:
            NotFound: There is no such version.
            IllegalTransition: The lifecycle table forbids the move from its present state.
        """
        async with self._database.write() as connection:
            return await _MOVES.move(connection, name, to, changes)
