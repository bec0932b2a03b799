"""Where an instrument's active orders wait for a row that concerns them.

An order is *near* where any row may concern it: a market order, one that was triggered or whose price the market is
beyond, a trailing stop, one that only the next row can fill, or whose day has yet to begin. All others wait for a price: in the heap *below* those that a price at or below their key concerns, in the heap *above* those that one at
or above it does. A row looks at the near orders and at the roots of the two heaps: ten thousand orders far from the price
cost it nothing.

The near orders are a chain in order of arrival, the heaps are pairing heaps (Fredman, Sedgewick, Sleator and Tarjan
1986); both live in the orders' own links: `book_child` is the first child, `book_next` the next one of the same parent,
`book_previous` the one before, or the parent of the first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import inline, jit
from engine.records import NEVER, NONE, OrderType, Side, State, TimeInForce

NOWHERE = 0
NEAR = 1
BELOW = 2
ABOVE = 3


@inline
def is_limit(order: Any) -> bool:
    """Whether the order trades at its limit or better: also a stop-limit that was triggered."""
    return bool(order.type == OrderType.LIMIT or (order.type == OrderType.STOP_LIMIT and order.triggered))


@inline
def is_stop(order: Any) -> bool:
    """Whether the order still waits for its stop."""
    return bool(order.type >= OrderType.STOP and not order.triggered)


@jit
def triggers(order: Any, fill_at_touch: int, price: float) -> tuple[float, float]:
    """The prices (low, high) at or below and at or above which the next row can concern an active order.

    price: the last one, or 0. Where it is beyond the order's, a path of any direction begins beyond it.
    """
    waiting_for_its_day = order.tif == TimeInForce.DAY and order.expires == NEVER
    stop = is_stop(order)
    limit = is_limit(order)
    if (
        waiting_for_its_day
        or order.tif == TimeInForce.IOC
        or order.tif == TimeInForce.FOK
        or order.tif == TimeInForce.AT_THE_OPEN
        or order.type == OrderType.TRAILING_STOP
        or not (stop or limit)
    ):
        return np.inf, 0.0
    if stop:
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


@inline
def refresh_triggers(s: State, instrument: Any) -> None:
    """Find the nearest prices at which a row can concern one of the instrument's orders."""
    if instrument.near != NONE or instrument.rivals > 0:
        instrument.low_trigger = np.inf
        instrument.high_trigger = 0.0
        return
    instrument.low_trigger = 0.0 if instrument.below == NONE else -s.orders[instrument.below].key
    instrument.high_trigger = np.inf if instrument.above == NONE else s.orders[instrument.above].key


@jit
def enter_book(s: State, place: int, price: float) -> None:
    """Put an active order where it has to wait; price: the last one, or 0."""
    order = s.orders[place]
    if order.tif == TimeInForce.AT_THE_CLOSE:
        return  # the end of the session fills it, no row
    instrument = s.instruments[order.instrument]
    low, high = triggers(order, instrument.fill_at_touch, price)
    if low > 0.0 and high < np.inf:
        _join_near(s, instrument, place)
    elif low > 0.0:
        order.book = BELOW
        order.key = -low  # both heaps have the least key on top
        instrument.below = _meld(s, instrument.below, place)
    else:
        order.book = ABOVE
        order.key = high
        instrument.above = _meld(s, instrument.above, place)


@jit
def leave_book(s: State, place: int) -> None:
    """Take an order out of where it waits, if it does."""
    order = s.orders[place]
    instrument = s.instruments[order.instrument]
    if order.book == NEAR:
        if order.book_previous == NONE:
            instrument.near = order.book_next
        else:
            s.orders[order.book_previous].book_next = order.book_next
        if order.book_next == NONE:
            instrument.last_near = order.book_previous
        else:
            s.orders[order.book_next].book_previous = order.book_previous
    elif order.book == BELOW:
        instrument.below = _without(s, instrument.below, place)
    elif order.book == ABOVE:
        instrument.above = _without(s, instrument.above, place)
    order.book = NOWHERE
    order.book_next = NONE
    order.book_previous = NONE
    order.book_child = NONE


