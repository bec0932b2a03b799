"""What the tests of this folder share: write a file, read it back as plain rows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.data.feed import Feed, Source, open_feed
from engine.records import DAY, SECOND, RowKind

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
BARS_HEADER = "timestamp,open,high,low,close,volume\n"
TICKS_HEADER = "timestamp,price,size\n"


def ns(iso: str) -> int:
    """ISO 8601 to nanoseconds, by the standard library; UTC where no zone is named."""
    time = datetime.fromisoformat(iso)
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()) * SECOND


def source(path: Path, bar_ns: int = DAY, **more: Any) -> Source:
    kind = "parquet" if path.suffix == ".parquet" else "csv"
    return Source(**{"kind": kind, "path": path, "instrument": 0, "name": "AAPL", "bar_ns": bar_ns, **more})


def rows(feed: Feed) -> list[tuple[Any, ...]]:
    """(ts_event, ts_recv, instrument, price, size, flags) of all rows."""
    return [row for batch in feed for row in zip(*(c.tolist() for c in batch), strict=True)]


def bars(feed: Feed) -> list[tuple[Any, ...]]:
    """The rows of one instrument put together to bars again: (start, open, high, low, close, volume)."""
    flat = rows(feed)
    result = []
    for i in range(0, len(flat), 4):
        o, x, y, c = flat[i : i + 4]
        assert [r[5] for r in (o, x, y, c)] == [
            RowKind.PRINT,
            RowKind.EXTREME,
            RowKind.EXTREME,
            RowKind.CLOSE,
        ]
        high, low = max(x[3], y[3]), min(x[3], y[3])
        result.append((o[0], o[3], high, low, c[3], o[4] + x[4] + y[4] + c[4]))
    return result


def ticks(feed: Feed) -> list[tuple[int, float, float]]:
    """(ts, price, size) of ticks."""
    flat = rows(feed)
    assert all(r[0] == r[1] and r[5] == RowKind.PRINT for r in flat)
    return [(r[0], r[3], r[4]) for r in flat]


def write(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def read_bars(folder: Path, text: str, bar_ns: int = DAY, **more: Any) -> list[tuple[Any, ...]]:
    return bars(open_feed([source(write(folder, text), bar_ns, **more)]))


def read_ticks(folder: Path, text: str, **more: Any) -> list[tuple[int, float, float]]:
    return ticks(open_feed([source(write(folder, text), 0, **more)]))
