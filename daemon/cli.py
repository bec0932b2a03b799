"""The command line: `papertape`.

Exit codes: 0 done, 1 the run failed, 2 wrong use, configuration or data, 130 interrupted. An error is one message on
standard error that says what was wrong, where, and what to do; only an error of ours comes with a traceback.

Whatever is heavy is imported by the command that needs it, so that `papertape --help` is quick.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from daemon.compare_cli import compare
from daemon.control_cli import COMMANDS
from daemon.controls_cli import controls
from daemon.data_cli import app as data_app
from daemon.db_cli import app as db_app
from daemon.doctor_cli import doctor
from daemon.drill_cli import drill
from daemon.models_cli import app as models_app
from daemon.models_cli import predict
from daemon.risk_cli import risk
from daemon.run_cli import run as run_session
from daemon.tape_cli import backup, restore
from daemon.train_cli import arena, train
from daemon.verify_cli import verify

FAILED = 1
WRONG_USE = 2

app = typer.Typer(
    name="papertape",
    help="Event-driven backtesting and paper trading: prices through agents, a risk gate, a simulated broker and an exact ledger.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich costs half of the time that --help may take
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Look at configurations.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(config_app, name="config")
app.add_typer(data_app, name="data")
app.add_typer(db_app, name="db")
app.add_typer(models_app, name="models")

Kind = Literal["backtest", "run", "train", "arena"]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a value, such as accounts.0.cash=50000; repeatable."
    ),
]


def main() -> None:
    """Run the command line and exit."""
    for ending in (signal.SIGINT, signal.SIGTERM):  # a service that is stopped ends as tidily as with Ctrl-C
        signal.signal(ending, _interrupt)
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has heard enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        fail((str(error) or type(error).__name__) + _place(error), code)


def _interrupt(*_: object) -> None:
    # asyncio's own handler would wait for the end of what is running: the compiler, or a slow strategy
    raise KeyboardInterrupt


def _place(error: Exception) -> str:
    """The line of a strategy's own code at which it raised."""
    from strategies.errors import StrategyError

    if not isinstance(error, StrategyError) or error.__cause__ is None:
        return ""
    frames = [
        f for f in traceback.extract_tb(error.__cause__.__traceback__) if "site-packages" not in f.filename
    ]
    return f"\n  {frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}" if frames else ""


def exit_code(error: Exception) -> int | None:
    """The exit code for an error that a user can do something about; None for one of ours."""
    from daemon.backtest import EmptyTapeError
    from daemon.bus import ObserverError
    from daemon.config.errors import ConfigError
    from daemon.data.errors import DataError
    from daemon.folder import ResultFolderError
    from daemon.live.errors import LiveError
    from daemon.notify.errors import NotifyError
    from daemon.store.errors import SchemaError, StoreError, StoreUseError
    from engine.spec import SpecError
    from envs.errors import CheckpointError, TaskError, TrainingError
    from envs.spans import SpanError
    from strategies.errors import StrategyError, StrategyLoadError

    if isinstance(
        error, ConfigError | DataError | EmptyTapeError | SpecError | StrategyLoadError | ResultFolderError
    ):
        return WRONG_USE
    if isinstance(
        error, SpanError | TaskError | CheckpointError | StoreUseError | SchemaError | LiveError | NotifyError
    ):
        return WRONG_USE
    if isinstance(error, StrategyError | ObserverError | TrainingError | StoreError | OSError | MemoryError):
        return FAILED
    return None


def fail(message: str, code: int) -> NoReturn:
    """Print the message, in red on a terminal, and exit."""
    typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(message, err=True)
    sys.exit(code)


def note(message: str) -> None:
    """A line for the user that is no result: on standard error."""
    typer.secho(message, dim=True, err=True)


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Read what holds for all commands."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"papertape {installed('papertape')}")
        raise typer.Exit


