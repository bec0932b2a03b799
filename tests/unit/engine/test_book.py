"""Where orders wait, driven by hand: heaps against a sorted list, the near ones against their order of arrival."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.book import ABOVE, BELOW, NEAR, NOWHERE, bring_near, enter_book, leave_book, near_after
from engine.records import NEVER, NONE, OrderType, Side
from tests.builders import make_engine, plain

PRICE = 1_000.0


def resting(state: Any, place: int, price: float) -> None:
    """A limit order at that price in that place: below the market it buys, above it sells."""
    order = state.orders[place]
    order.side = Side.BUY if price < PRICE else Side.SELL
    order.type, order.limit, order.expires, order.arrival = OrderType.LIMIT, price, NEVER, place + 1
    order.book, order.book_next, order.book_previous, order.book_child = NOWHERE, NONE, NONE, NONE
    plain(enter_book)(state, place, PRICE)


@settings(max_examples=50)
@given(st.lists(st.integers(-20, 20).filter(bool), min_size=1, max_size=30), st.randoms())
def test_nearest_order_is_on_top_whatever_enters_and_leaves(offsets: list[int], dice: Any) -> None:
    state = make_engine(fill_at_touch=True).state
    instrument = state.instruments[0]
    waiting: dict[int, float] = {}
    for place, offset in enumerate(offsets):
        resting(state, place, PRICE + offset)
        waiting[place] = PRICE + offset
        if dice.random() < 0.4:
            gone = dice.choice(list(waiting))
            plain(leave_book)(state, gone)
            del waiting[gone]
            assert state.orders[gone].book == NOWHERE
        below = [p for p in waiting.values() if p < PRICE]
        above = [p for p in waiting.values() if p > PRICE]
        for root, best, book in (
            (instrument.below, max(below, default=None), BELOW),
            (instrument.above, min(above, default=None), ABOVE),
        ):
            assert (root == NONE) == (best is None)
            if best is not None:
                assert (state.orders[root].limit, state.orders[root].book) == (best, book)


@settings(max_examples=50)
@given(st.lists(st.integers(-20, 20).filter(bool), min_size=1, max_size=30), st.integers(-25, 25))
def test_price_brings_near_those_it_reaches_in_order_of_arrival(offsets: list[int], to: int) -> None:
    state = make_engine(fill_at_touch=True).state
    instrument = state.instruments[0]
    for place, offset in enumerate(offsets):
        resting(state, place, PRICE + offset)
    plain(bring_near)(state, instrument, PRICE + to)
    reached = [i for i, o in enumerate(offsets) if (o < 0 and to <= o) or (o > 0 and to >= o)]
    near = []
    place = instrument.near
    while place != NONE:
        near.append(int(place))
        assert state.orders[place].book == NEAR
        place = state.orders[place].book_next
    assert near == reached
    assert instrument.last_near == (reached[-1] if reached else NONE)
    # and the next after one that has left in the meantime is the one that arrived after it
    for first, following in zip(reached, [*reached, NONE][1:], strict=True):
        arrival = state.orders[first].arrival
        plain(leave_book)(state, first)
        assert plain(near_after)(state, instrument, first, arrival) == following
    assert instrument.near == instrument.last_near == NONE


def test_order_that_leaves_a_place_where_it_does_not_wait_changes_nothing() -> None:
    state = make_engine().state
    resting(state, 0, PRICE - 1)
    was = np.array(state.instruments)
    plain(leave_book)(state, 1)
    assert was.tobytes() == state.instruments.tobytes()
