"""What an account's run amounts to, in the figures that traders compare.

Everything streams: kept are one equity a day, and a few sums an instrument that is held. Sums are of integers, so that
no figure depends on how the run was cut into batches. What is not defined is None, never NaN.

Equity is taken whenever a bar closes in which one of the account's strategies trades, and once more at the end. A day's
equity is the last of its day (UTC; the sample at midnight is the last of the day that ends then); days without samples
do not count. Daily returns are simple, from one such day to the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.records import DAY, EventKind

Array = np.ndarray[Any, Any]


@dataclass
class DailyEquity:
    """The last equity of each day of one account, in money units; and how many samples found it invested."""

    days: list[int] = field(default_factory=list)  # since 1970-01-01
    equity: list[int] = field(default_factory=list)
    samples: int = 0
    invested: int = 0

    def add(self, samples: Array) -> None:
        """Take (n,) EQUITY records of this account in, in order of time."""
        if len(samples) == 0:
            return
        days = (samples["ts"] - 1) // DAY
        last = np.flatnonzero(np.append(days[1:] != days[:-1], True))
        if self.days and self.days[-1] == days[0]:
            self.days.pop()
            self.equity.pop()
        self.days.extend(days[last].tolist())
        self.equity.extend(samples["equity"][last].tolist())
        self.samples += len(samples)
        self.invested += int(np.count_nonzero(samples["equity"] != samples["cash"]))

    def returns(self) -> Array:
        """Simple daily returns, (days - 1,) float64; empty where equity was not positive throughout."""
        equity = np.array(self.equity, np.float64)
        if len(equity) < 2 or equity.min() <= 0.0:
            return np.zeros(0)
        return equity[1:] / equity[:-1] - 1.0


@dataclass
class Trades:
    """Round trips: from flat to flat of one strategy in one instrument, after fees, in money units.

    A fill that turns a position round ends a trade and begins the next; its fee is the ended one's.
    """

    won: int = 0
    lost: int = 0
    even: int = 0
    gained: int = 0
    given: int = 0
    notional: int = 0  # of all fills
    _open: dict[tuple[int, int], int] = field(default_factory=dict)  # (strategy, instrument) -> profit so far

    def add(self, fills: Array) -> None:
        """Take (n,) EVENT records of kind FILL of one account in, in order."""
        if len(fills) == 0:
            return
        self.notional += int(fills["last_notional"].sum())
        keys = fills["strategy"].astype(np.int64) << 32 | fills["instrument"]
        fills = fills[np.argsort(keys, kind="stable")]
        profit = fills["realized"] - fills["last_fee"]
        before = fills["position"] - fills["side"].astype(np.int64) * fills["last_lots"]
        ends = (before != 0) & (np.sign(fills["position"]) != np.sign(before))
        same = (fills["strategy"][1:] == fills["strategy"][:-1]) & (
            fills["instrument"][1:] == fills["instrument"][:-1]
        )
        # a stretch ends where a trade does, and where the fills of the next instrument begin
        stretch = np.flatnonzero(np.append(ends[:-1] | ~same, True))
        sums = np.add.reduceat(profit, np.append(0, stretch[:-1] + 1))
        for at, total in zip(stretch.tolist(), sums.tolist(), strict=True):
            key = (int(fills["strategy"][at]), int(fills["instrument"][at]))
            total += self._open.pop(key, 0)
            if not ends[at]:
                self._open[key] = total
            elif total > 0:
                self.won += 1
                self.gained += total
            elif total < 0:
                self.lost += 1
                self.given -= total
            else:
                self.even += 1

    @property
    def count(self) -> int:
        """Finished trades."""
        return self.won + self.lost + self.even


class Metrics:
    """Gathers what the figures of every account need, batch by batch."""

    def __init__(self, accounts: int) -> None:
        self.daily = [DailyEquity() for _ in range(accounts)]
        self.trades = [Trades() for _ in range(accounts)]

    def add(self, events: Array, equity: Array) -> None:
        """Take (n,) EVENT and (k,) EQUITY records in, in order."""
        fills = events[events["kind"] == EventKind.FILL]
        for account in range(len(self.daily)):
            self.daily[account].add(equity[equity["account"] == account])
            if len(fills):
                self.trades[account].add(fills[fills["account"] == account])


def sharpe(returns: Array, days_per_year: int) -> float | None:
    """Mean / standard deviation (ddof=1) x sqrt(days per year); no risk-free rate. None below two returns."""
    spread = _spread(returns)
    return float(returns.mean()) / spread * math.sqrt(days_per_year) if spread else None


def volatility(returns: Array, days_per_year: int) -> float | None:
    """Standard deviation (ddof=1) x sqrt(days per year). None below two returns."""
    return float(returns.std(ddof=1)) * math.sqrt(days_per_year) if len(returns) > 1 else None


def sortino(returns: Array, days_per_year: int) -> float | None:
    """Mean / sqrt(mean(min(r, 0)^2) over all days) x sqrt(days per year). None where no day lost."""
    if len(returns) < 2:
        return None
    downside = math.sqrt(float(np.square(np.minimum(returns, 0.0)).mean()))
    return float(returns.mean()) / downside * math.sqrt(days_per_year) if downside > 0.0 else None


def annual_return(returns: Array, days_per_year: int) -> float | None:
    """Compound daily return to the power of (days per year / days), less 1. None below two returns."""
    if len(returns) < 2:
        return None
    growth = float(np.log1p(returns).mean()) * days_per_year
    return math.expm1(growth) if growth < 700.0 else None  # beyond, it is no number


def _spread(returns: Array) -> float:
    # equal returns: their computed deviation can be of the size of rounding, and a ratio to it means nothing
    if len(returns) < 2 or returns.max() - returns.min() < 1e-12:
        return 0.0
    return float(returns.std(ddof=1))
