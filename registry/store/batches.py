"""Many rows in few statements, made so that the requests beside them hardly wait.

It refuses to know what the rows mean. SQLite is given values, a few rows at a time, for it takes
three times as long to unpack JSON as to insert; PostgreSQL is given JSON and unpacks it itself.
"""

import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, get_origin

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
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.records import Record

ROWS_AT_ONCE = 200
"""Most rows of one statement on PostgreSQL; to make it takes the event loop about 1 µs a row."""
ROWS_A_TURN = 4
"""Rows of one statement on SQLite, in this process. Its thread holds the interpreter while it binds
their values, for 2 to 5 µs a row, and gives it up while they are inserted, so that requests hardly
wait for it. A service's longer batches are written by a process of their own."""
_pack, _unpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(tuple[Any, ...]).decode
_encode = msgspec.json.Encoder().encode


def packed(record: Record) -> bytes:
    """Return a record's fields in order, those of JSON columns as text: what `add_packed` takes.

    It takes about 2 µs, and half of the memory of the values.
    """
    values: list[object] = [*msgspec.structs.astuple(record)]
    for place in _json_places(type(record)):
        values[place] = _encode(values[place]).decode()
    return bytes(memoryview(_pack(values)))  # a copy: the packer leaves half as much room behind


def first_field(row: bytes) -> str:
    """Return the first field of a packed record: its id."""
    return str(_unpack(row)[0])


async def add_packed(
    connection: AsyncConnection, table: Table, kind: type[Record], rows: Sequence[bytes]
) -> None:
    """Insert records that `packed` packed; all of the rows or, when one is refused, none.

    Raises:
        DBAPIError: The database refuses, or cannot be reached.
    """
    if connection.dialect.name == "sqlite":
        try:
            await _insert_values(connection, table, kind, rows)
        except sqlite3.Error as exc:  # the driver is asked directly: SQLAlchemy triples the cost
            raise DBAPIError.instance(None, None, exc, sqlite3.Error) from exc
        return
    unpacking = _unpacking(table, kind)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        text = _encode([_unpack(row) for row in rows[start : start + ROWS_AT_ONCE]]).decode()
        await connection.execute(unpacking, {"rows": text})


def insertion(table: Table, kind: type[Record], rows: Sequence[bytes]) -> list[object]:
    """Return an `Insertion` of records that `packed` packed, to be packed with others."""
    return [*_statement(table, kind), "", msgspec.Raw(_as_array(rows))]


def _as_array(rows: Sequence[bytes]) -> bytes:
    return b"".join((b"\xdd", len(rows).to_bytes(4, "big"), *rows))


async def _insert_values(
    connection: AsyncConnection, table: Table, kind: type[Record], rows: Sequence[bytes]
) -> None:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    rest = len(rows) % ROWS_A_TURN
    if len(rows) > rest:
        starts = range(0, len(rows) - rest, ROWS_A_TURN)
        # Unpacked piece by piece in the database's thread, not all at once in the event loop's.
        pieces = (_values(rows[start : start + ROWS_A_TURN]) for start in starts)
        await driver.executemany(_insertion(table, kind, ROWS_A_TURN), pieces)
    if rest:
        await driver.execute(_insertion(table, kind, rest), _values(rows[-rest:]))


def _values(rows: Sequence[bytes]) -> tuple[object, ...]:
    return tuple(chain.from_iterable(map(_unpack, rows)))


@cache
def _json_places(kind: type[Record]) -> list[int]:
    fields = enumerate(msgspec.structs.fields(kind))
    return [place for place, field in fields if get_origin(field.type) in {dict, list}]


@cache
def _insertion(table: Table, kind: type[Record], count: int) -> str:
    head, row = _statement(table, kind)
    return head + ", ".join([row] * count)


@cache
def _statement(table: Table, kind: type[Record]) -> tuple[str, str]:
    """Return an insertion up to its values, and the place holders of one row."""
    values: dict[str, object] = {name: bindparam(name) for name in kind.__struct_fields__}
    one = str(insert(table).values(values).compile(dialect=sqlite.dialect()))
    head, word, row = one.partition(" VALUES ")
    return head + word, row


@cache
def _unpacking(table: Table, kind: type[Record]) -> Insert:
    rows = bindparam("rows", type_=String)
    source = func.jsonb_array_elements(cast(rows, JSONB)).table_valued("value")
    names = kind.__struct_fields__
    values = [_value(source.c.value, at, table, name) for at, name in enumerate(names)]
    return insert(table).from_select(list(names), select(*values), include_defaults=False)


def _value(row: ColumnElement[object], at: int, table: Table, name: str) -> ColumnElement[object]:
    place: ColumnElement[object] = literal_column(str(at))
    kind = table.c[name].type
    return cast(row.op("->>")(place), JSONB() if isinstance(kind, JSON) else kind)
