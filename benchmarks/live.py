"""What a live session holds: `papertape run` on a server that speaks as Finnhub's does and sends 20,000 prints a second.

    python -m benchmarks.live                          two minutes after half a minute of warm-up, on SQLite
    python -m benchmarks.live --database postgresql    on a PostgreSQL server of its own
    python -m benchmarks.live --minutes 20 --warm-up 5 --json live.json

Server, session and database are processes on this machine, and share its processors. 50 instruments in frames of 1 to 50 prints;
six strategies in two accounts trade on bars of one and of five seconds, under limits. Latencies are the session's own
histograms (/metrics), of the frames after the warm-up, so their figures are as fine as its buckets. What was lost is counted
in the database: prints that the server sent, less rows of the tape; and the sum of their sizes has to be the same. At the end the
process is killed and started again, and the whole tape is replayed as a start does what follows its snapshot.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.compiled import prepare
from daemon.live.core import Core
from daemon.live.rows import OURS
from daemon.store.store import Store
from engine.kernel import kernel
from tests.service import postgres
from tests.service.faults.process import Daemon, daemon
from tests.service.finnhub_flood import flooding, symbols

if TYPE_CHECKING:
    from benchmarks.run import Figure

SYMBOLS = 50
STEP_S = 5.0  # between two looks
SESSION = "live"
DATABASES = ("sqlite", "postgresql")

CONFIG = """\
name: live
feed: {{source: finnhub, url: "ws://127.0.0.1:{feed}", quotes: false}}
instruments:
{instruments}
execution: {{slippage_bps: 1, participation: 0.2, latency_ms: 20}}
accounts:
  - name: rules
    cash: 5000000
    margin: {{leverage: 2}}
    limits: {{max_order_notional: 100000, max_position: 5000, drawdown: {{warning: 0.1, limit: 0.5}}}}
    strategies:
      - {{use: sma_cross, name: quick, instruments: [{first}], timeframe: 1s, params: {{fast: 5, slow: 20}}, size: {{units: 20}}}}
      - {{use: sma_cross, name: slow, instruments: [{first}], timeframe: 5s, params: {{fast: 5, slow: 20}}, size: {{units: 20}}}}
      - {{use: random, name: dice, instruments: [{first}], timeframe: 5s, params: {{fraction: 0.005}}}}
  - name: others
    cash: 5000000
    margin: {{leverage: 2}}
    limits: {{max_order_notional: 100000, daily_loss: 0.5}}
    strategies:
      - {{use: momentum, name: trend, instruments: [{second}], timeframe: 5s, params: {{lookback: 10, threshold: 0.0005}}, size: {{units: 20}}}}
      - {{use: rsi_reversion, name: back, instruments: [{second}], timeframe: 1s, params: {{window: 14, oversold: 35, overbought: 65}}, size: {{units: 20}}}}
      - {{use: sma_cross, name: cross, instruments: [{second}], timeframe: 1s, params: {{fast: 3, slow: 9}}, size: {{units: 20}}}}
service: {{listen: "127.0.0.1:{port}", log_format: plain}}
"""


def write_config(folder: Path, feed: int, port: int) -> Path:
    """The session's configuration; feed, port: of the server, and of the session itself."""
    names = symbols(SYMBOLS)
    path = folder / "live.yaml"
    path.write_text(
        CONFIG.format(
            feed=feed,
            port=port,
            instruments="\n".join(
                f"  {name}: {{tick_size: 0.01, lot_size: 1, currency: USD, fees: {{bps: 1}}}}"
                for name in names
            ),
            first=", ".join(names[:25]),
            second=", ".join(names[25:]),
        )
    )
    return path


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The address of an empty one: a file in the folder, or a PostgreSQL server of its own that writes as one must."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/papertape.db"
    elif postgres.programs() is None:
        raise SystemExit(postgres.MISSING)
    else:
        with postgres.running(fsync=True) as server:
            yield server.emptied()


