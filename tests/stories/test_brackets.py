"""Brackets: the fills of a parent release the children that will close what it opened.

Unless a story says otherwise, order 1 buys 10 at a limit of 101 with the price at 100, order 2 takes the profit at a limit
of 110, order 3 stops the loss at 90.
"""

from typing import Any

import pytest

from engine.engine import Engine, EngineError, Terms
from engine.records import Code, RowKind, Side, Status, TimeInForce
from engine.spec import MarginSpec
from tests.builders import MINUTE, fills, make_bars, order, read
from tests.stories.accounts import assert_books, ended, venue
from tests.stories.desk import at, filled, history, opened, path, prints, put, row, terms, wait, working

BUY, SELL = Side.BUY, Side.SELL
EXTREME = RowKind.EXTREME
EXITS = (terms(SELL, 10, limit=110.0), terms(SELL, 10, stop=90.0))
ORPHAN = (Status.CANCELED, Code.PARENT)


def bracket(parent: Terms | None = None, children: tuple[Terms, ...] = EXITS, **given: Any) -> Engine:
    engine = opened(100.0, **given)
    engine.submit_bracket(0, parent or terms(BUY, 10, limit=101.0), children)
    engine.take_events()
    return engine


def held(engine: Engine) -> list[tuple[int, int, int, int]]:
    """(id, lots, filled, held) of each child that lives."""
    orders = (engine.state.orders[place] for place in engine.live_orders())
    return [(int(o.id), int(o.lots), int(o.cum_lots), int(o.held_lots)) for o in orders if o.parent_id]


# -- release ----------------------------------------------------------------------------------------------------------


def test_children_wait_for_their_parent() -> None:
    engine = bracket(terms(BUY, 10, limit=95.0))
    assert prints(engine, 111.0, 96.0) == []
    assert held(engine) == [(2, 10, 0, 10), (3, 10, 0, 10)]
    assert [working(engine, i).status for i in (2, 3)] == [Status.PENDING_NEW] * 2
    assert (engine.state.slots[0].working_buy, engine.state.slots[0].working_sell) == (10, 0)


@pytest.mark.parametrize(("price", "child"), [(111.0, 2), (85.0, 3)])
def test_parents_fill_releases_both_and_the_one_that_fills_ends_the_other(price: float, child: int) -> None:
    engine = bracket()
    events = row(engine, 100.0)
    assert [(e["order_id"], e["status"]) for e in events] == [
        (1, Status.FILLED),
        (2, Status.NEW),
        (3, Status.NEW),
    ]
    assert {e["parent"] for e in events[1:]} == {1}
    events = row(engine, price)
    assert filled(events) == [(SELL, 10, price)]
    assert history(events, 5 - child) == [(Status.CANCELED, Code.OCO)]
    assert (engine.live_orders(), engine.state.slots[0].lots) == ([], 0)
    assert_books(engine)


def test_children_cannot_fill_on_the_print_that_fills_their_parent() -> None:
    engine = bracket(terms(BUY, 10), (terms(SELL, 10, limit=105.0),))
    assert prints(engine, 106.0) == [(1, 1, 10, 106.0)]
    assert prints(engine, 105.5) == [(2, -1, 10, 105.5)]


def test_each_fill_of_the_parent_releases_as_much_of_both() -> None:
    engine = bracket(participation=0.1)
    row(engine, 100.0, size=40.0)
    assert held(engine) == [(2, 10, 0, 6), (3, 10, 0, 6)]
    row(engine, 100.0, size=30.0)
    assert held(engine) == [(2, 10, 0, 3), (3, 10, 0, 3)]
    row(engine, 100.0, size=30.0)
    assert held(engine) == [(2, 10, 0, 0), (3, 10, 0, 0)]
    assert prints(engine, 85.0, size=1_000.0) == [(3, -1, 10, 85.0)]
    assert_books(engine)


