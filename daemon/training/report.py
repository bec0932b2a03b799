"""What a person sees of a finished training: what the agent earned on each span, beside what anyone could have."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any


def print_training(result: Mapping[str, Any]) -> None:
    """Print the result of `daemon.training.train.train` on standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(result["algorithm"])
    for heading in ("return", "buy and hold", "Sharpe", "drawdown", "fills"):
        table.add_column(heading, justify="right", no_wrap=True)
    for span in ("train", "validation", "test"):
        figures = result[span]
        table.add_row(
            span,
            _share(figures["return"]),
            _share(figures["buy_and_hold"]),
            _number(figures["sharpe"]),
            _share(figures.get("max_drawdown"), sign=False),
            f"{figures['fills']:,}",
        )
    console.print(table)
    evaluation = result.get("evaluation", {})
    if verdict := evaluation.get("verdict"):
        console.print(verdict, soft_wrap=True)
    deflated = result["deflated_sharpe"]
    if deflated is not None:
        trials = evaluation.get("trials")
        tried = f" over {trials} {'trial' if trials == 1 else 'trials'} on these data" if trials else ""
        console.print(f"deflated Sharpe ratio {deflated:.2f}{tried}")
    if walk := result.get("walk_forward"):
        held = walk["buy_and_hold"]["return"]
        console.print(
            f"walk-forward, {len(walk['folds'])} folds: {_share(walk['return'])} (Sharpe {_number(walk['sharpe'])}), "
            f"buying and holding {_share(held)}",
            soft_wrap=True,
        )
    if controls := result["controls"]:
        console.print(_controls(controls), soft_wrap=True)
    rate = f", {result['steps_per_s']:,} a second" if result["steps_per_s"] else ""
    console.print(f"{result['steps']:,} steps in {result['wall_s']:.1f} s{rate}")
    console.print(f"model:{result['model']}")


def _controls(controls: Mapping[str, Any]) -> str:
    told = ", ".join(
        f"{control['name']} {_share(control['share'], sign=False) if control.get('share') is not None else ''}".strip()
        + ("" if control["passed"] else " (failed)")
        for control in controls["controls"]
    )
    return f"controls {'passed' if controls['passed'] else '[red]FAILED[/]'}: {told}"


def _share(value: float | None, sign: bool = True) -> str:
    if value is None:
        return "–"
    return f"{value:+.1%}" if sign else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
