"""Columns into a table in one go, without a Python loop over their values.

PostgreSQL takes rows by COPY in its binary format, where a row of fixed-width columns has a fixed width: a numpy record
with big-endian fields. SQLite takes tuples.

The format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format". Each row is the number of its
fields as int16, then for each its length as int32 (-1: NULL, and nothing follows) and its bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, SmallInteger, Table

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Array = np.ndarray[Any, Any]

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # signature, no flags, no extension
_TRAILER = b"\xff\xff"
# the narrower types are those of the wider ones, in SQLAlchemy: they come first
_WIRE = ((SmallInteger, ">i2"), (BigInteger, ">i8"), (Integer, ">i4"), (Double, ">f8"), (Boolean, "?"))


async def insert(connection: AsyncConnection, table: Table, columns: Mapping[str, Array]) -> None:
    """Append rows, given as columns of equal length, in the transaction that the connection is in.

    Whoever calls it has executed something in that transaction before, with which it begins. NaN becomes NULL.
    """
    names = list(columns)
    if not len(columns[names[0]]):
        return
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    if connection.dialect.name == "postgresql":
        source = _whole(packed([table.c[name] for name in names], list(columns.values())))
        await driver.copy_to_table(table.name, columns=names, source=source, format="binary")
        return
    listed = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join("?" * len(names))
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    await driver.executemany(f"INSERT INTO {table.name} ({listed}) VALUES ({marks})", rows)


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    # of a file the driver would read in a thread, which takes longer than to send it
    yield content


def packed(columns: Sequence[Column[Any]], values: Sequence[Array]) -> bytes:
    """Rows as COPY takes them. A NaN is NULL where the column may be."""
    rows = np.zeros(len(values[0]), _row(columns))
    rows["n"] = len(columns)
    nulls: list[tuple[int, Array]] = []
    for i, (column, value) in enumerate(zip(columns, values, strict=True)):
        rows[f"l{i}"] = rows.dtype[f"v{i}"].itemsize
        rows[f"v{i}"] = value
        if column.nullable and (missing := np.isnan(value)).any():
            rows[f"l{i}"][missing] = -1
            nulls.append((i, missing))
    content = rows.tobytes()
    if nulls:  # the bytes of what is missing are taken out
        grid = np.frombuffer(content, np.uint8).reshape(len(rows), rows.dtype.itemsize)
        kept = np.ones(grid.shape, bool)
        fields = rows.dtype.fields or {}
        for i, missing in nulls:
            dtype, offset = fields[f"v{i}"][:2]
            kept[missing, offset : offset + dtype.itemsize] = False
        content = grid[kept].tobytes()
    return _HEADER + content + _TRAILER


def _row(columns: Sequence[Column[Any]]) -> np.dtype[Any]:
    fields: list[tuple[str, str]] = [("n", ">i2")]
    for i, column in enumerate(columns):
        fields += [(f"l{i}", ">i4"), (f"v{i}", _wire(column))]
    return np.dtype(fields)


def _wire(column: Column[Any]) -> str:
    for kind, wire in _WIRE:
        if isinstance(column.type, kind):
            return wire
    raise TypeError(f"{column} has no fixed width")
