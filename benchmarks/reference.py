"""The judge of the benchmark: its strategy worked out in exact integers, by no system's own code.

SMA(10)/SMA(30) cross on closes: long 100 shares when the fast average is above the slow one, else flat. It decides on a
bar's close once both averages exist; the order fills at the next bar's open or, on ticks, at the first tick at or after
the bar's end. The fee is 0.1 % of the notional, each fee rounded once, half to even, to a millionth of a dollar.

Prices are int64 cents, so that the averages compare exactly: fast > slow means 3 x (sum of 10) > (sum of 30).
Money is int64 micros (millionths of a dollar). Times are int64 nanoseconds UTC.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FAST, SLOW = 10, 30
SHARES = 100
CASH = 1_000_000_000  # dollars: no order is ever refused
CASH_MICROS = CASH * 1_000_000
FEE_BPS = 10
MICROS_PER_CENT = 10_000
MINUTE_NS = 60_000_000_000

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Answer:
    """What a system that follows the rules must arrive at.

    `rows` are the indices of the bars (or ticks) whose price was paid, in order; `sides` are +1 and -1 beside them.
    """

    rows: Ints
    sides: Ints
    price_cents: Ints
    cash_micros: int
    position: int
    equity_micros: int

    @property
    def fills(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Bars:
    """Minute bars made of ticks.

    `first` is each bar's first tick. `closed_by` is the tick that closed it: the first at or after its end, or the
    number of ticks for the last bar, which nothing closed.
    """

    start_ns: Ints
    close_cents: Ints
    first: Ints
    closed_by: Ints


def to_cents(price: NDArray[np.float64]) -> Ints:
    """Prices on a grid of 0.01 as exact cents."""
    cents: Ints = np.rint(price * 100).astype(np.int64)
    return cents


def spread_sums(close_cents: Ints) -> Ints:
    """(fast average - slow average) x 30, for each bar from the 30th on; its sign is the strategy's whole opinion."""
    total = np.concatenate(([0], np.cumsum(close_cents)))
    fast: Ints = total[SLOW:] - total[SLOW - FAST : -FAST]
    slow: Ints = total[SLOW:] - total[:-SLOW]
    return (SLOW // FAST) * fast - slow


def minute_bars(ts_ns: Ints, price_cents: Ints) -> Bars:
    """Cuts ticks, sorted by time, into bars of [start, end); a minute without ticks has no bar."""
    minute = ts_ns // MINUTE_NS
    first = np.concatenate(([0], np.flatnonzero(np.diff(minute)) + 1))
    closed_by = np.append(first[1:], len(ts_ns))
    return Bars(minute[first] * MINUTE_NS, price_cents[closed_by - 1], first, closed_by)


def fee_micros(price_cents: int) -> int:
    """0.1 % of the notional of one fill, half to even (for 100 shares at whole cents it needs no rounding)."""
    whole, rest = divmod(price_cents * MICROS_PER_CENT * SHARES * FEE_BPS, 10_000)
    return whole + (rest > 5_000 or (rest == 5_000 and whole % 2 == 1))


def from_bars(open_cents: Ints, close_cents: Ints) -> Answer:
    """The strategy on one instrument's bars."""
    return _trade(close_cents, np.arange(1, len(close_cents) + 1), open_cents, int(close_cents[-1]))


def from_ticks(ts_ns: Ints, price_cents: Ints, ticks_late: int = 0, impatient: bool = False) -> Answer:
    """The strategy on trade ticks made into one-minute bars; the equity is marked at the last tick.

    Two rules of other systems: an order can fill `ticks_late` ticks after ours; and an `impatient` market fills an order
    that no tick has met for a minute at the price of the last tick before it.
    """
    bars = minute_bars(ts_ns, price_cents)
    fill = bars.closed_by + ticks_late
    if impatient:
        met = ts_ns[np.minimum(bars.closed_by, len(ts_ns) - 1)]
        fill = np.where(met > bars.start_ns + 2 * MINUTE_NS, bars.closed_by - 1, fill)
    return _trade(bars.close_cents, fill, price_cents, int(price_cents[-1]))


def from_many(instruments: list[Answer]) -> Answer:
    """Several instruments on one account; rows count within their instrument."""
    cash = CASH_MICROS + sum(a.cash_micros - CASH_MICROS for a in instruments)
    equity = CASH_MICROS + sum(a.equity_micros - CASH_MICROS for a in instruments)
    rows = np.concatenate([a.rows for a in instruments])
    sides = np.concatenate([a.sides for a in instruments])
    price_cents = np.concatenate([a.price_cents for a in instruments])
    return Answer(rows, sides, price_cents, cash, sum(a.position for a in instruments), equity)


def worse_sales(answer: Answer, cents: int, mark_cents: int) -> Answer:
    """The same fills where each sale brings `cents` less: a market whose bid lies below the price of the last trade."""
    price_cents = answer.price_cents - np.where(answer.sides < 0, cents, 0)
    return _book(answer.rows, answer.sides, price_cents, mark_cents)


def read(path: Path, rows: int | None = None) -> dict[str, NDArray[Any]]:
    """The columns of a file of `benchmarks.data`, or the first rows of them."""
    import pyarrow.parquet as pq  # the arithmetic needs numpy only

    table = pq.read_table(path).slice(0, rows)
    return {name: table[name].to_numpy() for name in table.column_names}


def answer_for(case: str, columns: dict[str, NDArray[Any]]) -> Answer:
    """The answer for one of the benchmark's cases: bars, ticks or multi."""
    if case == "ticks":
        return from_ticks(columns["ts"], to_cents(columns["price"]))
    opens, closes = to_cents(columns["open"]), to_cents(columns["close"])
    if case == "bars":
        return from_bars(opens, closes)
    if case == "multi":
        chosen = [columns["instrument"] == i for i in np.unique(columns["instrument"])]
        return from_many([from_bars(opens[rows], closes[rows]) for rows in chosen])
    raise ValueError(f"case {case!r} is none of bars, ticks, multi")


def _trade(close_cents: Ints, next_row: Ints, price_cents: Ints, mark_cents: int) -> Answer:
    # next_row[i] is the row at which an order of bar i fills; past the end it never does
    long = np.concatenate((np.zeros(SLOW - 1, np.int64), spread_sums(close_cents) > 0))
    change = np.diff(long, prepend=0)
    decided = np.flatnonzero(change)
    decided = decided[next_row[decided] < len(price_cents)]
    rows = next_row[decided]
    return _book(rows, change[decided], price_cents[rows], mark_cents)


def _book(rows: Ints, sides: Ints, price_cents: Ints, mark_cents: int) -> Answer:
    cash, position = CASH_MICROS, 0
    for side, price in zip(sides.tolist(), price_cents.tolist(), strict=True):
        cash -= side * SHARES * price * MICROS_PER_CENT + fee_micros(price)
        position += side * SHARES
    return Answer(rows, sides, price_cents, cash, position, cash + position * mark_cents * MICROS_PER_CENT)
