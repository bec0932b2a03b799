"""`papertape db`: the store's database gets its tables, is looked at, and lets go of old tape.

Exit codes are those of `papertape`; `check` ends with 1 where the tables are not as they should be.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Look after the database of live sessions.", no_args_is_help=True, rich_markup_mode=None
)


def usual_url() -> str:
    """The database that a session has where nothing is said: the file in the state folder, if it is there."""
    from daemon.config.paper_places import state_folder

    file = state_folder() / "papertape.db"
    if not file.is_file():
        raise typer.BadParameter(
            f"give --url, or set PAPERTAPE_DATABASE; {file} would do without either, and is not there"
        )
    return f"sqlite:///{file}"


Url = Annotated[
    str,
    typer.Option(
        "--url",
        default_factory=usual_url,
        show_default="papertape.db in the state folder",
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


@app.command()
def export(
    session: Annotated[str, typer.Argument(help="The session's name.")],
    url: Url,
    before: Annotated[str, typer.Option(help="Days that end up to this date or time (UTC).")],
    to: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the files go; made where it is not there.")
    ],
    keep: Annotated[bool, typer.Option("--keep", help="Leave the tape in the database, too.")] = False,
    running_epoch: Annotated[
        bool,
        typer.Option(
            "--running-epoch",
            help="Remove of the newest epoch, too, what its last snapshots stand for. Not where a Python strategy has no "
            "state_dict: it is restored by replaying the epoch from its start.",
        ),
    ] = False,
) -> None:
    """Write old days of a session's tape to Parquet files, and remove them from the database."""
    import asyncio

    from daemon.config.types import ns_of, parse_time

    try:
        until = ns_of(parse_time(before))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--before") from error
    exported, was, now = asyncio.run(_export(session, url, until, to, keep, running_epoch))
    for day in exported:
        typer.echo(f"{day.path}: inputs {day.first:,} to {day.last:,}")
    if not exported:
        typer.echo(f"no day of the tape ends up to {before}")
    elif now > was:
        typer.echo(f"removed from the database: inputs {was:,} to {now - 1:,}")
    elif not keep:
        newest = "" if running_epoch else ", and so is the newest epoch's tape, without --running-epoch"
        typer.echo(
            f"removed from the database: nothing; the tape behind the last snapshot but one is kept{newest}"
        )


async def _export(name: str, url: str, until: int, to: Path, keep: bool, running_epoch: bool) -> Any:
    from daemon.store.errors import StoreUseError
    from daemon.store.exporting import export_tape, first_kept
    from daemon.store.store import Store

    async with await Store.open(url) as store:
        session = await store.session(name)
        if session is None:
            raise StoreUseError(f"{store.address}: there is no session {name!r}")
        epochs = await store.epochs(session.id)
        keep_from = epochs[-1].first_seq if epochs and not running_epoch else None
        was = await first_kept(store, session)
        exported = await export_tape(store, session, to, until, keep_from, remove=not keep)
        return exported, was, await first_kept(store, session)
