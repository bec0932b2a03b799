"""What must hold of the engine's own structures between two batches: chains, heaps, links, triggers, counts."""

from __future__ import annotations

import math
from typing import Any

from engine.book import ABOVE, BELOW, NEAR, NOWHERE
from engine.engine import Engine
from engine.records import NEVER, NONE, OrderType, Side, Status, TimeInForce

WITHOUT_PRICE = (TimeInForce.IOC, TimeInForce.FOK, TimeInForce.AT_THE_OPEN)


def check_structure(engine: Engine) -> None:
    """Each live order is in the chain of its instrument, and in the one place of the book where it belongs."""
    s = engine.state
    c = s.clock[0]
    seen: set[int] = set()
    for k in range(len(s.instruments)):
        chain = _chain(s, k)
        assert not seen & set(chain)
        seen |= set(chain)
        _check_book(s, k, chain)
    for place in seen:
        _check_links(s, place)
    free = _free(s)
    assert len(free) == c.free_orders == len(s.orders) - len(seen)
    assert not seen & free
    assert len(seen) == c.live_orders
    dues = [s.orders[p] for p in seen]
    assert c.order_due <= min(
        (min(o.active_from, o.amend_at, o.cancel_at, o.expires) for o in dues), default=NEVER
    )
    assert c.due == min(c.series_due, c.order_due, c.timer_due, c.accrual_due, c.risk_due)
    for k, instrument in enumerate(s.instruments):
        holders = [i for i in s.slots if i.instrument == k and i.lots and s.accounts[i.account].guarded]
        assert instrument.guards == len(holders)
        assert instrument.rivals == sum(slot.instrument == k and slot.rival_side != 0 for slot in s.slots)


def _chain(s: Any, k: int) -> list[int]:
    """The places of an instrument's live orders, whose links and ids are looked at."""
    places: list[int] = []
    place, before = int(s.instruments[k].first_order), NONE
    while place != NONE:
        order = s.orders[place]
        assert order.previous == before
        assert order.instrument == k
        assert order.status <= Status.PENDING_CANCEL
        assert not places or order.id > s.orders[places[-1]].id
        places.append(place)
        place, before = int(order.next), place
    assert s.instruments[k].last_order == before
    return places


def _free(s: Any) -> set[int]:
    places: set[int] = set()
    place = int(s.clock[0].free_order)
    while place not in (NONE, len(s.orders)) and len(places) < s.clock[0].free_orders:
        assert place not in places
        places.add(place)
        place = int(s.orders[place].next)
    return places


def _check_book(s: Any, k: int, chain: list[int]) -> None:
    instrument = s.instruments[k]
    near = _near(s, k)
    heaps = {BELOW: _heap(s, int(instrument.below)), ABOVE: _heap(s, int(instrument.above))}
    where = dict.fromkeys(near, NEAR) | {p: book for book, places in heaps.items() for p in places}
    assert len(where) == len(near) + len(heaps[BELOW]) + len(heaps[ABOVE]), "an order is in two places"
    assert set(where) <= set(chain)
    for place in chain:
        order = s.orders[place]
        active = order.arrival > 0
        assert not active or order.active_from == NEVER
        rests = active and order.tif != TimeInForce.AT_THE_CLOSE
        assert rests == (place in where), "an active order is somewhere, another is nowhere"
        assert order.book == where.get(place, NOWHERE)
        if order.book in (BELOW, ABOVE):
            _check_waiting(instrument, order)
    arrivals = [int(s.orders[p].arrival) for p in near]
    assert arrivals == sorted(set(arrivals)), "near orders are in order of arrival"
    if near or instrument.rivals:
        assert (instrument.low_trigger, instrument.high_trigger) == (math.inf, 0.0)
    else:
        low = max((-float(s.orders[p].key) for p in heaps[BELOW]), default=0.0)
        high = min((float(s.orders[p].key) for p in heaps[ABOVE]), default=math.inf)
        assert (instrument.low_trigger, instrument.high_trigger) == (low, high)


def _check_waiting(instrument: Any, order: Any) -> None:
    """An order in a heap waits for the price that its terms name, and the last price is not there yet."""
    assert order.tif not in WITHOUT_PRICE
    assert not (order.tif == TimeInForce.DAY and order.expires == NEVER)
    limit = order.type == OrderType.LIMIT or (order.type == OrderType.STOP_LIMIT and order.triggered)
    stop = order.type in (OrderType.STOP, OrderType.STOP_LIMIT) and not order.triggered
    assert limit != stop
    price = float(order.limit if limit else order.stop)
    assert order.book == (BELOW if (order.side == Side.BUY) == limit else ABOVE)
    if limit and not instrument.fill_at_touch:  # beyond the limit, by however little
        price = math.nextafter(price, 0.0 if order.book == BELOW else math.inf)
    assert order.key == (-price if order.book == BELOW else price)
    if instrument.price > 0.0 and instrument.marked < instrument.ts:  # a mark fills nothing, wherever it lies
        assert instrument.price > price if order.book == BELOW else instrument.price < price


def _near(s: Any, k: int) -> list[int]:
    places: list[int] = []
    place, before = int(s.instruments[k].near), NONE
    while place != NONE:
        order = s.orders[place]
        assert order.book_previous == before
        assert order.book_child == NONE
        assert place not in places
        places.append(place)
        place, before = int(order.book_next), place
    assert s.instruments[k].last_near == before
    return places


def _heap(s: Any, root: int) -> list[int]:
    """The places in a heap: no child has a lesser key than its parent, and all links lead there and back."""
    if root == NONE:
        return []
    assert s.orders[root].book_previous == s.orders[root].book_next == NONE
    places, todo = [], [root]
    while todo:
        parent = todo.pop()
        places.append(parent)
        child, before = int(s.orders[parent].book_child), parent
        while child != NONE:
            order = s.orders[child]
            assert order.book_previous == before
            assert order.key >= s.orders[parent].key
            todo.append(child)
            child, before = int(order.book_next), child
        assert len(places) + len(todo) <= len(s.orders), "a heap goes in circles"
    assert len(set(places)) == len(places)
    return places


def _check_links(s: Any, place: int) -> None:
    """Parents, children and partners are live, know each other, and hold back the same."""
    order = s.orders[place]
    if order.partner != NONE:
        partner = s.orders[order.partner]
        assert partner.partner == place
        assert partner.status <= Status.PENDING_CANCEL
        assert (partner.slot, partner.parent_id) == (order.slot, order.parent_id)
    if order.parent == NONE:
        assert order.held_lots == 0
    else:
        parent = s.orders[order.parent]
        assert parent.status <= Status.PENDING_CANCEL
        assert (parent.id, parent.side) == (order.parent_id, -order.side)
        assert place in (parent.children, s.orders[parent.children].partner)
        assert order.held_lots == parent.lots - parent.cum_lots, "what the parent has not released"
        assert order.reduce_only
    if order.children != NONE:
        assert s.orders[order.children].parent == place
