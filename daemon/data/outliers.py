"""Prices far from those around them, and whether the rest of the data bears them out.

Everything is measured against the usual true range around a bar: the median of 41 bars, of log(high / low) widened to
the close before. In bars that are right, 99 of 100 highs and lows reach beyond open and close by less than 1.3 times
that; three times is looked at. What bears a price out is what a market does when it really moves: the bar's volume is
unusual, and its close, or the next bar, is restless too. With both the price is probably real, with neither probably
a bad print, and with one the data do not tell. Nor do they without volume, or where the price fell to next to nothing:
an emptied order book leaves one trade there and nothing else. Far prices on both sides of one bar speak against it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from daemon.data.findings import Array, Finding, Kind, runs

SIDE = 20  # bars, or ticks, on each side of the window
CHUNK = 50_000  # rows whose windows are held at a time
FAR = 3.0  # usual ranges: what is looked at
LEAST = 0.005  # of the price: what is nearer is of no consequence
FALL = 5.0  # usual ranges, from the close before: a fall or rise that is looked at although there is no long wick
CAME_BACK = 0.4  # of such a fall
AT_ONCE = 0.25  # of a jump at most may remain when it returned
UNUSUAL = 1.5  # times the usual volume, or range: what bears a price out
NOTHING = 0.01  # of the price: next to nothing
FAR_TICK = 8.0  # median absolute deviations of the ticks around
LONGEST = 10  # trades in a row that can be off
FEWEST = 5  # rows without which nothing is usual


def usual(x: Array, side: int = SIDE) -> Array:
    """(n,) medians of windows that reach `side` values to each side; mirrored at the ends."""
    side = min(side, len(x) - 1)
    padded = np.pad(x, side, mode="reflect")
    windows = sliding_window_view(padded, 2 * side + 1)
    return np.concatenate([np.median(windows[i : i + CHUNK], axis=1) for i in range(0, len(x), CHUNK)])


def bar_outliers(ts: Array, columns: Mapping[str, Array], bar_ns: int) -> list[Finding]:
    """Bars with a high, low, open or close far off: as outlier, suspect or extreme, of which a bar has one.

    ts: (n,) int64 ns, ascending; columns: (n,) float64 open, high, low, close, all positive, and volume or none.
    """
    n = len(ts)
    if n < FEWEST:
        return []
    o, h, low, c = (np.log(columns[k]) for k in ("open", "high", "low", "close"))
    before = np.concatenate([o[:1], c[:-1]])
    after = np.concatenate([o[1:], c[-1:]])
    true_range = np.maximum(h, before) - np.minimum(low, before)
    scale = np.maximum(usual(true_range), LEAST / FAR)
    faults = {
        "low": (np.minimum(o, c) - low) / scale,
        "high": (h - np.maximum(o, c)) / scale,
        "open": _there_and_back(o - before, c - o) / scale,
        "close": _there_and_back(c - o, after - c) / scale,
    }
    far = {k: v > FAR for k, v in faults.items()}
    volume = _times_usual(columns.get("volume"), n)
    next_range = np.concatenate([(h - low)[1:], [0.0]]) / scale
    body = np.where(far["open"] | far["close"], 0.0, np.abs(c - o) / scale)
    busy, restless = volume >= UNUSUAL, (next_range >= UNUSUAL) | (body >= UNUSUAL)
    both = far["low"] & far["high"]
    emptied = far["low"] & ~both & (low - np.minimum(o, c) < np.log(NOTHING))
    unknown = np.isnan(volume)
    score = np.maximum(busy.astype(int) + restless - both, emptied | unknown)
    came_back = _came_back(true_range, scale, low, h, c)
    found = []
    for i in np.flatnonzero(np.any(list(far.values()), axis=0) | came_back).tolist():
        at = {k: float(columns[k][i]) for k in ("open", "high", "low", "close")}
        at["before"] = float(columns["close"][i - 1]) if i else at["open"]
        off = [k for k in far if far[k][i]]
        text, value = _describe(off, {k: float(faults[k][i]) for k in off}, at)
        kind = _kind(int(score[i]) if off else 1 + bool(busy[i] or restless[i]))
        why = _why(kind, float(volume[i]), bool(busy[i]), bool(restless[i]), bool(emptied[i]), bool(both[i]))
        found.append(Finding(kind, int(ts[i]), int(ts[i]) + bar_ns, f"{text}; {why}", value))
    return found


def _there_and_back(jump: Array, back: Array) -> Array:
    # the size of jumps that return at once, else 0
    smaller, larger = np.minimum(np.abs(jump), np.abs(back)), np.maximum(np.abs(jump), np.abs(back))
    returned = (jump * back < 0) & (np.abs(jump + back) < AT_ONCE * larger)
    return np.asarray(np.where(returned, smaller, 0.0))


def _came_back(true_range: Array, scale: Array, low: Array, h: Array, c: Array) -> Array:
    # bars that went far beyond the close before and beyond both neighbours, and took much of it back
    inf = [np.inf]
    below = np.minimum(np.concatenate([inf, low[:-1]]), np.concatenate([low[1:], inf])) - low
    above = h - np.maximum(np.concatenate([[-np.inf], h[:-1]]), np.concatenate([h[1:], [-np.inf]]))
    back = np.where(below > above, c - low, h - c)
    return np.asarray(
        (true_range > FALL * scale) & (np.maximum(below, above) > scale) & (back > CAME_BACK * true_range)
    )


def _times_usual(volume: Array | None, n: int) -> Array:
    # volume over its median around; where that is 0, over the median of what there is; NaN where none is known
    if volume is None or not np.any(volume > 0):
        return np.full(n, np.nan)
    around = usual(volume)
    times = volume / np.where(around > 0, around, np.median(volume[volume > 0]))
    return np.asarray(np.where((around == 0) & (volume == 0), np.nan, times))


def _kind(score: int) -> Kind:
    return Kind.OUTLIER if score <= 0 else Kind.SUSPECT if score == 1 else Kind.EXTREME


def _describe(off: list[str], how_far: dict[str, float], at: dict[str, float]) -> tuple[str, float]:
    # what is off, and by which share of the price the farthest of it
    near, wide = min(at["open"], at["close"]), max(at["open"], at["close"])
    reference = {"low": near, "high": wide, "open": at["before"], "close": at["open"]}
    texts = {
        "low": f"low of {at['low']:g} under open and close of {at['open']:g} and {at['close']:g}",
        "high": f"high of {at['high']:g} over open and close of {at['open']:g} and {at['close']:g}",
        "open": f"open of {at['open']:g} between the close before, {at['before']:g}, and its own, {at['close']:g}",
        "close": f"close of {at['close']:g}, from an open of {at['open']:g}, which the next bar takes back",
    }
    if off:
        main = max(off, key=how_far.__getitem__)
        return " and ".join(texts[k] for k in off), at[main] / reference[main] - 1
    down, up = at["low"] / at["before"] - 1, at["high"] / at["before"] - 1
    if -down > up:
        return f"fell from {at['before']:g} to {at['low']:g} and came back to {at['close']:g}", down
    return f"rose from {at['before']:g} to {at['high']:g} and came back to {at['close']:g}", up


def _why(kind: Kind, volume: float, busy: bool, restless: bool, emptied: bool, both: bool) -> str:
    signs = []
    if busy:
        signs.append(f"volume is {volume:.1f} times the usual")
    if restless:
        signs.append("its close or the next bar moved too")
    if np.isnan(volume):
        signs.append("there is no volume to judge by")
    if emptied:
        signs.append("an emptied order book trades like that")
    if both:
        signs.append("prices on both sides are off")
    if kind == Kind.OUTLIER:
        return f"{' but '.join(signs) or 'nothing else moved'}: probably a bad print"
    if kind == Kind.SUSPECT:
        return f"{' and '.join(signs) or 'nothing else moved'}: may be real, cannot be told apart from a bad print"
    return f"{' and '.join(signs)}: probably real"


def tick_outliers(ts: Array, price: Array) -> list[Finding]:
    """Trades far from the median of the 20 before and the 20 after: outliers where the price jumps there and back.

    ts: (n,) int64 ns, ascending; price: (n,) float64, positive. Far is 0.5 % and 8 median absolute deviations, so that
    a price which moves and stays is not far. At most ten trades in a row are taken for one that is off; where the
    price went there or back in steps it is reported as suspect.
    """
    n = len(ts)
    if n < FEWEST:
        return []
    p = np.log(price)
    level = usual(p)
    away = p - level
    far = np.abs(away) > LEAST
    if np.any(far):
        far &= np.abs(away) > FAR_TICK * _deviation(p, level)
    found = []
    for side in (-1, 1):
        for a, b in runs(far & (np.sign(away) == side)):
            if b - a > LONGEST:
                continue
            size = float(np.abs(away[a:b]).max())
            steps = np.abs(np.diff(p[max(0, a - 1) : b + 1]))  # into it, within it and out of it
            at_ends = ([steps[0]] if a else []) + ([steps[-1]] if b < n else [])
            jumped = min(at_ends, default=0.0) >= size / 2
            at = a + int(np.abs(away[a:b]).argmax())
            many = f"{b - a} trades at up to" if b - a > 1 else "a trade at"
            if side < 0:
                many = many.replace("up", "down")
            text = f"{many} {price[at]:g} among trades at about {np.exp(level[at]):.6g}"
            why = (
                "it jumps there and back: probably a bad print" if jumped else "reached in steps: may be real"
            )
            found.append(
                Finding(
                    Kind.OUTLIER if jumped else Kind.SUSPECT,
                    int(ts[a]),
                    int(ts[b - 1]) + 1,
                    f"{text}; {why}",
                    float(np.expm1(away[at])),
                )
            )
    return sorted(found, key=lambda f: f.ts)


def _deviation(p: Array, level: Array) -> Array:
    # (n,) median absolute deviations of the windows from their own median
    side = min(SIDE, len(p) - 1)
    windows = sliding_window_view(np.pad(p, side, mode="reflect"), 2 * side + 1)
    parts = (slice(i, i + CHUNK) for i in range(0, len(p), CHUNK))
    return np.concatenate([np.median(np.abs(windows[s] - level[s, None]), axis=1) for s in parts])
