"""Whether the database answers, has this program's tables, and takes what is written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from daemon.doctor.findings import Finding, failed, ok, warning

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_PATIENCE_S = 3.0


class Looked(NamedTuple):
    """What was found. ahead: by how many seconds the server's clock is ahead of ours; None for SQLite, and where unknown."""

    found: Finding
    ahead: float | None = None
    ready: bool = False  # it has this program's tables, and so perhaps the session


async def database(url: str) -> Looked:
    """Look at it; something is written, and taken back."""
    from daemon.store.address import parse
    from daemon.store.errors import StoreBusy, StoreError

    try:
        address = parse(url)
        if address.file is not None and not address.file.exists():
            return Looked(ok("database", f"{address} is not there yet; the first start makes it"))
        address.require_file()
    except StoreError as error:
        return Looked(failed("database", str(error)))
    except OSError as error:
        what = f"its file cannot be looked at ({error.strerror}); run this as the session's user"
        return Looked(failed("database", what))
    try:
        told = await _tables(url)
        ahead = await _writes(url, tables=told is None)
    except StoreBusy as error:  # a session that runs writes now and then
        return Looked(warning("database", str(error)))
    except StoreError as error:
        return Looked(failed("database", str(error)))
    if told is not None:
        return Looked(told, ahead)
    return Looked(ok("database", f"{address} has this program's tables, and can be written"), ahead, True)


async def _tables(url: str) -> Finding | None:
    """None where they are this program's."""
    from daemon.store.address import parse
    from daemon.store.migrating import check, revisions

    if (await revisions(url)).database is None:
        return ok(
            "database", f"{parse(url)} can be written, and has no tables yet; the first start makes them"
        )
    if differences := await check(url):
        what = "; ".join(differences)
        return failed(
            "database",
            f"{parse(url)}: its tables are not this program's: {what}; restore a copy, or name another",
        )
    return None


async def _writes(url: str, tables: bool) -> float | None:
    """Write something, and take it back; by how much the server's clock is ahead of ours. Raises StoreError."""
    from sqlalchemy import text

    from daemon.store.address import parse
    from daemon.store.connecting import connect, writer
    from daemon.store.errors import translated
    from daemon.store.schema import watchlists

    address = parse(url)
    with translated(str(address)):
        engine: AsyncEngine = connect(address, _PATIENCE_S)
        try:
            async with writer(engine).connect() as connection:
                transaction = await connection.begin()
                try:
                    if tables:
                        row = {
                            c.name: 0 if c.type.python_type is int else "papertape doctor"
                            for c in watchlists.columns
                        }
                        await connection.execute(watchlists.insert().values(row))
                    else:
                        await connection.execute(text("CREATE TABLE papertape_doctor (one INTEGER)"))
                    if address.file is not None:
                        return None
                    before = time.time()
                    theirs = await connection.execute(
                        text("SELECT extract(epoch FROM clock_timestamp())::float8")
                    )
                    return float(theirs.scalar_one()) - (before + time.time()) / 2
                finally:
                    await transaction.rollback()
        finally:
            await engine.dispose()
