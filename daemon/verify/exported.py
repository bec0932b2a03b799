"""A session's tape, from the database and from the files that what is older was exported to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pyarrow as pa
from pyarrow import compute, parquet

from daemon.store.batch import Payload
from daemon.store.errors import StoreUseError
from daemon.store.store import Taped
from engine.records import KIND_MASK, TICK_DTYPES, RowKind, Ticks

if TYPE_CHECKING:
    from daemon.store.store import Session, Store

_NUMBERS = ("ts_event", "ts_recv", "instrument", "price", "size", "flags")


class _Day(NamedTuple):
    path: Path
    first: int  # seq of its first input
    last: int


async def inputs(
    store: Store, session: Session, after: int, until: int, folder: Path | None = None
) -> AsyncIterator[Taped]:
    """The tape from behind seq `after` to seq `until`, in stretches; of the days in `folder` from their files.

    Raises SequenceError where inputs are missing, StoreUseError where a file is not what was exported.
    """
    names = [
        [row["name"] for row in await store.find(table, session=session.id)]
        for table in ("instruments", "accounts", "strategies")
    ]
    for day in _days(folder, session) if folder else ():
        if day.first > after + 1:
            break
        if day.last <= after or after >= until:
            continue
        payloads = await asyncio.to_thread(_payloads, day.path)
        stretches = _stretches(day, names[0], names[1] + names[2])
        while (taped := await asyncio.to_thread(next, stretches, None)) is not None:
            begin, end = max(taped.first, after + 1), min(taped.first + len(taped.ticks.price) - 1, until)
            if begin <= end:
                rows = slice(begin - taped.first, end - taped.first + 1)
                ticks = Ticks(*(column[rows] for column in taped.ticks))
                yield Taped(begin, ticks, tuple(p for p in payloads if begin <= p.seq <= end))
                after = end
    async for taped in store.inputs(session.id, after, until):
        yield taped


def _days(folder: Path, session: Session) -> list[_Day]:
    """The files of the session's days, in the order of the tape."""
    found = []
    for path in sorted(folder.glob(f"tape-{quote(session.name, safe='')}-????-??-??.parquet")):
        try:
            about = parquet.read_metadata(path)
            groups = [about.row_group(k).column(0).statistics for k in range(about.num_row_groups)]
            told = {key.decode(): value.decode() for key, value in (about.metadata or {}).items()}
            day = _Day(path, min(g.min for g in groups), max(g.max for g in groups))
        except (pa.ArrowInvalid, ValueError, AttributeError) as error:
            raise StoreUseError(f"{path}: is no file of a tape ({error}); restore a copy") from error
        if told.get("started") == str(session.started):  # else it is of another session of that name
            found.append(day)
    return sorted(found, key=lambda day: day.first)


def _stretches(day: _Day, instruments: list[str], portfolios: list[str]) -> Iterator[Taped]:
    file = parquet.ParquetFile(day.path)
    for k in range(file.num_row_groups):
        table = file.read_row_group(k)
        columns = {name: table[name] for name in _NUMBERS}
        kind = columns["flags"].to_numpy() & KIND_MASK
        names = columns["instrument"].cast(pa.string())
        of_portfolio = (kind == RowKind.CASH) | (kind == RowKind.OPERATOR)
        columns["instrument"] = np.where(of_portfolio, _index(names, portfolios), _index(names, instruments))
        seq = table["seq"].to_numpy()
        if len(seq) and (seq != np.arange(seq[0], seq[0] + len(seq))).any():
            raise StoreUseError(f"{day.path}: inputs are missing in it; restore a copy")
        values = (_array(columns[name], dtype) for name, dtype in zip(_NUMBERS, TICK_DTYPES, strict=True))
        yield Taped(int(seq[0]), Ticks(*values), ())


def _index(names: Any, known: list[str]) -> Any:
    # a row that is of none has 0, as the daemon's own have
    return compute.fill_null(compute.index_in(names, pa.array(known, pa.string())), 0).to_numpy()


def _array(column: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(column, np.ndarray):
        return np.ascontiguousarray(column, dtype)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return np.ascontiguousarray(column.to_numpy(), dtype)


def _payloads(path: Path) -> tuple[Payload, ...]:
    beside = path.with_suffix(".payloads.parquet")
    if not beside.exists():
        return ()
    rows = parquet.read_table(beside).to_pylist()
    return tuple(Payload(row["seq"], row["kind"], json.loads(row["content"])) for row in rows)
