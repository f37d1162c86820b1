"""What keys used, by model and day.

It refuses to know prices, and who asked: a row names a key, never a unit.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Insert, Select, cast, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.records import Record, UsageRow
from registry.store import tables
from registry.store.database import Database
from registry.store.rows import columns, to_record

_KEY = ("project", "day", "key_id", "model")
_SUMS = ("requests", "prompt_tokens", "completion_tokens")


class UsageGroup(StrEnum):
    """What usage is told apart by, beside the project."""

    KEY = "key"
    MODEL = "model"
    DAY = "day"


_COLUMNS = {UsageGroup.KEY: "key_id", UsageGroup.MODEL: "model", UsageGroup.DAY: "day"}


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which usage is asked for."""

    start: str
    """First day in UTC, `YYYY-MM-DD`."""
    end: str
    """Last day in UTC, included."""
    project: str | None = None
    """Only this project; none for all."""
    key_id: str | None = None
    """Only this key."""
    model: str | None = None
    """Only this version."""
    group_by: tuple[UsageGroup, ...] = ()
    """What rows are told apart by; what is not named here is summed over."""


class UsageSum(Record, frozen=True, kw_only=True):
    """The usage of one group."""

    project: str
    """Project of the keys."""
    requests: int
    """Inference requests answered, errors included."""
    prompt_tokens: int
    """Tokens of prompts, as the engine counted."""
    completion_tokens: int
    """Tokens of answers, as the engine counted."""
    key_id: str | None = None
    """The key; none when summed over keys."""
    model: str | None = None
    """The version; none when summed over versions."""
    day: str | None = None
    """The day in UTC; none when summed over days."""


class Usage:
    """The sums of requests and tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sums(self, query: UsageQuery, *, limit: int) -> list[UsageSum]:
        """Return the groups of a query by project, day, key and model, at most `limit`."""
        async with self._database.read() as connection:
            rows = (await connection.execute(_select(query).limit(limit))).mappings()
            return [to_record(row, UsageSum) for row in rows]


async def add_usage(
    connection: AsyncConnection, rows: Sequence[UsageRow], *, is_sqlite: bool
) -> None:
    """Add rows to what is stored, inside the caller's transaction.

    They are written in one fixed order: two processes that add the same rows do not deadlock.
    """
    if rows:
        upsert = _sqlite_upsert() if is_sqlite else _postgresql_upsert()
        await connection.execute(upsert, [columns(row) for row in _ordered(rows)])


def usage_insertion(rows: Sequence[UsageRow]) -> list[object]:
    """Return an `Insertion` that adds rows to what is stored, to be packed with others."""
    head, row, tail, places = _sqlite_statement()
    values = [[getattr(one, place) for place in places] for one in _ordered(rows)]
    return [head, row, tail, values]


def _ordered(rows: Sequence[UsageRow]) -> list[UsageRow]:
    return sorted(rows, key=lambda row: (row.project, row.day, row.key_id, row.model))


@cache
def _sqlite_statement() -> tuple[str, str, str, list[str]]:
    """Return the upsert up to its values, one row's place holders, the rest, and their order."""
    fields = UsageRow.__struct_fields__
    compiled = _sqlite_upsert().compile(dialect=sqlite.dialect(), column_keys=fields)
    head, values, rest = str(compiled).partition(" VALUES ")
    row, conflict, tail = rest.partition(" ON CONFLICT ")
    return head + values, row, conflict + tail, list(compiled.positiontup or ())


@cache
def _sqlite_upsert() -> Insert:
    statement = sqlite.insert(tables.usage)
    added = {name: tables.usage.c[name] + statement.excluded[name] for name in _SUMS}
    return statement.on_conflict_do_update(index_elements=_KEY, set_=added)


@cache
def _postgresql_upsert() -> Insert:
    statement = postgresql.insert(tables.usage)
    added = {name: tables.usage.c[name] + statement.excluded[name] for name in _SUMS}
    return statement.on_conflict_do_update(index_elements=_KEY, set_=added)


def _select(query: UsageQuery) -> Select[Any]:
    table = tables.usage
    groups = [table.c.project, *(table.c[_COLUMNS[group]] for group in query.group_by)]
    # PostgreSQL sums whole numbers to decimals.
    sums = [cast(func.sum(table.c[name]), BigInteger).label(name) for name in _SUMS]
    statement = select(*groups, *sums).where(table.c.day.between(query.start, query.end))
    if query.project is not None:
        statement = statement.where(table.c.project == query.project)
    if query.key_id is not None:
        statement = statement.where(table.c.key_id == query.key_id)
    if query.model is not None:
        statement = statement.where(table.c.model == query.model)
    return statement.group_by(*groups).order_by(*groups)
