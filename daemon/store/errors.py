"""What can go wrong with the store, and which of the databases' own errors mean it.

    StoreError
      StoreUseError      wrong use: an address that names no database, rows that do not fit what is there
        SequenceError    a batch that does not follow the one before it
      SchemaError        the database's tables are not those of this program
      StoreUnavailable   not now: the same call may succeed later, and nothing was left half done
        StoreBusy        somebody else holds a lock on it
        StoreFull        no space left where the database is

A connection that breaks while a transaction is being committed leaves open whether it was; `Store.commit` of the same
batch finds out, and does nothing where it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


class StoreError(Exception):
    """The store did not do what was asked for; the message says why, and what to do."""


class StoreUseError(StoreError):
    """It was asked for what cannot be."""


class SequenceError(StoreUseError):
    """A batch that leaves a hole on the tape, overlaps what is there, or differs from it."""


class SchemaError(StoreError):
    """The tables are not those of this program."""


class StoreUnavailable(StoreError):
    """The database is away, or cannot answer now; nothing was left half done."""


class StoreBusy(StoreUnavailable):
    """Somebody else holds a lock for longer than we wait."""


class StoreFull(StoreUnavailable):
    """No space left."""


_SQLITE = {
    "SQLITE_BUSY": (StoreBusy, "another process is writing; end it, or try again"),
    "SQLITE_LOCKED": (StoreBusy, "another process is writing; end it, or try again"),
    "SQLITE_FULL": (StoreFull, "the disk is full; make room, and try again"),
    "SQLITE_IOERR": (StoreUnavailable, "the disk does not take or give what is asked; look at the system's log"),
    "SQLITE_CANTOPEN": (StoreUnavailable, "the file cannot be opened; look at its folder's permissions"),
    "SQLITE_READONLY": (StoreUnavailable, "the file cannot be written; look at its permissions"),
    "SQLITE_CORRUPT": (SchemaError, "the file is damaged; restore a copy"),
    "SQLITE_NOTADB": (SchemaError, "the file is no SQLite database; name another one"),
    "SQLITE_CONSTRAINT": (StoreUseError, "the rows contradict those that are there"),
}  # fmt: skip
_POSTGRES = {  # by SQLSTATE, or its class, the first two characters
    "08": (StoreUnavailable, "the connection broke; is the server running?"),
    "53": (StoreUnavailable, "the server is out of connections or memory; try again"),
    "53100": (StoreFull, "the server's disk is full; make room, and try again"),
    "57": (StoreUnavailable, "the server ended what was asked; try again"),
    "58": (StoreUnavailable, "the server's disk fails; look at its log"),
    "40": (StoreBusy, "another process wrote at the same time; try again"),
    "55": (StoreBusy, "another process holds a lock; end it, or try again"),
    "23": (StoreUseError, "the rows contradict those that are there"),
    "28": (StoreUseError, "the server refuses the user; correct user and password"),
    "3D": (StoreUseError, "there is no such database; create it with `createdb`"),
    "42501": (StoreUseError, "the user may not do that; grant it the rights on the database"),
}


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise the database's errors as ours, with `where` in front; what is none of them is a mistake of ours, and passes."""
    try:
        yield
    except Exception as error:
        meant = _meant(error)
        if meant is None:
            raise
        kind, problem = meant
        raise kind(f"{where}: {problem}{_said(error)}") from error


def _meant(error: BaseException) -> tuple[type[StoreError], str] | None:
    # SQLAlchemy wraps what its driver's adapter raised, which wraps what the driver raised
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, StoreError):
            return None
        if (found := _direct(link)) is not None:
            return found
        link = getattr(link, "orig", None) or link.__cause__
    return None


def _direct(error: BaseException) -> tuple[type[StoreError], str] | None:
    if isinstance(error, sqlite3.Error):
        name = getattr(error, "sqlite_errorname", None) or ""
        return _SQLITE.get("_".join(name.split("_")[:2]))
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return _POSTGRES.get(state) or _POSTGRES.get(state[:2])
    if isinstance(error, TimeoutError):
        return StoreUnavailable, "no answer in time; is the server running?"
    if isinstance(error, OSError):
        return StoreUnavailable, "it cannot be reached; is the server running, and the address right?"
    if type(error).__module__.startswith("asyncpg"):
        # what the driver says itself has no SQLSTATE: "the underlying connection is closed", and, where the server went in
        # the middle of a conversation, that it has lost its place in that
        if "clos" in str(error) or type(error).__name__ == "InternalClientError":
            return _POSTGRES["08"]
    return None


def _said(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    first = (str(cause).splitlines() or [""])[0].strip()
    return f" ({first})" if first else ""