class Histogram:
    """One of the session's, between two looks at it."""

    def __init__(self, name: str, before: dict[str, float], after: dict[str, float]) -> None:
        counts = {}
        for series, value in after.items():
            if match := re.fullmatch(rf'{name}_bucket{{le="([^"]+)"}}', series):
                counts[float(match[1])] = value - before.get(series, 0.0)
        self.bounds = sorted(counts)
        self.counts = [counts[bound] for bound in self.bounds]

    def quantile(self, share: float) -> float:
        """Seconds; within a bucket as if all were spread evenly; NaN where there was nothing."""
        if not self.counts or not self.counts[-1]:
            return math.nan
        wanted = share * self.counts[-1]
        i = next(i for i, count in enumerate(self.counts) if count >= wanted)
        low, below = (self.bounds[i - 1], self.counts[i - 1]) if i else (0.0, 0.0)
        if math.isinf(self.bounds[i]):
            return low
        return low + (self.bounds[i] - low) * (wanted - below) / (self.counts[i] - below)


def count(url: str) -> dict[str, float]:
    """Of the session in the database: prints on its tape, the sum of their sizes, its fills and orders."""

    async def counted() -> dict[str, float]:
        async with await Store.open(url) as store:
            session = await store.session(SESSION)
            assert session is not None
            prints, volume = 0, 0.0
            first = (await store.epochs(session.id))[0].first_seq
            async for taped in store.inputs(session.id, first - 1):
                fed = (taped.ticks.flags & OURS) == 0
                prints += int(np.count_nonzero(fed))
                volume += float(taped.ticks.size[fed].sum())
            found: dict[str, float] = {"prints": prints, "volume": volume}
            for table in ("orders", "fills"):
                newest = await store.page(table, session.id, limit=1)
                found[table] = newest[0]["id" if table == "orders" else "number"] if newest else 0
            return found

    return asyncio.run(counted())


def until(process: Daemon, what: str, value: float, within_s: float) -> None:
    """Wait until a metric has that value, or more."""
    process.until(lambda: process.metrics().get(what, 0.0) >= value, f"{what} reaches {value:g}", within_s)


def watch(process: Daemon, seconds: float) -> list[dict[str, float]]:
    """Looks at its metrics over so many seconds."""
    looks, end = [], time.monotonic() + seconds
    while True:
        looks.append({"at": time.monotonic(), **process.metrics()})
        if time.monotonic() >= end:
            return looks
        time.sleep(min(STEP_S, max(0.0, end - time.monotonic())))


def slope(looks: list[dict[str, float]], what: str) -> float:
    """How much a metric grows an hour, by least squares."""
    at = np.array([look["at"] for look in looks])
    values = np.array([look[what] for look in looks])
    return float(np.polyfit(at - at[0], values, 1)[0]) * 3600