def test_profit_is_taken_on_a_part_while_the_parent_still_works() -> None:
    engine = bracket(participation=0.1)
    row(engine, 100.0, size=40.0)
    assert prints(engine, 111.0, size=1_000.0) == [(2, -1, 4, 111.0)]
    assert held(engine) == [(2, 10, 4, 6), (3, 6, 0, 6)]  # the stop has lost 4, and the rest is still held
    assert engine.state.slots[0].lots == 0
    assert prints(engine, 85.0, size=0.0) == []  # nothing that the stop could sell
    row(engine, 100.0, size=60.0)
    assert held(engine) == [(2, 10, 4, 0), (3, 6, 0, 0)]
    events = row(engine, 85.0, size=1_000.0)
    assert filled(events) == [(SELL, 6, 85.0)]
    assert history(events, 2) == [(Status.CANCELED, Code.OCO)]
    assert (engine.state.slots[0].lots, engine.live_orders()) == (0, [])
    assert_books(engine)


def test_child_sells_what_was_released_and_not_what_the_strategy_had_before() -> None:
    engine = opened(100.0, participation=0.1)
    order(engine, BUY, 20)
    row(engine, 100.0, size=200.0)
    engine.submit_bracket(0, terms(BUY, 10, limit=101.0), EXITS)
    row(engine, 100.0, size=40.0)
    assert [f[1:] for f in prints(engine, 111.0, size=1_000.0)] == [(-1, 4, 111.0)]
    assert engine.state.slots[0].lots == 20
    assert_books(engine)


def test_what_the_parent_buys_on_the_way_down_is_not_sold_where_the_way_began() -> None:
    engine = bracket(participation=0.1)
    row(engine, 100.0, size=40.0)
    row(engine, 112.0, size=1_000.0)
    # 112 -> 95 passes the profit's 110 before the parent's 101
    assert filled(row(engine, 95.0, 1_000.0, EXTREME)) == [(BUY, 6, 101.0)]
    assert held(engine) == [(2, 10, 4, 0), (3, 6, 0, 0)]
    assert_books(engine)


def test_what_a_print_buys_is_not_sold_on_it_by_a_child_that_works_already() -> None:
    engine = bracket(participation=0.1)
    row(engine, 100.0, size=40.0)
    assert filled(row(engine, 85.0, size=1_000.0)) == [(BUY, 6, 85.0)]
    assert filled(row(engine, 84.0, size=1_000.0)) == [(SELL, 10, 84.0)]
    assert engine.state.slots[0].lots == 0
    assert_books(engine)


def test_profit_that_is_taken_in_part_leaves_the_stop_the_rest() -> None:
    engine = bracket(participation=0.1)
    row(engine, 100.0, size=100.0)
    assert prints(engine, 111.0, size=30.0) == [(2, -1, 3, 111.0)]
    assert prints(engine, 85.0, size=1_000.0) == [(3, -1, 7, 85.0)]
    assert engine.live_orders() == []
    assert_books(engine)


def test_bracket_of_a_short_sale_buys_back() -> None:
    engine = venue(margin=MarginSpec(4.0, 0.1))
    row(engine, 100.0)
    engine.submit_bracket(0, terms(SELL, 10), [terms(BUY, 10, limit=90.0), terms(BUY, 10, stop=110.0)])
    assert prints(engine, 100.0, 112.0) == [(1, -1, 10, 100.0), (3, 1, 10, 112.0)]
    assert (engine.state.slots[0].lots, engine.live_orders()) == (0, [])
    assert_books(engine)


def test_trailing_stop_begins_with_the_price_of_the_parents_fill() -> None:
    engine = bracket(terms(BUY, 10), (terms(SELL, 10, limit=120.0), terms(SELL, 10, trail=2.0)))
    assert prints(engine, 104.0, 105.0) == [(1, 1, 10, 104.0)]
    assert working(engine, 3).stop == 103.0
    assert prints(engine, 103.5, 102.5) == [(3, -1, 10, 102.5)]
    assert engine.live_orders() == []


