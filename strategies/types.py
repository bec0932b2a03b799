"""What a strategy is told, in units and currency: plain tuples with names, its own to keep.

Times are int ns UTC, prices floats in currency per unit, quantities floats in units (never lots).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

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
    stop: float | None  # of a trailing stop, where it stands now
    fees: float  # so far, in currency
    tag: int  # the owner's own mark
    submitted: int  # ns UTC
    trail: float | None = None  # the distance of a trailing stop, in currency
    trail_percent: float | None = None  # or as a share of the price
    expires: int | None = None  # ns UTC: a GTD order's; a DAY order's once its session is known
    post_only: bool = False
    reduce_only: bool = False
    parent_id: int | None = None  # the order whose fills release it, in a bracket


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


class CorporateAction(NamedTuple):
    """What happened to an instrument; positions, working orders, bars, features and cash have followed already.

    What a strategy itself remembers has not: it multiplies prices from before by `factor`, and, after a split, quantities
    by ``numerator / denominator``. A split's factor is denominator / numerator; that of a dividend D after a last
    price P is 1 - D / P, so that prices are continuous; otherwise, and before the first price, it is 1.
    """

    ts_event: int
    kind: Code  # SPLIT, DIVIDEND, SYMBOL or DELISTED
    instrument: str
    numerator: float = 1.0  # of a split: so many new units
    denominator: float = 1.0  # for so many old ones
    amount: float = 0.0  # what a unit pays, in currency: a dividend, or the end of a delisted instrument
    symbol: str | None = None  # of a change of symbol: what the instrument is called from here on
    factor: float = 1.0


class Signal(NamedTuple):
    """What an asynchronous actor has to say: a number, with bounds and further data where it has any.

    An actor gives an instrument and a value, and what else it likes; `until`, `ts` and `actor` are filled in for it.
    """

    instrument: str | None  # None: of no one instrument
    value: float
    low: float | None = None  # bounds of the value, such as a forecast's
    high: float | None = None
    until: int = 0  # how long it holds, ns UTC; 0: as long as one of the actor's bars lasts
    data: Mapping[str, Any] = MappingProxyType({})  # whatever JSON can say
    ts: int = 0  # what it is the answer to: the end of a bar; without one, when it was given
    actor: str = ""  # whose it is
