"""What a fill costs: slippage, fees, and what an order may cost at most."""

from __future__ import annotations

import math
from typing import Any

from engine.jit import inline, jit
from engine.ledger import NO_MONEY, amount_of, money
from engine.records import OrderType, Slippage, Trail


@inline
def trail_distance(order: Any, price: float) -> float:
    """How far from a price a trailing stop follows it."""
    return float(order.trail * price if order.trail_kind == Trail.PERCENT else order.trail)


@jit
def slipped(instrument: Any, side: int, price: float, lots: int, size: float) -> float:
    """The price with slippage against the trader, above zero in any case."""
    if instrument.slippage == Slippage.NONE:
        return price
    move_by = instrument.slippage_value * instrument.tick_size
    if instrument.slippage != Slippage.TICKS:
        bps = instrument.slippage_value
        if instrument.slippage == Slippage.SQRT_IMPACT:
            wanted = lots * instrument.lot_size
            bps *= math.sqrt(wanted / size) if size > wanted else 1.0
        move_by = price * bps * 1e-4
    return max(price + side * move_by, min(price, instrument.tick_size))


@jit
def fee_exact(instrument: Any, maker: int, notional: int, lots: int) -> float:
    """Fees of a fill before rounding and before the order's minimum, in money units."""
    bps = instrument.maker_bps if maker else instrument.taker_bps
    return notional * (bps * 1e-4) + lots * instrument.fee_per_lot


@jit
def order_fee(instrument: Any, exact: float) -> int:
    """The fees of an order in all, from the exact sum of its fills': rounded once, and at least the minimum."""
    fee = money(exact)
    if fee == NO_MONEY:
        return NO_MONEY
    return max(fee, instrument.fee_min) if instrument.fee_min > 0 else fee


@jit
def _cost(instrument: Any, order: Any, price: float, lots: int) -> int:
    """What buying the lots costs with fees, or NO_MONEY."""
    notional = money(amount_of(instrument, lots, price))
    if notional == NO_MONEY:
        return NO_MONEY
    fee = order_fee(instrument, order.fee_exact + fee_exact(instrument, 1 - order.taker, notional, lots))
    return NO_MONEY if fee == NO_MONEY else notional + fee - order.fees


@jit
def affordable(instrument: Any, order: Any, price: float, lots: int, cash: int) -> int:
    """The most of `lots` that the cash pays for, fees included; bisection, as the cost grows with the lots."""
    cost = _cost(instrument, order, price, lots)
    if cost != NO_MONEY and cost <= cash:
        return lots
    low = 0
    high = lots
    while high - low > 1:
        middle = low + (high - low) // 2
        cost = _cost(instrument, order, price, middle)
        if cost != NO_MONEY and cost <= cash:
            low = middle
        else:
            high = middle
    return low


@jit
def worst_price(order: Any, instrument: Any) -> float:
    """The highest price that a buy order is expected to pay: what the gate sets cash aside for."""
    if order.type == OrderType.LIMIT or order.type == OrderType.STOP_LIMIT:
        return float(order.limit)
    price = max(instrument.price, order.stop)  # an order without a stop has a stop of 0
    if order.type == OrderType.TRAILING_STOP:
        price = max(price, instrument.price + trail_distance(order, instrument.price))
    return slipped(instrument, order.side, price, order.lots, 0.0)


@jit
def reserve_for(order: Any, instrument: Any, lots: int) -> Any:
    """The money units that the gate sets aside for a buy order of so many lots, or NO_MONEY."""
    return _cost(instrument, order, worst_price(order, instrument), lots)
