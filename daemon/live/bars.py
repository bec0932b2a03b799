"""The time bars that closed while the engine took a batch, read from the rings in which it keeps them.

A ring holds few bars, sometimes two. So that none is overwritten before it was read, a batch is cut where a bar may
close: between two cuts no bar closes, and the one row at a cut closes at most two of a series, the open one and, during
the grace, the one after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.store.batch import CLOSED_BAR
from engine.records import NEVER, BarKind, Ticks

if TYPE_CHECKING:
    from engine.engine import Engine, Events

Array = np.ndarray[Any, Any]
NO_BARS = np.zeros(0, CLOSED_BAR)
_COPIED = ("start", "end", "open", "high", "low", "close", "volume", "count")


class BarsLostError(Exception):
    """More bars of a series closed than its ring holds: the batch was not cut where they did."""


def counts(engine: Engine) -> Array:
    """(n_series,) int64: how many bars each series has closed so far; `closed_bars` takes it."""
    return np.array(engine.state.series["bars"])


def closed_bars(engine: Engine, since: Array) -> Array:
    """(n,) CLOSED_BAR: the time bars that closed since the series stood at `since`, by their end, then by series.

    Raises BarsLostError where a ring holds fewer than that.
    """
    series = engine.state.series.view(np.ndarray)
    new = series["bars"] - since
    if not new.any():
        return NO_BARS
    return _read(engine, np.where(series["kind"] == BarKind.TIME, new, 0))


def last_bars(engine: Engine, n: int, timeframe: int, instruments: Array) -> Array:
    """(m,) CLOSED_BAR: at most the n last closed bars of that timeframe (ns) of each of the instruments, by their end.

    A ring may hold fewer; it holds as many as a strategy, or an actor, looks back.
    """
    series = engine.state.series.view(np.ndarray)
    mine = (series["kind"] == BarKind.TIME) & (series["timeframe"] == timeframe)
    mine &= np.isin(series["instrument"], instruments)
    held = np.minimum(np.minimum(series["bars"], series["capacity"]), n)
    return _read(engine, np.where(mine, held, 0))


def next_close(engine: Engine, ts_event: int, which: Array | None = None) -> int:
    """Engine time before which no time bar closes, ns UTC, if no row to come is older than ts_event (the venue's time).

    which: indices of the series that matter; None: all.
    """
    series = engine.state.series.view(np.ndarray)
    if which is not None:
        series = series[which]
    series = series[series["kind"] == BarKind.TIME]
    if len(series) == 0:
        return NEVER
    length, origin = series["timeframe"], series["origin"]
    opened = origin + ((ts_event - origin) // length + 1) * length  # the end of a bar that such a row opens
    ends = np.where(series["count"] > 0, series["end"], opened)
    return int(ends.min()) + engine.spec.grace_ns


class Closing:
    """Puts batches through an engine, and reads the bars that close on the way."""

    def __init__(self, engine: Engine) -> None:
        """engine: of this frame for good; it may be restored."""
        series = engine.state.series.view(np.ndarray)
        self._engine = engine
        by_time = series[series["kind"] == BarKind.TIME]
        self._grids = sorted({(int(row["timeframe"]), int(row["origin"])) for row in by_time})

    def process(self, ticks: Ticks) -> Iterator[tuple[Events, Array]]:
        """What a batch causes, and the bars that close in it, (n,) CLOSED_BAR; in pieces, most often one."""
        n, i = len(ticks.price), 0
        if n and ticks.ts_recv[-1] < self._none_before(int(ticks.ts_event.min())):
            yield self._piece(ticks)
            return
        earliest = np.minimum.accumulate(ticks.ts_event[::-1])[::-1]  # of a row and those after it
        while i < n:
            end = i + int(np.searchsorted(ticks.ts_recv[i:], self._none_before(int(earliest[i]))))
            end = max(end, i + 1)
            yield self._piece(Ticks(*(column[i:end] for column in ticks)))
            i = end

    def _piece(self, ticks: Ticks) -> tuple[Events, Array]:
        since = counts(self._engine)
        out = self._engine.process(ticks)
        return out, closed_bars(self._engine, since)

    def _none_before(self, ts_event: int) -> int:
        # as `next_close`, and far quicker where there are many series: when the first bar is due, or one that opens now
        due = int(self._engine.state.clock[0].series_due)
        for length, origin in self._grids:
            end = origin + ((ts_event - origin) // length + 1) * length
            due = min(due, end + self._engine.spec.grace_ns)
        return due


def _read(engine: Engine, n: Array) -> Array:
    # the last n bars of each series, (n_series,)
    series, bars = engine.state.series.view(np.ndarray), engine.state.bars.view(np.ndarray)
    found = np.zeros(int(n.sum()), CLOSED_BAR)
    at = 0
    for k in np.flatnonzero(n):
        row, many = series[k], int(n[k])
        if many > row["capacity"]:
            name = engine.spec.instruments[row["instrument"]].name
            raise BarsLostError(
                f"{many} bars of {name} closed in one piece, {row['capacity']} are kept; cut it where bars close"
            )
        places = row["first_bar"] + (np.arange(row["bars"] - many, row["bars"]) & (row["capacity"] - 1))
        part = found[at : at + many]
        part["series"], part["instrument"], part["timeframe"] = k, row["instrument"], row["timeframe"]
        for name in _COPIED:
            part[name] = bars[name][places]
        at += many
    return found[np.argsort(found["end"], kind="stable")]
