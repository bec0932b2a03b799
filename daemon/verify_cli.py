"""`papertape verify`: does a recorded session's tape give what the database has of it?

Exit codes are those of `papertape`; 1 where it does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.db_cli import Url

if TYPE_CHECKING:
    from daemon.store.store import Session, Store
    from daemon.verify.replaying import Verified

Name = Annotated[
    str | None, typer.Argument(metavar="SESSION", help="Which session; without it, those there are.")
]

Tape = Annotated[
    Path | None,
    typer.Option(
        "--tape",
        metavar="FOLDER",
        help="Where days of the tape lie that `papertape db export`, or retention, has moved out of the database.",
    ),
]


def verify(
    url: Url,
    session: Name = None,
    tape: Tape = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Replay a recorded session from its tape, and compare every order, fill, ledger entry and state.

    Ends with 0 where all is as it was recorded; with 1, the first row that differs and its likely cause where it is not.
    A session that runs may be verified, too: as far as it is committed.
    """
    import asyncio
    import json

    from daemon import compiled, logs
    from daemon.cli import FAILED, note
    from daemon.verify.showing import lines, to_dict

    logs.configure("warning")  # to standard error: what is printed is the result
    compiled.prepare(note)
    found = asyncio.run(_verified(url, session, tape))
    if found is None:
        return
    typer.echo(json.dumps(to_dict(found), allow_nan=False) if as_json else "\n".join(lines(found)))
    if found.failure:
        raise typer.Exit(FAILED)


async def _verified(url: str, name: str | None, tape: Path | None) -> Verified | None:
    from daemon import compiled
    from daemon.store.store import Store
    from daemon.verify.replaying import verify as replayed

    async with await Store.open(url) as store:
        if name is None:
            for line in await listed(store):
                typer.echo(line)
            return None
        return await replayed(store, await found(store, name), build=compiled.key(), folder=tape)


async def listed(store: Store) -> list[str]:
    """The sessions of a database, a line each."""
    from strategies.errors import iso_utc

    sessions = await store.sessions()
    told = [f"{s.name}: {s.seq:,} inputs, begun {iso_utc(s.started)}" for s in sessions]
    return told or [f"{store.address}: there is no session; `papertape run` records one"]


async def found(store: Store, name: str) -> Session:
    """The session of that name. Raises StoreUseError, with those there are."""
    from daemon.store.errors import StoreUseError

    session = await store.session(name)
    if session is None:
        names = ", ".join(s.name for s in await store.sessions()) or "none"
        raise StoreUseError(f"{store.address}: there is no session {name!r}; there are: {names}")
    return session
