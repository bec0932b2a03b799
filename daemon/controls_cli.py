"""`papertape controls`: do the learning algorithms find what is there, and nothing where there is nothing?

Exit codes are those of `papertape`; 1 where a control fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from envs.controls.running import Algorithm, ControlResult, ControlResults

ALGORITHMS: tuple[Algorithm, ...] = ("qlearning", "ppo")
HEADINGS = (
    "algorithm",
    "market",
    ">of the best",
    ">at least",
    ">bps a bar",
    "",
    ">steps",
    ">seconds",
)


def controls(
    algorithm: Annotated[
        Literal["qlearning", "ppo", "all"] | None,
        typer.Option(help="Only this one; without it all, or that of --config."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Take algorithm, settings and seed of this training."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Another seed: other paths, other weights to begin with.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """Train agents on markets whose best policy is known, and compare.

    Regimes that switch, a price that returns to its mean, a leaked future return; and shuffled returns, in which there is
    nothing to find.
    """
    from daemon import compiled
    from daemon.cli import FAILED, note

    wanted = list(_wanted(algorithm, config, seed))
    compiled.prepare(note)
    results = list(_run(wanted))
    if as_json:
        import json

        passed = all(result.passed for result in results)
        told = {"passed": passed, "algorithms": [result.to_dict() for result in results]}
        typer.echo(json.dumps(told, allow_nan=False))
    else:
        print_controls(results)
    if not all(result.passed for result in results):
        raise typer.Exit(FAILED)


def print_controls(results: Iterable[ControlResults]) -> None:
    """Print a line for each control, and below them a sentence on each that failed."""
    from daemon.catalog.showing import print_table

    each = [(of.algorithm, result) for of in results for result in of.results]
    print_table(HEADINGS, (_line(algorithm, result) for algorithm, result in each))
    for algorithm, result in each:
        if not result.passed:
            typer.echo(f"{algorithm} on {result.name}: {result.says}")


def _line(algorithm: str, result: ControlResult) -> tuple[str, ...]:
    share = "–"
    if result.share is not None:
        share = f"{result.share:.1%} ± {result.error:.1%}"
    return (
        algorithm,
        result.name,
        share,
        "–" if result.bar is None else f"{result.bar:.0%}",
        f"{result.reward_bps:+.2f} ± {result.reward_error_bps:.2f}",
        "passed" if result.passed else "FAILED",
        f"{result.steps:,}",
        f"{result.seconds:.1f}",
    )


def _wanted(
    algorithm: str | None, config: Path | None, seed: int | None
) -> Iterator[tuple[Algorithm, dict[str, Any]]]:
    """The algorithms to run, each with the arguments that say how."""
    if config is None:
        for name in ALGORITHMS:
            if algorithm in (None, "all", name):
                yield name, {"seed": seed or 0}
        return
    from daemon.cli import WRONG_USE, fail
    from daemon.config.training import load_training
    from daemon.config.training_spec import settings

    given = load_training(config).config
    if algorithm not in (None, given.algorithm):
        fail(f"{config} is of {given.algorithm}; leave out --algorithm {algorithm}", WRONG_USE)
    how = {"settings": settings(given), "seed": given.seed if seed is None else seed}
    if given.algorithm == "qlearning":
        how["bins"] = given.params["bins"]
    yield given.algorithm, how


def _run(wanted: Iterable[tuple[Algorithm, dict[str, Any]]]) -> Iterator[ControlResults]:
    from importlib.util import find_spec

    from daemon.cli import WRONG_USE, fail, note

    if any(algorithm == "ppo" for algorithm, _ in wanted) and not find_spec("stable_baselines3"):
        fail("training by PPO needs torch: install papertape[rl], or give --algorithm qlearning", WRONG_USE)
    from envs.controls.running import run_controls

    for algorithm, how in wanted:
        yield run_controls(algorithm, tell=note, **how)
