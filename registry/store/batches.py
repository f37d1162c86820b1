"""Many rows in few statements: encoded once as JSON, so that a waiting row is small.

It refuses to know what the rows mean. PostgreSQL unpacks a batch itself; SQLite's own unpacking
takes three times as long as values that are bound. Both work on many rows at a time without holding
the interpreter, so a batch costs the requests beside it next to nothing.
"""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy import (
    JSON,
    ColumnElement,
    Insert,
    String,
    Table,
    bindparam,
    cast,
    func,
    insert,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.records import Record

_BOUND_ROWS = 128
"""Rows of one statement on SQLite: their values stay well below its 32,766 variables."""

_encode = msgspec.json.Encoder().encode


def encode_row(record: Record) -> bytes:
    """Return a record's fields, in order, as a JSON array."""
    return _encode(msgspec.structs.astuple(record))


def first_field(row: bytes) -> str:
    """Return the first field of an encoded record: its id."""
    return str(msgspec.json.decode(row)[0])


async def add_encoded(
    connection: AsyncConnection, table: Table, kind: type[Record], rows: Sequence[bytes]
) -> None:
    """Insert records that `encode_row` encoded; all of them or, when one is refused, none."""
    if connection.dialect.name == "sqlite":
        await _add_bound(connection, table, kind, rows)
        return
    encoded = (b"[" + b",".join(rows) + b"]").decode()
    await connection.execute(_statement(table, kind), {"rows": encoded})


async def _add_bound(
    connection: AsyncConnection, table: Table, kind: type[Record], rows: Sequence[bytes]
) -> None:
    names = kind.__struct_fields__
    decode = _decoder(table, kind).decode
    encoded = [at for at, name in enumerate(names) if isinstance(table.c[name].type, JSON)]
    start = 0
    while start < len(rows):
        count = _count_of(len(rows) - start)
        values = list(chain.from_iterable(map(decode, rows[start : start + count])))
        for first in encoded:
            for at in range(first, len(values), len(names)):
                values[at] = bytes(values[at]).decode()
        await connection.exec_driver_sql(_bound(table, kind, count), tuple(values))
        start += count


def _count_of(rows: int) -> int:
    """Return the rows of the next statement, a power of two.

    Each count is another statement, and every connection keeps what it prepared.
    """
    return min(_BOUND_ROWS, 1 << (rows.bit_length() - 1))


@cache
def _decoder(table: Table, kind: type[Record]) -> msgspec.json.Decoder[tuple[Any, ...]]:
    """Return what reads a row into values to be bound; columns of JSON stay encoded."""
    kinds = [
        msgspec.Raw if isinstance(table.c[name].type, JSON) else Any
        for name in kind.__struct_fields__
    ]
    return msgspec.json.Decoder(tuple[tuple(kinds)])  # type: ignore[misc]  # as many as fields


@cache
def _bound(table: Table, kind: type[Record], count: int) -> str:
    names = kind.__struct_fields__
    places = f"({', '.join('?' * len(names))})"
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES "  # noqa: S608 - names of our own
        f"{', '.join([places] * count)}"
    )


@cache
def _statement(table: Table, kind: type[Record]) -> Insert:
    unpacked = func.jsonb_array_elements(cast(bindparam("rows", type_=String), JSONB))
    source = unpacked.table_valued("value")
    names = kind.__struct_fields__
    values = [_value(source.c.value, at, table, name) for at, name in enumerate(names)]
    return insert(table).from_select(list(names), select(*values), include_defaults=False)


def _value(row: ColumnElement[object], at: int, table: Table, name: str) -> ColumnElement[object]:
    kind = table.c[name].type
    place: ColumnElement[object] = literal_column(str(at))
    if isinstance(kind, JSON):
        return row.op("->")(place)
    return cast(row.op("->>")(place), kind)
