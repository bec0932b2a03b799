"""Corporate actions on the tape: their rows, and an instrument's prices with its actions in their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import log
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from daemon.data.actions import Action, ActionKind
from daemon.data.errors import DataError
from daemon.data.merge import join, piece
from engine.records import DAY, KIND_MASK, SECOND, RowKind, Ticks

AROUND = 9  # rows on either side of a split whose middle price is taken: single bad prints do not count
LEAST = 1.25  # a split of a smaller ratio cannot be told from an ordinary day
_KINDS = {
    ActionKind.SPLIT: RowKind.SPLIT,
    ActionKind.DIVIDEND: RowKind.DIVIDEND,
    ActionKind.SYMBOL: RowKind.SYMBOL,
    ActionKind.DELISTING: RowKind.DELISTING,
}


def begin_of(action: Action, bar_ns: int, time_zone: str) -> int:
    """The time on the tape, ns UTC: 00:00 of the ex-date, in UTC where bars last whole days, else in the zone."""
    whole_days = bar_ns > 0 and bar_ns % DAY == 0
    zone = UTC if whole_days else ZoneInfo(time_zone)
    return int(datetime.combine(action.ex_date, datetime.min.time(), zone).timestamp()) * SECOND


def rows_of(
    actions: Sequence[Action], instrument: int, bar_ns: int, time_zone: str, symbols: Sequence[str]
) -> Ticks:
    """The actions as (n,) rows of the tape, in their order, as `engine.records.RowKind` describes them.

    symbols: the names that the instrument takes on; a change of symbol holds the index of its.
    """
    values = [_values(action, symbols) for action in actions]
    ts = np.array([begin_of(action, bar_ns, time_zone) for action in actions], np.int64)
    return Ticks(
        ts,
        ts,
        np.full(len(ts), instrument, np.int32),
        np.array([price for price, _ in values], np.float64),
        np.array([size for _, size in values], np.float64),
        np.array([_KINDS[action.kind] for action in actions], np.uint8),
    )


def _values(action: Action, symbols: Sequence[str]) -> tuple[float, float]:
    if action.kind == ActionKind.SPLIT:
        return action.numerator, action.denominator
    if action.kind == ActionKind.SYMBOL:
        return float(symbols.index(action.symbol)), 0.0
    has_amount = action.amount is not None
    return action.amount or 0.0, float(has_amount and action.kind == ActionKind.DELISTING)


def play(prices: Iterator[Ticks], actions: Sequence[Action], rows: Ticks, name: str) -> Iterator[Ticks]:
    """An instrument's prices in time order, with its actions in their places; rows: as `rows_of` gives them.

    An action comes after the closes of its time and before the prints. What lies before the first price is left out,
    as it is in that price already (but the symbol of that time is said), and what lies after the last: but a delisting.
    Raises DataError where a split does not show in the prices, or a dividend is not below the price.
    """
    check = _Check(name)
    k, begun = 0, False
    for ticks in prices:
        parts, begin, n = [], 0, len(ticks.price)
        while k < len(actions) and (at := place_of(ticks, int(rows.ts_event[k]))) < n:
            action, row = actions[k], piece(rows, k, k + 1)
            k += 1
            if begun or at > 0:
                check.see(ticks.price[begin:at])
                check.meet(action)
            elif action.kind == ActionKind.SYMBOL:
                row = Ticks(ticks.ts_event[:1], ticks.ts_event[:1], *row[2:])
            else:
                continue
            parts += [piece(ticks, begin, at), row]
            begin = at
        begun = True
        check.see(ticks.price[begin:])
        yield join([*parts, piece(ticks, begin, n)]) if parts else ticks
    check.judge()
    for i in range(k, len(actions)):
        if actions[i].kind == ActionKind.DELISTING:
            yield piece(rows, i, i + 1)


def place_of(ticks: Ticks, ts: int) -> int:
    """Before which row an action of this time comes; the number of rows where that may be in a later batch."""
    at = int(np.searchsorted(ticks.ts_event, ts))
    while at < len(ticks.price) and ticks.ts_event[at] == ts and ticks.flags[at] & KIND_MASK != RowKind.PRINT:
        at += 1
    return at


class _Check:
    """Whether actions belong to the prices: around a split the middle price moves by its ratio."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last = np.zeros(
            0, np.float64
        )  # the last prices; where a split is to be judged, the first after it
        self._split: Action | None = None
        self._before = 0.0  # the middle price before the split

    def see(self, prices: np.ndarray[Any, Any]) -> None:
        if self._split:
            room = AROUND - len(self._last)
            self._last = np.concatenate([self._last, prices[:room]])
            if len(self._last) < AROUND:
                return
            self.judge()
            prices = prices[room:]
        self._last = np.concatenate([self._last, prices[-AROUND:]])[-AROUND:]

    def meet(self, action: Action) -> None:
        self.judge()
        if action.kind == ActionKind.SPLIT:
            ratio = action.numerator / action.denominator
            if max(ratio, 1 / ratio) >= LEAST:
                self._split, self._before = action, float(np.median(self._last))
                self._last = self._last[:0]
        elif action.kind == ActionKind.DIVIDEND and len(self._last):
            amount, price = action.amount or 0.0, float(self._last[-1])
            if amount >= price:
                raise DataError(
                    f"{self._name}: the dividend of {amount:g} on {action.ex_date} is not below the price before it, "
                    f"{price:g}; correct it, or if the prices are adjusted for splits already write `adjusted: splits`"
                )

    def judge(self) -> None:
        split, self._split = self._split, None
        if split is None or not len(self._last):
            return
        after = float(np.median(self._last))
        ratio = log(split.numerator / split.denominator)
        if abs(log(self._before / after) - ratio) > abs(ratio) / 2:  # nearer to no jump than to this one
            raise DataError(
                f"{self._name}: the split {split.numerator:g}:{split.denominator:g} on {split.ex_date} does not show "
                f"in the prices: they are about {self._before:g} before it and {after:g} after; if they are adjusted "
                "for splits already write `adjusted: splits` (`all`: for dividends too), else correct the split"
            )
