"""Tapes between the one that was recorded and a vendor's bars, each a step nearer to them.

1. The same prints in the order in which they happened, each received at once, and nothing of the clock: no grace, no timers.
2. Those prints made into bars of the vendor's length, and played as bars are.
3. Bars that the tape lacks, or has only a part of the prints of, taken from the vendor.
4. All bars the vendor's.

What is no price (commands, signals, settings, corporate actions, deposits) stays where it was in all of them, and so do the
prices of instruments that the vendor has none of, and those of the bars in which the session began and ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from daemon.live.rows import OURS, joined
from daemon.store.batch import Gap, Payload
from engine.bars import bar_path
from engine.records import KIND_MASK, TICK_DTYPES, RowKind, Ticks

Array = np.ndarray[Any, Any]

_PRICES = (RowKind.PRINT, RowKind.EXTREME, RowKind.CLOSE, RowKind.MARK)
# at equal times: highs and lows, closes, what is no price, then prints and opens
_RANK = np.full(KIND_MASK + 1, 2, np.uint8)
_RANK[[RowKind.EXTREME, RowKind.CLOSE, RowKind.PRINT, RowKind.MARK]] = (0, 1, 3, 3)
MORE = 1 + 1e-9  # sums of sizes are rounded


class Bars(NamedTuple):
    """Bars of one instrument, (n,) each, ascending."""

    start: Array  # int64 ns UTC
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array


@dataclass(frozen=True)
class Tape:
    """Rows, and what some of them are beyond numbers, by the index of the row."""

    ticks: Ticks
    payloads: Sequence[tuple[int, Payload]]

    def only(self, keep: Array) -> Tape:
        """The rows of a mask, with their payloads."""
        place = np.cumsum(keep) - 1
        kept = [(int(place[i]), p) for i, p in self.payloads if keep[i]]
        return Tape(Ticks(*(column[keep] for column in self.ticks)), kept)


@dataclass
class Facts:
    """Of one instrument: how its bars on the tape and the vendor's compare, within the whole bars of the session."""

    both: int = 0  # bars that both have
    missing: int = 0  # that the tape has not one print of
    gaps: int = 0  # that a recorded gap touches
    short: int = 0  # that have more volume, and no smaller range, at the vendor's
    prices: int = 0  # other bars that differ
    largest: float = 0.0  # by which one of their prices does
    lacking: int = 0  # that the vendor lacks


@dataclass(frozen=True)
class Ladder:
    """The tapes of the steps, as recorded first, and what is known of each instrument that the vendor has."""

    tapes: tuple[Tape, ...]
    facts: Mapping[int, Facts] = field(default_factory=dict)


def ladder(
    recorded: Tape, begin: int, gaps: Sequence[Gap], vendor: Mapping[int, Bars], lengths: Mapping[int, int]
) -> Ladder:
    """The five tapes. begin: ns UTC, when the session did; lengths: of the vendor's bars by instrument, ns."""
    end = int(recorded.ticks.ts_recv.max())
    prompt = _prompt(recorded, end)
    facts: dict[int, Facts] = {}
    parts: tuple[list[Ticks], ...] = ([], [], [])
    drop = np.zeros(len(prompt.ticks.price), bool)
    for k, bars in vendor.items():
        length = lengths[k]
        theirs = _within(bars, begin, end, length)
        mine, rows = _bars_of(prompt.ticks, k, bars.start, length, begin, end)
        drop |= rows
        facts[k] = Facts()
        filled = _filled(mine, theirs, [g for g in gaps if g.instrument == k], length, end, facts[k])
        for part, of in zip(parts, (mine, filled, theirs), strict=True):
            part.append(bar_path(of.start, length, *of[1:], instrument=k))
    rest = prompt.only(~drop)
    return Ladder((recorded, prompt, *(_merged(rest, part) for part in parts)), facts)


def _prompt(recorded: Tape, end: int) -> Tape:
    """Each print received when it happened; timers are gone, but one at the end."""
    ticks = recorded.ticks
    told = np.zeros(len(ticks.price), bool)
    told[[i for i, _ in recorded.payloads]] = True
    kind = ticks.flags & KIND_MASK
    kept = recorded.only(told | (kind != RowKind.TIMER))
    ours = (kept.ticks.flags & OURS) != 0
    ts = np.where(ours, kept.ticks.ts_recv, kept.ticks.ts_event)
    last = Ticks(
        *(
            np.array([x], dtype)
            for x, dtype in zip((end, end, 0, 0.0, 0.0, RowKind.TIMER), TICK_DTYPES, strict=True)
        )
    )
    rows = joined([kept.ticks._replace(ts_event=ts, ts_recv=ts), last])
    rank = _RANK[rows.flags & KIND_MASK]
    rank[-1] = _RANK.max() + 1
    return _sorted(rows, kept.payloads, np.lexsort((rank, rows.ts_recv)))


