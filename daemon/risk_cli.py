"""`papertape risk`: which method forecasts the losses of a backtest best, and whether it can be relied upon.

Exit codes are those of `papertape`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a value, such as risk.confidence=0.975; repeatable."
    ),
]


def risk(
    config: Annotated[Path, typer.Argument(help="A YAML file, as for backtest.")],
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Grade forecasts of losses (VaR, CVaR) by all methods.

    They stand side by side, for each account of a backtest, on its history and with its orders. Results are not kept. A
    configuration without risk is graded by the defaults.
    """
    from daemon.backtest import run_blocking
    from daemon.cli import note
    from daemon.config.loader import load
    from daemon.report import progress_bar
    from daemon.risk.running import grade_methods

    loaded = load(config, tuple(overrides or ()))
    with progress_bar() as observe:
        graded = run_blocking(grade_methods(loaded, observe=observe, tell=note))
    if as_json:
        import json

        typer.echo(json.dumps(graded, allow_nan=False))
    else:
        from daemon.risk.showing import print_graded

        print_graded(graded)
