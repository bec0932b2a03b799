"""Our side of the benchmark: the same strategy, the same files, the engine alone, compiled code warm."""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.reference import CASH, FAST, FEE_BPS, MINUTE_NS, SHARES, SLOW
from daemon.compiled import prepare
from engine.bars import bar_path
from engine.engine import Engine
from engine.ledger import equity_of
from engine.policies import Policy
from engine.records import TICK_DTYPES, RowKind, Ticks
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec

BATCH = 32_768


def sma_cross(instruments: int = 1) -> EngineSpec:
    """The benchmark's strategy on so many instruments and one account."""
    names = tuple(f"I{k}" for k in range(instruments))
    return EngineSpec(
        tuple(InstrumentSpec(name, taker_bps=FEE_BPS, maker_bps=FEE_BPS) for name in names),
        (AccountSpec("a", CASH),),
        (
            StrategySpec(
                "s",
                "a",
                names,
                MINUTE_NS,
                (f"sma_{FAST}", f"sma_{SLOW}"),
                Policy.SMA_CROSS,
                size_value=SHARES,
            ),
        ),
    )


def tape(case: str, path: Path, limit: int | None = None) -> Ticks:
    """The file's rows as the engine takes them."""
    columns = {name: c.to_numpy() for name, c in zip(*_columns(path, limit), strict=True)}
    if case == "ticks":
        n = len(columns["ts"])
        zeros = np.zeros(n, np.int32), np.zeros(n, np.uint8)
        return Ticks(columns["ts"], columns["ts"], zeros[0], columns["price"], columns["size"], zeros[1])
    open_, high, low, close, volume = (columns[name] for name in ("open", "high", "low", "close", "volume"))
    rows = bar_path(columns["ts"], MINUTE_NS, open_, high, low, close, volume, 0)
    if case == "bars":
        return rows
    instrument = np.repeat(columns["instrument"], 4)
    rank = np.where(rows.flags == RowKind.EXTREME, 0, np.where(rows.flags == RowKind.CLOSE, 1, 2))
    order = np.lexsort((instrument, rank, rows.ts_event))
    sorted_rows = Ticks(*rows)._replace(instrument=instrument)
    return Ticks(*(np.ascontiguousarray(c[order], d) for c, d in zip(sorted_rows, TICK_DTYPES, strict=True)))


def _columns(path: Path, limit: int | None) -> tuple[list[str], list[Any]]:
    table = pq.read_table(path)
    table = table if limit is None else table.slice(0, limit)
    return table.column_names, table.columns


def batches(ticks: Ticks, size: int = BATCH) -> Iterator[Ticks]:
    """The tape as views of so many rows each."""
    for first in range(0, len(ticks.price), size):
        yield Ticks(*(c[first : first + size] for c in ticks))


def timed(engine: Engine, parts: list[Ticks]) -> float:
    """Seconds that the engine takes for the batches, with the events handed over."""
    engine.start()
    started = perf_counter()
    for part in parts:
        engine.process(part)
    return perf_counter() - started


def run_case(case: str, path: Path, rounds: int) -> dict[str, Any]:
    """Seconds a round, fills and final equity: what the other systems' scripts print."""
    prepare()
    ticks = tape(case, path)
    parts = list(batches(ticks))
    spec = sma_cross(50 if case == "multi" else 1)
    engine = Engine(spec)
    timed(engine, parts[:2])
    seconds = []
    for _ in range(rounds):
        engine = Engine(spec)
        seconds.append(timed(engine, parts))
    account = engine.state.accounts[0]
    return {
        "system": "papertape",
        "version": version("papertape"),
        "case": case,
        "rows": len(ticks.price) // (1 if case == "ticks" else 4),
        "seconds": seconds,
        "fills": int(account.fills),
        "final_equity": int(equity_of(engine.state, account)) / account.scale,
    }
