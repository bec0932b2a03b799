"""Where a database is: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST:PORT/NAME`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from daemon.store.errors import StoreUseError

_WANTED = "write sqlite:///FILE or postgresql://USER@HOST/NAME"
_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}


@dataclass(frozen=True)
class Address:
    """A database's address. Its text has no password."""

    url: str
    file: Path | None  # SQLite's; None: PostgreSQL

    def __repr__(self) -> str:
        return f"Address({self})"

    def __str__(self) -> str:
        from sqlalchemy.engine import make_url

        return (
            make_url(self.url)
            .render_as_string(hide_password=True)
            .replace("+aiosqlite", "")
            .replace("+asyncpg", "")
        )

    def require_file(self) -> None:
        """Raise StoreUseError where it is SQLite's and there is no file that this user may read and write."""
        if self.file is None:
            return
        try:
            there = self.file.is_file()
        except OSError as error:
            raise StoreUseError(
                f"{self}: {error.strerror}; run this as a user who may read and write it"
            ) from error
        if not there:
            raise StoreUseError(
                f"{self}: there is no such file; correct the address (`papertape db upgrade` makes one)"
            )
        if not (os.access(self.file, os.R_OK | os.W_OK) and os.access(self.file.parent, os.W_OK | os.X_OK)):
            raise StoreUseError(
                f"{self}: this user may not write it and in its folder, which SQLite wants for reading, too; run this as one "
                "who may"
            )


def parse(url: str) -> Address:
    """The address that a user wrote. Raises StoreUseError, whose message does not repeat what may hold a password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreUseError(f"the address of the database cannot be read; {_WANTED}") from None
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise StoreUseError(f"{parsed.drivername!r} is no database that can be used here; {_WANTED}")
    if not parsed.database or parsed.database == ":memory:":
        raise StoreUseError(f"the address names no {'file' if 'sqlite' in driver else 'database'}; {_WANTED}")
    if parsed.drivername != "sqlite":
        return Address(parsed.set(drivername=driver).render_as_string(hide_password=False), None)
    if parsed.query or parsed.host:
        raise StoreUseError("an SQLite address has a file only, and three slashes: sqlite:///FILE")
    return Address(parsed.set(drivername=driver).render_as_string(hide_password=False), Path(parsed.database))
