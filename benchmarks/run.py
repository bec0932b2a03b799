"""`papertape bench`: what is measured, against which bar, and beside which other systems.

    papertape bench                 all of it but the memory of a large tape, a few minutes
    papertape bench --quick         fewer rounds, no other systems
    papertape bench --memory        also 100 million ticks from Parquet (writes a file of 2 GB once)
    papertape bench --only live     a live session under load, on SQLite: three minutes; more by python -m benchmarks.live

Figures are medians. These are whole rates of one process on this machine as it is: quote the ratios.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import compare, data, ours, processes, resting, risk, training, venvs

BARS, TICKS = 1_000_000, 5_000_000
CASES = {"bars": BARS, "ticks": TICKS, "multi": BARS}
TITLES = {
    "bars": "1,000,000 one-minute bars",
    "ticks": "5,000,000 ticks into one-minute bars",
    "multi": "50 instruments x 20,000 bars, one account",
}


@dataclass(frozen=True)
class Figure:
    """One measured figure beside the bar that it has to clear."""

    what: str
    value: float
    bar: float
    unit: str
    at_least: bool = True

    @property
    def clears(self) -> bool:
        return self.value >= self.bar if self.at_least else self.value <= self.bar


def rate(what: str, rows: int, seconds: list[float], bar: float) -> Figure:
    return Figure(what, rows / median(seconds), bar, "/s")


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints; 1 if a result disagrees with the exact reference (a missed bar is only shown)."""
    asked = argparse.ArgumentParser(
        prog="papertape bench", description="Measure Papertape beside other systems."
    )
    asked.add_argument("--quick", action="store_true", help="three rounds, no other systems")
    asked.add_argument("--rounds", type=int, default=9, help="rounds of each case (median counts)")
    asked.add_argument("--memory", action="store_true", help="also replay 100 million ticks from Parquet")
    asked.add_argument(
        "--only",
        choices=[*CASES, "actors", "process", "resting", "risk", "training", "live"],
        action="append",
        help="just these",
    )
    given = asked.parse_args(arguments)
    rounds = 3 if given.quick else given.rounds
    only = given.only or [*CASES, "actors", "process", "resting", "risk", "training"]
    console = Console(width=160)
    folder = venvs.HOME / "data"
    figures: list[Figure] = []
    wrong = False

    bars = {"bars": 12e6, "ticks": 80e6, "multi": 6e6}
    for case in (c for c in CASES if c in only):
        path = data.ensure(case, CASES[case], folder)
        mine = compare.check(ours.run_case(case, path, rounds), path)
        others = [] if given.quick else compare.run_peers(case, path, rounds)
        wrong |= not all(r["agrees"] or r.get("missing") for r in [mine, *others])
        figures.append(rate(f"{TITLES[case]}, inside the engine", mine["rows"], mine["seconds"], bars[case]))
        ran = {r["system"]: compare.rate(r) for r in others if "seconds" in r}
        for names, case_of, times in (
            (("vectorbt", "vectorbt-rust"), "bars", 3),
            (("hftbacktest",), "ticks", 10),
        ):
            if case == case_of and (best := max((ran[n] for n in names if n in ran), default=0.0)):
                what = f"{TITLES[case]}, beside {' or '.join(names)}"
                figures.append(Figure(what, compare.rate(mine) / best, times, "x"))
        if others:
            console.print(f"\n{TITLES[case]}, SMA(10)/SMA(30), 0.1 % fee:")
            console.print(compare.table(others, mine))
    if "actors" in only:
        figures += actors(rounds, folder)
    if "process" in only:
        figures += processes.figures(rounds, folder)
    if "resting" in only:
        figures += resting.figures(rounds, folder)
    if "risk" in only:
        figures += risk.figures(rounds, folder)
    if "training" in only:
        figures += training.figures(rounds)
    if "live" in only:
        from benchmarks import live  # it needs the tests beside it

        figures += live.figures(live.measure("sqlite", minutes=2.0, warm_up=0.5, rate=20_000.0))
    if given.memory:
        figures.append(processes.memory(folder))
    console.print(table(figures))
    return int(wrong)


def actors(rounds: int, folder: Path) -> list[Figure]:
    """Python strategies that are asked on each bar, and on each tick, and do nothing; and one that trades."""
    from benchmarks.actors import EachBar, EachTick, SmaCross, measure

    bars = ours.tape("bars", data.ensure("bars", BARS, folder), 300_000)
    ticks = ours.tape("ticks", data.ensure("ticks", TICKS, folder), 1_000_000)
    n_bars = len(bars.price) // 4
    return [
        rate("a Python actor on each bar", n_bars, measure(EachBar, bars, rounds), 300e3),
        rate("a Python actor on each tick", len(ticks.price), measure(EachTick, ticks, rounds), 500e3),
        rate("the SMA cross as a Python actor, bars", n_bars, measure(SmaCross, bars, rounds), 0.0),
    ]


def table(figures: list[Figure]) -> Table:
    table = Table(box=box.MARKDOWN)
    table.add_column("measured")
    for name in ("figure", "bar", ""):
        table.add_column(name, justify="right")
    for f in figures:
        sign = "at least" if f.at_least else "at most"
        bar = f"{sign} {_text(f.bar, f.unit)}" if f.bar else ""
        table.add_row(f.what, _text(f.value, f.unit), bar, "" if f.clears else "MISSED")
    return table


def _text(value: float, unit: str) -> str:
    if unit == "/s":
        return f"{value / 1e6:,.1f} M/s" if value >= 1e6 else f"{value / 1e3:,.0f} k/s"
    return f"{value:,.2f} {unit}"


if __name__ == "__main__":
    sys.exit(main())
