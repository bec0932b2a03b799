"""What is odd about the rows of one instrument: gaps, bad prints, jumps, order. Nothing is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from daemon.data.checks import show
from daemon.data.findings import Array, Finding, Kind, plural, runs
from daemon.data.gaps import find_gaps, outside_hours, without_volume
from daemon.data.outliers import bar_outliers, tick_outliers
from daemon.data.splits import split_like
from engine.records import SECOND

__all__ = ["Finding", "Kind", "Quality", "examine"]


@dataclass
class Quality:
    """What was found, in order of time.

    counts: findings by kind; "missing bars", "rows outside hours", "rows without volume", "unusable rows".
    """

    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def examine(columns: Mapping[str, Array], bar_ns: int, calendar: str) -> Quality:
    """Look at the rows of one instrument as they stand in their file.

    columns: (n,) each: `ts` int64 ns UTC, starts of bars or times of ticks, in any order; float64 open, high, low,
    close and volume of bars, or price and size of ticks; volume and size may be missing. bar_ns: how long a bar lasts;
    0: ticks. calendar: an exchange's code or 24/7. Of several bars of a time the first is looked at; rows whose
    prices or sizes cannot be are counted as "unusable rows" and left out. Raises CalendarError.
    """
    found = Quality()
    rows = _usable(columns, bar_ns, found)
    found.findings += _backward(rows["ts"])
    rows = _in_order(rows, bar_ns, found)
    ts = rows["ts"]
    if len(ts):
        gaps, found.counts["missing bars"] = find_gaps(ts, bar_ns, calendar)
        outside = outside_hours(ts, bar_ns, calendar)
        found.counts["rows outside hours"] = sum(round(f.value) for f in outside)
        found.findings += gaps + outside
        volume = rows.get("volume" if bar_ns else "size")
        if volume is not None:
            empty, found.counts["rows without volume"] = without_volume(ts, volume, bar_ns)
            found.findings += empty
        if bar_ns:
            found.findings += bar_outliers(ts, rows, bar_ns)
            found.findings += split_like(ts, rows["open"], rows["close"], volume, bar_ns)
        else:
            found.findings += tick_outliers(ts, rows["price"])
            found.findings += split_like(ts, rows["price"], rows["price"], None, 0)
    found.findings.sort(key=lambda f: (f.ts, f.kind))
    found.counts.update(str(f.kind) for f in found.findings if f.kind != Kind.OUTSIDE_HOURS)
    found.counts = +found.counts
    return found


def _usable(columns: Mapping[str, Array], bar_ns: int, found: Quality) -> dict[str, Array]:
    good = np.ones(len(columns["ts"]), bool)
    for name in ("open", "high", "low", "close") if bar_ns else ("price",):
        good &= (columns[name] > 0) & (columns[name] < np.inf)
    for name in columns.keys() & {"volume", "size"}:
        good &= (columns[name] >= 0) & (columns[name] < np.inf)
    found.counts["unusable rows"] = int((~good).sum())
    return {k: c if good.all() else c[good] for k, c in columns.items()}


def _backward(ts: Array) -> list[Finding]:
    if len(ts) > 2 and np.all(ts[1:] <= ts[:-1]) and ts[0] > ts[-1]:
        text = f"the rows are newest first, from {show(int(ts[0]))} back to {show(int(ts[-1]))}"
        return [Finding(Kind.BACKWARD, int(ts[-1]), int(ts[0]), text, float(ts[0] - ts[-1]) / SECOND)]
    return [
        Finding(
            Kind.BACKWARD,
            int(ts[i]),
            int(ts[i - 1]),
            f"{show(int(ts[i]))} comes after {show(int(ts[i - 1]))}",
            float(ts[i - 1] - ts[i]) / SECOND,
        )
        for i in (np.flatnonzero(ts[1:] < ts[:-1]) + 1).tolist()
    ]


def _in_order(rows: dict[str, Array], bar_ns: int, found: Quality) -> dict[str, Array]:
    # in order of time, and of bars only the first of each time
    if np.any(rows["ts"][1:] < rows["ts"][:-1]):
        order = np.argsort(rows["ts"], kind="stable")
        rows = {k: c[order] for k, c in rows.items()}
    ts = rows["ts"]
    again = np.concatenate([[False], ts[1:] == ts[:-1]]) if bar_ns and len(ts) else np.zeros(len(ts), bool)
    for a, b in runs(again):
        same = all(np.all(c[a - 1 : b] == c[a - 1]) for c in rows.values())
        text = (
            f"{plural(b - a + 1, 'bar')} of {show(int(ts[a]))}, {'equal' if same else 'of different values'}"
        )
        found.findings.append(Finding(Kind.DUPLICATE, int(ts[a]), int(ts[a]) + bar_ns, text, float(b - a)))
    return {k: c[~again] for k, c in rows.items()} if again.any() else rows
