"""Hourly bars in a catalog, for configurations that need some."""

from __future__ import annotations

import numpy as np

from daemon.catalog.manifest import Provenance
from daemon.catalog.store import Catalog

HOUR = 3_600 * 10**9


def put_hours(catalog: Catalog, name: str, n: int = 48, first: str = "2024-02-26") -> None:
    """Put n hourly bars from midnight of a day on, UTC, into the catalog; prices go up by an eighth each hour."""
    start = int(np.datetime64(first, "ns").astype(np.int64))
    close = 100.0 + np.arange(n) / 8
    columns = {
        "ts": start + HOUR * np.arange(n, dtype=np.int64),
        "open": close,
        "high": close + 1,
        "low": close - 1,
        "close": close,
        "volume": np.full(n, 1000.0),
    }
    catalog.write(name, HOUR, columns, source=Provenance(), adjusted="raw")
