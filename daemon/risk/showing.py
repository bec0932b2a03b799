"""What a person sees of risk: lines below a backtest's table, and the tables of `papertape risk`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from daemon.config.instruments import money_text
from daemon.config.types import format_duration
from daemon.risk.grades import SIGNIFICANCE

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 120  # which the tables fit
PARTS_SHOWN = 20
MEASURES = {"var": "VaR", "cvar": "CVaR", "stressed_var": "stressed VaR"}
COUNTS = {
    "warnings": "warning",
    "breaches": "breach",
    "halts": "halt",
    "denied": "order denied",
    "cut": "order cut",
}
PLURALS = {"breach": "breaches", "order denied": "orders denied", "order cut": "orders cut"}
WHY = {
    "HISTORY": "something that it holds has too few returns",
    "PRICE_MISSING": "something that it holds has no price",
    "PRICE_STALE": "the price of something that it holds is too old",
    "SINGULAR": "something that it holds never moves",
    "NOT_FINITE": "a number that it rests on is none",
}
GRADES = (
    "method",
    "verdict",
    ">beyond",
    ">expected",
    ">of",
    ">Kupiec",
    ">indep.",
    ">joint",
    "light",
    ">Z2",
    ">of Z2",
    ">tick",
    ">FZ",
)
LEGEND = f"""\
beyond: losses beyond VaR, expected and of so many outcomes; light: Basel's traffic light.
Kupiec, indep., joint: p-values of their number, of their independence, of both; of Z2: of their size against CVaR.
Below {SIGNIFICANCE} a test rejects. tick, FZ: mean losses of the forecasts, of VaR in basis points of equity, and of VaR and
CVaR together; the lowest, marked *, is of the best."""
PARTS = ("position", ">value", ">part of VaR", "", ">part of CVaR", "")
_COLOURS = {
    "accepted": "green",
    "rejected": "red",
    "too cautious": "yellow",
    "green": "green",
    "yellow": "yellow",
    "red": "red",
}


def risk_lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """At most three lines on an account's risk, from the `risk` of its summary: what it may lose, what limits did, and
    what stands still at the end.
    """
    if told := "; ".join(filter(None, (_now(figures), _standing(figures)))):
        yield told
    if counted := "; ".join(_counted(figures)):
        yield f"limits on risk: {counted}"
    if halted := "; ".join(map(_halted, figures["halted"])):
        yield f"at the end {halted}"


def print_graded(graded: Mapping[str, Any]) -> None:
    """Print what `daemon.risk.running.grade_methods` found: for each account the methods side by side."""
    from rich.console import Console

    # a table that is cut off says nothing: a narrower terminal breaks its lines
    console = Console(highlight=False)
    if not sys.stdout.isatty() or console.width < WIDTH:
        console.width = WIDTH
    for name, figures in graded["accounts"].items():
        how = f"what it may lose in {format_duration(figures['period_ns'])} at {_percent(figures['confidence'])}"
        console.print(f"[bold]{_plain(name)}[/]: {how}, by each method", soft_wrap=True)
        if figures["ungraded"]:
            console.print(f"nothing was graded: {figures['ungraded']}", soft_wrap=True)
        else:
            _print_grades(console, figures)
        _print_parts(console, figures)
        console.print()
    if any(not figures["ungraded"] for figures in graded["accounts"].values()):
        console.print(LEGEND)


def _print_grades(console: Console, figures: Mapping[str, Any]) -> None:
    rows = []
    for method, grade in figures["grades"].items():
        best = {loss for loss, lowest in figures["best"].items() if lowest == method}
        light, shortfall = grade["traffic_light"], grade["shortfall"]
        rows.append(
            (
                method,
                _coloured(grade["standing"]),
                f"{grade['exceedances']:,}",
                f"{grade['expected']:,.1f}",
                f"{grade['n']:,}",
                *(_p(grade[test]) for test in ("kupiec", "independence", "conditional_coverage")),
                _coloured(light["zone"]) if light else "–",
                f"{shortfall['z2']:.2f}" if shortfall else "–",
                _p(shortfall),
                _loss(grade["tick_loss"], 1e4, 2, "tick_loss" in best),
                _loss(grade["fissler_ziegel"], 1.0, 3, "fissler_ziegel" in best),
            )
        )
    _print_table(console, GRADES, rows)
    grades = figures["grades"].values()
    if few := next((grade["verdict"] for grade in grades if grade["standing"] == "too few"), None):
        console.print(few.partition(":")[0], soft_wrap=True)


def _print_parts(console: Console, figures: Mapping[str, Any]) -> None:
    now = figures["now"]
    if not now["parts"] and not now["code"]:
        console.print("at the end it holds nothing")
        return
    console.print(f"at the end, by {figures['method']}: {_measures(now)}", soft_wrap=True)
    if not now["parts"]:
        return
    units, currency = figures["units_per_currency"], figures["currency"]

    def part_of(part: Mapping[str, Any], measure: str) -> tuple[str, str]:
        amount, whole = part[measure], now[measure]
        if amount is None:
            return "–", ""
        return money_text(amount / units, units), f"{amount / whole:.1%}" if whole else ""

    largest = sorted(now["parts"], key=lambda part: -abs(part["var_micros"] or 0.0))
    _print_table(
        console,
        PARTS,
        [
            (
                _plain(part["instrument"]),
                f"{money_text(part['value_micros'] / units, units)} {currency}",
                *part_of(part, "var_micros"),
                *part_of(part, "cvar_micros"),
            )
            for part in largest[:PARTS_SHOWN]
        ],
    )
    if len(largest) > PARTS_SHOWN:
        console.print(f"{len(largest) - PARTS_SHOWN:,} more; --json has all")


def _print_table(console: Console, headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in headings:
        right = heading.startswith(">") or not heading
        table.add_column(heading.removeprefix(">"), justify="right" if right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _now(figures: Mapping[str, Any]) -> str:
    now = figures["now"]
    if not now or (not now["parts"] and not now["code"]):
        return ""
    over = format_duration(figures["horizon"] * figures["period_ns"])
    return f"at the end {_measures(now)} ({figures['method']}, {_percent(figures['confidence'])}, {over})"


def _measures(now: Mapping[str, Any]) -> str:
    if now["code"]:
        return f"VaR cannot be computed, {now['code']}: {WHY.get(now['code'], 'its orders are denied')}"
    told = ", ".join(f"{title} {now[key]:.2%}" for key, title in MEASURES.items() if now[key] is not None)
    return f"{told} of equity" if told else "there is no equity to lose"


def _standing(figures: Mapping[str, Any]) -> str:
    grade = figures["grades"].get(figures["method"])
    if not grade or not grade["n"]:
        return ""
    verdict = grade["verdict"] if grade["standing"] == "too few" else f"forecasts {grade['verdict']}"
    last = f"; the last {figures['outcomes']:,} reject them" if figures["model_rejected"] else ""
    return f"{verdict}{last}"


def _counted(figures: Mapping[str, Any]) -> Iterator[str]:
    yield from _by_code(figures)
    for name, own in figures["strategies"].items():
        yield from (f"{name}'s {told}" for told in _by_code(own))


def _by_code(figures: Mapping[str, Any]) -> Iterator[str]:
    for code in dict.fromkeys(code for kind in COUNTS for code in figures.get(kind, ())):
        counts = ((figures.get(kind, {}).get(code, 0), what) for kind, what in COUNTS.items())
        told = ", ".join(
            f"{n:,} {what if n == 1 else PLURALS.get(what, what + 's')}" for n, what in counts if n
        )
        yield f"{code} {told}"


def _halted(told: Mapping[str, Any]) -> str:
    whom = f"{told['strategy']} is " if told["strategy"] else ""
    state = told["state"].replace("_", "-")
    return f"{whom}{state} since {told['since'][:10]}, by {told['code']}"


def _p(test: Mapping[str, float] | None) -> str:
    if test is None:
        return "–"
    p = test["p"]
    text = "<0.001" if p < 0.001 else f"{p:.3f}"
    return f"[red]{text}[/]" if p < SIGNIFICANCE else text


def _loss(value: float | None, scale: float, digits: int, best: bool) -> str:
    return "–" if value is None else f"{'*' if best else ''}{value * scale:.{digits}f}"


def _percent(share: float) -> str:
    return f"{share * 100.0:.6g}%"


def _coloured(word: str) -> str:
    return f"[{_COLOURS[word]}]{word}[/]" if word in _COLOURS else word


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
