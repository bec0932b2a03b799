"""What `papertape drill` prints: a table an account, a line a check."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from daemon.drill.checks import Result

if TYPE_CHECKING:
    from daemon.drill.checks import Check
    from daemon.drill.running import Drilled

_COLOURS = {Result.PASSED: "green", Result.FAILED: "red bold", Result.OUT_OF_REACH: "yellow"}


def print_drill(drilled: Drilled) -> None:
    """Print all checks, and below them how many there were and how many failed."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    # what reads a pipe has no lines to break
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    for account in dict.fromkeys(check.account for check in drilled.checks):
        mine = [check for check in drilled.checks if check.account == account]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column(escape(account), no_wrap=True)
        table.add_column("", no_wrap=True)
        for heading in ("what was done", "what must happen", "what happened"):
            table.add_column(heading)
        for check in mine:
            if colour := _COLOURS.get(check.result):
                result = check.result.upper() if check.result == Result.FAILED else check.result
                texts = (check.injected, check.expected, check.happened)
                table.add_row(escape(_name(check)), f"[{colour}]{result}[/]", *map(escape, texts))
        console.print(table)
        if told := _not_configured(mine):
            console.print(f"not configured: {escape(told)}\n", soft_wrap=True)
    console.print(
        f"{drilled.name}: {drilled.done:,} checks after {drilled.rows:,} rows of the tape, "
        f"{drilled.failures:,} failed"
    )


def _name(check: Check) -> str:
    return f"{check.strategy}: {check.name}" if check.strategy else check.name


def _not_configured(checks: Iterable[Check]) -> str:
    """What the configuration does not ask for, by the reason."""
    names: dict[str, list[str]] = {}
    for check in checks:
        if check.result == Result.NOT_CONFIGURED:
            names.setdefault(check.happened, []).append(_name(check))
    return "; ".join(f"{', '.join(found)} ({why})" for why, found in names.items())
