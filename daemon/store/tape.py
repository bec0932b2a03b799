"""The tape as it is stored: a row per commit, which holds the inputs' columns one after the other.

A row per input would cost both databases more than all else together, to write and above all to read. What a column
holds is packed little-endian and not compressed: 41 bytes an input.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import bindparam, func, insert, select

from daemon.store import schema as t
from daemon.store.errors import SequenceError
from engine.records import TICK_DTYPES, Ticks

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_PACKED = tuple(dtype.newbyteorder("<") for dtype in TICK_DTYPES)
INPUT_BYTES = sum(dtype.itemsize for dtype in _PACKED)

_T = t.tape.c
# from the commit in which `first` lies on, all that begin up to `last`
_COVERING = (
    select(_T.first, _T.last, _T.content)
    .where(
        _T.session == bindparam("of"),
        _T.first <= bindparam("last"),
        _T.first
        >= select(func.max(_T.first))
        .where(_T.session == bindparam("of"), _T.first <= bindparam("first"))
        .scalar_subquery(),
    )
    .order_by(_T.first)
)


async def write(connection: AsyncConnection, session: int, first: int, ticks: Ticks) -> None:
    """Append inputs, at least one, to a session's tape."""
    row = {
        "session": session, "first": first, "last": first + len(ticks.price) - 1,
        "ts_first": int(ticks.ts_recv[0]), "ts_last": int(ticks.ts_recv[-1]), "content": packed(ticks),
    }  # fmt: skip
    await connection.execute(insert(t.tape), row)


async def read(connection: AsyncConnection, session: int, first: int, last: int) -> Ticks:
    """The inputs from seq `first` on, to the end of the commit that holds seq `last`.

    Raises SequenceError where one is missing.
    """
    found = (await connection.execute(_COVERING, {"of": session, "first": first, "last": last})).all()
    wanted = found[0].first if found else first
    for row in found:
        if row.first != wanted or len(row.content) != (row.last - row.first + 1) * INPUT_BYTES:
            break
        wanted = row.last + 1
    if wanted <= max(first, last):
        raise SequenceError(
            f"session {session} lacks the input {max(first, wanted)}, of {first} to {last}; the tape cannot be replayed "
            "from there: look for it in what was exported, or restore a copy"
        )
    ticks = unpacked([row.content for row in found])
    return cut(ticks, first - found[0].first, None)


def packed(ticks: Ticks) -> bytes:
    """The six columns, one after the other."""
    return b"".join(
        column.astype(dtype, copy=False).tobytes() for column, dtype in zip(ticks, _PACKED, strict=True)
    )


def unpacked(contents: Iterable[bytes]) -> Ticks:
    """What was packed, all of it as one, writable."""
    columns: Sequence[list[Any]] = [[] for _ in _PACKED]
    for content in contents:
        n, at = len(content) // INPUT_BYTES, 0
        for column, dtype in zip(columns, _PACKED, strict=True):
            column.append(np.frombuffer(content, dtype, n, at))
            at += n * dtype.itemsize
    return Ticks(
        *(np.concatenate(parts, dtype=dtype) for parts, dtype in zip(columns, TICK_DTYPES, strict=True))
    )


def cut(ticks: Ticks, start: int, stop: int | None) -> Ticks:
    """The rows from start to before stop."""
    return Ticks(*(column[start:stop] for column in ticks))
