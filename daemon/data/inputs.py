"""Deposits, withdrawals and what operators do on the tape, each when the tape's time reaches it."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.data.action_rows import place_of
from daemon.data.merge import join, piece
from engine.records import Ticks


def enter(batches: Iterator[Ticks], rows: Ticks) -> Iterator[Ticks]:
    """A tape in time order with inputs in their places; rows: of kind CASH and OPERATOR, in time order.

    An input comes after the closes and the corporate actions of its time and before the prints. What lies after the
    last row of the tape is left out.
    """
    k, n_rows = 0, len(rows.price)
    for ticks in batches:
        parts, begin, n = [], 0, len(ticks.price)
        while k < n_rows and (at := place_of(ticks, int(rows.ts_event[k]))) < n:
            parts += [piece(ticks, begin, at), piece(rows, k, k + 1)]
            begin, k = at, k + 1
        yield join([*parts, piece(ticks, begin, n)]) if parts else ticks
