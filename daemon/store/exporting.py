"""The tape leaves the database for Parquet files, one a UTC day, and what is in a file may go.

A day's file is there when it is complete and on the disk, and only then is anything removed: at whatever moment the
process ends, each input is in the database or in a file, and doing it again goes on from there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from sqlalchemy import delete, func, select

from daemon.catalog.locks import locked
from daemon.store import schema as t
from daemon.store import tape
from daemon.store.errors import StoreUseError
from daemon.store.files import hidden
from daemon.store.store import Session, Store
from engine.records import DAY, KIND_MASK, SECOND, RowKind, Ticks

if TYPE_CHECKING:
    from daemon.store.batch import Payload

CHUNK = 262_144  # inputs read at once, and rows of a group
REMOVED = 500  # commits whose inputs one transaction removes: a session that runs waits for no longer

_TIME = pa.timestamp("ns", "UTC")
_TAPE = pa.schema(
    [
        ("seq", pa.int64()), ("ts_event", _TIME), ("ts_recv", _TIME),
        ("instrument", pa.dictionary(pa.int32(), pa.string())), ("price", pa.float64()), ("size", pa.float64()),
        ("flags", pa.uint8()),
    ]
)  # fmt: skip
_PAYLOADS = pa.schema([("seq", pa.int64()), ("kind", pa.string()), ("content", pa.string())])


class Exported(NamedTuple):
    """A day of the tape in its file."""

    path: Path
    first: int  # seq of its first and last input
    last: int
    complete: bool  # the tape goes on with a later day


async def export_tape(
    store: Store,
    session: Session,
    folder: Path,
    until_ns: int,
    keep_from: int | None = None,
    remove: bool = True,
) -> list[Exported]:
    """Write the days of the tape that end up to `until_ns` to files, then remove them from the database.

    A file is FOLDER/tape-SESSION-YYYY-MM-DD.parquet, by ts_recv; beside it, where there are payloads, one whose name ends
    with .payloads.parquet. What recovery may need stays: the tape behind the last two snapshots, and from seq
    `keep_from` on; and the day in which the tape ends. A day whose complete file is there is not written again. Raises
    StoreUseError where a file holds something else, DataError where another process exports into the folder.
    """
    done: list[Exported] = []
    with locked(folder):
        _clear(folder)
        names = await _names(store, session.id)
        at = await first_kept(store, session)
        while (day := await _day(store, session.id, at)) is not None and (day + 1) * DAY <= until_ns:
            path = folder / f"tape-{quote(session.name, safe='')}-{_date(day)}.parquet"
            there = _there(path, session)
            if there is None or not there.complete or at > there.last:
                if there is not None and there.first != at:
                    raise StoreUseError(
                        f"{path}: holds the inputs from {there.first} on, and the database those from {at} on; "
                        "name another folder"
                    )
                there = await _write(store, session, at, (day + 1) * DAY, path, names)
            done.append(there)
            if not there.complete:  # the day in which the tape ends, however much more comes of it meanwhile
                break
            if remove:
                await _remove(store, session.id, there.last, keep_from)
            at = there.last + 1
    return done


async def retain(
    url: str, name: str, keep_ns: int, folder: Path, keep_from: int | None = None
) -> list[Exported]:
    """Export the days of a session's tape that ended `keep_ns` before its last input, from a connection of its own.

    keep_from: as in `export_tape`; the start of the epoch where a strategy is restored by replaying it.
    """
    async with await Store.open(url) as store:
        session = await store.session(name)
        if session is None:
            raise StoreUseError(f"{store.address}: there is no session {name!r}")
        async for taped in store.inputs(session.id, session.seq - 1):
            end = int(taped.ticks.ts_recv[-1])
            return await export_tape(store, session, folder, end - keep_ns, keep_from)
    return []


def _clear(folder: Path) -> None:
    for left in folder.glob(".tape-*.partial"):  # by a process that was killed
        left.unlink()


async def first_kept(store: Store, session: Session) -> int:
    """The seq of the first input that is in the database."""
    c = t.tape.c
    async with store.reading() as connection:
        found = await connection.execute(select(func.min(c.first)).where(c.session == session.id))
        return int(found.scalar() or session.seq + 1)


async def _day(store: Store, session: int, seq: int) -> int | None:
    """The day of an input, or None where the tape ends before it."""
    async for taped in store.inputs(session, seq - 1, seq):
        return int(taped.ticks.ts_recv[0]) // DAY
    return None


async def _write(
    store: Store, session: Session, first: int, end_ns: int, path: Path, names: _Names
) -> Exported:
    last, complete = first - 1, False
    with ExitStack() as stack:
        files = _Files(stack, path, session)
        async for taped in store.inputs(session.id, first - 1, chunk=CHUNK):
            later = np.flatnonzero(taped.ticks.ts_recv >= end_ns)
            ticks = tape.cut(taped.ticks, 0, int(later[0]) if len(later) else None)
            payloads = [p for p in taped.payloads if p.seq < taped.first + len(ticks.price)]
            await asyncio.to_thread(files.write, _table(taped.first, ticks, names), payloads)
            last += len(ticks.price)
            if complete := len(later) > 0:
                break
        files.tape.add_key_value_metadata({"complete": "yes" if complete else "no"})
    return Exported(path, first, last, complete)


class _Files:
    """A day's files, which get their names when the stack unwinds: that of the tape at last."""

    def __init__(self, stack: ExitStack, path: Path, session: Session) -> None:
        self._stack = stack
        self._path = path
        about = {"session": session.name, "started": str(session.started)}
        self.tape = self._open(path, _TAPE.with_metadata(about))
        self.payloads: Any = None

    def write(self, rows: Any, payloads: Sequence[Payload]) -> None:
        """Append rows of the tape, and its payloads."""
        self.tape.write_table(rows, row_group_size=CHUNK)
        if not payloads:
            return
        self.payloads = self.payloads or self._open(self._path.with_suffix(".payloads.parquet"), _PAYLOADS)
        columns = zip(*((p.seq, p.kind, json.dumps(p.content)) for p in payloads), strict=True)
        self.payloads.write_table(pa.table(list(columns), schema=_PAYLOADS))

    def _open(self, path: Path, schema: Any) -> Any:
        partial = self._stack.enter_context(hidden(path))
        return self._stack.enter_context(parquet.ParquetWriter(partial, schema, compression="zstd"))


