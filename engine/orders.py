"""The life of an order: its states as a table, and the few functions that may change them.

    PENDING_NEW --> NEW --> PARTIALLY_FILLED --> FILLED
        |            |             |
        |            +-------------+--> PENDING_CANCEL --> CANCELED (or FILLED, where a fill came first)
        |            +-------------+--> CANCELED, EXPIRED
        +--> DENIED (the gate), REJECTED (the broker), CANCELED, PENDING_CANCEL, EXPIRED

An order lives in a place of the pool from its submission to its end. The live orders of an instrument form a chain in
order of arrival. The first of its events carries the observation on which it was decided.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.features import observe
from engine.jit import inline, jit
from engine.records import (
    DAY,
    N_CODES,
    NEVER,
    NONE,
    Call,
    Code,
    EventKind,
    OrderType,
    Side,
    State,
    Status,
    TimeInForce,
    Wants,
)


def _table() -> np.ndarray[Any, Any]:
    legal = {
        Status.PENDING_NEW: (
            Status.NEW,
            Status.DENIED,
            Status.REJECTED,
            Status.PENDING_CANCEL,  # the owner may change its mind while the order is on its way
            Status.CANCELED,
            Status.EXPIRED,
        ),
        Status.NEW: (
            Status.PARTIALLY_FILLED,
            Status.FILLED,
            Status.PENDING_CANCEL,
            Status.CANCELED,
            Status.EXPIRED,
        ),
        Status.PARTIALLY_FILLED: (
            Status.PARTIALLY_FILLED,
            Status.FILLED,
            Status.PENDING_CANCEL,
            Status.CANCELED,
            Status.EXPIRED,
        ),
        Status.PENDING_CANCEL: (
            Status.PENDING_CANCEL,  # a partial fill while the cancel is on its way
            Status.FILLED,
            Status.CANCELED,
            Status.EXPIRED,
        ),
    }
    table = np.zeros((len(Status), len(Status)), np.bool_)
    for before, after in legal.items():
        table[before, list(after)] = True
    return table


TRANSITIONS = _table()  # [from, to]


@inline
def move(s: State, order: Any, status: int) -> bool:
    """Change an order's status by the table; an illegal step changes nothing but the clock's count of faults."""
    if not TRANSITIONS[order.status, status]:
        s.clock[0].faults += 1
        return False
    order.status = status
    return True


@inline
def refresh_due(s: State) -> None:
    """The engine's next moment without a row is the earliest of its parts."""
    c = s.clock[0]
    c.due = min(c.series_due, c.order_due, c.timer_due)


@inline
def _wake_orders(s: State, at: int) -> None:
    c = s.clock[0]
    c.order_due = min(c.order_due, at)
    c.due = min(c.due, at)


@jit
def report(s: State, order: Any, kind: int) -> int:
    """Write the order as it stands into the outbox and tell its owner; the event's place."""
    c = s.clock[0]
    slot = s.slots[order.slot]
    account = s.accounts[order.account]
    place = c.n_events
    e = s.events[place]
    c.n_events += 1
    e.ts = c.now
    e.seq = c.seq
    e.order_id = order.id
    e.tag = order.tag
    e.submitted = order.submitted
    e.order_seq = order.seq
    e.lots = order.lots
    e.cum_lots = order.cum_lots
    e.last_lots = 0
    e.last_px = 0.0
    e.limit = order.limit
    e.stop = order.stop
    e.notional = order.notional
    e.last_notional = 0
    e.fees = order.fees
    e.last_fee = 0
    e.realized = 0
    e.position = slot.lots
    e.cash = account.cash
    e.observation = NONE
    e.account = order.account
    e.strategy = slot.strategy
    e.instrument = order.instrument
    e.kind = kind
    e.status = order.status
    e.side = order.side
    e.type = order.type
    e.tif = order.tif
    e.code = order.code
    e.maker = 0
    wanted = Wants.FILL if kind == EventKind.FILL else Wants.ORDER
    if s.strategies[slot.strategy].wants & wanted:
        push_call(s, Call.FILL.value if kind == EventKind.FILL else Call.ORDER.value, slot.strategy, place)
    return place


@inline
def push_call(s: State, kind: int, strategy: int, index: int) -> None:
    """Queue a question to a Python actor."""
    c = s.clock[0]
    call = s.calls[c.n_calls]
    call.kind = kind
    call.strategy = strategy
    call.index = index
    c.n_calls += 1


