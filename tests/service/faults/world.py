"""A market on a tape in a Parquet file, and a session on it that trades much: rules, chance, and a strategy in Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.records import SECOND
from tests.service.faults.process import daemon
from tests.service.postgres import free_port

RATE = 2_000  # prints a second of the tape
SPEED = 10  # times as fast is it played to a session that has to be there for a while
PLAYED = f"{{source: replay, speed: {SPEED}}}"
NAMES = ("A", "B", "C", "D")
BEGIN = 1_700_000_000 * SECOND  # 2023-11-14 22:13:20 UTC
WARM_S = 2.0  # of the tape, before the start of the session

CONFIG = """\
name: {name}
seed: 11
strategy_folder: {here}
feed: {feed}
{history}
instruments:
{instruments}
execution: {{slippage_bps: 1, participation: 0.5, latency_ms: 3}}
accounts:
  - name: rules
    cash: 1000000
    margin: {{leverage: 2}}
    limits: {{max_order_notional: 40000, drawdown: {{warning: 0.0001, limit: 0.5}}}}
    strategies:
      - {{use: sma_cross, name: cross, instruments: [A, B], timeframe: 1s, params: {{fast: 3, slow: 8}}, size: {{units: 50}}}}
      - {{use: random, name: dice, instruments: [C, D], timeframe: 1s, params: {{fraction: 0.02}}}}
  - name: quotes
    cash: 500000
    margin: {{leverage: 2}}
    strategies:
      - {{use: "maker:Maker", name: maker, instruments: [A, B, C, D], timeframe: 1s}}
journal: {journal}
service: {{listen: "127.0.0.1:{port}", log_format: plain}}
"""


def write_tape(folder: Path, rows: int, seed: int) -> None:
    """Parquet files of prints, so many rows altogether; prices walk at random, many share a moment."""
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(seed)
    # whole milliseconds: several prints of one time, as venues have them
    ts = BEGIN + np.sort(rng.integers(0, round(rows / RATE * 1000), rows)) * 1_000_000
    which = rng.integers(0, len(NAMES), rows)
    for k, name in enumerate(NAMES):
        mine = which == k
        n = int(mine.sum())
        price = np.round(100 * np.exp(np.cumsum(rng.normal(0, 2e-4, n))), 2)
        size = rng.integers(1, 200, n).astype(np.float64)
        table = pa.table({"ts": pa.array(ts[mine], pa.timestamp("ns", "UTC")), "price": price, "size": size})
        parquet.write_table(table, folder / f"{name}.parquet")


def write_config(
    path: Path,
    tapes: Path | None,
    port: int,
    feed: str = "{source: replay, speed: null}",
    journal: str = "{snapshot_every: 1s}",
) -> Path:
    """The session's configuration; tapes: the folder of the tape, or None where prices are live."""
    history = []
    if tapes is not None:
        history = ['start: "2023-11-14T22:13:22Z"', "data:"]
        history += [
            f"  - {{source: parquet, path: {tapes}/{n}.parquet, instrument: {n}, bar: tick}}" for n in NAMES
        ]
    instruments = [f"  {n}: {{tick_size: 0.01, lot_size: 1, currency: USD, fees: {{bps: 1}}}}" for n in NAMES]
    path.write_text(
        CONFIG.format(
            name="faults",
            feed=feed,
            history="\n".join(history),
            instruments="\n".join(instruments),
            journal=journal,
            here=Path(__file__).parent,
            port=port,
        )
    )
    return path


def untouched(folder: Path, tapes: Path) -> str:
    """Run a session from end to end, as fast as it can, in a new folder; the address of its database."""
    folder.mkdir()
    port = free_port()
    config = write_config(folder / "c.yaml", tapes, port)
    with daemon(config, folder, port) as process:
        process.start()
        assert process.wait() == 0, process.tail()
    return f"sqlite:///{folder}/papertape.db"
