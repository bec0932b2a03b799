"""What the tests of data quality share: rows in which nothing is odd, and what was found in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from daemon.calendars import sessions
from daemon.data.quality import Finding, Quality
from engine.records import SECOND
from tests.unit.daemon.data.reading import MINUTE, ns

Array = np.ndarray[Any, Any]
WAVE = [100 + 0.01 * (k % 5) for k in range(400)]
FIELDS = ("open", "high", "low", "close", "volume")


def daily(first: str, last: str, calendar: str = "XNYS") -> dict[str, Array]:
    """A bar for each session: open and close by turns 100 and 101, a range of one and a half, volume 1000."""
    opens = sessions(calendar, whole_days=True).opens
    return bars(opens[(opens >= ns(first)) & (opens <= ns(last))])


def minutes(first: str, last: str) -> dict[str, Array]:
    return bars(np.arange(ns(first), ns(last), MINUTE))


def bars(ts: Array) -> dict[str, Array]:
    n = len(ts)
    o = np.where(np.arange(n) % 2 == 0, 100.0, 101.0)
    c = 201 - o
    return {
        "ts": ts,
        "open": o,
        "high": np.full(n, 101.25),
        "low": np.full(n, 99.75),
        "close": c,
        "volume": np.full(n, 1e3),
    }


def trades(prices: list[float], spacing_ns: int = SECOND) -> dict[str, Array]:
    n = len(prices)
    return {
        "ts": ns("2024-07-02T14:00:00") + np.arange(n) * spacing_ns,
        "price": np.array(prices),
        "size": np.ones(n),
    }


def without(columns: dict[str, Array], *rows: int) -> dict[str, Array]:
    return {k: np.delete(c, rows) for k, c in columns.items()}


def kinds(quality: Quality) -> list[str]:
    return [str(f.kind) for f in quality.findings]


def only(quality: Quality) -> Finding:
    assert len(quality.findings) == 1, quality.findings
    return quality.findings[0]


def place(columns: dict[str, Array], day: str) -> int:
    return int(np.searchsorted(columns["ts"], ns(day)))


def split(ratio: float, volume: float | None = None, at: int = 60) -> dict[str, Array]:
    rows = daily("2024-01-02", "2024-05-31")
    for field in FIELDS[:4]:
        rows[field][at:] /= ratio
    rows["volume"][at:] *= ratio if volume is None else volume
    return rows
