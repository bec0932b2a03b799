"""Sessions become a file of their own, also while they run, and come back from it into any database.

The file is an SQLite database with this program's tables: it can be read, verified and gone on from where it is.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Table, insert, select

from daemon.store import schema as t
from daemon.store.errors import StoreUseError
from daemon.store.files import hidden
from daemon.store.migrating import revisions, upgrade
from daemon.store.statements import insert_new
from daemon.store.store import Session, Store

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Rows: TypeAlias = list[dict[str, Any]]

_ROWS = 2_000  # held at once: memory does not grow with the session;
_FEW = {"tape": 200, "snapshots": 1}  # fewer where they are large


async def backup(url: str, file: Path, name: str | None) -> list[Session]:
    """Copy a session, or all where name is None, as far as committed now, to a new file; with what is of no session.

    The file is there when it is complete and on the disk. Raises StoreUseError where it is there already, or the
    session is not.
    """
    _check_free(file)
    async with await Store.open(url) as source, source.reading() as connection:
        chosen = [s for s in await _sessions(connection) if name in (None, s.name)]
        if name is not None and not chosen:
            raise StoreUseError(f"{source.address}: there is no session {name!r}")
        with hidden(file) as partial:
            await upgrade(f"sqlite:///{partial}")
            async with await Store.open(f"sqlite:///{partial}") as target:

                async def put(table: Table, rows: Rows) -> None:
                    async with target.writing() as writing:
                        await writing.execute(insert(table), rows)

                await _copy(connection, {s.id for s in chosen}, put)
            await asyncio.to_thread(_without_log, partial)
    return chosen


async def restore(file: Path, url: str) -> list[Session]:
    """Copy the sessions of a file into a database, all or none; it gets its tables where it has none.

    Models, news and the like that are there already stay as they are. Raises StoreUseError where the database has a
    session of such a name.
    """
    await revisions(f"sqlite:///{file}")  # which makes no file where there is none
    await upgrade(url)
    async with (
        await Store.open(f"sqlite:///{file}") as source,
        await Store.open(url) as target,
        source.reading() as connection,
        target.writing() as writing,
    ):
        found = await _sessions(connection)
        taken = {s.name for s in await _sessions(writing)}
        for session in found:
            if session.name in taken:
                raise StoreUseError(
                    f"{target.address}: there is a session {session.name!r} already; name another database"
                )
        ids: dict[int, int] = {}

        async def put(table: Table, rows: Rows) -> None:
            if table is t.sessions:
                for row in rows:
                    given = {name: value for name, value in row.items() if name != "id"}
                    made = await writing.execute(insert(table).returning(table.c.id), given)
                    ids[row["id"]] = int(made.scalar_one())
            elif "session" not in table.c:
                await writing.execute(insert_new(writing.dialect.name, table), rows)
            else:
                for row in rows:
                    row["session"] = ids[row["session"]]
                    row.pop("number", None)  # the database counts its own
                await writing.execute(insert(table), rows)

        await _copy(connection, {s.id for s in found}, put)
        return [s._replace(id=ids[s.id]) for s in found]


async def _copy(
    source: AsyncConnection, sessions: Collection[int], put: Callable[[Table, Rows], Awaitable[None]]
) -> None:
    """Put the rows of those sessions, and all of no session, in an order in which none refers to one to come."""
    for table in sorted(t.metadata.sorted_tables, key=lambda table: table is not t.sessions):
        query = select(table).order_by(*table.primary_key)
        if table is t.sessions:
            query = query.where(table.c.id.in_(sessions))
        elif "session" in table.c:
            query = query.where(table.c.session.in_(sessions))
        async for rows in _pages(source, table, query):
            await put(table, rows)


async def _pages(source: AsyncConnection, table: Table, query: Any) -> AsyncIterator[Rows]:
    few = query.execution_options(yield_per=_FEW.get(table.name, _ROWS))
    async with source.stream(few) as result:
        async for page in result.mappings().partitions():
            yield [dict(row) for row in page]


def _check_free(file: Path) -> None:
    if file.exists():
        raise StoreUseError(f"{file}: is there already; remove it, or name another file")
    if not file.absolute().parent.is_dir():
        raise StoreUseError(f"{file}: there is no folder {file.absolute().parent}; create it")


def _without_log(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # one file, which can be moved


async def _sessions(connection: AsyncConnection) -> list[Session]:
    s = t.sessions.c
    found = await connection.execute(select(s.id, s.name, s.seq, s.started).order_by(s.id))
    return [Session(*row) for row in found]