def _there(path: Path, session: Session) -> Exported | None:
    """What a file from before holds. Raises StoreUseError where it is none of this session's."""
    if not path.exists():
        return None
    try:
        found = parquet.read_metadata(path)
        about = {key.decode(): value.decode() for key, value in (found.metadata or {}).items()}
        groups = [found.row_group(k).column(0).statistics for k in range(found.num_row_groups)]
        first, last = min(g.min for g in groups), max(g.max for g in groups)
    except (pa.ArrowInvalid, ValueError, AttributeError) as error:
        raise StoreUseError(f"{path}: is no file of a tape ({error}); move it away") from error
    if (about.get("session"), about.get("started")) != (session.name, str(session.started)):
        raise StoreUseError(
            f"{path}: is another session's of the name {session.name!r}; name another folder, or move it away"
        )
    return Exported(path, first, last, about.get("complete") == "yes")


class _Names(NamedTuple):
    instruments: list[str]
    portfolios: list[str]  # accounts, then strategies, by the index that rows of theirs have


async def _names(store: Store, session: int) -> _Names:
    names = [
        [row["name"] for row in await store.find(table, session=session)]
        for table in ("instruments", "accounts", "strategies")
    ]
    return _Names(names[0], names[1] + names[2])


def _table(first: int, ticks: Ticks, names: _Names) -> Any:
    n, kind = len(ticks.price), ticks.flags & KIND_MASK
    of_portfolios = (kind == RowKind.CASH) | (kind == RowKind.OPERATOR)
    index = np.where(of_portfolios, ticks.instrument + len(names.instruments), ticks.instrument)
    known = [*names.instruments, *names.portfolios]
    of_none = (kind == RowKind.TIMER) | (ticks.instrument < 0) | (index >= len(known))
    columns = [
        pa.array(np.arange(first, first + n)),
        pa.array(ticks.ts_event).cast(_TIME),
        pa.array(ticks.ts_recv).cast(_TIME),
        pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32), mask=of_none), pa.array(known)),
        *(pa.array(column) for column in (ticks.price, ticks.size, ticks.flags)),
    ]
    return pa.table(columns, schema=_TAPE)


async def _remove(store: Store, session: int, last: int, keep_from: int | None) -> None:
    """Remove the inputs up to `last`, as far as nobody needs them."""
    snapshots = [seq for seq, _ in await store.snapshots(session)]
    last = min(last, (snapshots[-2:] or [0])[0])  # the one before the newest: should that turn out unreadable
    if keep_from is not None:
        last = min(last, keep_from - 1)
    c, p = t.tape.c, t.payloads.c
    oldest = select(c.first, c.last).where(c.session == session, c.first <= last)
    going = True
    while going:
        async with store.writing() as connection:
            found = (await connection.execute(oldest.order_by(c.first).limit(REMOVED))).all()
            going = len(found) == REMOVED
            if not found:
                break
            end = min(found[-1].last, last)
            rest = None  # of a commit that goes on behind it
            if found[-1].last > end:
                rest = await tape.read(connection, session, end + 1, end + 1)
            gone = c.first.between(found[0].first, found[-1].first)
            await connection.execute(delete(t.tape).where(c.session == session, gone))
            await connection.execute(delete(t.payloads).where(p.session == session, p.seq <= end))
            if rest is not None:
                await tape.write(connection, session, end + 1, rest)


def _date(day: int) -> str:
    return f"{datetime.fromtimestamp(day * DAY // SECOND, UTC):%Y-%m-%d}"