@jit
def open_order(
    s: State, slot_index: int, side: int, type_: int, tif: int, lots: int, limit: float, stop: float, tag: int
) -> int:
    """Take a place of the pool for a new order, not yet judged; the place. There must be a free one."""
    c = s.clock[0]
    slot = s.slots[slot_index]
    place = c.free_order
    order = s.orders[place]
    c.free_order = order.next
    c.free_orders -= 1
    order.id = c.next_order_id
    c.next_order_id += 1
    order.tag = tag
    order.seq = c.seq
    order.submitted = c.now
    order.active_from = NEVER
    order.cancel_at = NEVER
    order.expires = NEVER
    order.lots = lots
    order.cum_lots = 0
    order.limit = limit
    order.stop = stop
    order.notional = 0
    order.fee_exact = 0.0
    order.fees = 0
    order.reserved = 0
    order.slot = slot_index
    order.account = slot.account
    order.instrument = slot.instrument
    order.next = NONE
    order.previous = NONE
    order.status = Status.PENDING_NEW
    order.side = side
    order.type = type_
    order.tif = tif
    order.triggered = 0
    order.taker = 1 if type_ != OrderType.LIMIT or tif == TimeInForce.IOC else 0
    order.then_sell = 0
    order.code = Code.NONE
    s.accounts[slot.account].orders += 1
    return int(place)


@jit
def _free(s: State, place: int) -> None:
    c = s.clock[0]
    s.orders[place].next = c.free_order
    c.free_order = place
    c.free_orders += 1


@jit
def deny_order(s: State, place: int, code: int) -> None:
    """The gate said no: the order ends before the broker sees it."""
    order = s.orders[place]
    if move(s, order, Status.DENIED):
        order.code = code
        s.denied[order.account * N_CODES + code] += 1
        _report_first(s, order)
        _free(s, place)


@jit
def _report_first(s: State, order: Any) -> None:
    """The first event of an order carries the observation on which it was decided."""
    c = s.clock[0]
    slot = s.slots[order.slot]
    place = report(s, order, EventKind.ORDER)
    if slot.n_features > 0:
        first = c.n_observations * len(s.observation)
        observe(s, slot, s.observations, first)
        for k in range(slot.n_features, len(s.observation)):
            s.observations[first + k] = np.nan
        s.events[place].observation = c.n_observations
        c.n_observations += 1


@jit
def accept_order(s: State, place: int) -> None:
    """The gate said yes, and what it may cost is in `reserved`: the broker knows it after the latency."""
    c = s.clock[0]
    order = s.orders[place]
    slot = s.slots[order.slot]
    holding = s.holdings[slot.holding]
    instrument = s.instruments[order.instrument]
    s.accounts[order.account].reserved += order.reserved
    if order.side == Side.BUY:
        slot.working_buy += order.lots
        holding.working_buy += order.lots
    else:
        slot.working_sell += order.lots
        holding.working_sell += order.lots
    order.previous = instrument.last_order
    if instrument.last_order == NONE:
        instrument.first_order = place
    else:
        s.orders[instrument.last_order].next = place
    instrument.last_order = place
    c.live_orders += 1
    if instrument.latency_ns == 0:
        _activate(s, order, instrument)
        low, high = triggers(order, instrument.fill_at_touch, instrument.price)
        instrument.low_trigger = max(instrument.low_trigger, low)
        instrument.high_trigger = min(instrument.high_trigger, high)
        _report_first(s, order)
    else:
        order.active_from = c.now + instrument.latency_ns
        _report_first(s, order)
        _wake_orders(s, order.active_from)


@jit
def _activate(s: State, order: Any, instrument: Any) -> None:
    """The broker knows the order; one that its owner has asked to cancel meanwhile keeps its status."""
    if order.status == Status.PENDING_NEW and not move(s, order, Status.NEW):
        return
    order.active_from = NEVER
    if order.type == OrderType.LIMIT and instrument.price > 0.0:
        # a limit that the market already meets takes liquidity
        if (order.limit - instrument.price) * order.side >= 0.0:
            order.taker = 1


@jit
def triggers(order: Any, fill_at_touch: int, price: float) -> tuple[float, float]:
    """The prices (low, high) at or below and at or above which the next row can concern an active order.

    price: the last one, or 0. Where it is beyond the order's, a path of any direction begins beyond it.
    """
    waiting_for_its_day = order.tif == TimeInForce.DAY and order.expires == NEVER
    if (
        order.type == OrderType.MARKET
        or order.triggered
        or order.tif == TimeInForce.IOC
        or waiting_for_its_day
    ):
        return np.inf, 0.0
    if order.type == OrderType.STOP:
        if price > 0.0 and (price - order.stop) * order.side >= 0.0:
            return np.inf, 0.0
        return (0.0, order.stop) if order.side == Side.BUY else (order.stop, np.inf)
    beyond = (order.limit - price) * order.side
    if price > 0.0 and (beyond > 0.0 or (beyond == 0.0 and fill_at_touch)):
        return np.inf, 0.0
    if fill_at_touch:
        return (order.limit, np.inf) if order.side == Side.BUY else (0.0, order.limit)
    # beyond the limit: the next smaller or larger float
    if order.side == Side.BUY:
        return np.nextafter(order.limit, 0.0), np.inf
    return 0.0, np.nextafter(order.limit, np.inf)


