"""`papertape db`: the store's database gets its tables, and is looked at.

Exit codes are those of `papertape`; `check` ends with 1 where the tables are not as they should be.
"""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    help="Look after the database of live sessions.", no_args_is_help=True, rich_markup_mode=None
)

Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="PAPERTAPE_DATABASE",  # a password is better off there than in the list of processes
        metavar="URL",
        help="sqlite:///FILE or postgresql://USER@HOST/NAME.",
    ),
]


@app.command()
def upgrade(url: Url) -> None:
    """Bring the database's tables to this program's revision; an SQLite file is made where there is none."""
    import asyncio

    from daemon.store.address import parse
    from daemon.store.migrating import upgrade as upgraded

    was = asyncio.run(upgraded(url))
    if was.database == was.program:
        typer.echo(f"{parse(url)} has revision {was.program} already")
    else:
        typer.echo(f"{parse(url)} has revision {was.program} now; it had {was.database or 'no tables'}")


@app.command()
def current(url: Url) -> None:
    """Show the revisions of the database and of this program."""
    import asyncio

    from daemon.store.migrating import revisions

    found = asyncio.run(revisions(url))
    typer.echo(f"database {found.database or 'none'}, program {found.program}")


@app.command()
def check(url: Url) -> None:
    """Compare the database's tables with those that this program needs."""
    import asyncio

    from daemon.store.address import parse
    from daemon.store.migrating import check as differences

    found = asyncio.run(differences(url))
    for line in found:
        typer.echo(line)
    if found:
        raise typer.Exit(1)
    typer.echo(f"{parse(url)}: the tables are those of this program")
