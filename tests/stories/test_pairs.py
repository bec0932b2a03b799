"""Pairs of orders of which one cancels the other (OCO): together they trade their quantity once."""

from typing import Any

import pytest

from engine.engine import Engine, EngineError
from engine.records import Code, Side, Status, TimeInForce
from engine.spec import LimitsSpec, MarginSpec
from tests.builders import order, read
from tests.stories.accounts import assert_books, ended, resting, venue
from tests.stories.desk import (
    at,
    cash,
    dollars,
    filled,
    history,
    opened,
    own,
    prints,
    put,
    row,
    terms,
    wait,
    working,
)

BUY, SELL = Side.BUY, Side.SELL
GONE = (Status.CANCELED, Code.OCO)


def exits(**given: Any) -> Engine:
    """10 are held at 100; orders 2 and 3 sell them at a limit of 110, or at a stop of 90."""
    engine = opened(100.0, **given)
    own(engine, 10)
    assert engine.submit_pair(0, terms(SELL, 10, limit=110.0), terms(SELL, 10, stop=90.0)) == (2, 3)
    engine.take_events()
    return engine


def entries(**given: Any) -> Engine:
    """Orders 1 and 2 buy 10 at a limit of 95, or at a stop of 105."""
    engine = opened(100.0, **given)
    engine.submit_pair(0, terms(BUY, 10, limit=95.0), terms(BUY, 10, stop=105.0))
    engine.take_events()
    return engine


# -- on one side ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("price", "first", "second"), [(111.0, 2, 3), (85.0, 3, 2)])
def test_one_that_is_filled_cancels_the_other(price: float, first: int, second: int) -> None:
    engine = exits()
    events = row(engine, price)
    assert filled(events) == [(SELL, 10, price)]
    assert history(events, first) == [(Status.FILLED, Code.NONE)]
    assert history(events, second) == [GONE]
    assert engine.live_orders() == []
    assert prints(engine, 85.0, 111.0) == []
    assert_books(engine)


def test_part_that_one_fills_the_other_loses() -> None:
    engine = exits(participation=0.1)
    events = row(engine, 111.0, size=40.0)
    assert filled(events) == [(SELL, 4, 111.0)]
    (told,) = (e for e in events if e["order_id"] == 3)
    assert (told["status"], told["lots"], told["code"]) == (Status.NEW, 6, Code.NONE)
    assert engine.state.slots[0].working_sell == 6
    assert_books(engine)
    events = row(engine, 85.0, size=1_000.0)
    assert filled(events) == [(SELL, 6, 85.0)]
    assert history(events, 2) == [GONE]
    assert engine.state.slots[0].lots == 0
    assert_books(engine)


def test_quantity_of_both_counts_once_as_working() -> None:
    engine = exits()
    assert (engine.state.slots[0].working_sell, engine.state.holdings[0].working_sell) == (10, 10)
    order(engine, SELL, 1)  # all that is held is being sold
    assert read(engine.take_events())[-1]["code"] == Code.SHORT


def test_gap_beyond_both_fills_the_first_only() -> None:
    engine = opened(100.0)
    engine.submit_pair(0, terms(BUY, 10, limit=93.0), terms(BUY, 10, limit=95.0))
    assert prints(engine, 90.0) == [(1, 1, 10, 90.0)]
    assert engine.live_orders() == []
    assert_books(engine)


def test_row_that_has_less_than_both_want_fills_their_quantity_once() -> None:
    engine = opened(100.0, participation=0.1)
    engine.submit_pair(0, terms(BUY, 10, limit=93.0), terms(BUY, 10, limit=95.0))
    fills = [
        *prints(engine, 90.0, size=40.0),
        *prints(engine, 94.0, size=20.0),
        *prints(engine, 90.0, size=1e3),
    ]
    # 4 of the first, 2 of the second, which has 6 left, and the first's last 4
    assert fills == [(1, 1, 4, 90.0), (2, 1, 2, 94.0), (1, 1, 4, 90.0)]
    assert (engine.state.slots[0].lots, engine.live_orders()) == (10, [])
    assert_books(engine)


