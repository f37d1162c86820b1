"""A record's move from state to state: the lifecycle table decides, under the row's lock.

It refuses to know why a record moves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Table, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.errors import IllegalTransition, NotFound
from registry.lifecycle import sources
from registry.records import AdapterVersion, Evaluation, FineTuningJob
from registry.store.rows import fetch_first

R = TypeVar("R", FineTuningJob, AdapterVersion, Evaluation)


@dataclass(frozen=True, kw_only=True)
class Moves(Generic[R]):
    """The moves of one kind of record."""

    record: type[R]
    """The kind."""
    table: Table
    """Where it is stored."""
    key: str
    """Column that names a record."""
    called: str
    """What errors call it."""
    legal: Mapping[Any, frozenset[Any]]
    """The states, and where each leads."""

    async def movable(
        self, connection: AsyncConnection, identifier: str, to: StrEnum, project: str | None = None
    ) -> R:
        """Return a record that may move to a state; nobody else moves it in this transaction.

        Args:
            connection: Of a transaction that writes.
            identifier: The record.
            to: The state.
            project: Its project; any when none.

        Raises:
            NotFound: There is no such record, or it belongs to another project.
            IllegalTransition: The lifecycle table forbids the move from its present state.
        """
        query = select(self.table).where(self.table.c[self.key] == identifier)
        if project is not None:
            query = query.where(self.table.c.project == project)
        # Without the lock two movers on PostgreSQL would both see the old state.
        present = await fetch_first(connection, query.with_for_update(), self.record)
        if present is None:
            raise NotFound(self.called, identifier)
        if present.status not in sources(self.legal, to):
            raise IllegalTransition(self.called, identifier, present.status, to)
        return present

    async def move(
        self,
        connection: AsyncConnection,
        identifier: str,
        to: StrEnum,
        changes: Mapping[str, object],
        project: str | None = None,
    ) -> R:
        """Move a record, with changes of other fields, and return it; raises as `movable` does."""
        present = await self.movable(connection, identifier, to, project)
        return await self.settle(connection, present, to, changes)

    async def settle(
        self, connection: AsyncConnection, present: R, to: StrEnum, changes: Mapping[str, object]
    ) -> R:
        """Move a record that `movable` returned, and return it as it is then."""
        values = {name: msgspec.to_builtins(value) for name, value in changes.items()}
        chosen = self.table.c[self.key] == getattr(present, self.key)
        await connection.execute(update(self.table).where(chosen).values(status=to, **values))
        return msgspec.structs.replace(present, status=to, **changes)