@jit
def refresh_triggers(s: State, instrument: Any, price: float) -> None:
    """Find the nearest prices at which a row can concern one of the instrument's orders; price: the last one."""
    low = 0.0
    high = np.inf
    place = instrument.first_order
    while place != NONE:
        order = s.orders[place]
        if order.active_from == NEVER:
            order_low, order_high = triggers(order, instrument.fill_at_touch, price)
            low = max(low, order_low)
            high = min(high, order_high)
        place = order.next
    instrument.low_trigger = low
    instrument.high_trigger = high


@jit
def end_order(s: State, place: int, status: int, code: int) -> None:
    """A live order ends without a further fill: cancelled or expired. Its reserve is released."""
    order = s.orders[place]
    if move(s, order, status):
        order.code = code
        close_out(s, place)
        report(s, order, EventKind.ORDER)


@jit
def close_out(s: State, place: int) -> None:
    """Take an order that has ended out of the book; its record can still be reported until the next is opened."""
    c = s.clock[0]
    order = s.orders[place]
    slot = s.slots[order.slot]
    holding = s.holdings[slot.holding]
    instrument = s.instruments[order.instrument]
    s.accounts[order.account].reserved -= order.reserved
    order.reserved = 0
    if order.then_sell:
        s.accounts[order.account].sell_out = 1
        c.sell_out = 1
    leaves = order.lots - order.cum_lots
    if order.side == Side.BUY:
        slot.working_buy -= leaves
        holding.working_buy -= leaves
    else:
        slot.working_sell -= leaves
        holding.working_sell -= leaves
    if order.previous == NONE:
        instrument.first_order = order.next
    else:
        s.orders[order.previous].next = order.next
    if order.next == NONE:
        instrument.last_order = order.previous
    else:
        s.orders[order.next].previous = order.previous
    c.live_orders -= 1
    _free(s, place)


@jit
def find_order(s: State, order_id: int) -> int:
    """The place of a live order, or NONE."""
    for k in range(len(s.instruments)):
        place = s.instruments[k].first_order
        while place != NONE:
            if s.orders[place].id == order_id:
                return int(place)
            place = s.orders[place].next
    return NONE


@jit
def cancel_order(s: State, place: int, code: int) -> bool:
    """Ask the broker to cancel a live order: at once, or after the latency; false where one is on its way already."""
    c = s.clock[0]
    order = s.orders[place]
    if order.status == Status.PENDING_CANCEL:
        return False
    instrument = s.instruments[order.instrument]
    if instrument.latency_ns == 0:
        end_order(s, place, Status.CANCELED.value, code)
        refresh_triggers(s, instrument, instrument.price)
        return True
    if not move(s, order, Status.PENDING_CANCEL):
        return False
    order.code = code
    order.cancel_at = c.now + instrument.latency_ns
    report(s, order, EventKind.ORDER)
    _wake_orders(s, order.cancel_at)
    return True


@jit
def cancel_side(s: State, slot_index: int, side: int) -> None:
    """Cancel the slot's working orders of that side."""
    place = s.instruments[s.slots[slot_index].instrument].first_order
    while place != NONE:
        following = s.orders[place].next
        if s.orders[place].slot == slot_index and s.orders[place].side == side:
            cancel_order(s, place, Code.NONE.value)
        place = following


@jit
def cancel_account(s: State, account_index: int, code: int, then_sell: Any) -> None:
    """Cancel all working orders of an account; then_sell=1: what they leave unsold when they have ended is sold."""
    account = s.accounts[account_index]
    for h in range(account.first_holding, account.first_holding + account.n_holdings):
        place = s.instruments[s.holdings[h].instrument].first_order
        while place != NONE:
            following = s.orders[place].next
            if s.orders[place].account == account_index:
                s.orders[place].then_sell = max(s.orders[place].then_sell, then_sell)
                cancel_order(s, place, code)
            place = following


@inline
def day_end(ts: int, offset: int) -> int:
    """The end of the instrument's trading day that holds ts."""
    return int((ts - offset) // DAY * DAY + DAY + offset)


@jit
def start_day(s: State, order: Any) -> None:
    """A DAY order lives until the end of the first day on which it could fill; this row's day is that."""
    order.expires = day_end(s.clock[0].now, s.instruments[order.instrument].day_offset)
    _wake_orders(s, order.expires)


@jit
def run_orders_due(s: State) -> None:
    """Do what is due on orders at the engine's time: in order of instrument, then of arrival."""
    c = s.clock[0]
    due = NEVER
    for k in range(len(s.instruments)):
        instrument = s.instruments[k]
        place = instrument.first_order
        if place == NONE:
            continue
        while place != NONE:
            order = s.orders[place]
            following = order.next
            if order.expires <= c.now:
                end_order(s, place, Status.EXPIRED.value, Code.NONE.value)
            elif order.cancel_at <= c.now:
                end_order(s, place, Status.CANCELED.value, order.code)
            else:
                if order.active_from <= c.now:
                    _activate(s, order, instrument)
                    if order.status == Status.NEW:
                        report(s, order, EventKind.ORDER)
                due = min(due, order.active_from, order.cancel_at, order.expires)
            place = following
        refresh_triggers(s, instrument, instrument.price)
    c.order_due = due
