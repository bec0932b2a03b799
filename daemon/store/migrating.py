"""The schema's revisions: which one a database has, and how it gets to the newest.

An upgrade is one transaction, under a lock that a second process waits for: it then finds nothing left to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import inspect, text

from daemon.store.address import Address, parse
from daemon.store.connecting import connect, writer
from daemon.store.errors import SchemaError, translated

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy.engine import Connection

VERSION_TABLE = "papertape_revision"  # a name of our own: a PostgreSQL database may be shared with others
_LOCK = 0x70617065_72746170  # "papertap", PostgreSQL's advisory lock of an upgrade
PATIENCE_S = 60.0  # an upgrade of a large database takes its time, and the second process waits for it


class Revisions(NamedTuple):
    """A database's revision, None where it has no tables yet, and this program's."""

    database: str | None
    program: str


async def revisions(url: str) -> Revisions:
    """The revisions of a database and of this program. Raises StoreError; makes no file."""
    address = parse(url)
    address.require_file()
    return await _run(address, lambda connection: Revisions(_revision(connection), head()))


async def upgrade(url: str) -> Revisions:
    """Bring the database to this program's revision, make it where it is an SQLite file; the revisions before that.

    Safe where two processes do so at once. Raises SchemaError where the database is newer, StoreError else.
    """
    return await _run(parse(url), _upgrade, writes=True)


async def check(url: str) -> list[str]:
    """What in the database's tables differs from this program's, a line each. Raises StoreError; changes nothing."""
    address = parse(url)
    address.require_file()
    return await _run(address, lambda connection: _check(connection, address))


def head() -> str:
    """This program's revision."""
    from alembic.script import ScriptDirectory

    return str(ScriptDirectory.from_config(_config()).get_current_head())


def require_current(connection: Connection, address: Address) -> None:
    """Raise SchemaError unless the database has this program's revision."""
    found = _revision(connection)
    if found != head():
        _refuse_newer(found, str(address))
        was = f"has revision {found}" if found else "has no tables yet"
        raise SchemaError(f"{address}: {was}, this program needs {head()}; run `papertape db upgrade`")


async def _run(address: Address, what: Any, writes: bool = False) -> Any:
    with translated(str(address)):
        engine = connect(address, PATIENCE_S)
        try:
            async with (writer(engine) if writes else engine).begin() as connection:
                return await connection.run_sync(what)
        finally:
            await engine.dispose()


def _upgrade(connection: Connection) -> Revisions:
    from alembic import command

    if connection.dialect.name == "postgresql":  # an SQLite transaction that writes is alone anyway
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    was = Revisions(_revision(connection), head())
    _refuse_newer(was.database, connection.engine.url.render_as_string(hide_password=True))
    if was.database != was.program:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return was


def _check(connection: Connection, address: Address) -> list[str]:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    from daemon.store.schema import metadata

    require_current(connection, address)
    ours = {VERSION_TABLE, *metadata.tables}
    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "version_table": VERSION_TABLE,
            "include_name": lambda name, kind, _: (
                kind != "table" or name in ours
            ),  # others' tables are not ours to judge
        },
    )
    return [_shown(difference) for difference in compare_metadata(context, metadata)]


def _shown(difference: Any) -> str:
    if isinstance(difference, list):  # changes of one column come as a list
        return "; ".join(map(_shown, difference))
    return " ".join(str(getattr(part, "fullname", part)) for part in difference if part is not None)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all()
    return str(found[0]) if found else None


def _refuse_newer(found: str | None, where: str) -> None:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_config())
    known = {revision.revision for revision in script.walk_revisions()}
    if found is not None and found not in known:
        raise SchemaError(
            f"{where}: has revision {found}, which this program does not know; its own is {head()}. "
            "A newer Papertape has written it: install that one, or name another database"
        )


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
