"""Made-up market data for the benchmark: seeded, the same on every machine, and awkward where real data is awkward.

Prices lie on a grid of 0.01 and wander around 100 without leaving it for good, bars open away from the close before
them, ticks come irregularly and sometimes not for minutes. The strategy's two averages are never exactly equal at a
bar's close: there a system that adds floats in another order could decide differently and be right.
"""

from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.reference import MINUTE_NS, SLOW, Ints, minute_bars, spread_sums

START_NS = 1_704_067_200_000_000_000  # 2024-01-01 00:00 UTC
Columns = dict[str, NDArray[Any]]


def make_bars(n: int, seed: int = 7, start_ns: int = START_NS) -> Columns:
    """One-minute bars: ts (int64 ns UTC, the bar's start), open, high, low, close, volume (float64)."""
    rng = np.random.default_rng(seed)
    close = _without_ties(_walk(rng, n, step=1e-3), at=np.arange(n))
    before = np.concatenate(([10_000], close[:-1]))
    gap = rng.integers(1, 8, n) * rng.choice([-1, 1], n)
    open_ = np.maximum(before + gap, 1)
    high = np.maximum(open_, close) + rng.integers(0, 12, n)
    low = np.maximum(np.minimum(open_, close) - rng.integers(0, 12, n), 1)
    return {
        "ts": start_ns + np.arange(n) * MINUTE_NS,
        "open": open_ / 100,
        "high": high / 100,
        "low": low / 100,
        "close": close / 100,
        "volume": 4.0 * rng.integers(25, 2_500, n),  # a quarter of it is whole, too
    }


def make_ticks(n: int, seed: int = 7, start_ns: int = START_NS) -> Columns:
    """Trade ticks, about one a second: ts (int64 ns UTC, strictly rising), price, size (float64).

    Some share a millisecond, some lie exactly on a minute's edge, and now and then there is none for minutes.
    """
    rng = np.random.default_rng(seed)
    wait_ns = 1 + (rng.exponential(1e9, n)).astype(np.int64)
    wait_ns += (rng.random(n) < 1 / 5_000) * rng.integers(1, 5, n) * MINUTE_NS
    ts = start_ns + np.cumsum(wait_ns)
    first = minute_bars(ts, ts).first[1::50]
    ts[first] -= ts[first] % MINUTE_NS
    price = _walk(rng, n, step=7e-5)
    price = _without_ties(price, at=minute_bars(ts, price).closed_by - 1)
    return {"ts": ts, "price": price / 100, "size": rng.integers(1, 500, n).astype(np.float64)}


def make_multi(k: int = 50, n: int = 20_000, seed: int = 7) -> Columns:
    """`k` instruments with `n` bars each, sorted by ts, then by instrument (int64, 0 to k - 1)."""
    each = [make_bars(n, seed + i) for i in range(k)]
    columns: Columns = {"ts": np.repeat(each[0]["ts"], k), "instrument": np.tile(np.arange(k), n)}
    for name in ("open", "high", "low", "close", "volume"):
        columns[name] = np.stack([bars[name] for bars in each], axis=1).ravel()
    return columns


MAKERS: dict[str, Callable[[int, int], Columns]] = {
    "bars": make_bars,
    "ticks": make_ticks,
    "multi": lambda rows, seed: make_multi(50, rows // 50, seed),
}


def ensure(case: str, rows: int, folder: Path, seed: int = 7) -> Path:
    """The Parquet file with `rows` rows of this case, made if it is not there yet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{case}-{rows}-{seed}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        pq.write_table(pa.table(MAKERS[case](rows, seed)), unfinished)
        unfinished.replace(path)
    return path


def _walk(rng: np.random.Generator, n: int, step: float) -> Ints:
    # an AR(1) walk of the log price; this pull keeps it within 7 % of its mean (one standard deviation) for any step
    pull = step * step * 100
    walk = accumulate(rng.normal(0, step, n).tolist(), lambda x, shock: x - pull * x + shock)
    cents: Ints = np.rint(10_000 * np.exp(np.fromiter(walk, np.float64, n))).astype(np.int64)
    return cents


def _without_ties(cents: Ints, at: Ints) -> Ints:
    # a cent on the close of a tied bar moves its difference by two units of 1/30 cent; the bars after it move too, so
    # look again until none is left
    while len(ties := np.flatnonzero(spread_sums(cents[at]) == 0)):
        cents[at[ties + SLOW - 1]] += 1
    return cents
