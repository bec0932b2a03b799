"""A vendor's bars for the instruments of a session, from a `data:` section or a catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.compare.tapes import Bars
from daemon.config.document import Node, parse, plain
from daemon.config.errors import ConfigError, Place, Problem
from daemon.config.market import Market
from daemon.config.overrides import apply
from daemon.config.reading import read
from daemon.config.spec import sources
from daemon.data.errors import DataError
from daemon.data.feed import open_stream
from daemon.data.formats import BAR_FIELDS

if TYPE_CHECKING:
    from daemon.config.paper import PaperConfig

BLOCK_ROWS = 65_536


def vendor_bars(
    source: Path, overrides: Sequence[str], config: PaperConfig, begin: int, end: int
) -> tuple[dict[int, Bars], dict[int, int]]:
    """Bars by the session's index of the instrument, from begin to end (ns UTC), and how long they last in ns.

    source: a YAML file with `data:`, as of a backtest, or the folder of a catalog. Instruments that the session does not
    have are left out. Raises ConfigError, DataError.
    """
    entries = [e for e in _entries(source, overrides, config) if e.get("instrument") in config.instruments]
    if not entries:
        wanted = ", ".join(config.instruments)
        raise DataError(
            f"{source}: it has none of the session's instruments, {wanted}; name a history that does"
        )
    market = read(
        Market,
        {
            "name": "history",
            "data": entries,
            "instruments": {n: i.model_dump(mode="json") for n, i in config.instruments.items()},
        },
    ).config
    bars: dict[int, Bars] = {}
    lengths: dict[int, int] = {}
    ordered = sorted(sources(market), key=lambda s: s.instrument)
    for k, group in groupby(ordered, key=lambda s: s.instrument):
        given = [replace(s, start=begin, end=end) for s in group]
        if len({s.bar_ns for s in given}) > 1 or given[0].bar_ns == 0:
            raise DataError(
                f"{source}: {given[0].name} has ticks, or bars of several lengths; give bars of one length, such as bar: 1m"
            )
        lengths[k] = given[0].bar_ns
        blocks = list(open_stream(given).columns(BLOCK_ROWS))
        starts = np.concatenate([starts for starts, _ in blocks])
        bars[k] = Bars(starts, *(np.concatenate([c[f] for _, c in blocks]) for f in BAR_FIELDS))
    return bars, lengths


def _entries(source: Path, overrides: Sequence[str], config: PaperConfig) -> list[dict[str, Any]]:
    if source.is_dir():
        from daemon.catalog.store import Catalog

        known = Catalog(source).instruments()
        return [
            {"source": "catalog", "path": str(source.resolve()), "instrument": name}
            for name in config.instruments
            if name in known
        ]
    place = Place(str(source), 1, source.absolute().parent)
    try:
        text = source.read_text("utf-8-sig")
    except OSError as error:
        what = f"cannot be read: {error.strerror}; give a YAML file with `data:`, or the folder of a catalog"
        raise ConfigError([Problem(place, "", what)]) from error
    root, wrong = parse(text, place)
    root, more = apply(root, overrides)
    data = root.value.get("data") if isinstance(root.value, dict) else None
    if data is None or not isinstance(data.value, list):
        wrong.append(
            Problem(place, "data", "is missing; add a list of sources, as in a backtest's configuration")
        )
    if found := [*wrong, *more]:
        raise ConfigError(found)
    assert data is not None
    return [_absolute(entry) for entry in data.value if isinstance(entry.value, dict)]


def _absolute(entry: Node) -> dict[str, Any]:
    # paths start in the folder of the file, or with --set in the current one
    given: dict[str, Any] = plain(entry)
    for key in ("path", "actions"):
        node = entry.value.get(key)
        if node is not None and isinstance(node.value, str):
            given[key] = str((node.place.folder / Path(node.value).expanduser()).resolve())
    if given.get("source") == "catalog":
        given.setdefault("path", str(entry.place.folder / "catalog"))
    return given