def measure(kind: str, minutes: float, warm_up: float, rate: float) -> dict[str, Any]:
    """All of it, as a dict: what was sent and what came, latencies in seconds, memory in bytes."""
    prepare()
    kernel()  # compiled before a start is timed
    with ExitStack() as stack:
        # a short path: the control socket lies in it
        folder = Path(tempfile.mkdtemp(prefix="papertape-live-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        url = stack.enter_context(database(kind, folder))
        seconds = 60 * (minutes + warm_up)
        flood = stack.enter_context(flooding(rate=rate, symbols=SYMBOLS, seconds=seconds))
        port = postgres.free_port()
        config = write_config(folder, flood.port, port)
        process = stack.enter_context(daemon(config, folder, port, PAPERTAPE_DATABASE=url))

        began = time.perf_counter()
        process.start()
        process.until_ready()
        found: dict[str, Any] = {"database": kind, "rate": rate, "minutes": minutes, "warm_up": warm_up}
        found["start_s"] = time.perf_counter() - began

        watch(process, 60 * warm_up)
        looks = watch(process, 60 * minutes - 2 * STEP_S)
        found |= latencies(looks[0], looks[-1])
        until(process, 'papertape_tape_rows_total{origin="feed"}', rate * seconds * 0.99, 60)
        settle(process)
        found["sent"] = flood.end()
        found["rss_bytes"] = looks[-1]["process_resident_memory_bytes"]
        found["rss_slope_bytes_h"] = slope(looks, "process_resident_memory_bytes")
        found |= restart(process, flood.port)
        found |= replay(url)
        found["came"] = count(url)
        found["log_warnings"] = len(process.said(r"\[(warning|error)"))
        return found


def latencies(before: dict[str, float], after: dict[str, float]) -> dict[str, Any]:
    """What the session says of the time between two looks."""
    span = after["at"] - before["at"]
    found: dict[str, Any] = {}
    for what in ("received_to_decided", "received_to_committed"):
        histogram = Histogram(f"papertape_{what}_seconds", before, after)
        found[what] = {f"p{round(100 * q)}": histogram.quantile(q) for q in (0.5, 0.99)}
    for key, metric in (
        ("rows_per_s", 'papertape_tape_rows_total{origin="feed"}'),
        ("commits_per_s", "papertape_commits_total"),
        ("cpu_share", "process_cpu_seconds_total"),
    ):
        found[key] = (after[metric] - before[metric]) / span
    return found


def settle(process: Daemon) -> None:
    """Until no more rows come."""
    what, last = 'papertape_tape_rows_total{origin="feed"}', -1.0
    while (now := process.metrics()[what]) != last:
        last = now
        time.sleep(1.0)


def restart(process: Daemon, port: int) -> dict[str, Any]:
    """Kill it, and start it again on a venue that says nothing."""
    process.kill()
    with flooding(symbols=SYMBOLS, seconds=0, port=port):
        began = time.perf_counter()
        process.start()
        process.until_ready()
        taken = time.perf_counter() - began
        return {"recovery_s": taken, "exit": process.stop()}


def replay(url: str) -> dict[str, float]:
    """From the session's first snapshot to the end of its tape, out of the database and through the engine."""

    async def replayed() -> dict[str, float]:
        async with await Store.open(url) as store:
            session = await store.session(SESSION)
            assert session is not None
            first = (await store.epochs(session.id))[0].first_seq
            saved = await store.snapshot(session.id, first - 1)
            assert saved is not None
            core = Core.load(saved.content)
            began, before = time.perf_counter(), core.seq
            async for taped in store.inputs(session.id, core.seq):
                for _ in core.replay(taped):
                    pass
            rows = core.seq - before
            return {"replayed": rows, "replay_rate": rows / (time.perf_counter() - began)}

    return asyncio.run(replayed())


def figures(found: dict[str, Any]) -> list[Figure]:
    """What was measured, beside the bars that it has to clear."""
    from benchmarks.run import Figure

    sent, came, on = found["sent"], found["came"], found["database"]
    decided, committed = found["received_to_decided"], found["received_to_committed"]
    mib = 1 << 20

    def most(what: str, value: float, bar: float, unit: str) -> Figure:
        return Figure(f"{what}, {on}", value, bar, unit, False)

    return [
        Figure(f"prints on the tape, {on}", found["rows_per_s"], found["rate"] * 0.99, "/s"),
        most("prints lost", abs(sent["prints"] - came["prints"]), 0.5, ""),
        most("size lost", abs(sent["volume"] - came["volume"]), 0.5, "units"),
        most("received to decided, median", decided["p50"] * 1e6, 200, "µs"),
        most("received to decided, 99th percentile", decided["p99"] * 1e3, 2, "ms"),
        most("received to committed, 99th percentile", committed["p99"] * 1e3, 50, "ms"),
        most("memory grows by", found["rss_slope_bytes_h"] / mib, 8, "MiB/h"),
        Figure(f"memory, {on}", found["rss_bytes"] / mib, 0, "MiB"),
        Figure(f"processor, {on}", found["cpu_share"], 0, "cores"),
        most("start to ready", found["start_s"], 3, "s"),
        Figure(f"replay at recovery, {on}", found["replay_rate"], 1e6, "/s"),
        Figure(f"fills, {on}", came["fills"], 0, ""),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints; 1 if a bar is missed."""
    from rich.console import Console

    from benchmarks.run import table

    asked = argparse.ArgumentParser(
        prog="python -m benchmarks.live", description="A live session under load."
    )
    asked.add_argument("--minutes", type=float, default=2.0, help="measured")
    asked.add_argument("--warm-up", type=float, default=0.5, help="minutes before")
    asked.add_argument("--rate", type=float, default=20_000.0, help="prints a second")
    asked.add_argument("--database", choices=DATABASES, action="append", help="repeatable; default: sqlite")
    asked.add_argument("--json", type=Path, help="write all that was found into a file")
    given = asked.parse_args(arguments)
    runs = [measure(kind, given.minutes, given.warm_up, given.rate) for kind in given.database or ["sqlite"]]
    if given.json:
        given.json.write_text(json.dumps(runs, indent=1) + "\n")
    shown = [figure for found in runs for figure in figures(found)]
    Console(width=120).print(table(shown))
    return int(not all(figure.clears for figure in shown if figure.bar))


if __name__ == "__main__":
    sys.exit(main())
