"""The commands that train agents and let them compete: `papertape train` and `papertape arena`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from daemon.config.arena import LoadedArena
    from daemon.config.training import LoadedTraining
    from envs.progress import Callback

WRONG_USE = 2
PERSONALITIES = ("conservative", "aggressive", "momentum", "mean-reversion")

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a value, such as params.gamma=0.9; repeatable."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Models = Annotated[
    Path | None,
    typer.Option("--models", help="The folder of models; without it, the configuration's, or ./models."),
]


def train(
    configs: Annotated[
        list[Path] | None, typer.Argument(metavar="CONFIG", help="YAML files, one a training.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Train the four personalities of configs/train.")
    ] = False,
    overrides: Overrides = None,
    models: Models = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with a training that was killed, from its last checkpoint."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train agents, judge them on days that they have never seen, and keep them as models.

    Ctrl-C ends the learning; what is best so far is judged and kept.
    """
    import json

    from daemon.cli import note
    from daemon.config.training import load_training
    from daemon.training.train import train as trained

    paths = _paths(configs or [], every)
    loaded = [load_training(path, tuple(overrides or ())) for path in paths]  # all are right, or none is run
    for training in loaded:
        with progress(training) as callbacks:
            result = trained(training, models=models, callbacks=callbacks, tell=note, resume=resume)
        if as_json:
            typer.echo(json.dumps(result, allow_nan=False))
        else:
            from daemon.training.report import print_training

            print_training(result)


def arena(
    config: Annotated[Path, typer.Argument(help="A YAML file.")],
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; without it, results/NAME-RUN_ID.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let agents and baselines trade the same history, each with an account of its own."""
    import json

    from daemon.cli import note, run
    from daemon.config.arena import load_arena
    from daemon.report import print_summary

    summary, folder = run(of_arena(load_arena(config, tuple(overrides or ()))), out)
    if as_json:
        typer.echo(json.dumps(summary, allow_nan=False))
    else:
        print_summary(ranked(summary))
    note(f"results are in {folder}")


def of_arena(loaded: LoadedArena) -> Any:
    """The backtest that an arena is, loaded."""
    from daemon.config.reading import Loaded

    return Loaded(loaded.config.backtest, loaded.path, loaded.text)


def ranked(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary with its accounts in the order of what they came to, the best first."""
    return summary | {"accounts": sorted(summary["accounts"], key=lambda account: -account["equity_micros"])}


def _paths(configs: list[Path], every: bool) -> list[Path]:
    from daemon.cli import fail

    if every:
        folder = Path(__file__).resolve().parent.parent / "configs" / "train"
        if not folder.is_dir():
            fail("the four personalities come with the sources; name configurations of your own", WRONG_USE)
        configs = [*configs, *(folder / f"{name}.yaml" for name in PERSONALITIES)]
    if not configs:
        fail("name a configuration, such as configs/train/qlearning-aapl.yaml, or give --all", WRONG_USE)
    return configs


@contextmanager
def progress(training: LoadedTraining) -> Iterator[list[Callback]]:
    """A bar on standard error while an agent learns, if that is a terminal; the callbacks that move it."""
    import sys

    if not sys.stderr.isatty():
        yield []
        return

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    config = training.config
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(f"training {config.name}", total=config.steps)

        def move(progress: Any) -> None:
            best = "" if progress.best is None else f", best look {progress.best:+.3g}"
            rate = progress.step / progress.wall_s if progress.wall_s > 0 else 0.0
            text = f"{config.name}: {progress.step:,} steps, {rate:,.0f} a second, reward {progress.reward:+.3g}{best}"
            shown.update(task, completed=progress.step, description=text)

        yield [move]
