"""What an account's run amounts to, in the figures that traders compare.

Everything streams: kept are one equity a day, and a few sums an instrument that is held. Sums are of integers, so that
no figure depends on how the run was cut into batches. What is not defined is None, never NaN.

Equity is taken whenever a bar closes in which one of the account's strategies trades, and once more at the end. A day's
equity is the last of its day (UTC; the sample at midnight is the last of the day that ends then); days without samples
do not count. Daily returns are simple, from one such day to the next.

Money paid in or out is neither profit nor loss: returns are time-weighted, as those of a fund. A deposit D buys new units
at what one was worth by the last sample of equity E, so that units grow by (E + D) / E; what is compared from day to day
is equity per unit. Where nothing is paid, there is one unit, and that is equity itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.records import DAY, Code, EventKind, Status

Array = np.ndarray[Any, Any]


@dataclass
class DailyEquity:
    """The last equity of each day of one account, in money units; and how many samples found it invested.

    initial: what it began with. max_drawdown: the largest fall of equity per unit from its peak, over all samples.
    """

    initial: int
    days: list[int] = field(default_factory=list)  # since 1970-01-01
    equity: list[int] = field(default_factory=list)
    units: list[float] = field(default_factory=list)  # on each of these days
    samples: int = 0
    invested: int = 0
    refused: int = 0  # withdrawals for which there was not enough
    max_drawdown: float = 0.0
    units_now: float = 1.0
    lost: bool = False  # money was paid in or out where there was none: no return is defined

    def __post_init__(self) -> None:
        self._last = self.initial  # equity by the last sample, and what was paid since
        self._peak = float(self.initial)  # of equity per unit

    def add(self, samples: Array, payments: Array) -> None:
        """Take in (n,) EQUITY records of this account, and (k,) EVENT records of deposits and withdrawals, in order.

        A sample at the time of a payment was taken before it.
        """
        begin = 0
        for payment in payments:
            end = int(np.searchsorted(samples["ts"], payment["ts"], side="right"))
            self._take(samples[begin:end])
            self._pay(payment)
            begin = end
        self._take(samples[begin:])

    def _take(self, samples: Array) -> None:
        if len(samples) == 0:
            return
        days = (samples["ts"] - 1) // DAY
        last = np.flatnonzero(np.append(days[1:] != days[:-1], True))
        if self.days and self.days[-1] == days[0]:
            self.days.pop()
            self.equity.pop()
            self.units.pop()
        self.days.extend(days[last].tolist())
        self.equity.extend(samples["equity"][last].tolist())
        self.units.extend([self.units_now] * len(last))
        self.samples += len(samples)
        self.invested += int(np.count_nonzero(samples["equity"] != samples["cash"]))
        self._last = int(samples["equity"][-1])
        if self.lost:
            return
        worth = samples["equity"] / self.units_now
        peaks = np.maximum.accumulate(np.append(self._peak, worth))
        self._peak = float(peaks[-1])
        if self._peak > 0.0:
            self.max_drawdown = max(self.max_drawdown, float((1.0 - worth / peaks[1:]).max()))

    def _pay(self, payment: Any) -> None:
        if payment["status"] == Status.DENIED:
            self.refused += 1
            return
        before, self._last = self._last, self._last + int(payment["last_notional"])
        if before > 0 and self._last > 0:
            self.units_now *= self._last / before
        else:
            self.lost = True

    def worth(self, equity: int) -> float | None:
        """Equity per unit as of now; None where it is not defined."""
        return None if self.lost else equity / self.units_now

    def fall(self, equity: int) -> float:
        """The largest fall from a peak; that to the equity of now counts, too."""
        worth = self.worth(equity)
        if worth is None or not worth < self._peak:
            return self.max_drawdown
        return max(self.max_drawdown, (self._peak - worth) / self._peak)

    def returns(self) -> Array:
        """Simple daily returns, (days - 1,) float64; empty where equity was not positive throughout."""
        equity = np.array(self.equity, np.float64)
        if len(equity) < 2 or equity.min() <= 0.0 or self.lost:
            return np.zeros(0)
        worth = equity / np.array(self.units)
        return np.asarray(worth[1:] / worth[:-1] - 1.0)


@dataclass
class Trades:
    """Round trips: from flat to flat of one strategy in one instrument, after fees, in money units.

    A fill that turns a position round ends a trade and begins the next; its fee is the ended one's. A delisting ends one,
    and so does a reverse split that leaves nothing. Dividends and interest are no part of it.
    """

    won: int = 0
    lost: int = 0
    even: int = 0
    gained: int = 0
    given: int = 0
    notional: int = 0  # of all fills
    _open: dict[tuple[int, int], int] = field(default_factory=dict)  # (strategy, instrument) -> profit so far

    def add(self, fills: Array) -> None:
        """Take in (n,) EVENT records of one account, in order: those of kind FILL, and those of CASH that closed lots."""
        if len(fills) == 0:
            return
        paid = fills["kind"] == EventKind.CASH
        self.notional += int(fills["last_notional"][~paid].sum())
        keys = fills["strategy"].astype(np.int64) << 32 | fills["instrument"]
        order = np.argsort(keys, kind="stable")
        fills, paid = fills[order], paid[order]
        profit = fills["realized"] - fills["last_fee"]
        before = fills["position"] - fills["side"].astype(np.int64) * fills["last_lots"]
        ends = ((before != 0) & (np.sign(fills["position"]) != np.sign(before))) | (
            paid & (fills["position"] == 0)
        )
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


_PAYMENTS = (Code.DEPOSIT, Code.WITHDRAWAL)
_CLOSINGS = (Code.DELISTED, Code.SPLIT)


class Metrics:
    """Gathers what the figures of every account need, batch by batch. initial: what each began with, money units."""

    def __init__(self, initial: Sequence[int]) -> None:
        self.daily = [DailyEquity(cash) for cash in initial]
        self.trades = [Trades() for _ in initial]

    def add(self, events: Array, equity: Array) -> None:
        """Take (n,) EVENT and (k,) EQUITY records in, in order."""
        fills = events[events["kind"] == EventKind.FILL]
        payments = events[events["kind"] == EventKind.CASH]
        if len(payments):
            closings = (events["kind"] == EventKind.CASH) & np.isin(events["code"], _CLOSINGS)
            fills = events[(events["kind"] == EventKind.FILL) | closings]
            payments = payments[np.isin(payments["code"], _PAYMENTS)]
        for account in range(len(self.daily)):
            self.daily[account].add(
                equity[equity["account"] == account], payments[payments["account"] == account]
            )
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
