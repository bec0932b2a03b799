"""The terms of an order as a strategy gives them, and as the engine takes them. What cannot be meant is refused here."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from operator import index
from typing import TypedDict

from engine.engine import Terms as EngineTerms
from engine.records import NEVER, OrderType, Side, TimeInForce, Trail
from strategies.errors import ContextError, iso_utc

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AUCTIONS = (TimeInForce.AT_THE_OPEN, TimeInForce.AT_THE_CLOSE)
_AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)


class Terms(TypedDict, total=False):
    """The terms of an order that may be left out; see `Context.submit`."""

    limit: float | None
    stop: float | None
    trail: float | None
    trail_percent: float | None
    tif: TimeInForce
    expires: datetime | int | None
    post_only: bool
    reduce_only: bool
    tag: int


@dataclass(frozen=True)
class OrderTerms:
    """What an order asks for; see `Context.submit`, which takes the same."""

    side: Side
    quantity: float  # positive, in units
    _: KW_ONLY
    limit: float | None = None
    stop: float | None = None
    trail: float | None = None
    trail_percent: float | None = None
    tif: TimeInForce = TimeInForce.GTC
    expires: datetime | int | None = None
    post_only: bool = False
    reduce_only: bool = False
    tag: int = 0

    @property
    def type(self) -> OrderType:
        """Which type of order these terms make."""
        if self.trail is not None or self.trail_percent is not None:
            return OrderType.TRAILING_STOP
        if self.stop is not None:
            return OrderType.STOP if self.limit is None else OrderType.STOP_LIMIT
        return OrderType.MARKET if self.limit is None else OrderType.LIMIT


def engine_terms(asked: OrderTerms, lots: int, instrument: str, now: int) -> EngineTerms:
    """The terms for the engine; lots: the quantity in whole lots, now: engine time.

    Raises ContextError where they contradict one another or a price cannot be one. Ticks, sizes and limits are the gate's.
    """
    if lots <= 0:
        raise ContextError(
            f"a quantity of {asked.quantity} {instrument}; it must be positive, the side says the rest"
        )
    type_, tif = asked.type, TimeInForce(asked.tif)
    limit, stop = price_of(asked.limit, "limit", instrument), price_of(asked.stop, "stop", instrument)
    expires = NEVER if asked.expires is None else time_of(asked.expires, now)
    if expires != NEVER:
        if tif not in (TimeInForce.GTC, TimeInForce.GTD):
            raise ContextError(f"an order is {tif.name} or has a time at which it expires, not both")
        tif = TimeInForce.GTD
    elif tif == TimeInForce.GTD:
        raise ContextError("a GTD order needs the time until which it is good: give expires")
    if type_ == OrderType.TRAILING_STOP and (limit or stop):
        raise ContextError("a trailing stop takes its stop from the price: leave out limit and stop")
    if tif in _AUCTIONS and type_ not in (OrderType.MARKET, OrderType.LIMIT):
        raise ContextError(f"an order {tif.name} is a market or a limit order: leave out stop and trail")
    if asked.post_only and (type_ != OrderType.LIMIT or tif in _AUCTIONS or tif in _AT_ONCE):
        raise ContextError(
            "a post_only order waits at its limit: give limit, no stop or trail, and GTC, DAY or GTD as tif"
        )
    trail, trail_kind = _trail(asked, instrument)
    return EngineTerms(
        Side(asked.side),
        type_,
        tif,
        lots,
        int(asked.tag),
        limit,
        stop,
        trail,
        trail_kind,
        expires,
        bool(asked.post_only),
        bool(asked.reduce_only),
    )


def price_of(price: float | None, what: str, instrument: str) -> float:
    """A price as the engine takes it: 0 where there is none. Raises ContextError for one that is not positive."""
    if price is None:
        return 0.0
    if not 0.0 < price < math.inf:
        raise ContextError(f"a {what} price of {price} for {instrument}; it must be positive")
    return float(price)


def time_of(expires: datetime | int, now: int) -> int:
    """A time to come in ns UTC. Raises ContextError for one without a zone, and one that is not later than now."""
    if isinstance(expires, datetime):
        if expires.tzinfo is None:
            raise ContextError(f"expires at {expires} of no time zone; give it one, such as tzinfo=UTC")
        ns = (expires - _EPOCH) // timedelta(microseconds=1) * 1000
    else:
        ns = index(expires)
    if not now < ns < NEVER:
        raise ContextError(f"expires at {ns} ns; it must be later than now, {iso_utc(now)}")
    return ns


def _trail(asked: OrderTerms, instrument: str) -> tuple[float, Trail]:
    amount, share = asked.trail, asked.trail_percent
    if amount is not None and share is not None:
        raise ContextError("a trailing stop has a trail or a trail_percent, not both")
    if share is not None:
        if not 0.0 < share < 1.0:
            raise ContextError(f"a trail_percent of {share} for {instrument}; it is a share: 0.05 is 5 %")
        return float(share), Trail.PERCENT
    if amount is None:
        return 0.0, Trail.AMOUNT
    if not 0.0 < amount < math.inf:
        raise ContextError(f"a trail of {amount} for {instrument}; it is a positive amount of currency")
    return float(amount), Trail.AMOUNT


def bracket_children(
    parent: OrderTerms,
    take_profit: float | None,
    stop_loss: float | None,
    stop_loss_limit: float | None,
    trail: float | None,
    trail_percent: float | None,
) -> list[OrderTerms]:
    """The one or two orders that close what the parent opens: a limit, and a stop, stop-limit or trailing stop.

    They are good till cancelled, whatever the parent is. Raises ContextError where there is none, or where one of them is
    on the wrong side of the other, or of the parent's price.
    """
    trailing = trail is not None or trail_percent is not None
    if take_profit is None and stop_loss is None and not trailing:
        raise ContextError("a bracket needs take_profit, stop_loss, trail or trail_percent, or two of them")
    if stop_loss is not None and trailing:
        raise ContextError("the stop loss of a bracket is at stop_loss or trails the price, not both")
    if stop_loss_limit is not None and stop_loss is None:
        raise ContextError("stop_loss_limit is the limit of the order at stop_loss: give that, too")
    buys = parent.side == Side.BUY
    entry = parent.stop if parent.limit is None else parent.limit
    levels = [
        (name, price)
        for name, price in (("stop_loss", stop_loss), ("entry", entry), ("take_profit", take_profit))
        if price is not None
    ]
    for (lower, low), (higher, high) in pairwise(levels):
        if not (low < high if buys else low > high):
            raise ContextError(
                f"a bracket that {'buys' if buys else 'sells'}, with {lower} at {low} and {higher} at {high}; "
                f"{higher} must be {'above' if buys else 'below'}"
            )
    side = Side.SELL if buys else Side.BUY
    children = []
    if take_profit is not None:
        children.append(OrderTerms(side, parent.quantity, limit=take_profit, tag=parent.tag))
    if stop_loss is not None or trailing:
        children.append(
            OrderTerms(
                side,
                parent.quantity,
                limit=stop_loss_limit,
                stop=stop_loss,
                trail=trail,
                trail_percent=trail_percent,
                tag=parent.tag,
            )
        )
    return children
