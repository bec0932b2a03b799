"""Orders that hang together: pairs of which one cancels the other, and brackets.

A *pair* (one cancels the other) trades its quantity once: what one fills, the other loses. A *bracket* is a parent and
one or two reduce-only children on the other side, a pair if there are two: each fill of the parent releases as much of
the children. Reduce-only orders end when there is nothing left to reduce.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.book import NOWHERE, enter_book, is_limit, leave_book
from engine.cancel import after, id_of
from engine.events import report
from engine.jit import jit
from engine.orders import activate, close_out, count_working, end_order, is_live
from engine.records import NONE, Code, EventKind, RowKind, State, Status


@jit
def after_fill(s: State, place: int, lots: int, kind: int) -> None:
    """What a fill does to the orders that hang on the one filled; before that one is closed out, if it has ended.

    kind: of the row that filled it, or TIMER where none did.
    """
    order = s.orders[place]
    slot = s.slots[order.slot]
    if order.partner != NONE:
        if order.parent_id != 0 and order.status == Status.FILLED:
            _watch_rival(s, order, kind)
        reduce_order(s, order.partner, lots)
    child = order.children
    if child != NONE:
        second = s.orders[child].partner
        _release(s, child, lots)
        if second != NONE:
            _release(s, second, lots)
    if slot.reducing > 0:
        trim_reducing(s, order.slot)


@jit
def reduce_order(s: State, place: int, lots: int) -> None:
    """The partner of an order loses what that one filled, and ends where nothing is left."""
    order = s.orders[place]
    leaves = order.lots - order.cum_lots
    less = min(lots, leaves)
    released = order.reserved if less == leaves else order.reserved // leaves * less
    order.reserved -= released
    s.accounts[order.account].reserved -= released
    count_working(s, order, max(order.working - less, np.int64(0)))
    if less == leaves:
        end_order(s, place, Status.CANCELED.value, Code.OCO.value)
    else:
        order.lots -= less
        report(s, order, EventKind.ORDER)


@jit
def _release(s: State, place: int, lots: int) -> None:
    """A bracket's child may fill so many lots more; with the first of them the broker works it."""
    order = s.orders[place]
    order.held_lots -= lots
    if order.status == Status.PENDING_NEW:
        accepted = activate(s, place)
        report(s, order, EventKind.ORDER)
        if not accepted:
            close_out(s, place)
    elif order.book != NOWHERE:  # more of it stands at the end of the queue, and is worked from here on
        c = s.clock[0]
        instrument = s.instruments[order.instrument]
        leave_book(s, place)
        c.arrivals += 1
        order.arrival = c.arrivals
        order.path_from = instrument.price
        enter_book(s, place, instrument.price)


@jit
def trim_reducing(s: State, slot_index: int) -> None:
    """End the slot's reduce-only orders that have nothing to reduce; what a parent may yet release stays."""
    slot = s.slots[slot_index]
    instrument = s.instruments[slot.instrument]
    place = instrument.first_order
    while place != NONE:
        order = s.orders[place]
        order_id = order.id
        following = order.next
        following_id = id_of(s, following)
        if order.slot == slot_index and order.reduce_only and is_live(order) and slot.lots * order.side >= 0:
            if order.held_lots == 0:
                end_order(s, place, Status.CANCELED.value, Code.REDUCE_ONLY.value)
            elif order.lots - order.cum_lots > order.held_lots:
                order.lots = order.cum_lots + order.held_lots
                report(s, order, EventKind.ORDER)
        place = after(s, instrument, following, following_id, order_id)


@jit
def _watch_rival(s: State, order: Any, kind: int) -> None:
    """One side of a bracket was filled: see whether the rest of the bar would have filled the other, too."""
    instrument = s.instruments[order.instrument]
    slot = s.slots[order.slot]
    account = s.accounts[order.account]
    partner = s.orders[order.partner]
    account.brackets += 1
    if kind == RowKind.CLOSE or kind == RowKind.TIMER:
        return  # nothing of the bar is left
    if slot.rival_side == 0:
        instrument.rivals += 1
    limit = is_limit(partner)
    slot.rival = partner.limit if limit else partner.stop
    slot.rival_side = -partner.side if limit else partner.side


@jit
def look_at_rivals(s: State, k: int, price: float, kind: int) -> None:
    """Count the brackets of which this row, of the same bar, would have filled the other side."""
    instrument = s.instruments[k]
    for i in range(len(s.slots)):
        slot = s.slots[i]
        if slot.instrument == k and slot.rival_side != 0:
            reached = kind != RowKind.PRINT and (price - slot.rival) * slot.rival_side >= 0.0
            if reached:
                s.accounts[slot.account].both_sides += 1
            if reached or kind == RowKind.PRINT or kind == RowKind.CLOSE:
                slot.rival_side = 0
                slot.rival = 0.0
                instrument.rivals -= 1


@jit
def link_pair(s: State, first: int, second: int) -> None:
    """Make two orders of one quantity a pair; before they are accepted."""
    s.orders[first].partner = second
    s.orders[second].partner = first


@jit
def link_child(s: State, parent: int, child: int) -> None:
    """Let the parent's fills release the child, all of which is held; before it is accepted."""
    order = s.orders[child]
    order.parent = parent
    order.parent_id = s.orders[parent].id
    if s.orders[parent].children == NONE:
        s.orders[parent].children = child
