"""`papertape drill`: does the gate of a configuration fail closed?

Exit codes are those of `papertape`; 1 where a check fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def drill(
    config: Annotated[Path, typer.Argument(help="A YAML file of a backtest or a paper session.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override a value, such as accounts.0.cash=50000; repeatable."
        ),
    ] = None,
    metrics: Annotated[
        Path | None,
        typer.Option(
            "--metrics",
            metavar="FILE",
            help="Write when the drill last passed, for Prometheus' textfile collector; such as drill.prom.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Put faults and limit breaches before the gate of a configuration, and see that it fails closed.

    The engine of the configuration replays a stretch of its tape. Then come, each from that same state, numbers that are
    none, prices that are missing or old, histories that say nothing, a full buffer, and a breach of each limit that is
    set.
    """
    import time

    from daemon import compiled
    from daemon.cli import FAILED, WRONG_USE, fail, note
    from daemon.config.loader import load
    from daemon.config.paper import PaperConfig, load_paper
    from daemon.config.reading import kind_of_file
    from daemon.drill.running import drill as held
    from daemon.drill.textfile import TextfileError, read_outcomes, record

    given = tuple(overrides or ())
    paper = kind_of_file(config, given) is PaperConfig
    loaded = load_paper(config, given).config if paper else load(config, given).config
    try:
        if metrics:
            read_outcomes(metrics)  # what cannot be written is said before, not after
    except TextfileError as error:
        fail(str(error), WRONG_USE)
    compiled.prepare(note)
    drilled = held(loaded)
    if metrics:
        record(metrics, drilled.name, drilled.done, drilled.failures, time.time())
    if as_json:
        import json

        typer.echo(json.dumps(drilled.to_dict(), allow_nan=False))
    else:
        from daemon.drill.showing import print_drill

        print_drill(drilled)
    if drilled.failures:
        raise typer.Exit(FAILED)
