"""Which resting orders a row fills, at what price, and how much of them. docs/fills.md is this file in words.

Orders are looked at in order of arrival. A row is a print, whose price may have jumped, or a step of a bar's path
(extreme or close), reached continuously from the row before. Not modelled: the queue at a limit, the effect of our
orders on the prices that follow.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.jit import jit
from engine.ledger import NO_MONEY, book_fill, money
from engine.orders import close_out, end_order, move, refresh_triggers, report, start_day
from engine.records import (
    NEVER,
    NONE,
    Code,
    EventKind,
    OrderType,
    RowKind,
    Side,
    Slippage,
    State,
    Status,
    TimeInForce,
)


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
def met_price(order: Any, previous: float, price: float, kind: int, fill_at_touch: int) -> float:
    """The price at which the row meets the order, before slippage, or 0 where it does not. Changes nothing.

    previous: the price before this row (0: none), from which a path row was reached continuously.
    """
    jumped = kind == RowKind.PRINT or previous <= 0.0
    side = order.side  # prices times side: a higher one is worse for the owner
    if order.type == OrderType.MARKET or order.triggered:
        return 0.0 if kind == RowKind.EXTREME else price
    if order.type == OrderType.STOP:
        if jumped:
            return price if (price - order.stop) * side >= 0.0 else 0.0
        if (previous - order.stop) * side >= 0.0:
            return previous  # the path begins beyond the stop
        return order.stop if (price - order.stop) * side >= 0.0 else 0.0
    inside = (order.limit - price) * side  # how far the row goes beyond the limit, to the owner's advantage
    if jumped:
        return price if inside > 0.0 or (inside == 0.0 and fill_at_touch) else 0.0
    began = (order.limit - previous) * side
    if began > 0.0 or (began == 0.0 and fill_at_touch):
        return previous  # the path begins beyond the limit
    return order.limit if inside > 0.0 or (inside == 0.0 and fill_at_touch) else 0.0


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
    notional = money(price * (lots * instrument.money_per_lot))
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
def _room_in_row(s: State, instrument: Any, account: int, size: float) -> Any:
    """How many lots the account may still take from this row."""
    share = min(instrument.participation * size / instrument.lot_size, 9e15)
    # a share that is a whole number of lots but for float noise is that number
    return max(np.int64(math.floor(share * (1.0 + 1e-12))) - s.taken[account], 0)


@jit
def _fill(s: State, place: int, price: float, lots: int) -> None:
    order = s.orders[place]
    instrument = s.instruments[order.instrument]
    account = s.accounts[order.account]
    slot = s.slots[order.slot]
    holding = s.holdings[slot.holding]
    maker = 1 - order.taker
    notional = money(price * (lots * instrument.money_per_lot))
    if notional == NO_MONEY:
        end_order(s, place, Status.CANCELED.value, Code.OVERFLOW.value)
        return
    exact = order.fee_exact + fee_exact(instrument, maker, notional, lots)
    fees = order_fee(instrument, exact)
    if fees == NO_MONEY:
        end_order(s, place, Status.CANCELED.value, Code.OVERFLOW.value)
        return
    status = Status.PARTIALLY_FILLED
    if order.cum_lots + lots == order.lots:
        status = Status.FILLED
    elif order.status == Status.PENDING_CANCEL:
        status = Status.PENDING_CANCEL
    if not move(s, order, status):
        return
    fee = fees - order.fees
    order.fee_exact = exact
    order.fees = fees
    leaves = order.lots - order.cum_lots
    released = order.reserved if lots == leaves else order.reserved // leaves * lots
    order.reserved -= released
    account.reserved -= released
    order.cum_lots += lots
    order.notional += notional
    if order.side == Side.BUY:
        slot.working_buy -= lots
        holding.working_buy -= lots
    else:
        slot.working_sell -= lots
        holding.working_sell -= lots
    realized = book_fill(s, slot, order.side, lots, notional, fee)
    if status == Status.FILLED:
        close_out(s, place)
    e = s.events[report(s, order, EventKind.FILL)]
    e.last_lots = lots
    e.last_px = price
    e.last_notional = notional
    e.last_fee = fee
    e.realized = realized
    e.maker = maker


@jit
def _match_order(s: State, place: int, previous: float, price: float, size: float, kind: int) -> None:
    order = s.orders[place]
    instrument = s.instruments[order.instrument]
    if order.tif == TimeInForce.DAY and order.expires == NEVER:
        start_day(s, order)
    met = met_price(order, previous, price, kind, instrument.fill_at_touch)
    if met > 0.0:
        if order.type == OrderType.STOP:
            order.triggered = 1
        lots = order.lots - order.cum_lots
        if instrument.participation > 0.0:
            lots = min(lots, _room_in_row(s, instrument, order.account, size))
        paid = met
        if order.type != OrderType.LIMIT:
            paid = slipped(instrument, order.side, met, lots, size)
        short_of_cash = False
        if order.side == Side.BUY and lots > 0:
            payable = affordable(instrument, order, paid, lots, s.accounts[order.account].cash)
            short_of_cash = payable < lots
            lots = payable
        if lots > 0:
            s.taken[order.account] += lots
            _fill(s, place, paid, lots)
        if short_of_cash and order.status <= Status.PENDING_CANCEL:
            end_order(s, place, Status.CANCELED.value, Code.CASH.value)
    if order.tif == TimeInForce.IOC and order.status <= Status.PENDING_CANCEL:
        waits = kind == RowKind.EXTREME if order.type == OrderType.MARKET else False
        if order.type == OrderType.STOP:
            waits = order.triggered == 0
        if not waits:
            end_order(s, place, Status.CANCELED.value, Code.IOC_REST.value)


@jit
def match_row(s: State, k: int, price: float, size: float, kind: int) -> None:
    """Match the resting orders of instrument k against a row, in order of arrival."""
    instrument = s.instruments[k]
    previous = instrument.price
    if instrument.participation > 0.0:
        for a in range(len(s.taken)):
            s.taken[a] = 0
    place = instrument.first_order
    while place != NONE:
        order = s.orders[place]
        following = order.next
        if order.active_from == NEVER:
            _match_order(s, place, previous, price, size, kind)
        place = following
    refresh_triggers(s, instrument, price)


@jit
def worst_price(order: Any, instrument: Any) -> float:
    """The highest price that a buy order is expected to pay: what the gate sets cash aside for."""
    if order.type == OrderType.LIMIT:
        return float(order.limit)
    price = max(instrument.price, order.stop) if order.type == OrderType.STOP else instrument.price
    return slipped(instrument, order.side, price, order.lots, 0.0)


@jit
def reserve_for(order: Any, instrument: Any, lots: int) -> Any:
    """The money units that the gate sets aside for a buy order of so many lots, or NO_MONEY."""
    return _cost(instrument, order, worst_price(order, instrument), lots)
