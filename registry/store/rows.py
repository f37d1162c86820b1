"""Rows to records and back, and pages of them.

It refuses to know any particular table.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Select, Table, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.errors import NotFound
from registry.records import Record

R = TypeVar("R", bound=Record)

MAX_PAGE = 100
"""Most records on one page."""


class Page(msgspec.Struct, Generic[R], frozen=True):
    """One page of a list."""

    data: list[R]
    """Records, newest first."""
    has_more: bool
    """Whether another page follows."""


def columns(record: Record) -> dict[str, Any]:
    """Return a record's fields as column values."""
    return {name: msgspec.to_builtins(getattr(record, name)) for name in record.__struct_fields__}


def to_record(row: Mapping[Any, Any], kind: type[R]) -> R:
    """Return the record that a row holds."""
    return msgspec.convert({str(name): value for name, value in row.items()}, kind)


async def add(connection: AsyncConnection, table: Table, record: Record) -> None:
    """Insert a record."""
    await connection.execute(insert(table).values(**columns(record)))


async def fetch_first(connection: AsyncConnection, query: Select[Any], kind: type[R]) -> R | None:
    """Return the first record a query finds."""
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else to_record(row, kind)


async def fetch_all(connection: AsyncConnection, query: Select[Any], kind: type[R]) -> list[R]:
    """Return all records a query finds."""
    return [to_record(row, kind) for row in (await connection.execute(query)).mappings()]


async def fetch_page(
    connection: AsyncConnection,
    query: Select[Any],
    kind: type[R],
    *,
    table: Table,
    after: str | int | None,
    limit: int,
    key: str = "id",
    ascending: bool = False,
) -> Page[R]:
    """Return the page of a query's records that follows the record `after`.

    The newest come first, unless `ascending`. The cursor is looked up through the query itself, so
    that it tells nothing about records the query does not show.

    Raises:
        NotFound: The query finds no record with the id `after`.
    """
    seq = table.c.seq
    if after is not None:
        cursor = query.with_only_columns(seq).where(table.c[key] == after)
        place = (await connection.execute(cursor)).scalar_one_or_none()
        if place is None:
            raise NotFound("cursor", str(after))
        query = query.where(seq > place if ascending else seq < place)
    size = max(1, min(limit, MAX_PAGE))
    query = query.order_by(seq if ascending else seq.desc()).limit(size + 1)
    found = await fetch_all(connection, query, kind)
    return Page(data=found[:size], has_more=len(found) > size)
