"""Runs the other systems on the benchmark's strategy, holds each to the reference, and sets them beside ours.

    python -m benchmarks.compare bars 1000000      # the peers alone; ours is added by the benchmark itself

Each peer runs as a process of its own virtual environment (`benchmarks.venvs` makes them), one after the other. Slow
ones get the first rows of the same file; their rate is of the rows that they had.
"""

import argparse
import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import data, reference, venvs

Result = dict[str, Any]  # as printed by a peer's script; check() adds `agrees` and `note`
TIMEOUT_S = 900


@dataclass(frozen=True)
class Peer:
    """How to run a system, how many rows of each case it gets (None: all of them), and how exact it must be.

    `tolerance` is in dollars of a final equity near a billion. Floats of that size are 1.2e-7 apart, and a run adds up
    thousands of them.
    """

    script: str
    venv: str
    rows: dict[str, int | None]
    tolerance: float = 1e-5


PEERS = {
    "vectorbt": Peer("vectorbt_run.py", "vectorbt", {"bars": None, "ticks": None, "multi": None}),
    "vectorbt-rust": Peer("vectorbt_rust_run.py", "vectorbt", {"bars": None, "ticks": None, "multi": None}),
    "hftbacktest": Peer("hftbacktest_run.py", "hftbacktest", {"ticks": None}),
    "backtesting.py": Peer("backtestingpy_run.py", "backtestingpy", {"bars": 200_000}),
    "nautilus_trader": Peer("nautilus_run.py", "nautilus", {"bars": 100_000, "ticks": 500_000}),
    "backtrader": Peer("backtrader_run.py", "backtrader", {"bars": 50_000, "ticks": 50_000}),
}
# Where a system's rules differ by construction, the reference is worked out by its rules, and the table says so.
NOTES = {
    ("hftbacktest", "ticks"): "sells one tick lower: it trades against a book",
    ("nautilus_trader", "ticks"): "in a minute without ticks it fills at the last price",
    ("backtrader", "ticks"): "fills one tick later: its bar comes with the next minute's first tick",
}


def run_peers(case: str, data_path: Path, rounds: int, systems: Iterable[str] = PEERS) -> list[Result]:
    """One result for each of the systems that has this case, checked; with `error` where one could not run."""
    having = [name for name in systems if case in PEERS[name].rows]
    return [check(run_peer(name, case, data_path, rounds), data_path) for name in having]


def run_peer(name: str, case: str, data_path: Path, rounds: int) -> Result:
    """Runs one system in its own process."""
    peer = PEERS[name]
    python = venvs.python_of(peer.venv)
    if python is None:
        missing = f"not installed: python -m benchmarks.venvs {peer.venv}"
        return {**_failed(name, case, missing), "missing": True}
    command = [str(python), str(venvs.PEERS / peer.script), case, str(data_path), str(rounds)]
    if (limit := peer.rows[case]) is not None:
        command.append(str(limit))
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return _failed(name, case, f"did not end within {TIMEOUT_S} s")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["said nothing"])[-1]
        return _failed(name, case, f"exit code {done.returncode}: {last}")
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def check(result: Result, data_path: Path) -> Result:
    """The result with `agrees` (same fills, same final equity), `off` by how many dollars, and a `note`.

    Works for ours too, of which no tolerance is granted.
    """
    if "error" in result:
        return {**result, "agrees": False, "note": result["error"]}
    system, case = result["system"], result["case"]
    right = expected(system, case, data_path, result["rows"])
    off = abs(round(result["final_equity"] * 1_000_000) - right.equity_micros) / 1_000_000
    tolerance = PEERS[system].tolerance if system in PEERS else 0.0
    agrees = result["fills"] == right.fills and off <= tolerance
    note = NOTES.get((system, case), "")
    if not agrees:
        note = f"{result['fills']} fills for {right.fills}, equity off by {off:.6f}"
    return {**result, "agrees": agrees, "off": off, "note": note}


def expected(system: str, case: str, data_path: Path, rows: int) -> reference.Answer:
    """The reference's answer by the rules of this system."""
    columns = reference.read(data_path, rows)
    if case != "ticks":
        return reference.answer_for(case, columns)
    ts, price_cents = columns["ts"], reference.to_cents(columns["price"])
    answer = reference.from_ticks(
        ts,
        price_cents,
        ticks_late=int(system == "backtrader"),
        impatient=system == "nautilus_trader",
    )
    if system == "hftbacktest":
        return reference.worse_sales(answer, 1, int(price_cents[-1]))
    return answer


def rate(result: Result) -> float:
    """Rows a second, by the median round."""
    return float(result["rows"] / median(result["seconds"]))


def table(results: Iterable[Result], ours: Result | None = None) -> Table:
    """Results of one case, fastest first; rich prints it, and what it prints is Markdown."""
    shown = Table(box=box.MARKDOWN)
    shown.add_column("system")
    for name in ("rows", "seconds", "rows/s", "ours is", "fills"):
        shown.add_column(name, justify="right")
    for name in ("agrees", "note"):
        shown.add_column(name)
    every = list(results) + ([ours] if ours else [])
    ran = sorted((r for r in every if "error" not in r), key=rate, reverse=True)
    for r in ran:
        times = f"{rate(ours) / rate(r):,.1f} x" if ours and r is not ours else ""
        cells = f"{r['rows']:,}", f"{median(r['seconds']):.4f}", _short(rate(r)), times, f"{r['fills']:,}"
        agrees = "yes" if r.get("agrees") else "NO"
        shown.add_row(f"{r['system']} {r['version']}", *cells, agrees, r.get("note", ""))
    for r in every:
        if "error" in r:
            shown.add_row(r["system"], *[""] * 6, r["error"])
    return shown


def _failed(system: str, case: str, error: str) -> Result:
    return {"system": system, "case": case, "error": error}


def _short(per_second: float) -> str:
    return f"{per_second / 1e6:,.1f}M" if per_second >= 1e6 else f"{per_second / 1e3:,.0f}k"


def main() -> int:
    """Runs the peers of one case; 1 if one of them fails or disagrees."""
    asked = argparse.ArgumentParser(description="The peers of one case, without ours.")
    asked.add_argument("case", choices=sorted(data.MAKERS))
    asked.add_argument("rows", type=int)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--systems", nargs="+", choices=PEERS, default=list(PEERS))
    asked.add_argument("--data", type=Path, default=venvs.HOME / "data")
    given = asked.parse_args()
    path = data.ensure(given.case, given.rows, given.data)
    results = run_peers(given.case, path, given.rounds, given.systems)
    Console(width=160).print(table(results))
    return int(not all(r["agrees"] for r in results))


if __name__ == "__main__":
    raise SystemExit(main())
