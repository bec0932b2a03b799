"""A session's status as a screen of 80 columns. What the session does not tell is left out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 80
_COLOURS = {"active": "green", "reduce_only": "yellow", "halted": "red"}
ACCOUNTS = ("account", "state", ">equity", "", ">cash", ">drawdown", ">orders")
NAMES = ("account", "instrument")  # may be broken into lines
POSITIONS = ("account", "instrument", ">quantity", ">price", ">value", ">profit")


def print_status(told: Mapping[str, Any], console: Console | None = None) -> None:
    """Print it on standard output."""
    from rich.console import Console
    from rich.markup import escape

    if console is None:
        console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    ready = "[green]ready[/]" if told.get("ready") else "[bold red]not ready[/]"
    console.print(f"[bold]{escape(str(told.get('session', '')))}[/] is {told.get('state', 'there')}, {ready}")
    for reason in told.get("reasons", ()):
        console.print(f"  [red]{escape(reason)}[/]")
    for what, text in _facts(told):
        console.print(f"{what:<10}{escape(text)}", soft_wrap=False)
    accounts = list(told.get("accounts", ()))
    _table(console, ACCOUNTS, [_account(a) for a in accounts])
    _table(console, POSITIONS, [_position(a, p) for a in accounts for p in a.get("positions", ())])
    for account in accounts:
        for strategy in account.get("strategies", ()):
            if (state := strategy.get("state", "active")) not in ("active", account.get("state")):
                console.print(
                    f"{_plain(strategy['name'])} is [{_COLOURS[state]}]{state.replace('_', ' ')}[/]"
                )
    for name, why in told.get("halted", {}).items():
        console.print(f"[yellow]{escape(name)} does not trade {escape(str(why))}[/]")
    for what in told.get("missing", ()):
        console.print(f"[yellow]missing: {escape(what)}[/]")
    for name, why in told.get("lost", {}).items():
        console.print(f"[red]{escape(name)} is out: {escape(str(why))}[/]")


def _facts(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    now = told.get("time")
    if now is not None:
        yield "time", _moment(now) + (f", since {_moment(told['started'])}" if told.get("started") else "")
    if "seq" in told:
        behind = told["seq"] - told.get("committed_seq", told["seq"])
        epoch = f"epoch {told['epoch']}, " if "epoch" in told else ""
        yield (
            "tape",
            f"{epoch}seq {told['seq']:,}, " + (f"{behind:,} not committed" if behind else "all committed"),
        )
    feed = told.get("feed") or {}
    if feed:
        parts = [feed.get("state") or "", _since("last print", feed.get("last_print"), now)]
        parts.append(_since("down for", feed.get("down_since"), now, ago=False))
        yield "feed", "; ".join(filter(None, parts))
    database = told.get("database") or {}
    if database:
        parts = [database.get("url") or "", database.get("error") or "", ""]
        if waiting := database.get("backlog_rows"):
            parts[2] = f"{waiting:,} rows wait"
        yield "database", "; ".join(filter(None, parts))
    gaps = told.get("gaps") or {}
    if gaps.get("count") or gaps.get("open"):
        still = gaps.get("open") or ()
        yield "gaps", f"{gaps.get('count', len(still)):,}" + (f"; open: {', '.join(still)}" if still else "")


def _account(account: Mapping[str, Any]) -> list[str]:
    state = str(account.get("state", ""))
    colour = _COLOURS.get(state, "default")
    drawdown = account.get("drawdown")
    return [
        _plain(account["name"]),
        f"[{colour}]{state.replace('_', ' ')}[/]",
        _money(account.get("equity")),
        _plain(account.get("currency", "")),
        _money(account.get("cash")),
        "–" if drawdown is None else f"{drawdown:.1%}",
        f"{account['orders']:,}" if "orders" in account else "",
    ]


def _position(account: Mapping[str, Any], position: Mapping[str, Any]) -> list[str]:
    quantity, price = position.get("quantity"), position.get("price")
    return [
        _plain(account["name"]),
        _plain(position.get("instrument", "")),
        "–" if quantity is None else f"{quantity:,.12g}",
        "–" if price is None else f"{price:,.12g}",
        _money(position.get("value")),
        _money(position.get("profit"), sign="+"),
    ]


def _table(console: Console, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.table import Table

    if not rows:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for k, heading in enumerate(headings):
        if any(row[k] for row in rows):
            if heading in NAMES:
                table.add_column(heading, overflow="fold")
            else:  # a figure is whole or useless
                table.add_column(
                    heading.lstrip(">"), justify="right" if heading[:1] == ">" else "left", no_wrap=True
                )
    shown = [k for k in range(len(headings)) if any(row[k] for row in rows)]
    for row in rows:
        table.add_row(*(row[k] for k in shown))
    console.print(table)


def _plain(text: object) -> str:
    from rich.markup import escape

    return escape(str(text))


def _money(amount: float | None, sign: str = "") -> str:
    return "–" if amount is None else f"{amount:{sign},.2f}"


def _moment(text: str) -> str:
    return f"{_time(text):%Y-%m-%d %H:%M:%S} UTC"


def _since(what: str, then: str | None, now: str | None, ago: bool = True) -> str:
    if then is None or now is None:
        return ""
    seconds = max(0.0, (_time(now) - _time(then)).total_seconds())
    return f"{what} {_span(seconds)}" + (" ago" if ago else "")


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
