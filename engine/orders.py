"""The life of an order: its states as a table, and the few functions that may change them.

    PENDING_NEW --> NEW --> PARTIALLY_FILLED --> FILLED
        |            |             |
        |            +-------------+--> PENDING_CANCEL --> CANCELED (or FILLED, where a fill came first)
        |            +-------------+--> CANCELED, EXPIRED
        +--> DENIED (the gate), REJECTED (the broker), CANCELED, PENDING_CANCEL, EXPIRED

An order lives in a place of the pool from its submission to its end. The live orders of an instrument form a chain in
order of submission; those that are active are in the book (engine/book.py). The first of an order's events carries the
observation on which it was decided.

A child of a bracket is PENDING_NEW until its parent's first fill; what the parent has not filled yet is `held_lots`. So at
any time, leaves = lots - cum_lots, of which held_lots cannot fill.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.book import enter_book, leave_book, refresh_triggers
from engine.costs import reserve_for, trail_distance
from engine.events import report, wake_orders
from engine.features import observe
from engine.jit import inline, jit
from engine.ledger import on_grid
from engine.records import (
    N_CODES,
    NEVER,
    NONE,
    Code,
    EventKind,
    OrderType,
    Phase,
    Side,
    State,
    Status,
    TimeInForce,
)
from engine.sessions import session_end


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


@jit
def open_order(s: State, slot_index: int, which: int) -> int:
    """Take a place of the pool for a new order on the terms at that place, not yet judged; the place.

    There must be a free one.
    """
    c = s.clock[0]
    slot = s.slots[slot_index]
    terms = s.terms[which]
    place = c.free_order
    order = s.orders[place]
    c.free_order = order.next
    c.free_orders -= 1
    order.id = c.next_order_id
    c.next_order_id += 1
    order.tag = terms.tag
    order.seq = c.seq
    order.submitted = c.now
    order.active_from = NEVER
    order.cancel_at = NEVER
    order.amend_at = NEVER
    order.expires = terms.expires
    order.lots = terms.lots
    order.cum_lots = 0
    order.held_lots = 0
    order.limit = terms.limit
    order.stop = terms.stop
    order.trail = terms.trail
    order.new_lots = 0
    order.new_limit = 0.0
    order.new_stop = 0.0
    order.notional = 0
    order.fee_exact = 0.0
    order.fees = 0
    order.reserved = 0
    order.working = 0
    order.slot = slot_index
    order.account = slot.account
    order.instrument = slot.instrument
    order.next = NONE
    order.previous = NONE
    order.arrival = 0
    order.path_from = 0.0
    order.exit = 0
    order.book = 0
    order.key = 0.0
    order.book_next = NONE
    order.book_previous = NONE
    order.book_child = NONE
    order.partner = NONE
    order.parent = NONE
    order.parent_id = 0
    order.children = NONE
    order.status = Status.PENDING_NEW
    order.side = terms.side
    order.type = terms.type
    order.tif = terms.tif
    order.trail_kind = terms.trail_kind
    order.post_only = terms.post_only
    order.reduce_only = terms.reduce_only
    order.triggered = 0
    limit = order.type == OrderType.LIMIT or order.type == OrderType.STOP_LIMIT
    now_or_never = order.tif == TimeInForce.IOC or order.tif == TimeInForce.FOK
    order.taker = 0 if limit and not now_or_never else 1
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
        # behind it the values that the model gave the actions, where it has just decided
        outputs = s.strategies[slot.strategy].outputs if c.phase == Phase.DECIDE else 0
        for k in range(slot.n_features, len(s.observation)):
            s.observations[first + k] = s.observation[k] if k < slot.n_features + outputs else np.nan
        s.events[place].observation = c.n_observations
        c.n_observations += 1


@jit
def accept_order(s: State, place: int) -> None:
    """The gate said yes, and what it may cost is in `reserved`: the broker knows it after the latency."""
    c = s.clock[0]
    order = s.orders[place]
    instrument = s.instruments[order.instrument]
    s.accounts[order.account].reserved += order.reserved
    # an order that can only reduce never adds to a position, and of a pair on one side only one can: that counts
    second = order.partner != NONE and s.orders[order.partner].side == order.side
    if not order.reduce_only and not (second and s.orders[order.partner].working > 0):
        count_working(s, order, order.lots)
    order.previous = instrument.last_order
    if instrument.last_order == NONE:
        instrument.first_order = place
    else:
        s.orders[instrument.last_order].next = place
    instrument.last_order = place
    c.live_orders += 1
    if order.reduce_only:
        s.slots[order.slot].reducing += 1
        s.accounts[order.account].reducing += 1
    if order.tif == TimeInForce.GTD:
        wake_orders(s, order.instrument, order.expires)
    if order.held_lots > 0:
        _report_first(s, order)  # its parent's fills make it active
    elif instrument.latency_ns == 0:
        rejected = not activate(s, place)
        _report_first(s, order)
        if rejected:
            close_out(s, place)
    else:
        order.active_from = c.now + instrument.latency_ns
        _report_first(s, order)
        wake_orders(s, order.instrument, order.active_from)


@inline
def count_working(s: State, order: Any, lots: Any) -> None:
    """Let so many lots of the order count as working in its slot and holding."""
    slot = s.slots[order.slot]
    holding = s.holdings[slot.holding]
    more = lots - order.working
    order.working = lots
    if order.side == Side.BUY:
        slot.working_buy += more
        holding.working_buy += more
    else:
        slot.working_sell += more
        holding.working_sell += more


@jit
def activate(s: State, place: int) -> bool:
    """The broker knows the order; false where it rejects it: the caller reports it and closes it out.

    One that its owner has asked to cancel meanwhile keeps its status.
    """
    c = s.clock[0]
    order = s.orders[place]
    instrument = s.instruments[order.instrument]
    order.active_from = NEVER
    order.path_from = instrument.price
    if order.type == OrderType.LIMIT and instrument.price > 0.0 and order.tif < TimeInForce.AT_THE_OPEN:
        # a limit that the market already meets takes liquidity
        if (order.limit - instrument.price) * order.side >= 0.0:
            order.taker = 1
            if order.post_only:
                new = order.status == Status.PENDING_NEW
                move(s, order, Status.REJECTED.value if new else Status.CANCELED.value)
                order.code = Code.POST_ONLY
                return False
    if order.status == Status.PENDING_NEW:
        move(s, order, Status.NEW)
    c.arrivals += 1
    order.arrival = c.arrivals
    if order.tif == TimeInForce.AT_THE_CLOSE:
        order.expires = session_end(s, instrument, c.now)
        wake_orders(s, order.instrument, order.expires)
    if order.type == OrderType.TRAILING_STOP:
        follow(instrument, order, instrument.price)
    enter_book(s, place, instrument.price)
    refresh_triggers(s, instrument)
    return True


@jit
def follow(instrument: Any, order: Any, price: float) -> None:
    """Let a trailing stop follow a price: on the tick grid, never against its owner, and never farther away."""
    if price <= 0.0:
        return
    ticks = (price + order.side * trail_distance(order, price)) / instrument.tick_size
    if order.side == Side.BUY:
        stop = on_grid(np.ceil(ticks - 1e-6), instrument.tick_size)
        if order.stop == 0.0 or stop < order.stop:
            order.stop = stop
    else:
        stop = on_grid(max(np.floor(ticks + 1e-6), 1.0), instrument.tick_size)
        order.stop = max(order.stop, stop)


@jit
def end_order(s: State, place: int, status: int, code: int) -> None:
    """A live order ends without a further fill: cancelled or expired. Its reserve is released."""
    order = s.orders[place]
    if move(s, order, status):
        order.code = code
        report(s, order, EventKind.ORDER)
        close_out(s, place)


@jit
def close_out(s: State, place: int) -> None:
    """Take an order that has ended and was reported out of the book, and its bracket's children with it."""
    child = s.orders[place].children
    _take_out(s, place)
    if child != NONE:
        second = s.orders[child].partner
        _orphan(s, child)
        if second != NONE:
            _orphan(s, second)


