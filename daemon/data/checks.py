"""The rules that rows of market data keep. What is common costs a few vectorised passes, what is not is looked at singly."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from daemon.data.errors import Reason
from engine.records import SECOND

Columns = Mapping[str, np.ndarray[Any, Any]]


class Found(NamedTuple):
    """A row of a block that breaks a rule."""

    row: int
    field: str  # our name of it
    reason: Reason
    problem: str


def check_values(columns: Columns) -> list[Found]:
    """Rows whose values cannot be: (n,) float64 each, of bars (open, high, low, close, volume) or of ticks (price, size).

    Prices are positive, sizes are not negative (a size of 0 is one), all are finite; open and close lie within low
    and high.
    """
    if "price" in columns:
        if _within(columns["price"], positive=True) and _within(columns["size"], positive=False):
            return []
        good = (columns["price"] > 0) & (columns["price"] < np.inf)
        good &= (columns["size"] >= 0) & (columns["size"] < np.inf)
    else:
        open_, high, low, close, volume = (columns[k] for k in ("open", "high", "low", "close", "volume"))
        good = (low > 0) & (low <= open_) & (low <= close) & (open_ <= high) & (close <= high)
        good &= (high < np.inf) & (volume >= 0) & (volume < np.inf)
    return [
        _look_at(row, {k: float(c[row]) for k, c in columns.items()})
        for row in np.flatnonzero(~good).tolist()
    ]


def _within(column: np.ndarray[Any, Any], positive: bool) -> bool:
    # NaN is the least and the greatest of any column that has it, and compares with nothing
    if not len(column):
        return True
    least = column.min()
    return bool((least > 0 if positive else least >= 0) and column.max() < np.inf)


def _look_at(row: int, value: dict[str, float]) -> Found:
    for field, x in value.items():
        if field not in ("size", "volume") and not 0 < x < np.inf:
            return Found(row, field, Reason.BAD_PRICE, f"{x:g} is no positive number")
    for field in value.keys() & {"size", "volume"}:
        if not 0 <= value[field] < np.inf:
            return Found(row, field, Reason.BAD_SIZE, f"{value[field]:g} is negative or no number")
    low, high = value["low"], value["high"]
    if high < low:
        return Found(row, "high", Reason.HIGH_BELOW_LOW, f"the high of {high!r} is below the low of {low!r}")
    field = "open" if not low <= value["open"] <= high else "close"
    return Found(
        row, field, Reason.OUTSIDE, f"{value[field]!r} is outside the low of {low!r} and the high of {high!r}"
    )


def check_order(starts: np.ndarray[Any, Any], after: int | None, bar_ns: int) -> list[Found]:
    """Rows that come too early: before the last good row, or for bars before its end.

    starts: (n,) int64 ns; after: the last good row before these, if any; bar_ns: 0 for ticks, which may share a time.
    """
    n = len(starts)
    if not n:
        return []
    in_order = after is None or starts[0] >= after + bar_ns
    if in_order and bool(
        np.all(starts[1:] >= starts[:-1] + bar_ns) if bar_ns else np.all(starts[1:] >= starts[:-1])
    ):
        return []
    found = []
    last = after
    for row, start in enumerate(starts.tolist()):
        if last is None or start >= last + bar_ns:
            last = start
            continue
        times = f"{show(start)} comes after {show(last)}"
        if start < last:
            found.append(Found(row, "time", Reason.BACKWARD, times))
        elif start == last:
            found.append(Found(row, "time", Reason.SECOND_BAR, f"a second bar of {show(start)}"))
        else:
            found.append(Found(row, "time", Reason.OVERLAP, f"{times}, which lasts {bar_ns / SECOND:g} s"))
    return found


def show(ns: int) -> str:
    """A time as ISO 8601 UTC, with as many decimals as it needs."""
    seconds, rest = divmod(ns, SECOND)
    decimals = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{decimals}Z"
