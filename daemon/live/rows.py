"""Rows of the tape that the daemon enters itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.records import KIND_MASK, NONE, TICK_DTYPES, OperatorAction, RowKind, Ticks

_SPLIT, _DELISTING = int(RowKind.SPLIT), int(RowKind.DELISTING)
OURS = 0x80  # in `flags`: no row of the feed, but a timer, a command, a signal, ...


def timer(ts: int) -> Ticks:
    """A batch of one row that only moves the time to ts, ns UTC."""
    return _row(ts, 0, 0.0, 0.0, RowKind.TIMER)


def command(ts: int, portfolio: int, action: OperatorAction) -> Ticks:
    """A batch of one row that is an operator's; its reason is the payload's."""
    return _row(ts, portfolio, float(action), float(NONE), RowKind.OPERATOR)


def mark(ts_event: int, ts: int, instrument: int, price: float) -> Ticks:
    """A batch of one row that moves an instrument's mark, fills nothing and enters no bar."""
    row = (ts_event, ts, instrument, price, 0.0, RowKind.MARK | OURS)
    return Ticks(*(np.array([value], dtype) for value, dtype in zip(row, TICK_DTYPES, strict=True)))


def from_feed(ticks: Ticks) -> int:
    """How many of the rows are the feed's."""
    return int(np.count_nonzero((ticks.flags & OURS) == 0))


def actions(ticks: Ticks) -> set[tuple[int, int, int]]:
    """The corporate actions among the rows: instrument, RowKind, ts_event."""
    kinds = ticks.flags & KIND_MASK
    if kinds.max() < _SPLIT:  # of almost every frame
        return set()
    found = np.flatnonzero((kinds >= _SPLIT) & (kinds <= _DELISTING))
    return {(int(ticks.instrument[i]), int(kinds[i]), int(ticks.ts_event[i])) for i in found}


def joined(parts: Sequence[Ticks]) -> Ticks:
    """Batches one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Ticks(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _row(ts: int, instrument: int, price: float, size: float, kind: RowKind) -> Ticks:
    row = (ts, ts, instrument, price, size, kind | OURS)
    return Ticks(*(np.array([value], dtype) for value, dtype in zip(row, TICK_DTYPES, strict=True)))