def test_dearer_of_two_purchases_sets_the_cash_aside() -> None:
    engine = entries()
    assert engine.state.accounts[0].reserved == dollars(1_050)
    assert engine.state.slots[0].working_buy == 10


@pytest.mark.parametrize(("gone", "left"), [(1, 2), (2, 1)])
def test_cancel_of_one_leaves_the_other_with_what_it_needs(gone: int, left: int) -> None:
    engine = entries()
    assert engine.cancel(gone)
    assert engine.state.slots[0].working_buy == 10
    assert engine.state.accounts[0].reserved == dollars({1: 950, 2: 1_050}[left])
    assert_books(engine)
    assert prints(engine, {1: 94.0, 2: 106.0}[left]) == [(left, 1, 10, {1: 94.0, 2: 106.0}[left])]
    assert (engine.state.accounts[0].reserved, engine.state.slots[0].working_buy) == (0, 0)
    assert_books(engine)


def test_cancel_of_the_dearer_leaves_no_more_set_aside_than_the_other_needs() -> None:
    engine = opened(100.0)
    engine.submit_pair(0, terms(BUY, 10, stop=105.0), terms(BUY, 10, limit=95.0))
    assert engine.state.accounts[0].reserved == dollars(1_050)
    engine.cancel(1)
    assert engine.state.accounts[0].reserved == dollars(950)
    assert_books(engine)


def test_partial_fill_leaves_cash_for_the_rest() -> None:
    engine = entries(participation=0.1)
    assert prints(engine, 94.0, size=40.0) == [(1, 1, 4, 94.0)]
    assert engine.state.accounts[0].reserved == dollars(6 * 105)
    assert prints(engine, 106.0, size=60.0) == [(2, 1, 6, 106.0)]
    assert cash(engine) == dollars(1_000_000 - 4 * 94 - 6 * 106)
    assert engine.state.accounts[0].reserved == 0
    assert_books(engine)


def test_cancel_of_one_after_a_partial_fill_leaves_the_rest_of_the_other() -> None:
    engine = exits(participation=0.1)
    row(engine, 111.0, size=40.0)
    assert engine.cancel(2)
    assert engine.state.slots[0].working_sell == 6
    assert resting(engine) == [(3, 6, 0.0, 90.0)]
    assert prints(engine, 85.0, size=1_000.0) == [(3, -1, 6, 85.0)]
    assert_books(engine)


# -- on both sides ----------------------------------------------------------------------------------------------------


def around(**given: Any) -> Engine:
    """10 are held at 100; order 2 buys 10 more at 95, or order 3 sells them at 105."""
    engine = opened(100.0, **given)
    own(engine, 10)
    engine.submit_pair(0, terms(BUY, 10, limit=95.0), terms(SELL, 10, limit=105.0))
    engine.take_events()
    return engine


@pytest.mark.parametrize(
    ("price", "fill", "lots"), [(94.0, (2, 1, 10, 94.0), 20), (106.0, (3, -1, 10, 106.0), 0)]
)
def test_on_opposite_sides_both_count_until_one_is_filled(
    price: float, fill: tuple[int, int, int, float], lots: int
) -> None:
    engine = around()
    slot = engine.state.slots[0]
    assert (slot.working_buy, slot.working_sell) == (10, 10)
    assert engine.state.accounts[0].reserved == dollars(950)
    assert prints(engine, price) == [fill]
    assert (slot.lots, slot.working_buy, slot.working_sell) == (lots, 0, 0)
    assert engine.state.accounts[0].reserved == 0
    assert_books(engine)


def test_on_opposite_sides_a_part_that_is_bought_is_not_sold() -> None:
    engine = around(participation=0.1)
    row(engine, 94.0, size=40.0)
    assert resting(engine) == [(2, 6, 95.0, 0.0), (3, 6, 105.0, 0.0)]
    row(engine, 106.0, size=30.0)  # 3 are sold: 3 are left of both
    assert resting(engine) == [(2, 3, 95.0, 0.0), (3, 3, 105.0, 0.0)]
    assert engine.state.accounts[0].reserved == dollars(3 * 95)
    assert_books(engine)
    row(engine, 94.0, size=1_000.0)
    assert (engine.state.slots[0].lots, engine.live_orders()) == (10 + 4 - 3 + 3, [])
    assert_books(engine)


