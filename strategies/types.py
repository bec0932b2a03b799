"""What a strategy is told, in units and currency: plain tuples with names, its own to keep.

Times are int ns UTC, prices floats in currency per unit, quantities floats in units (never lots).
"""

from __future__ import annotations

from typing import NamedTuple

from engine.records import Code, OrderType, RowKind, Side, Status, TimeInForce


class Bar(NamedTuple):
    """A bar that has closed; it covers [start, end)."""

    start: int
    end: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    rows: int  # rows of the tape that it is made of; 4 where it came as a bar
    instrument: str


class Tick(NamedTuple):
    """One row of the tape."""

    ts_event: int  # the venue's time
    ts_recv: int  # ours
    instrument: str
    price: float
    size: float
    kind: RowKind  # PRINT: a real trade, or a bar's open; EXTREME, CLOSE: the rest of a bar's path


class Order(NamedTuple):
    """An order as it stood at `ts_event`."""

    ts_event: int
    order_id: int
    instrument: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    status: Status
    code: Code  # why it was denied or cut, or ended otherwise than by its owner's wish
    quantity: float
    cum_qty: float  # filled so far
    leaves_qty: float  # not filled so far; 0 once it has ended
    avg_px: float  # of what was filled; 0 before the first fill, as in FIX
    limit: float | None
    stop: float | None
    fees: float  # so far, in currency
    tag: int  # the owner's own mark
    submitted: int  # ns UTC


class Fill(NamedTuple):
    """A fill of one of the strategy's orders, and how the order stood after it."""

    ts_event: int
    order_id: int
    instrument: str
    side: Side
    last_qty: float
    last_px: float
    fee: float  # of this fill, in currency
    realized: float  # profit that it realised before fees, in currency
    position: float  # of the strategy in the instrument after it, signed
    maker: bool
    status: Status
    quantity: float
    cum_qty: float
    leaves_qty: float
    avg_px: float
    tag: int
