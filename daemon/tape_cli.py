"""`papertape backup` and `papertape restore`: sessions become a file, and come back from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.db_cli import Url


def backup(
    url: Url,
    to: Annotated[Path, typer.Option(metavar="FILE", help="A new file.")],
    session: Annotated[str | None, typer.Argument(help="The session's name.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All sessions.")] = False,
) -> None:
    """Copy a session to a file, as far as it is committed; it may be running."""
    import asyncio

    from daemon.store.backup import backup as copy

    if (session is None) != all_:
        raise typer.BadParameter("name one session, or all with --all")
    for copied in asyncio.run(copy(url, to, session)):
        typer.echo(f"{copied.name}: {copied.seq:,} inputs are in {to}")


def restore(
    file: Annotated[Path, typer.Argument(help="What `papertape backup` has written.")], url: Url
) -> None:
    """Copy the sessions of a backup into a database that has none of such a name."""
    import asyncio

    from daemon.store.address import parse
    from daemon.store.backup import restore as copy

    for copied in asyncio.run(copy(file, url)):
        typer.echo(f"{copied.name}: {copied.seq:,} inputs are in {parse(url)}")
