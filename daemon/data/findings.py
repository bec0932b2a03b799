"""What the look at market data may find, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class Kind(StrEnum):
    """What a finding is about."""

    GAP = "gap"  # no row where the calendar has the market open; value: bars, of ticks: seconds
    DUPLICATE = "duplicate"  # several bars of one time; value: how many too many
    BACKWARD = "backward"  # a row is earlier than the one above it; value: seconds
    OUTLIER = "outlier"  # a price far off, which nothing else bears out; value: how far, as a share, -0.9 for 90 % below
    SUSPECT = "suspect"  # the same, where the data do not tell whether it was real
    EXTREME = "extreme"  # the same, borne out by volume and unrest: probably real
    SPLIT_LIKE = (
        "split_like"  # the price jumps by a ratio of splits and stays; value: new shares for an old one
    )
    ZERO_VOLUME = "zero_volume"  # a stretch of rows without volume; value: rows
    OUTSIDE_HOURS = "outside_hours"  # rows that begin outside of the calendar's sessions; value: rows


@dataclass(frozen=True)
class Finding:
    """One thing that is odd in the rows of [ts, ts_end), ns UTC; `Kind` says what `value` means."""

    kind: Kind
    ts: int
    ts_end: int
    text: str
    value: float


def runs(mask: Array) -> list[tuple[int, int]]:
    """Stretches of true in a mask (n,) as [first, end)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]))).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def plural(n: int, what: str) -> str:
    """Such as "1 bar" and "2,000 bars"."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"
