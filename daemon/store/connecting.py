"""Connections to either database, set up so that what was committed is on the disk.

SQLite writes a log (WAL) with synchronous=FULL: NORMAL would leave the file sound when the power fails, but could lose
the last transactions, and what was committed has been shown to the outside and is never decided again. A transaction
that writes takes the write lock at its beginning (BEGIN IMMEDIATE): one that reads first and then finds the lock taken
could not wait for it.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine

from daemon.store.errors import StoreUseError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from daemon.store.address import Address

PATIENCE_S = 10.0  # without an answer for so long, the database counts as away


def connect(address: Address, patience_s: float = PATIENCE_S) -> AsyncEngine:
    """Connections to that database, made when they are needed; for writing take `writer` of it.

    patience_s: how long a lock is waited for; a statement may take a second longer. Raises StoreUseError where an SQLite
    file's folder is not there.
    """
    encode = partial(json.dumps, allow_nan=False)
    if address.file is None:
        ms = str(int(patience_s * 1000))
        settings = {
            "application_name": "papertape",
            "synchronous_commit": "on",
            "lock_timeout": ms,
            "timezone": "UTC",
        }
        arguments: dict[str, Any] = {
            "timeout": patience_s,
            "command_timeout": patience_s + 1.0,  # so that a lock which is waited for is told as such
            "server_settings": settings,
        }
        return create_async_engine(
            address.url, connect_args=arguments, json_serializer=encode, hide_parameters=True, pool_size=4
        )
    if not address.file.parent.is_dir():
        raise StoreUseError(f"{address}: there is no folder {address.file.parent}; create it")
    engine = create_async_engine(
        address.url, connect_args={"timeout": patience_s}, json_serializer=encode, hide_parameters=True
    )
    event.listen(engine.sync_engine, "connect", _set_up)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def writer(engine: AsyncEngine) -> AsyncEngine:
    """The same connections, for transactions that write."""
    return engine.execution_options(papertape_writes=True)


def _set_up(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so, not where the driver guesses
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "wal_autocheckpoint=4000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Any) -> None:
    writes = connection.get_execution_options().get("papertape_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
