"""What the commands of the catalog print on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from daemon.catalog.checking import Checked
from daemon.catalog.manifest import Manifest, bar_name
from daemon.data.checks import show

if TYPE_CHECKING:
    from daemon.fetch.fetching import Fetched

FINDINGS_SHOWN = 20  # of each kind


def print_manifests(manifests: Sequence[Manifest]) -> None:
    """One line a series."""
    rows = (
        (
            *m.title.split(" "),
            f"{m.rows:,}",
            show(m.first)[:10],
            show(m.last)[:10],
            m.adjusted,
            m.source.provider,
            _count(m.gap_count if m.calendar else None),
            _count(sum(m.refused.values())),
            m.hash[:12],
        )
        for m in manifests
    )
    headings = (
        "instrument",
        "bar",
        ">rows",
        "first",
        "last",
        "adjusted",
        "source",
        ">gaps",
        ">refused",
        "hash",
    )
    print_table(headings, rows)


def print_fetched(fetched: Sequence[Fetched]) -> None:
    """One line a symbol, and below them why a symbol failed."""
    rows = (
        (
            f.symbol,
            bar_name(f.bar_ns),
            f"{f.rows:,}" + (" (anew)" if f.anew else ""),
            f"{f.actions:,}",
            _count(sum(f.refused.values())),
            *("–" if ts is None else show(ts)[:16] for ts in (f.first, f.last)),
            "–" if f.price is None else f"{f.price:g}",
            "failed" if f.error else "done",
        )
        for f in fetched
    )
    print_table(
        ("symbol", "bar", ">new rows", ">new actions", ">refused", "first", "last", ">price", ""), rows
    )
    for f in fetched:
        if f.error:
            _console().print(f"[red]{_plain(f.error)}[/]")


def print_checked(checked: Sequence[Checked]) -> None:
    """What was found in each series: first what is broken, then what is odd."""
    console = _console()
    for c in checked:
        state = (
            "" if c.problems is None else ", [red]not what was written[/]" if c.problems else ", as written"
        )
        console.print(f"[bold]{_plain(c.title)}[/]: {c.rows:,} rows{state}")
        for problem in c.problems or ():
            console.print(f"  [red]{_plain(problem)}[/]")
        if c.counts:
            console.print(
                "  " + ", ".join(f"{n:,} × {_plain(str(kind))}" for kind, n in sorted(c.counts.items()) if n)
            )
        shown: dict[str, int] = {}
        for finding in c.findings:
            kind = str(finding.kind)
            shown[kind] = shown.get(kind, 0) + 1
            if shown[kind] <= FINDINGS_SHOWN:
                console.print(f"  {show(finding.ts)}  {kind}: {_plain(finding.text)}")
        for kind, n in shown.items():
            if n > FINDINGS_SHOWN:
                console.print(f"  {n - FINDINGS_SHOWN:,} more of {kind}; --json has all")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on standard output; a heading that begins with > is of numbers."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    cells = [tuple(row) for row in rows]
    for k, heading in enumerate(headings):
        right = heading.startswith(">")
        # where there is no room for all of it, words of the other columns go on in the next line, those of the first do not
        whole = max((len(row[0]) for row in cells), default=0) if k == 0 else None
        table.add_column(
            heading.removeprefix(">"),
            justify="right" if right else "left",
            no_wrap=right or k == 0,
            min_width=whole,
        )
    for row in cells:
        table.add_row(*map(escape, row))
    _console().print(table)


def _count(n: int | None) -> str:
    return "–" if n is None else f"{n:,}"


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _console() -> Any:
    from rich.console import Console

    # what reads a pipe has no lines to break
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200, soft_wrap=True)