def test_latency_delays_the_parent_and_not_the_children() -> None:
    engine = bracket(terms(BUY, 10), latency_ns=at(0.5))
    assert filled(row(engine, 100.0, seconds=0.5)) == [(BUY, 10, 100.0)]
    assert filled(row(engine, 85.0, seconds=0.6)) == [(SELL, 10, 85.0)]
    assert_books(engine)


# -- how the parent ends ----------------------------------------------------------------------------------------------


def test_parent_that_is_cancelled_unfilled_takes_its_children_along() -> None:
    engine = bracket()
    assert engine.cancel(1)
    assert ended(read(engine.take_events())) == [
        (1, Status.CANCELED, Code.NONE),
        (2, *ORPHAN),
        (3, *ORPHAN),
    ]
    assert engine.live_orders() == []
    assert_books(engine)


def test_parent_that_is_cancelled_after_a_part_leaves_its_children_that_part() -> None:
    engine = bracket(participation=0.1)
    row(engine, 100.0, size=40.0)
    assert engine.cancel(1)
    assert held(engine) == [(2, 4, 0, 0), (3, 4, 0, 0)]
    assert prints(engine, 85.0, size=1_000.0) == [(3, -1, 4, 85.0)]
    assert (engine.state.slots[0].lots, engine.live_orders()) == (0, [])
    assert_books(engine)


def test_parent_that_is_cancelled_after_its_part_was_sold_ends_its_children() -> None:
    engine = bracket(participation=0.1)
    row(engine, 100.0, size=40.0)
    row(engine, 111.0, size=1_000.0)
    engine.cancel(1)
    events = read(engine.take_events())
    assert [history(events, i)[-1] for i in (2, 3)] == [ORPHAN, ORPHAN]
    assert engine.live_orders() == []
    assert_books(engine)


def test_parent_that_expires_ends_or_frees_its_children_like_one_that_is_cancelled() -> None:
    until = terms(BUY, 10, limit=101.0, tif=TimeInForce.GTD, expires=at(10))
    unfilled = bracket(until)
    assert ended(wait(unfilled, 10)) == [(1, Status.EXPIRED, Code.NONE), (2, *ORPHAN), (3, *ORPHAN)]
    part = bracket(until, participation=0.1)
    row(part, 100.0, size=40.0)
    wait(part, 10)
    assert held(part) == [(2, 4, 0, 0), (3, 4, 0, 0)]
    assert_books(part)


def test_parent_whose_rest_is_not_filled_at_once_leaves_its_children_a_part() -> None:
    engine = bracket(terms(BUY, 10, tif=TimeInForce.IOC), participation=0.1)
    row(engine, 100.0, size=40.0)
    assert held(engine) == [(2, 4, 0, 0), (3, 4, 0, 0)]


def test_parent_that_a_gap_cuts_to_the_cash_leaves_its_children_what_it_bought() -> None:
    engine = bracket(terms(BUY, 10), cash=1_000)
    assert filled(row(engine, 125.0)) == [(BUY, 8, 125.0)]
    # the limit of 110 is met by the next print
    assert held(engine) == [(2, 8, 0, 0), (3, 8, 0, 0)]
    assert prints(engine, 124.0) == [(2, -1, 8, 124.0)]
    assert_books(engine)


def test_parent_that_the_broker_rejects_takes_its_children_along() -> None:
    engine = bracket(terms(BUY, 10, limit=101.0, post_only=True), latency_ns=at(0.5))
    assert ended(wait(engine, 1)) == [(1, Status.REJECTED, Code.POST_ONLY), (2, *ORPHAN), (3, *ORPHAN)]
    assert engine.live_orders() == []


def test_children_of_a_parent_that_the_gate_denies_are_denied() -> None:
    engine = opened(100.0, cash=500)
    engine.submit_bracket(0, terms(BUY, 10), EXITS)
    assert ended(read(engine.take_events())) == [
        (1, Status.DENIED, Code.CASH),
        (2, Status.DENIED, Code.GROUP),
        (3, Status.DENIED, Code.GROUP),
    ]
    assert engine.state.accounts[0].reserved == 0


