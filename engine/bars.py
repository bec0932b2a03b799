"""Prints become time bars; a bar of history becomes its path of rows.

A bar covers [start, end) of the venue's time and is closed when engine time reaches its end plus the grace. Until then
the bar after it may be open too, so that a print that arrives early for it is not lost. A print for a bar that has
closed is late: it is counted, and enters the open bar or none, as configured. A stretch without prints has no bar.

Bars may also be cut by a number of rows, by volume or by value traded: such a bar is closed by the row with which it has
enough, and may hold more than that, for a row is not divided. It ends a nanosecond after that row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.features import advance_features
from engine.jit import inline, jit
from engine.records import NEVER, NO_TIME, BarKind, RowKind, State, Ticks


@inline
def take_run(series: Any, t: Ticks, first: int, end: int) -> None:
    """Rows [first, end) enter the bar that is open. Sums run row by row: no cut of the tape changes them."""
    high = series.high
    low = series.low
    volume = series.volume
    for i in range(first, end):
        price = t.price[i]
        high = max(high, price)
        low = min(low, price)
        volume += t.size[i]
    series.high = high
    series.low = low
    series.volume = volume
    series.close = t.price[end - 1]
    series.count += end - first


@inline
def _measure(series: Any, price: float, size: float) -> float:
    """What a row adds to a bar that is not cut by time."""
    if series.kind == BarKind.TICKS:
        return 1.0
    return size if series.kind == BarKind.VOLUME else price * size


@jit
def take_cut_run(series: Any, t: Ticks, first: int, end: int) -> None:
    """Rows [first, end) enter the open bar of a series, of an instrument that has bars which are not cut by time."""
    take_run(series, t, first, end)
    if series.kind == BarKind.TIME:
        return
    for i in range(first, end):
        series.amount += _measure(series, t.price[i], t.size[i])
        series.end = max(series.end, t.ts_event[i] + 1)


@jit
def cut_end(series: Any, t: Ticks, first: int, end: int) -> int:
    """One past the first of the rows [first, end) with which the open bar has enough; else `end`."""
    amount = series.amount
    for i in range(first, end):
        amount += _measure(series, t.price[i], t.size[i])
        if amount >= series.threshold:
            return i + 1
    return end


@jit
def _enter_cut(series: Any, ts: int, price: float, size: float) -> None:
    """One row enters a bar that is not cut by time, or opens it."""
    if series.count == 0:
        series.start = ts
        series.end = ts
        series.open = price
        series.high = price
        series.low = price
        series.volume = 0.0
        series.amount = 0.0
    series.high = max(series.high, price)
    series.low = min(series.low, price)
    series.close = price
    series.volume += size
    series.count += 1
    series.amount += _measure(series, price, size)
    series.end = max(series.end, ts + 1)


@inline
def _open_bar(series: Any, ts: int, price: float, size: float) -> None:
    start = series.end  # most bars follow the one before
    if not start <= ts < start + series.timeframe:
        start = series.origin + (ts - series.origin) // series.timeframe * series.timeframe
    series.start = start
    series.end = start + series.timeframe
    series.open = price
    series.high = price
    series.low = price
    series.close = price
    series.volume = size
    series.count = 1


@jit
def _take_next(series: Any, price: float, size: float) -> None:
    if series.next_count == 0:
        series.next_open = price
        series.next_high = price
        series.next_low = price
        series.next_volume = 0.0
    series.next_high = max(series.next_high, price)
    series.next_low = min(series.next_low, price)
    series.next_close = price
    series.next_volume += size
    series.next_count += 1


@inline
def refresh_quiet(s: State, k: int) -> None:
    """Find the venue times at which a row of instrument k enters open bars and opens none."""
    instrument = s.instruments[k]
    quiet_from = NO_TIME
    quiet_until = NEVER
    for i in range(instrument.first_series, instrument.first_series + instrument.n_series):
        series = s.series[i]
        if series.count == 0:
            quiet_until = NO_TIME
        elif series.kind == BarKind.TIME:
            quiet_from = max(quiet_from, series.start)
            quiet_until = min(quiet_until, series.end)
    instrument.quiet_from = quiet_from
    instrument.quiet_until = quiet_until


@inline
def is_late(s: State, k: int, ts_event: int) -> bool:
    """Whether a row of that venue time belongs to a bar of instrument k that has closed."""
    instrument = s.instruments[k]
    for i in range(instrument.first_series, instrument.first_series + instrument.n_series):
        series = s.series[i]
        if series.kind != BarKind.TIME:
            continue  # such a bar takes rows as they come
        if series.count > 0:
            if ts_event < series.start:
                return True
        elif series.bars > 0 and ts_event < series.end:  # `end` is still that of the last bar
            return True
    return False


@inline
def take_row(s: State, k: int, ts_event: int, price: float, size: float) -> None:
    """One row enters the bars of instrument k, and opens those that are not open."""
    c = s.clock[0]
    instrument = s.instruments[k]
    for i in range(instrument.first_series, instrument.first_series + instrument.n_series):
        series = s.series[i]
        if series.kind != BarKind.TIME:
            _enter_cut(series, ts_event, price, size)
        elif series.count == 0:
            # a print that is late for its own bar opens, if it may, the bar of the present
            ts = ts_event if series.bars == 0 or ts_event >= series.end else max(series.end, c.now)
            _open_bar(series, ts, price, size)
            c.series_due = min(c.series_due, series.end + c.grace_ns)
        elif ts_event < series.end:
            series.high = max(series.high, price)
            series.low = min(series.low, price)
            series.close = price
            series.volume += size
            series.count += 1
        else:
            if series.next_count == 0:
                series.next_start = (
                    series.origin + (ts_event - series.origin) // series.timeframe * series.timeframe
                )
            _take_next(series, price, size)
    refresh_quiet(s, k)


@inline
def _close_bar(s: State, series: Any) -> None:
    bar = s.bars[series.first_bar + (series.bars & (series.capacity - 1))]
    bar.start = series.start
    bar.end = series.end
    bar.open = series.open
    bar.high = series.high
    bar.low = series.low
    bar.close = series.close
    bar.volume = series.volume
    bar.count = series.count
    series.bars += 1
    series.count = 0
    if series.next_count > 0:
        series.start = series.next_start
        series.end = series.next_start + series.timeframe
        series.open = series.next_open
        series.high = series.next_high
        series.low = series.next_low
        series.close = series.next_close
        series.volume = series.next_volume
        series.count = series.next_count
        series.next_count = 0


@jit
def close_cut_bars(s: State, k: int) -> None:
    """Close the bars of instrument k that have enough rows, volume or value; `clock.cut` says whether one did."""
    c = s.clock[0]
    instrument = s.instruments[k]
    for i in range(instrument.first_series, instrument.first_series + instrument.n_series):
        series = s.series[i]
        if series.kind != BarKind.TIME and series.count > 0 and series.amount >= series.threshold:
            if not c.cut:
                c.cut = 1
                c.closing += 1
            _close_bar(s, series)
            series.closing = c.closing
            series.amount = 0.0
            advance_features(series, s.bars, s.features)
            instrument.quiet_until = NO_TIME  # the next row opens a bar
            c.bars += 1


@inline
def close_due_bars(s: State) -> None:
    """Close the bars that are due at the engine's time, by instrument, and find when the next is due."""
    c = s.clock[0]
    c.closing += 1
    due = NEVER
    for i in range(len(s.series)):
        series = s.series[i]
        if series.kind != BarKind.TIME:
            continue
        if series.count > 0 and series.end + c.grace_ns <= c.now:
            _close_bar(s, series)
            series.closing = c.closing
            advance_features(series, s.bars, s.features)
            if series.count == 0:
                s.instruments[series.instrument].quiet_until = NO_TIME  # the next row opens a bar
            else:
                refresh_quiet(s, series.instrument)
            c.bars += 1
            c.bar_closed = 1
        if series.count > 0:
            due = min(due, series.end + c.grace_ns)
    c.series_due = due


