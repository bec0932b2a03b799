"""What the databases raise, as ours."""

import sqlite3

import asyncpg
import pytest

from daemon.cli import exit_code
from daemon.store.errors import (
    SchemaError,
    SequenceError,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StoreUseError,
    translated,
)


def of_sqlite(name):
    error = sqlite3.OperationalError("it said so")
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (of_sqlite("SQLITE_BUSY"), StoreBusy),
        (of_sqlite("SQLITE_BUSY_SNAPSHOT"), StoreBusy),
        (of_sqlite("SQLITE_FULL"), StoreFull),
        (of_sqlite("SQLITE_IOERR_FSYNC"), StoreUnavailable),
        (of_sqlite("SQLITE_READONLY_DBMOVED"), StoreUnavailable),
        (of_sqlite("SQLITE_NOTADB"), SchemaError),
        (of_sqlite("SQLITE_CONSTRAINT_CHECK"), StoreUseError),
        (asyncpg.exceptions.AdminShutdownError("x"), StoreUnavailable),
        (asyncpg.exceptions.DiskFullError("x"), StoreFull),
        (asyncpg.exceptions.TooManyConnectionsError("x"), StoreUnavailable),
        (asyncpg.exceptions.DeadlockDetectedError("x"), StoreBusy),
        (asyncpg.exceptions.LockNotAvailableError("x"), StoreBusy),
        (asyncpg.exceptions.UniqueViolationError("x"), StoreUseError),
        (asyncpg.exceptions.InvalidPasswordError("x"), StoreUseError),
        (asyncpg.exceptions.InvalidCatalogNameError("x"), StoreUseError),
        (asyncpg.exceptions.InterfaceError("connection is closed"), StoreUnavailable),
        (ConnectionRefusedError(111, "refused"), StoreUnavailable),
        (TimeoutError(), StoreUnavailable),
    ],
)
def test_error_of_a_database_is_one_of_ours_that_says_where(error, kind):
    with pytest.raises(kind) as raised, translated("sqlite:///x.db"):
        raise error
    assert type(raised.value) is kind
    assert str(raised.value).startswith("sqlite:///x.db: ")
    assert raised.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        of_sqlite("SQLITE_ERROR"),
        asyncpg.exceptions.UndefinedTableError("no such table"),
        asyncpg.exceptions.InterfaceError("another operation is in progress"),
        KeyError("x"),
    ],
)
def test_mistake_of_ours_is_not_dressed_up(error):
    with pytest.raises(type(error)) as raised, translated("here"):
        raise error
    assert raised.value is error


def test_our_own_error_passes_as_it_is():
    with pytest.raises(SequenceError, match=r"^a hole$"), translated("here"):
        raise SequenceError("a hole")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreUseError("x"), 2),
        (SequenceError("x"), 2),
        (SchemaError("x"), 2),
        (StoreFull("x"), 1),
        (StoreError("x"), 1),
    ],
)
def test_error_of_the_store_has_its_exit_code(error, code):
    assert exit_code(error) == code