@pytest.mark.parametrize(
    "child",
    [
        terms(SELL, 10, limit=110.005),
        terms(SELL, 10),  # a market order would close it at once
        terms(SELL, 10, limit=110.0, tif=TimeInForce.IOC),
        terms(SELL, 10, limit=110.0, tif=TimeInForce.AT_THE_CLOSE),
    ],
)
def test_parent_of_a_child_that_makes_no_sense_is_denied(child: Terms) -> None:
    engine = opened(100.0)
    engine.submit_bracket(0, terms(BUY, 10), [EXITS[1], child])
    assert ended(read(engine.take_events())) == [
        (1, Status.DENIED, Code.GROUP),
        (2, Status.DENIED, Code.GROUP),
        (3, Status.DENIED, Code.INSTRUMENT),
    ]


@pytest.mark.parametrize("children", [[], [EXITS[0]] * 3])
def test_bracket_has_one_or_two_children(children: list[Terms]) -> None:
    with pytest.raises(EngineError, match="it has one or two"):
        opened(100.0).submit_bracket(0, terms(BUY, 10), children)


def test_children_take_side_and_quantity_from_their_parent() -> None:
    engine = bracket(terms(BUY, 10), (terms(BUY, 3, limit=110.0),))
    row(engine, 100.0)
    assert prints(engine, 111.0) == [(2, -1, 10, 111.0)]


# -- what the owner does ----------------------------------------------------------------------------------------------


def test_child_that_is_cancelled_leaves_the_other() -> None:
    engine = bracket()
    row(engine, 100.0)
    assert engine.cancel(2)
    assert prints(engine, 111.0) == []
    assert prints(engine, 85.0) == [(3, -1, 10, 85.0)]
    assert_books(engine)


def test_child_that_is_cancelled_before_the_parent_fills_is_not_released() -> None:
    engine = bracket(terms(BUY, 10, limit=95.0))
    assert engine.cancel(2)
    assert prints(engine, 94.0, 111.0, 85.0) == [(1, 1, 10, 94.0), (3, -1, 10, 85.0)]
    assert_books(engine)


def test_children_end_when_the_position_is_closed_otherwise() -> None:
    engine = bracket()
    row(engine, 100.0)
    order(engine, SELL, 10)
    events = row(engine, 100.0)
    assert [history(events, i) for i in (2, 3)] == [[(Status.CANCELED, Code.REDUCE_ONLY)]] * 2
    assert engine.live_orders() == []
    assert_books(engine)


def test_children_wait_for_the_rest_when_the_part_is_closed_otherwise() -> None:
    engine = bracket(participation=0.1)
    row(engine, 100.0, size=40.0)
    put(engine, SELL, 4)
    row(engine, 102.0, size=1_000.0)
    assert held(engine) == [(2, 6, 0, 6), (3, 6, 0, 6)]
    assert prints(engine, 100.0, size=60.0) == [(1, 1, 6, 100.0)]
    assert prints(engine, 85.0, size=1_000.0) == [(3, -1, 6, 85.0)]
    assert_books(engine)


# -- both sides in one bar --------------------------------------------------------------------------------------------


def in_a_bar(*bar: float) -> tuple[Engine, list[tuple[int, int, int, float]]]:
    """10 are bought at 100, to be sold at 103 or at 98; then one bar."""
    engine = bracket(terms(BUY, 10), (terms(SELL, 10, limit=103.0), terms(SELL, 10, stop=98.0)))
    row(engine, 100.0)
    return engine, fills(engine.process(make_bars([bar], first=MINUTE)))