@app.command()
def backtest(
    config: Annotated[Path, typer.Argument(help="A YAML file; `papertape config schema` describes it.")],
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; without it, results/NAME-RUN_ID.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """Replay history from a YAML file through its agents."""
    from daemon.config.loader import load

    summary, folder = run(load(config, tuple(overrides or ())), out)
    if as_json:
        import json

        typer.echo(json.dumps(summary, allow_nan=False))
    else:
        from daemon.report import print_summary

        print_summary(summary)
    note(f"results are in {folder}")


@app.command()
def demo(
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; without it, results/demo-RUN_ID.")
    ] = None,
) -> None:
    """Trade eight years of real daily prices with several agents, then train two more, offline."""
    from daemon import demo as shown
    from daemon.config.arena import load_arena
    from daemon.config.loader import load
    from daemon.config.training import load_training
    from daemon.report import print_summary
    from daemon.train_cli import of_arena, progress, ranked
    from daemon.training.train import train as trained

    summary, folder = run(load(shown.config()), out)
    print_summary(summary)
    models = {}
    trainings = [load_training(config) for config in shown.trainings()]
    for training in trainings:
        with progress(training) as callbacks:
            result = trained(training, models=folder / "models", callbacks=callbacks)
        algorithm = result["algorithm"]
        models[algorithm] = result["model"]
        typer.echo(
            f"{algorithm}: {result['steps']:,} days of practice on the years to {shown.LEARNT_UNTIL[:4]} "
            f"in {result['wall_s']:.1f} s"
        )
    if "ppo" not in models:
        note(shown.NO_PPO)
    typer.echo(f"\nThe years from {shown.LEARNT_UNTIL[:4]} on, which nobody has learned from:\n")
    battle = shown.battle(models) | {"models": str(folder / "models")}
    summary, _ = run(of_arena(load_arena(battle)), folder / "arena")
    print_summary(ranked(summary))
    typer.echo(f"\nResults are in {folder}\n{shown.NEXT_STEPS}")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def bench(context: typer.Context) -> None:
    """Measure the engine's speed, beside other systems; takes the benchmark's own options."""
    import importlib

    checkout = Path(__file__).resolve().parent.parent
    if not (checkout / "benchmarks" / "run.py").is_file():
        fail(
            "the benchmarks are not part of an installation; run `make bench` in a checkout of the sources",
            WRONG_USE,
        )
    sys.path.insert(0, str(checkout))
    benchmarks: Any = importlib.import_module("benchmarks.run")
    raise typer.Exit(benchmarks.main(context.args))


app.command("run")(run_session)
app.command()(train)
app.command()(arena)
app.command()(predict)
app.command()(controls)
app.command()(drill)
app.command()(doctor)
app.command()(risk)
app.command()(backup)
app.command()(restore)
app.command()(verify)
app.command()(compare)
for operating in COMMANDS:
    app.command()(operating)


@config_app.command()
def check(config: Annotated[Path, typer.Argument(help="A YAML file.")], overrides: Overrides = None) -> None:
    """Check a configuration, and say what it would run."""
    from daemon.config.loader import check as described

    typer.echo("\n".join(described(config, tuple(overrides or ()))))


@config_app.command()
def schema(
    command: Annotated[
        Kind, typer.Argument(help="The command that takes it: backtest, run, train or arena.")
    ] = "backtest",
) -> None:
    """Print the JSON schema of configurations, for editors."""
    import json

    from daemon.config.schema import schema as of_configurations

    typer.echo(json.dumps(of_configurations(command), indent=2))


def run(loaded: Any, out: Path | None) -> tuple[dict[str, Any], Path]:
    """Run a backtest with progress on the terminal; its summary, and where its results are."""
    from daemon.backtest import backtest as coroutine
    from daemon.backtest import run_blocking
    from daemon.folder import new_run_id
    from daemon.report import progress_bar

    run_id = new_run_id()
    folder = out or Path("results") / f"{loaded.config.name}-{run_id}"
    try:
        with progress_bar() as observe:
            summary = run_blocking(coroutine(loaded, folder, run_id=run_id, observe=observe, tell=note))
    except KeyboardInterrupt:
        note(f"interrupted; nothing was written to {folder}")
        raise  # typer makes it exit code 130
    return summary, folder


if __name__ == "__main__":
    main()
