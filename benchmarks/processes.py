"""Whole processes: what a person waits for, and what the machine gives for it."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import data

PAPERTAPE = str(Path(sys.executable).with_name("papertape"))
MEMORY_TICKS = 100_000_000
CONFIG = """
name: bench-ticks
seed: 7
data: [{{source: parquet, path: {path}, instrument: A, bar: tick}}]
instruments: {{A: {{tick_size: 0.01, lot_size: 1, currency: USD, fees: {{bps: 10}}}}}}
accounts:
  - name: sma
    cash: 100000000
    strategies:
      - {{use: sma_cross, instruments: [A], timeframe: 1m, params: {{fast: 10, slow: 30}}, size: {{units: 100}}}}
"""


def figures(rounds: int, folder: Path) -> list[Any]:
    """Whole runs of the command: help, compiling, loading, and the five million ticks."""
    from benchmarks.run import TICKS, Figure

    rounds = max(3, rounds // 2)
    with _backtest(data.ensure("ticks", TICKS, folder)) as run:
        with tempfile.TemporaryDirectory() as empty:
            first, _ = run({"XDG_CACHE_HOME": empty})
        warm = [run({})[0] for _ in range(rounds + 1)][1:]
    helps = [_timed([PAPERTAPE, "--help"])[0] for _ in range(rounds + 1)][1:]
    return [
        Figure(
            "papertape backtest, 5,000,000 ticks from Parquet, all written", median(warm), 5.0, "s", False
        ),
        Figure("the same as the very first run, which compiles", first, 30.0, "s", False),
        Figure("papertape --help", median(helps), 0.4, "s", False),
    ]


def memory(folder: Path) -> Any:
    """Peak resident memory of a backtest on 100 million ticks from Parquet."""
    from benchmarks.run import Figure

    with _backtest(_large_tape(folder)) as run:
        _, peak_bytes = run({})
    return Figure("100,000,000 ticks from Parquet, peak resident", peak_bytes / 2**30, 1.0, "GiB", False)


@contextmanager
def _backtest(path: Path) -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as place:
        config = Path(place) / "bench.yaml"
        config.write_text(CONFIG.format(path=path))
        runs = 0

        def run(environment: dict[str, str]) -> tuple[float, int]:
            nonlocal runs
            runs += 1
            out = Path(place) / str(runs)
            return _timed([PAPERTAPE, "backtest", str(config), "--json", "--out", str(out)], environment)

        yield run


def _timed(command: list[str], environment: dict[str, str] | None = None) -> tuple[float, int]:
    """Wall seconds and peak resident bytes of a process that must succeed."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed: {output.read().decode()[-2000:]}")
    return seconds, usage.ru_maxrss * 1024


def _large_tape(folder: Path) -> Path:
    """100 million ticks: the five million over and over, each time later; written block by block."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"ticks-{MEMORY_TICKS}.parquet"
    if not path.exists():
        table = pq.read_table(data.ensure("ticks", 5_000_000, folder))
        ts = table["ts"].to_numpy()
        span = int(ts[-1] - ts[0]) + 1
        unfinished = path.with_suffix(".part")
        with pq.ParquetWriter(unfinished, table.schema) as writer:
            for k in range(MEMORY_TICKS // table.num_rows):
                later = table.set_column(0, "ts", pa.array(np.add(ts, k * span)))
                writer.write_table(later, row_group_size=1_000_000)
        unfinished.replace(path)
    return path
