"""`papertape compare`: why do paper trading and a backtest on a vendor's bars disagree?

Exit codes are those of `papertape`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.db_cli import Url
from daemon.verify_cli import Tape

if TYPE_CHECKING:
    from daemon.compare.comparing import Compared


def compare(
    session: Annotated[
        str, typer.Argument(metavar="SESSION", help="Which session; `papertape verify` lists them.")
    ],
    url: Url,
    history: Annotated[
        Path,
        typer.Option(
            "--history",
            metavar="FILE",
            help="A YAML file with `data:`, as of a backtest, or the folder of a catalog: the vendor's bars.",
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override a value of that file, such as data.0.path=x.csv."
        ),
    ] = None,
    tape: Tape = None,
    top: Annotated[int, typer.Option(min=0, help="Print so many of the largest disagreements.")] = 10,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, with all disagreements.")
    ] = False,
) -> None:
    """Run a recorded session's agents on a vendor's bars, and say what the difference in profit comes from.

    Step by step from the recorded tape to the vendor's bars: timing, fills, missing prints, prices. The parts add up to the
    whole difference.
    """
    import asyncio
    import json

    from daemon import compiled, logs
    from daemon.cli import note

    logs.configure("warning")  # to standard error: what is printed is the result
    compiled.prepare(note)
    found = asyncio.run(_compared(url, session, history, tuple(overrides or ()), tape))
    if as_json:
        from daemon.compare.showing import to_dict

        typer.echo(json.dumps(to_dict(found), allow_nan=False))
    else:
        from daemon.compare.showing import print_compared

        print_compared(found, top)


async def _compared(
    url: str, name: str, history: Path, overrides: tuple[str, ...], tape: Path | None
) -> Compared:
    from daemon import compiled
    from daemon.cli import note
    from daemon.compare.comparing import compare as compared
    from daemon.store.store import Store
    from daemon.verify_cli import found

    async with await Store.open(url) as store:
        session = await found(store, name)
        return await compared(
            store, session, history, overrides, build=compiled.key(), folder=tape, tell=note
        )
