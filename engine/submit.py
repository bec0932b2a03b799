"""Orders on their way to the broker: single ones, pairs, brackets, and new terms of old ones; all pass the gate.

This is the one way to the broker, for strategies and operators alike. The terms come from `State.terms`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.book import is_stop
from engine.due import take_terms
from engine.events import report, wake_orders
from engine.groups import link_child, link_pair
from engine.jit import inline, jit
from engine.orders import accept_order, deny_order, is_live, open_order
from engine.records import (
    N_CODES,
    NEVER,
    NONE,
    Code,
    EventKind,
    OrderType,
    Side,
    State,
    Status,
    TimeInForce,
)
from engine.risk import count_order, judge, well_formed


@jit
def submit(s: State, slot_index: int) -> int:
    """Put an order on the first terms before the gate, and before the broker if it passes; the order's id.

    What became of it is in the events.
    """
    place = open_order(s, slot_index, 0)
    order_id = s.orders[place].id  # kept: a denied order's place is free again
    code = judge(s, s.orders[place], np.int64(0))
    if code == Code.NONE:
        count_order(s, s.accounts[s.orders[place].account])
        accept_order(s, place)
    else:
        deny_order(s, place, code)
    return int(order_id)


@jit
def submit_pair(s: State, slot_index: int) -> int:
    """Put two orders of one quantity before the gate of which one cancels the other; the first's id, the second's is next.

    Both pass, or both are denied.
    """
    first = open_order(s, slot_index, 0)
    second = open_order(s, slot_index, 1)
    one = s.orders[first]
    other = s.orders[second]
    first_id = one.id
    code = judge(s, one, np.int64(0))
    other_code = judge(s, other, np.int64(0))
    while code == Code.NONE and other_code == Code.NONE and one.lots != other.lots:
        # of an order that hedges, a smaller size may not pass where a larger one did: judged anew
        lots = min(one.lots, other.lots)
        one.lots = lots
        other.lots = lots
        code = judge(s, one, np.int64(0))
        other_code = judge(s, other, np.int64(0))
    if code == Code.NONE and other_code == Code.NONE:
        account = s.accounts[one.account]
        count_order(s, account)
        count_order(s, account)
        accept_order(s, first)
        if is_live(one):  # the broker may have rejected it
            link_pair(s, first, second)
            if one.side == other.side:
                other.reserved = max(other.reserved - one.reserved, np.int64(0))
        accept_order(s, second)
        return int(first_id)
    deny_order(s, first, Code.GROUP.value if code == Code.NONE else code)
    deny_order(s, second, Code.GROUP.value if other_code == Code.NONE else other_code)
    return int(first_id)


@jit
def submit_bracket(s: State, slot_index: int, children: int) -> int:
    """Put a parent and its one or two children before the gate; the parent's id, the children's follow.

    A child takes its side and its quantity from the parent. All pass, or all are denied.
    """
    parent = open_order(s, slot_index, 0)
    order = s.orders[parent]
    parent_id = order.id
    first = open_order(s, slot_index, 1)
    second = open_order(s, slot_index, 2) if children > 1 else NONE
    code = judge(s, order, np.int64(0))
    first_code = _judge_child(s, order, first)
    second_code = Code.NONE.value
    if second != NONE:
        second_code = _judge_child(s, order, second)
    passed = code == Code.NONE and first_code == Code.NONE and second_code == Code.NONE
    if passed:
        count_order(s, s.accounts[order.account])
        accept_order(s, parent)
        passed = is_live(order)
    else:
        deny_order(s, parent, Code.GROUP.value if code == Code.NONE else code)
    if not passed:
        deny_order(s, first, Code.GROUP.value if first_code == Code.NONE else first_code)
        if second != NONE:
            deny_order(s, second, Code.GROUP.value if second_code == Code.NONE else second_code)
        return int(parent_id)
    link_child(s, parent, first)
    accept_order(s, first)
    if second != NONE:
        link_child(s, parent, second)
        link_pair(s, first, second)
        accept_order(s, second)
    return int(parent_id)


@jit
def _judge_child(s: State, parent: Any, place: int) -> int:
    """Make an order the child of a bracket, which can only reduce what its parent buys or sells, and see if it makes sense."""
    order = s.orders[place]
    order.side = -parent.side
    order.lots = parent.lots
    order.held_lots = parent.lots
    order.reduce_only = 1
    lasts = order.tif == TimeInForce.GTC or order.tif == TimeInForce.DAY or order.tif == TimeInForce.GTD
    resting = order.type != OrderType.MARKET and lasts
    good = well_formed(s, order, s.instruments[order.instrument])
    return Code.NONE.value if resting and good else Code.INSTRUMENT.value


@jit
def submit_market(s: State, slot_index: int, side: int, lots: int) -> int:
    """Put a plain market order before the gate; its id."""
    _market_terms(s, side, lots)
    return submit(s, slot_index)


@jit
def submit_exit(s: State, slot_index: int, side: int, lots: int, code: int) -> bool:
    """Put a market order that closes a position before the gate; it carries the code of who wants that. Whether it passed."""
    _market_terms(s, side, lots)
    place = open_order(s, slot_index, 0)
    order = s.orders[place]
    verdict = judge(s, order, np.int64(1))
    if verdict == Code.NONE:
        order.code = max(order.code, code)
        count_order(s, s.accounts[order.account])
        accept_order(s, place)
        return True
    deny_order(s, place, verdict)
    return False


@inline
def _market_terms(s: State, side: int, lots: int) -> None:
    terms = s.terms[0]
    terms.side = side
    terms.type = OrderType.MARKET
    terms.tif = TimeInForce.GTC
    terms.lots = lots
    terms.tag = 0
    terms.limit = 0.0
    terms.stop = 0.0
    terms.trail = 0.0
    terms.trail_kind = 0
    terms.expires = NEVER
    terms.post_only = 0
    terms.reduce_only = 0


@jit
def amend_order(s: State, place: int) -> int:
    """Put new lots, limit and stop of a live order before the gate; NONE, or why not.

    They stand in the first terms, 0 where the order keeps its own. The order keeps all of them until the broker takes
    the new ones, after the latency; until then the larger of the two counts. What is denied changes nothing; the event
    with the code tells.
    """
    c = s.clock[0]
    order = s.orders[place]
    terms = s.terms[0]
    instrument = s.instruments[order.instrument]
    account = s.accounts[order.account]
    slot = s.slots[order.slot]
    linked = order.partner != NONE or order.parent_id != 0 or order.children != NONE
    if order.status == Status.PENDING_CANCEL or order.amend_at != NEVER or (linked and terms.lots != 0):
        return _refuse_amend(s, place, Code.GROUP.value)  # something is on its way, or its group decides
    has_limit = order.type == OrderType.LIMIT or order.type == OrderType.STOP_LIMIT
    has_stop = is_stop(order) and order.type != OrderType.TRAILING_STOP
    if (
        (terms.limit != 0.0 and not (has_limit and terms.limit > 0.0))
        or (terms.stop != 0.0 and not (has_stop and terms.stop > 0.0))
        or (terms.lots != 0 and terms.lots <= order.cum_lots)
    ):
        return _refuse_amend(s, place, Code.INSTRUMENT.value)
    lots = order.lots
    limit = order.limit
    stop = order.stop
    working = order.working
    reserved = order.reserved
    was_code = order.code
    was_measure = order.measure
    was_bound = order.bound
    was_exit = order.exit
    leaves = (lots if terms.lots == 0 else terms.lots) - order.cum_lots
    # judged as if it were a new order in place of the old one, and of its partner on the same side
    others = np.int64(0)
    others_reserved = np.int64(0)
    if order.partner != NONE and s.orders[order.partner].side == order.side:
        others = s.orders[order.partner].working
        others_reserved = s.orders[order.partner].reserved
    _count(s, order, slot, -working - others)
    account.reserved -= reserved + others_reserved
    order.lots = leaves
    order.limit = limit if terms.limit == 0.0 else terms.limit
    order.stop = stop if terms.stop == 0.0 else terms.stop
    order.reserved = 0
    code = Code.NONE.value
    fewer = leaves <= lots - order.cum_lots
    smaller = fewer and terms.limit == 0.0 and terms.stop == 0.0
    if order.held_lots > 0 or smaller or (order.reduce_only and fewer):
        if not well_formed(s, order, instrument):
            code = Code.INSTRUMENT.value
    else:
        code = judge(s, order, np.int64(0))
        if code == Code.NONE and linked and order.lots != leaves:
            code = order.code
        if code == Code.NONE:
            count_order(s, account)
    new_lots = order.cum_lots + order.lots
    needed = order.reserved
    cut = order.code
    order.lots = lots
    order.limit = limit
    order.stop = stop
    order.code = was_code
    order.reserved = reserved
    if code == Code.NONE:
        order.code = cut
        order.new_lots = new_lots if new_lots != lots else 0
        order.new_limit = terms.limit
        order.new_stop = terms.stop
        if working > 0:
            working = max(working, new_lots - order.cum_lots)
        order.working = working
        order.reserved = max(reserved, needed - others_reserved)
    _count(s, order, slot, working + others)
    account.reserved += order.reserved + others_reserved
    if code != Code.NONE:
        order.exit = was_exit
        _refuse_amend(s, place, code)
        order.measure = was_measure
        order.bound = was_bound
        return code
    if instrument.latency_ns == 0:
        take_terms(s, place)
    else:
        order.amend_at = c.now + instrument.latency_ns
        wake_orders(s, order.instrument, order.amend_at)
    return Code.NONE.value


@inline
def _count(s: State, order: Any, slot: Any, lots: Any) -> None:
    """Let so many lots more, or fewer, of the order's side count as working."""
    holding = s.holdings[slot.holding]
    if order.side == Side.BUY:
        slot.working_buy += lots
        holding.working_buy += lots
    else:
        slot.working_sell += lots
        holding.working_sell += lots


@jit
def _refuse_amend(s: State, place: int, code: int) -> int:
    order = s.orders[place]
    s.denied[order.account * N_CODES + code] += 1
    s.events[report(s, order, EventKind.ORDER)].code = code
    return code
