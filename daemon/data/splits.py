"""Jumps of the price that look like splits which nobody applied."""

from __future__ import annotations

import numpy as np

from daemon.data.findings import Array, Finding, Kind
from engine.records import DAY

RATIOS = {"3:2": 1.5, "2:1": 2.0, "3:1": 3.0, "4:1": 4.0, "5:1": 5.0, "7:1": 7.0, "10:1": 10.0, "20:1": 20.0}
LARGE = 0.33  # in logarithms: smaller jumps are no split
NEAR = 0.04  # of the ratio, in logarithms: what the market itself moves over night
STAYS = 0.2  # of the ratio: how far the level of the rows after it may be from that of those before
LEVEL = 20  # rows that make a level
FEWEST = 3
UNLIKE = 6.0  # times the usual change from row to row: what a split stands out by
LONGEST_PAUSE = 10 * DAY  # over more time than this prices may go anywhere


def split_like(ts: Array, first: Array, last: Array, volume: Array | None, bar_ns: int) -> list[Finding]:
    """Where the price jumps between two rows by nearly a ratio of splits (or its inverse), and stays.

    ts: (n,) int64 ns, ascending; first and last: (n,) float64, a row's open and close, or its price twice; volume: of
    bars. The ratios are 3:2, 2:1, 3:1, 4:1, 5:1, 7:1, 10:1 and 20:1.
    """
    if len(ts) < 2 * FEWEST:
        return []
    jump = np.log(last[:-1] / first[1:])
    if 0 < bar_ns < DAY:  # the first trade after it may still be at an old price
        jump = np.where(np.abs(jump) > LARGE, jump, np.log(last[:-1] / last[1:]))
    pause = np.diff(ts) <= max(LONGEST_PAUSE, 3 * bar_ns)
    found = []
    for i in (np.flatnonzero((np.abs(jump) > LARGE) & pause) + 1).tolist():
        size = float(jump[i - 1])
        name, ratio = min(RATIOS.items(), key=lambda r: abs(np.log(r[1]) - abs(size)))
        before, after = last[max(0, i - LEVEL) : i], last[i : i + LEVEL]
        if min(len(before), len(after)) < FEWEST or abs(np.log(ratio) - abs(size)) > NEAR:
            continue
        shift = float(np.log(np.median(before) / np.median(after)))
        changes = np.abs(np.diff(np.log(before)))
        if abs(shift - size) > STAYS or abs(size) < UNLIKE * float(np.median(changes)):
            continue
        new, old = name.split(":") if size > 0 else reversed(name.split(":"))
        text = f"the price jumps from {last[i - 1]:g} to {last[i - 1] / np.exp(size):g} and stays: looks like a split of {new}:{old}"
        text += _volume(volume, i, size)
        found.append(
            Finding(Kind.SPLIT_LIKE, int(ts[i]), int(ts[i]) + max(bar_ns, 1), text, int(new) / int(old))
        )
    return found


def _volume(volume: Array | None, i: int, size: float) -> str:
    # whether the volume moved the other way, as it does when shares are split
    if volume is None:
        return ""
    before, after = np.median(volume[max(0, i - LEVEL) : i]), np.median(volume[i : i + LEVEL])
    if not before or not after:
        return ""
    times = float(after / before)
    borne_out = (times > 1) == (size > 0)
    return f"; the volume {'too changes' if borne_out else 'does not follow, it changes'} {times:.1f} times"