def test_stops_around_the_price_catch_the_side_that_it_leaves_by() -> None:
    engine = venue(margin=MarginSpec(4.0, 0.1))
    row(engine, 100.0)
    engine.submit_pair(0, terms(BUY, 10, stop=105.0), terms(SELL, 10, stop=95.0))
    assert prints(engine, 94.0, 106.0) == [(2, -1, 10, 94.0)]
    assert engine.state.slots[0].lots == -10
    assert_books(engine)


# -- together or not at all -------------------------------------------------------------------------------------------


def test_both_are_denied_where_the_gate_denies_one() -> None:
    engine = opened(100.0, cash=1_000)
    engine.submit_pair(0, terms(BUY, 10, limit=95.0), terms(BUY, 10, stop=105.0))
    assert ended(read(engine.take_events())) == [
        (1, Status.DENIED, Code.GROUP),
        (2, Status.DENIED, Code.CASH),
    ]
    assert engine.state.accounts[0].reserved == 0


def test_both_are_cut_to_the_smaller_size_where_the_account_resizes() -> None:
    engine = opened(100.0, cash=1_000, limits=LimitsSpec(resize=True))
    engine.submit_pair(0, terms(BUY, 20, limit=95.0), terms(BUY, 20, stop=105.0))
    # 1,000 buy 10 at 95, 9 at 105
    assert resting(engine) == [(1, 9, 95.0, 0.0), (2, 9, 0.0, 105.0)]
    assert engine.state.accounts[0].reserved == dollars(9 * 105)
    assert_books(engine)


def test_orders_of_different_quantities_are_no_pair() -> None:
    with pytest.raises(EngineError, match="a pair of 10 and 9 lots"):
        opened(100.0).submit_pair(0, terms(BUY, 10, limit=95.0), terms(BUY, 9, stop=105.0))


@pytest.mark.parametrize("latency", [0, at(0.5)])
@pytest.mark.parametrize("rejected", [0, 1])
def test_one_that_the_broker_rejects_leaves_the_other(rejected: int, latency: int) -> None:
    engine = opened(100.0, latency_ns=latency)
    order(engine, BUY, 10)
    row(engine, 100.0)
    pair = [terms(SELL, 10, limit=110.0), terms(SELL, 10, limit=99.0, post_only=True)]
    engine.submit_pair(0, pair[1 - rejected], pair[rejected])
    row(engine, 100.0)
    left = 3 - rejected
    assert resting(engine) == [(left, 10, 110.0, 0.0)]
    assert prints(engine, 111.0) == [(left, -1, 10, 111.0)]
    assert_books(engine)


def test_one_that_expires_leaves_the_other() -> None:
    engine = opened(100.0)
    own(engine, 10)
    day = terms(SELL, 10, limit=110.0, tif=TimeInForce.GTD, expires=at(10))
    engine.submit_pair(0, day, terms(SELL, 10, stop=90.0))
    wait(engine, 10)
    assert resting(engine) == [(3, 10, 0.0, 90.0)]
    assert engine.state.slots[0].working_sell == 10
    assert_books(engine)


def test_fill_of_one_ends_the_other_whose_cancel_is_on_its_way() -> None:
    engine = opened(100.0, latency_ns=at(0.5))
    order(engine, BUY, 10)
    row(engine, 100.0, seconds=1)
    engine.submit_pair(0, terms(SELL, 10, limit=110.0), terms(SELL, 10, stop=90.0))
    row(engine, 100.0, seconds=2)
    engine.cancel(3)
    engine.take_events()
    events = row(engine, 111.0, seconds=2.2)
    assert (filled(events), history(events, 3)) == ([(SELL, 10, 111.0)], [GONE])
    assert_books(engine)


def test_strategy_may_put_another_order_beside_a_pair() -> None:
    engine = exits()
    assert engine.cancel(3)
    assert put(engine, SELL, 10, stop=92.0) == 4
    assert read(engine.take_events())[-1]["code"] == Code.SHORT  # all of it is with the limit
    assert working(engine, 2).working == 10