def _merged(rest: Tape, parts: Sequence[Ticks]) -> Tape:
    rows = joined([rest.ticks, *parts])
    kind = rows.flags & KIND_MASK
    rank = _RANK[kind]
    rank[len(rest.ticks.price) - 1] = _RANK.max() + 1  # the timer at the end
    instrument = np.where(np.isin(kind, _PRICES), rows.instrument, -1)
    return _sorted(rows, rest.payloads, np.lexsort((instrument, rank, rows.ts_recv)))


def _sorted(rows: Ticks, payloads: Sequence[tuple[int, Payload]], order: Array) -> Tape:
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    moved = sorted(((int(place[i]), p) for i, p in payloads), key=lambda pair: pair[0])
    return Tape(Ticks(*(np.ascontiguousarray(column[order]) for column in rows)), moved)


def _within(bars: Bars, begin: int, end: int, length: int) -> Bars:
    inside = (bars.start >= begin) & (bars.start + length <= end)
    return Bars(*(column[inside] for column in bars))


def _bars_of(ticks: Ticks, k: int, starts: Array, length: int, begin: int, end: int) -> tuple[Bars, Array]:
    """The bars that the prints of an instrument make, and which rows they are: of whole bars, and its marks.

    starts: where the vendor's bars begin; between them bars follow the one before.
    """
    kind = ticks.flags & KIND_MASK
    mine = (ticks.instrument == k) & np.isin(kind, _PRICES)
    good = mine & (kind != RowKind.MARK) & (ticks.price > 0.0) & (ticks.size >= 0.0)
    ts = ticks.ts_event
    before = starts[np.maximum(np.searchsorted(starts, ts, side="right") - 1, 0)]
    slot = before + (ts - before) // length * length
    whole = (slot >= begin) & (slot + length <= end)
    chosen = np.flatnonzero(good & whole)
    chosen = chosen[np.argsort(slot[chosen], kind="stable")]
    start, first = np.unique(slot[chosen], return_index=True)
    price, size = ticks.price[chosen], ticks.size[chosen]
    if len(start) == 0:
        none = np.zeros(0)
        return Bars(start.astype(np.int64), none, none, none, none, none), mine & whole
    last = np.append(first[1:], len(chosen)) - 1
    bars = Bars(
        start,
        price[first],
        np.maximum.reduceat(price, first),
        np.minimum.reduceat(price, first),
        price[last],
        np.add.reduceat(size, first),
    )
    return bars, mine & whole


def _filled(mine: Bars, theirs: Bars, gaps: Sequence[Gap], length: int, end: int, facts: Facts) -> Bars:
    """The tape's bars, and the vendor's in the place of those that lack prints; what differs is counted."""
    both, here, there = np.intersect1d(mine.start, theirs.start, return_indices=True)
    touched = np.zeros(len(theirs.start), bool)
    for gap in gaps:
        until = end if gap.until is None else gap.until
        touched |= (theirs.start < until) & (theirs.start + length > gap.since)
    missing = np.ones(len(theirs.start), bool)
    missing[there] = False
    a, b = (Bars(*(column[at] for column in of)) for of, at in ((mine, here), (theirs, there)))
    more = np.zeros(len(theirs.start), bool)
    more[there] = (b.volume > a.volume * MORE) & (b.high >= a.high) & (b.low <= a.low)
    off = (
        np.max([np.abs(x - y) for x, y in zip(a[1:5], b[1:5], strict=True)], axis=0)
        if len(both)
        else np.zeros(0)
    )
    taken = missing | touched | more
    other = (off > 0.0) & ~taken[there]
    facts.both = len(both)
    facts.missing = int((missing & ~touched).sum())
    facts.gaps = int(touched.sum())
    facts.short = int((more & ~touched).sum())
    facts.prices = int(other.sum())
    facts.largest = float(off[other].max(initial=0.0))
    facts.lacking = len(mine.start) - len(both)
    keep = ~np.isin(mine.start, theirs.start[taken])
    rows = [np.concatenate([x[keep], y[taken]]) for x, y in zip(mine, theirs, strict=True)]
    order = np.argsort(rows[0], kind="stable")
    return Bars(*(column[order] for column in rows))
