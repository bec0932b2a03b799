"""Which resting orders a row fills, at what price, and how much of them. docs/fills.md is this file in words.

Orders are looked at in order of arrival. A row is a print, whose price may have jumped, or a step of a bar's path
(extreme or close), reached continuously from the row before. Not modelled: the queue at a limit, the effect of our
orders on the prices that follow.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.book import bring_near, is_limit, is_stop, near_after, send_off
from engine.costs import affordable, fee_exact, order_fee, slipped
from engine.events import report
from engine.groups import after_fill, look_at_rivals
from engine.jit import inline, jit
from engine.ledger import NO_MONEY, ROOM, amount_of, book_fill, money
from engine.orders import close_out, count_working, end_order, follow, is_live, move, start_day
from engine.records import (
    NEVER,
    NONE,
    Code,
    EventKind,
    OrderType,
    RowKind,
    Side,
    State,
    Status,
    TimeInForce,
)
from engine.sessions import session_end, session_start

_MOST_LOTS = 2**53  # float64 holds each whole number up to here


@inline
def _stop_met(order: Any, previous: float, price: float, jumped: bool) -> float:
    """The price at which the row triggers a stop, or 0."""
    side = order.side  # prices times side: a higher one is worse for the owner
    if order.stop <= 0.0:
        return 0.0  # a trailing stop that has not seen a price
    if not jumped and (previous - order.stop) * side >= 0.0:
        return previous  # the path begins beyond the stop
    if (price - order.stop) * side < 0.0:
        return 0.0
    return price if jumped else float(order.stop)


@inline
def _limit_met(order: Any, previous: float, price: float, jumped: bool, fill_at_touch: int) -> float:
    """The price at which the row meets a limit, or 0."""
    inside = (order.limit - price) * order.side  # how far it goes beyond the limit, to the owner's advantage
    if jumped:
        return price if inside > 0.0 or (inside == 0.0 and fill_at_touch) else 0.0
    began = (order.limit - previous) * order.side
    if began > 0.0 or (began == 0.0 and fill_at_touch):
        return previous  # the path begins beyond the limit
    return float(order.limit) if inside > 0.0 or (inside == 0.0 and fill_at_touch) else 0.0


@jit
def met_price(order: Any, previous: float, price: float, kind: int, fill_at_touch: int) -> float:
    """The price at which the row meets the order, before slippage, or 0 where it does not; may trigger its stop.

    previous: the price before this row (0: none), from which a path row was reached continuously.
    """
    jumped = kind == RowKind.PRINT or previous <= 0.0
    if is_stop(order):
        met = _stop_met(order, previous, price, jumped)
        if met == 0.0:
            return 0.0
        order.triggered = 1
        if order.type != OrderType.STOP_LIMIT:
            return met
        if (order.limit - met) * order.side >= 0.0:
            order.taker = 1  # it takes what trades where it is triggered
            return met
        return 0.0 if jumped else _limit_met(order, met, price, False, fill_at_touch)
    if is_limit(order):
        return _limit_met(order, previous, price, jumped, fill_at_touch)
    return 0.0 if kind == RowKind.EXTREME else price


@jit
def _room_in_row(s: State, instrument: Any, account: int, size: float) -> Any:
    """How many lots the account may still take from this row."""
    share = min(instrument.participation * size / instrument.lot_size, 9e15)
    # a share that is a whole number of lots but for float noise is that number
    return max(np.int64(math.floor(share * (1.0 + 1e-12))) - s.taken[account], 0)


@jit
def _fill(s: State, place: int, price: float, lots: int, kind: int) -> None:
    order = s.orders[place]
    instrument = s.instruments[order.instrument]
    account = s.accounts[order.account]
    slot = s.slots[order.slot]
    maker = 1 - order.taker
    notional = money(amount_of(instrument, lots, price))
    if notional == NO_MONEY:
        end_order(s, place, Status.CANCELED.value, Code.OVERFLOW.value)
        return
    exact = order.fee_exact + fee_exact(instrument, maker, notional, lots)
    fees = order_fee(instrument, exact)
    full = max(abs(account.cash), abs(slot.cost), abs(account.realized)) > ROOM
    if fees == NO_MONEY or full or abs(slot.lots + order.side * lots) > _MOST_LOTS:
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
    count_working(s, order, max(order.working - lots, np.int64(0)))
    realized = book_fill(s, slot, order.side, lots, notional, fee)
    e = s.events[report(s, order, EventKind.FILL)]
    e.last_lots = lots
    e.last_px = price
    e.last_notional = notional
    e.last_fee = fee
    e.realized = realized
    e.maker = maker
    if order.partner != NONE or order.children != NONE or slot.reducing > 0:
        after_fill(s, place, lots, kind)
    if status == Status.FILLED:
        close_out(s, place)


@jit
def trade(s: State, place: int, met: float, most: int, size: float, kind: int) -> None:
    """Fill as much of an order as may be at the price that it met: at most so many lots of a row of that size.

    A cash account pays for what it buys, a reduce-only order only reduces, a fill-or-kill order takes all or nothing.
    """
    order = s.orders[place]
    instrument = s.instruments[order.instrument]
    account = s.accounts[order.account]
    slot = s.slots[order.slot]
    leaves = order.lots - order.cum_lots - order.held_lots
    lots = min(leaves, most)
    wanted = lots
    # a cash account sells what the strategy has; what passed the gate as an exit remains one
    if order.reduce_only or order.exit == 2 or (account.leverage == 0.0 and order.side == Side.SELL):
        lots = min(lots, max(-slot.lots * order.side, np.int64(0)))
    elif order.exit == 1:
        lots = min(lots, max(-s.holdings[slot.holding].lots * order.side, np.int64(0)))
    short_of_lots = lots < wanted and not order.reduce_only
    paid = met
    if not is_limit(order):
        paid = slipped(instrument, order.side, met, lots, size)
    short_of_cash = False
    if order.side == Side.BUY and lots > 0 and account.leverage == 0.0:
        payable = affordable(instrument, order, paid, lots, account.cash)
        short_of_cash = payable < lots
        lots = payable
    if order.tif == TimeInForce.FOK and lots < leaves:
        return
    if lots > 0:
        s.taken[order.account] += lots
        _fill(s, place, paid, lots, kind)
    if short_of_cash and is_live(order):
        end_order(s, place, Status.CANCELED.value, Code.CASH.value)
    elif short_of_lots and is_live(order):  # what it was to close is gone
        end_order(s, place, Status.CANCELED.value, Code.SHORT.value)


@inline
def _opens(s: State, instrument: Any, kind: int) -> bool:
    """Whether this row is the first print of a session."""
    if kind != RowKind.PRINT:
        return False
    start = session_start(s, instrument, s.clock[0].now)
    return bool(start != NEVER and instrument.ts < start)


@jit
def _match_order(s: State, place: int, previous: float, price: float, size: float, kind: int) -> None:
    order = s.orders[place]
    instrument = s.instruments[order.instrument]
    if order.tif == TimeInForce.DAY and order.expires == NEVER:
        start_day(s, order)
    opens = False
    if order.tif == TimeInForce.AT_THE_OPEN:
        opens = _opens(s, instrument, kind)
        if not opens:
            return
    met = met_price(order, previous, price, kind, instrument.fill_at_touch)
    if met > 0.0:
        most = order.lots
        if instrument.participation > 0.0:
            most = min(most, _room_in_row(s, instrument, order.account, size))
        instrument.price = met  # what this fill releases is worked from here on
        trade(s, place, met, most, size, kind)
    if not is_live(order):
        return
    if order.type == OrderType.STOP_LIMIT and order.triggered and order.tif < TimeInForce.IOC:
        order.taker = 0  # from here on it rests
    if order.type == OrderType.TRAILING_STOP and not order.triggered:
        follow(instrument, order, price)
    if opens:
        end_order(s, place, Status.EXPIRED.value, Code.AUCTION.value)
    elif order.tif == TimeInForce.IOC or order.tif == TimeInForce.FOK:
        waits = kind == RowKind.EXTREME if order.type == OrderType.MARKET else is_stop(order)
        if not waits:
            code = Code.IOC_REST.value if order.tif == TimeInForce.IOC else Code.FOK.value
            end_order(s, place, Status.CANCELED.value, code)


@jit
def match_row(s: State, k: int, price: float, size: float, kind: int) -> None:
    """Match the resting orders of instrument k against a row, in order of arrival.

    A step of a path that fills a bracket's parent goes on from there: what is left of it meets the children.
    """
    c = s.clock[0]
    instrument = s.instruments[k]
    previous = instrument.traded
    newest = c.arrivals
    if instrument.rivals > 0:
        look_at_rivals(s, k, price, kind)
    if instrument.participation > 0.0:
        for a in range(len(s.taken)):
            s.taken[a] = 0
    bring_near(s, instrument, price)
    place = instrument.near
    while place != NONE:
        order = s.orders[place]
        arrival = order.arrival
        if arrival <= newest:
            _match_order(s, place, previous, price, size, kind)
        elif kind == RowKind.PRINT:
            break  # a print is over when it has filled the parent
        else:
            _match_order(s, place, order.path_from, price, size, kind)
        if c.arrivals > newest:
            bring_near(s, instrument, price)
        place = near_after(s, instrument, place, arrival)
    instrument.price = instrument.traded = price
    instrument.ts = c.now
    send_off(s, instrument, price)


@jit
def fill_at_close(s: State, place: int) -> None:
    """The session of a market-on-close or limit-on-close order ends: its last price fills it, or it expires.

    Where the session had no row after the order came, it waits for the end of the next: an order does not fill at a price
    that was there when it was decided. The close is an auction: participation is no bound.
    """
    c = s.clock[0]
    order = s.orders[place]
    instrument = s.instruments[order.instrument]
    start = session_start(s, instrument, order.expires - 1)
    arrived = order.submitted + instrument.latency_ns
    if start == NEVER or instrument.ts < start or instrument.ts <= arrived:
        order.expires = session_end(s, instrument, c.now)
        return
    price = instrument.traded
    inside = (order.limit - price) * order.side
    if order.type == OrderType.MARKET or inside > 0.0 or (inside == 0.0 and instrument.fill_at_touch):
        trade(s, place, price, order.lots, 0.0, RowKind.TIMER.value)
    if is_live(order):
        end_order(s, place, Status.EXPIRED.value, Code.AUCTION.value)