@pytest.mark.parametrize(
    ("bar", "fill", "both"),
    [
        ((100.0, 104.0, 97.0, 101.0), (3, -1, 10, 98.0), 1),  # 100 -> 97 -> 104 -> 101
        ((102.0, 104.0, 97.0, 98.0), (2, -1, 10, 103.0), 1),  # 102 -> 104 -> 97 -> 98
        ((100.0, 102.9, 97.0, 101.0), (3, -1, 10, 98.0), 0),  # the high is not as high as 103
        ((100.0, 104.0, 99.0, 101.0), (2, -1, 10, 103.0), 0),
        ((102.0, 104.0, 99.0, 98.0), (2, -1, 10, 103.0), 1),  # the close of a bar belongs to it
    ],
)
def test_path_decides_which_side_comes_first_and_bars_that_reach_both_are_counted(
    bar: tuple[float, ...], fill: tuple[int, int, int, float], both: int
) -> None:
    engine, found = in_a_bar(*bar)
    assert found == [fill]
    assert (engine.state.accounts[0].brackets, engine.state.accounts[0].both_sides) == (1, both)
    assert engine.live_orders() == []
    assert_books(engine)


def test_next_bar_is_another_and_is_not_looked_at() -> None:
    engine, _ = in_a_bar(100.0, 102.0, 97.0, 101.0)
    engine.process(make_bars([(101.0, 110.0, 90.0, 100.0)], first=2 * MINUTE))
    assert (engine.state.accounts[0].brackets, engine.state.accounts[0].both_sides) == (1, 0)
    assert engine.state.instruments[0].rivals == 0


def test_on_prints_nothing_is_counted() -> None:
    engine = bracket()
    prints(engine, 100.0, 85.0, 111.0)
    assert (engine.state.accounts[0].brackets, engine.state.accounts[0].both_sides) == (1, 0)
    assert engine.state.instruments[0].rivals == 0


def test_exit_in_parts_is_one() -> None:
    engine = bracket(participation=0.1)
    row(engine, 100.0, size=100.0)
    prints(engine, 111.0, 112.0, 113.0, size=40.0)  # 4, 4 and 2
    assert engine.state.accounts[0].brackets == 1


def test_parent_and_child_may_fill_in_one_bar() -> None:
    # bought at 98 on the way down to 97, sold at 103 on the way up from there
    engine = bracket(terms(BUY, 10, limit=98.0), (terms(SELL, 10, limit=103.0), terms(SELL, 10, stop=95.0)))
    assert path(engine, (97.0, EXTREME), (104.0, EXTREME)) == [(1, 1, 10, 98.0), (2, -1, 10, 103.0)]
    assert_books(engine)


@pytest.mark.parametrize(
    ("side", "parent", "children", "end", "exit_at"),
    [
        # on the way from 100 to the row's price: first the parent, then what is beyond it
        (BUY, {"stop": 102.0}, ({"limit": 103.0}, {"stop": 95.0}), 110.0, 103.0),
        (BUY, {"limit": 98.0}, ({"limit": 103.0}, {"stop": 97.5}), 90.0, 97.5),
        (BUY, {"limit": 98.0}, ({"limit": 103.0}, {"trail": 2.0}), 90.0, 96.0),
        (SELL, {"stop": 98.0}, ({"limit": 97.0}, {"stop": 105.0}), 90.0, 97.0),
        (SELL, {"limit": 102.0}, ({"limit": 97.0}, {"stop": 102.5}), 110.0, 102.5),
        # what the way passed before the parent's price is over
        (BUY, {"limit": 98.0}, ({"limit": 99.0}, {"stop": 80.0}), 90.0, None),
        (BUY, {"stop": 102.0}, ({"limit": 120.0}, {"stop": 101.0}), 110.0, None),
    ],
)
def test_rest_of_the_way_that_fills_the_parent_meets_its_children(
    side: Side,
    parent: dict[str, Any],
    children: tuple[dict[str, Any], ...],
    end: float,
    exit_at: float | None,
) -> None:
    engine = venue(margin=MarginSpec(4.0, 0.1))
    row(engine, 100.0)
    exits = [terms(Side(-side), 10, **child) for child in children]
    engine.submit_bracket(0, terms(side, 10, **parent), exits)
    (entry,) = (price for price in (parent.get("limit"), parent.get("stop")) if price)
    found = [(s, lots, price) for _, s, lots, price in path(engine, (end, EXTREME))]
    left = [] if exit_at is None else [(-side, 10, exit_at)]
    assert found == [(side, 10, entry), *left]
    assert_books(engine)
