"""What a person sees of a run on a terminal: how far it is, and its figures as a table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from daemon.config.instruments import money_text
from daemon.risk.showing import risk_lines

if TYPE_CHECKING:
    from daemon.bus import Bus


@contextmanager
def progress_bar() -> Iterator[Callable[[Bus], None]]:
    """A bar on standard error while the block runs, if that is a terminal; gives the `observe` of a backtest."""
    if not sys.stderr.isatty():
        yield lambda bus: None
        return

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from daemon import backtest
    from daemon.bus import Overflow
    from strategies.errors import iso_utc

    columns = (
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=1.0)

        async def show(progress: backtest.Progress) -> None:
            text = f"{iso_utc(progress.ts)[:10]}, {progress.rows:,} rows"
            shown.update(task, completed=progress.fraction, description=text)

        def observe(bus: Bus) -> None:
            bus.subscribe(backtest.Progress, show, name="progress", overflow=Overflow.CONFLATE)

        yield observe


def print_summary(summary: dict[str, Any]) -> None:
    """Print the accounts of a summary as a table, and below it what was run, on standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    # what reads a pipe has no lines to break
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    accounts = [(a, summary["more"]["accounts"][a["name"]]) for a in summary["accounts"]]
    denials = any(account["denied"] for account, _ in accounts)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("agent")
    headings = ["equity", "return", "Sharpe", "drawdown", "fills", *(["denied"] if denials else []), "fees"]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for account, more in accounts:
        units = more["units_per_currency"]
        denied = [f"{sum(account['denied'].values()):,}"] if denials else []
        table.add_row(
            account["name"],
            f"{money_text(account['equity_micros'] / units, units)} {more['currency']}",
            _coloured(account["return"]),
            "–" if account["sharpe"] is None else f"{account['sharpe']:.2f}",
            f"{account['max_drawdown']:.1%}",
            f"{account['fills']:,}",
            *denied,
            money_text(account["fees_micros"] / units, units),
        )
    console.print(table)
    for account, more in accounts:
        lines = ["; ".join(_beside(more)), *(risk_lines(more["risk"]) if "risk" in more else ())]
        for told in filter(None, lines):
            console.print(f"{account['name']}: {told}", soft_wrap=True)
    rate = f", {summary['rows_per_s']:,} rows a second" if summary["rows_per_s"] else ""
    console.print(
        f"{summary['rows']:,} rows, {summary['bars']:,} bars, {summary['first_ts'][:10]} to {summary['last_ts'][:10]}\n"
        f"in {summary['wall_s']:.2f} s{rate}"
    )
    for what, count in (
        ("rows of the data were set aside", summary["refused_rows"]),
        ("rows outside of trading hours were left out", summary["more"]["outside_hours"]),
        ("rows were no usable price", summary["more"]["bad_rows"]),
        ("prints came too late for their bar", summary["more"]["late_rows"]),
        ("orders still working at the end", summary["more"]["working_orders"]),
    ):
        if count:
            console.print(f"{count:,} {what}")
    console.print(f"result hash {summary['result_hash']}")


def _beside(more: dict[str, Any]) -> Iterator[str]:
    """What else moved an account's cash or is to be known of its figures, as far as there is any."""
    units = more["units_per_currency"]
    for what, key in (
        ("paid in", "deposits_micros"),
        ("dividends", "income_micros"),
        ("interest", "interest_micros"),
    ):
        if amount := more[key]:
            yield f"{what} {money_text(amount / units, units)} {more['currency']}"
    if n := more["refused_withdrawals"]:
        yield f"{n:,} x too little for a withdrawal"
    if n := more["liquidations"]:
        yield f"{n:,} x liquidated"
    if n := more["both_sides"]:
        yield f"{n:,} of {more['brackets']:,} exits from brackets in a bar that could have filled either side"


def _coloured(share: float | None) -> str:
    if share is None:
        return "–"
    return f"[{'green' if share >= 0 else 'red'}]{share:+.1%}[/]"
