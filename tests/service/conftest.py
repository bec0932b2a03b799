"""Databases for the tests: a real SQLite file and a real PostgreSQL server."""

import asyncio

import pytest

from daemon.store.migrating import upgrade
from tests.service.postgres import MISSING, programs, running


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL server."""
    if programs() is None:
        pytest.skip(MISSING)
    with running() as postgres:
        yield postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request, tmp_path):
    """The address of a database without tables, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/tape.db"
    return request.getfixturevalue("server").emptied()


@pytest.fixture
def url(new_url):
    """The address of a database with tables, of each kind."""
    asyncio.run(upgrade(new_url))
    return new_url
