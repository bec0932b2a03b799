"""Several streams become one in time order, while no more than about a block of each is held.

At equal times come the highs and lows of bars, then closes, then corporate actions, then prints and opens; then the
order is by instrument; within a source it stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from engine.records import KIND_MASK, RowKind, Ticks

_RANK = np.full(KIND_MASK + 1, 4, np.uint8)  # of row kinds at equal times
_RANK[RowKind.SPLIT :] = 2  # all that happens to an instrument or an account itself
_RANK[[RowKind.EXTREME, RowKind.CLOSE, RowKind.PRINT]] = (0, 1, 3)


def merge(streams: Sequence[Iterator[Ticks]]) -> Iterator[Ticks]:
    """Batches in time order from streams that are, each of one instrument; where all is equal, the earlier stream first.

    The streams come in the order of their instruments. How they are cut into batches changes the batches that come
    out, not the rows.
    """
    held = [next(stream, None) for stream in streams]
    more = [ticks is not None for ticks in held]
    while any(more):
        # Rows at the horizon itself wait: others of that time may follow, some of which come first.
        horizon = min(_end(ticks) for ticks, m in zip(held, more, strict=True) if ticks and m)
        taken = []
        for i, ticks in enumerate(held):
            if ticks is None:
                continue
            n = int(np.searchsorted(ticks.ts_event, horizon))
            taken.append(piece(ticks, 0, n))
            held[i] = piece(ticks, n, len(ticks.price))
            if more[i] and _end(ticks) == horizon:
                following = next(streams[i], None)
                more[i] = following is not None
                held[i] = join([t for t in (held[i], following) if t])
        yield from _in_order(taken)
    yield from _in_order([ticks for ticks in held if ticks])


def _end(ticks: Ticks) -> int:
    return int(ticks.ts_event[-1])


def piece(ticks: Ticks, first: int, end: int) -> Ticks:
    """The rows from first to before end; nothing is copied."""
    ts = ticks.ts_event[first:end]
    return Ticks(ts, ts, *(column[first:end] for column in ticks[2:]))


def join(parts: Sequence[Ticks]) -> Ticks:
    """Batches of history (there is one at least) as one, in this order."""
    full = [part for part in parts if len(part.price)] or parts[:1]
    if len(full) == 1:
        return full[0]
    ts = np.concatenate([part.ts_event for part in full])
    return Ticks(ts, ts, *(np.concatenate(columns) for columns in list(zip(*full, strict=True))[2:]))


def _in_order(parts: Sequence[Ticks]) -> Iterator[Ticks]:
    full = [part for part in parts if len(part.price)]
    if len(full) == 1:
        yield full[0]
    elif full:
        ticks = join(full)
        order = np.lexsort((_RANK[ticks.flags & KIND_MASK], ticks.ts_event))  # stable
        ts = ticks.ts_event[order]
        yield Ticks(ts, ts, *(column[order] for column in ticks[2:]))


def cut(ticks: Ticks, batch_rows: int) -> Iterator[Ticks]:
    """A batch of history in pieces of at most batch_rows; nothing is copied."""
    n = len(ticks.price)
    if 0 < n <= batch_rows:
        yield ticks
        return
    for i in range(0, n, batch_rows):
        ts = ticks.ts_event[i : i + batch_rows]
        yield Ticks(ts, ts, *(c[i : i + batch_rows] for c in ticks[2:]))
