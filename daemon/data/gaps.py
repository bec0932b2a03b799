"""Where rows are missing, or have no volume: judged by the calendar of the exchange."""

from __future__ import annotations

import numpy as np

from daemon.calendars import ALWAYS, inside, sessions
from daemon.data.checks import show
from daemon.data.findings import Array, Finding, Kind, plural, runs
from engine.records import DAY, SECOND
from engine.spec import Sessions

QUIET_NS = 5 * 60 * SECOND  # on an exchange, trades may be missing for so long without being missed
QUIET_SPACINGS = 20  # and ticks for so many times their mean spacing


def find_gaps(ts: Array, bar_ns: int, calendar: str) -> tuple[list[Finding], int]:
    """Stretches without rows while the market was open, between the first row and the last; and how many bars that is.

    ts: (n,) int64 ns, ascending: starts of bars that last bar_ns, or times of ticks (bar_ns 0). Sessions without any
    row are put together. Within a session of an exchange, stretches up to five minutes are counted as missing bars
    and not reported; of ticks, up to twenty times their mean spacing. Around the clock every missing bar is reported.
    Raises CalendarError.
    """
    if not len(ts):
        return [], 0
    end = int(ts[-1]) + bar_ns
    if calendar == ALWAYS:
        opened = Sessions(ts[:1], np.array([end], np.int64))
    else:
        known = sessions(calendar, whole_days=bar_ns >= DAY)
        a, b = np.searchsorted(known.closes, ts[0], "right"), np.searchsorted(known.opens, end)
        opened = Sessions(known.opens[a:b], known.closes[a:b])
    whole, missing = _whole_sessions(ts, bar_ns, opened)
    parts, more = _within_sessions(ts, bar_ns, opened, calendar == ALWAYS)
    return sorted(whole + parts, key=lambda f: f.ts), missing + more


def _whole_sessions(ts: Array, bar_ns: int, opened: Sessions) -> tuple[list[Finding], int]:
    last = np.searchsorted(ts, opened.closes) - 1  # the last row that begins before the close
    empty = (last < 0) | (ts[last] + max(bar_ns, 1) <= opened.opens)
    found, total = [], 0
    for a, b in runs(empty):
        open_ns = int((opened.closes[a:b] - opened.opens[a:b]).sum())
        bars = max(1, open_ns // bar_ns) if bar_ns else 0
        total += bars
        first, end = int(opened.opens[a]), int(opened.closes[b - 1])
        what = f"{plural(b - a, 'session')} without a row" + (
            f", {plural(bars, 'bar')}" if bar_ns < DAY and bars else ""
        )
        found.append(Finding(Kind.GAP, first, end, f"{what}, until {show(end)}", bars or open_ns / SECOND))
    return found, total


def _within_sessions(ts: Array, bar_ns: int, opened: Sessions, always: bool) -> tuple[list[Finding], int]:
    if not len(opened.opens):
        return [], 0
    session = np.searchsorted(opened.opens, ts, "right") - 1
    rows = np.flatnonzero((session >= 0) & (ts < opened.closes[session]))
    session, starts = session[rows], ts[rows]
    ended = np.where(rows > 0, ts[rows - 1] + bar_ns, starts)  # of the row before, in the session or not
    begin = np.maximum(ended, opened.opens[session])
    length = starts - begin
    # after the last row of a session, but for that with which the data end
    tail = np.flatnonzero(np.append(session[1:] != session[:-1], False)) if len(rows) else rows
    begin = np.concatenate([begin, starts[tail] + bar_ns])
    length = np.concatenate([length, opened.closes[session[tail]] - starts[tail] - bar_ns])
    if bar_ns:
        missing = np.maximum(length, 0) // bar_ns
        quiet = 0 if always or bar_ns >= DAY else QUIET_NS
        reported = (missing > 0) & (length > quiet)
    else:
        missing = np.zeros(len(length), np.int64)
        reported = length > max(QUIET_NS, QUIET_SPACINGS * float(length.mean()) if len(length) else 0)
    found = []
    for i in np.flatnonzero(reported).tolist():
        first, end = int(begin[i]), int(begin[i] + length[i])
        seconds = length[i] / SECOND
        what = f"{plural(int(missing[i]), 'bar')} missing" if bar_ns else f"no trade for {_lasting(seconds)}"
        found.append(
            Finding(
                Kind.GAP, first, end, f"{what}, until {show(end)}", float(missing[i] if bar_ns else seconds)
            )
        )
    return found, int(missing.sum())


def _lasting(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def outside_hours(ts: Array, bar_ns: int, calendar: str) -> list[Finding]:
    """At most one finding: how many rows begin outside of the calendar's sessions, of those times that it knows."""
    opened = sessions(calendar, whole_days=bar_ns >= DAY)
    if not len(opened.opens):
        return []
    outside = ts[~inside(opened, ts) & (ts >= opened.opens[0]) & (ts < opened.closes[-1])]
    if not len(outside):
        return []
    n, first, end = len(outside), int(outside[0]), int(outside[-1]) + max(bar_ns, 1)
    days = "on days without a session" if bar_ns >= DAY else "outside of the sessions"
    return [
        Finding(
            Kind.OUTSIDE_HOURS, first, end, f"{plural(n, 'row')} {days} of {calendar}, until {show(end)}", n
        )
    ]


def without_volume(ts: Array, volume: Array, bar_ns: int) -> tuple[list[Finding], int]:
    """Stretches of rows whose volume (or size) is 0, and how many such rows there are in all.

    Of bars shorter than a day only stretches longer than five minutes are reported.
    """
    none = volume == 0
    found = []
    for a, b in runs(none):
        first, end = int(ts[a]), int(ts[b - 1]) + max(bar_ns, 1)
        if 0 < bar_ns < DAY and (b - a) * bar_ns <= QUIET_NS:
            continue
        what = plural(b - a, "bar" if bar_ns else "trade")
        found.append(
            Finding(Kind.ZERO_VOLUME, first, end, f"{what} without volume, until {show(end)}", b - a)
        )
    return found, int(none.sum())