@jit
def _orphan(s: State, place: int) -> None:
    """The parent of a bracket's child has ended: what it has not released it will not release any more."""
    order = s.orders[place]
    order.parent = NONE
    if order.held_lots == 0:
        return
    if order.lots - order.held_lots > order.cum_lots:
        order.lots -= order.held_lots
        order.held_lots = 0
        report(s, order, EventKind.ORDER)
    elif move(s, order, Status.CANCELED):
        order.code = Code.PARENT
        report(s, order, EventKind.ORDER)
        _take_out(s, place)


@jit
def _take_out(s: State, place: int) -> None:
    """Take an order out of all that knows it; its record can still be read until the next is opened."""
    c = s.clock[0]
    order = s.orders[place]
    instrument = s.instruments[order.instrument]
    account = s.accounts[order.account]
    leave_book(s, place)
    if order.partner != NONE:
        partner = s.orders[order.partner]
        partner.partner = NONE
        if partner.side == order.side and partner.working < order.working and not partner.reduce_only:
            # of a pair that buys, or sells, only one counts: now the one that is left
            count_working(s, partner, order.working)
            if partner.reserved + order.reserved > 0:
                needed = reserve_for(partner, instrument, partner.lots - partner.cum_lots)
                account.reserved += needed - partner.reserved
                partner.reserved = needed
    if order.parent != NONE and s.orders[order.parent].children == place:
        s.orders[order.parent].children = order.partner
    account.reserved -= order.reserved
    order.reserved = 0
    count_working(s, order, np.int64(0))
    if order.reduce_only:
        s.slots[order.slot].reducing -= 1
        account.reducing -= 1
    if order.then_sell:
        s.strategies[s.slots[order.slot].strategy].sell_out = 1
        c.sell_out = 1
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


@inline
def is_live(order: Any) -> bool:
    """Whether the order has not ended."""
    return bool(order.status <= Status.PENDING_CANCEL)


@jit
def start_day(s: State, order: Any) -> None:
    """A DAY order lives until the end of the first session in which it could fill; this row's is that."""
    order.expires = session_end(s, s.instruments[order.instrument], s.clock[0].now)
    wake_orders(s, order.instrument, order.expires)
