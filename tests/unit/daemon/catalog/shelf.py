"""What the tests of this folder share: rows made by hand, written and read back as plain tuples."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from daemon.catalog.manifest import Manifest, Provenance
from daemon.catalog.store import Catalog
from engine.records import DAY, SECOND

MINUTE = 60 * SECOND
FILES = Provenance()
BARS = ("ts", "open", "high", "low", "close", "volume")
TICKS = ("ts", "price", "size")

Rows = list[tuple[Any, ...]]


def day(date: str) -> int:
    """Nanoseconds of a day's midnight UTC, by numpy."""
    return int(np.datetime64(date, "ns").astype(np.int64))


def bars(starts: Iterable[int], close: float = 10.0) -> Rows:
    """Bars that differ in their close."""
    return [
        (ts, close + i / 8, close + i / 8 + 1, close - 1, close + i / 8, 100.0) for i, ts in enumerate(starts)
    ]


def days(first: str, n: int, close: float = 10.0) -> Rows:
    return bars([day(first) + i * DAY for i in range(n)], close)


def ticks(times: Iterable[int], price: float = 10.0) -> Rows:
    return [(ts, price + i / 8, 1.0) for i, ts in enumerate(times)]


def columns(rows: Rows) -> dict[str, np.ndarray[Any, Any]]:
    names = BARS if rows and len(rows[0]) == len(BARS) else TICKS
    kinds = [np.int64] + [np.float64] * (len(names) - 1)
    return {
        name: np.array([row[i] for row in rows], kind)
        for i, (name, kind) in enumerate(zip(names, kinds, strict=True))
    }


def put(catalog: Catalog, rows: Rows, bar_ns: int = DAY, name: str = "AAPL", **more: Any) -> Manifest:
    return catalog.write(name, bar_ns, columns(rows), **{"source": FILES, "adjusted": "raw", **more})


def get(
    catalog: Catalog, bar_ns: int = DAY, name: str = "AAPL", start: int | None = None, end: int | None = None
) -> Rows:
    found: Rows = []
    for batch in catalog.read(name, bar_ns, start, end):
        lists = [batch.column(0).cast("int64").to_pylist(), *(c.to_pylist() for c in batch.columns[1:])]
        found += zip(*lists, strict=True)
    return found


def files(catalog: Catalog, suffix: str = ".parquet") -> list[Path]:
    return sorted(p for p in catalog.folder.rglob(f"*{suffix}") if p.is_file())
