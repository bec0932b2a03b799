"""What the scripts in this folder share. Each runs in the virtual environment of the one system that it measures.

    python vectorbt_run.py bars PATH ROUNDS [LIMIT]

prints one line of JSON: system, version, case, rows, seconds (a list, one number a round), fills, final_equity.

A script hands `main` one function a case. It gets the columns of the file and converts them to what its system reads;
that is not timed. It returns a function that runs one round and says how long the system's own work took. The first
round compiles and fills caches, and is not counted.
"""

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import NamedTuple

import pyarrow.parquet as pq

FAST, SLOW = 10, 30
SHARES = 100
FEE = 0.001
CASH = 1_000_000_000
MINUTE_NS = 60_000_000_000


class Round(NamedTuple):
    """One run of the whole strategy: `seconds` in the system alone, and what it arrived at."""

    seconds: float
    fills: int
    final_equity: float


Columns = dict  # name -> numpy array
Case = Callable[[Columns], Callable[[], Round]]


def main(system: str, distribution: str, cases: dict[str, Case]) -> None:
    """Runs what the command line asks for and prints the line of JSON."""
    case, path, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    limit = int(sys.argv[4]) if len(sys.argv) > 4 else None
    if case not in cases:
        sys.exit(f"{system} has no case {case!r}, only {', '.join(cases)}")
    table = pq.read_table(path).slice(0, limit)
    columns = {name: table[name].to_numpy().copy() for name in table.column_names}
    run = cases[case](columns)
    run()
    done = [run() for _ in range(rounds)]
    if len({(r.fills, r.final_equity) for r in done}) > 1:
        sys.exit(f"{system} gave different answers in different rounds: {done}")
    print(
        json.dumps(
            {
                "system": system,
                "version": version(distribution),
                "case": case,
                "rows": table.num_rows,
                "seconds": [r.seconds for r in done],
                "fills": done[-1].fills,
                "final_equity": done[-1].final_equity,
            }
        )
    )