def bar_path(
    start: np.ndarray[Any, Any],
    duration_ns: int,
    open_: np.ndarray[Any, Any],
    high: np.ndarray[Any, Any],
    low: np.ndarray[Any, Any],
    close: np.ndarray[Any, Any],
    volume: np.ndarray[Any, Any],
    instrument: int,
) -> Ticks:
    """Bars of history as rows of a tape: open, then high and low, then close; (n,) columns to (4n,) columns.

    The open carries the bar's start, the others its end minus a nanosecond; each has a quarter of the volume. High
    comes first where the open is nearer to the high than to the low (where it is as near to both: low first).
    """
    n = len(start)
    ts = np.empty((n, 4), np.int64)
    ts[:, 0] = start
    ts[:, 1:] = (start + (duration_ns - 1))[:, None]
    high_first = (high - open_) < (open_ - low)
    price = np.empty((n, 4), np.float64)
    price[:, 0] = open_
    price[:, 1] = np.where(high_first, high, low)
    price[:, 2] = np.where(high_first, low, high)
    price[:, 3] = close
    size = np.repeat(np.asarray(volume, np.float64) / 4.0, 4)
    flags = np.empty((n, 4), np.uint8)
    flags[:] = (RowKind.PRINT, RowKind.EXTREME, RowKind.EXTREME, RowKind.CLOSE)
    flat_ts = ts.reshape(-1)
    return Ticks(
        flat_ts, flat_ts, np.full(4 * n, instrument, np.int32), price.reshape(-1), size, flags.reshape(-1)
    )