@inline
def bring_near(s: State, instrument: Any, price: float) -> None:
    """The orders that a row at that price concerns join the near ones."""
    while instrument.below != NONE and price <= -s.orders[instrument.below].key:
        place = instrument.below
        leave_book(s, place)
        _join_near(s, instrument, place)
    while instrument.above != NONE and price >= s.orders[instrument.above].key:
        place = instrument.above
        leave_book(s, place)
        _join_near(s, instrument, place)


@inline
def near_after(s: State, instrument: Any, place: int, arrival: int) -> int:
    """The near order that arrived next after that one, which may be gone."""
    order = s.orders[place]
    if order.book == NEAR and order.arrival == arrival:
        return int(order.book_next)
    following = instrument.near
    while following != NONE and s.orders[following].arrival <= arrival:
        following = s.orders[following].book_next
    return int(following)


@inline
def send_off(s: State, instrument: Any, price: float) -> None:
    """Near orders that a row at that price did not fill, and that can wait for another, go to their heap."""
    place = instrument.near
    while place != NONE:
        order = s.orders[place]
        following = order.book_next
        low, high = triggers(order, instrument.fill_at_touch, price)
        if low == 0.0 or high == np.inf:
            leave_book(s, place)
            enter_book(s, place, price)
        place = following
    refresh_triggers(s, instrument)


@jit
def _join_near(s: State, instrument: Any, place: int) -> None:
    """Insert an order into the near ones, after those that arrived before it."""
    order = s.orders[place]
    before = instrument.last_near
    while before != NONE and s.orders[before].arrival > order.arrival:
        before = s.orders[before].book_previous
    following = instrument.near if before == NONE else s.orders[before].book_next
    order.book = NEAR
    order.book_child = NONE
    order.book_previous = before
    order.book_next = following
    if before == NONE:
        instrument.near = place
    else:
        s.orders[before].book_next = place
    if following == NONE:
        instrument.last_near = place
    else:
        s.orders[following].book_previous = place


@inline
def _meld(s: State, a: int, b: int) -> Any:
    """Two heaps, given by their roots, become one; its root."""
    if a == NONE:
        return b
    if b == NONE:
        return a
    if s.orders[b].key < s.orders[a].key:
        a, b = b, a
    root = s.orders[a]
    child = s.orders[b]
    child.book_next = root.book_child
    if root.book_child != NONE:
        s.orders[root.book_child].book_previous = b
    child.book_previous = a
    root.book_child = b
    return a


@jit
def _without(s: State, root: int, place: int) -> Any:
    """The heap without one of its orders; its root."""
    order = s.orders[place]
    rest = _join_children(s, order.book_child)
    if place == root:
        return rest
    before = s.orders[order.book_previous]
    if before.book_child == place:
        before.book_child = order.book_next
    else:
        before.book_next = order.book_next
    if order.book_next != NONE:
        s.orders[order.book_next].book_previous = order.book_previous
    return _meld(s, root, rest)


@jit
def _join_children(s: State, first: int) -> Any:
    """Siblings become one heap: in pairs, then the pairs from the last to the first; its root."""
    pairs: Any = np.int64(NONE)
    while first != NONE:
        a = first
        b = s.orders[a].book_next
        first = NONE if b == NONE else s.orders[b].book_next
        _alone(s, a)
        if b != NONE:
            _alone(s, b)
            a = _meld(s, a, b)
        s.orders[a].book_next = pairs
        pairs = a
    root: Any = np.int64(NONE)
    while pairs != NONE:
        following = s.orders[pairs].book_next
        _alone(s, pairs)
        root = _meld(s, root, pairs)
        pairs = following
    return root


@inline
def _alone(s: State, place: int) -> None:
    order = s.orders[place]
    order.book_next = NONE
    order.book_previous = NONE
