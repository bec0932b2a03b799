"""Orders over a split: all that rests, is on its way or hangs together goes on in new shares at new prices."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.engine import Engine, Terms
from engine.records import (
    NEVER,
    SECOND,
    Code,
    EventKind,
    OrderType,
    RowKind,
    Side,
    Status,
    TimeInForce,
    Trail,
)
from engine.spec import MarginSpec
from tests.builders import order
from tests.stories.accounts import RATIOS, assert_books, ended, hold, opened, resting, split
from tests.stories.desk import at, cash, dollars, filled, row

BUY, SELL = Side.BUY, Side.SELL


@pytest.mark.parametrize(
    ("side", "terms", "expected"),
    [
        # at 7:1, 100 becomes 14.2857: to the trader's disadvantage of being filled, so a limit keeps its promise
        (BUY, {"type_": OrderType.LIMIT, "limit": 99.0}, (14.14, 0.0)),  # 14.142857, down
        (SELL, {"type_": OrderType.LIMIT, "limit": 101.0}, (14.43, 0.0)),  # 14.428571, up
        (BUY, {"type_": OrderType.STOP, "stop": 101.0}, (0.0, 14.43)),
        (SELL, {"type_": OrderType.STOP, "stop": 99.0}, (0.0, 14.14)),
        (BUY, {"type_": OrderType.STOP_LIMIT, "stop": 101.0, "limit": 102.0}, (14.57, 14.43)),  # 14.571429
        (SELL, {"type_": OrderType.STOP_LIMIT, "stop": 99.0, "limit": 98.0}, (14.0, 14.14)),
        (SELL, {"type_": OrderType.LIMIT, "limit": 105.0}, (15.0, 0.0)),  # exact
        (SELL, {"type_": OrderType.TRAILING_STOP, "trail": 7.0}, (0.0, 13.28)),  # 93 / 7 = 13.2857
        (BUY, {"type_": OrderType.TRAILING_STOP, "trail": 0.05, "trail_kind": Trail.PERCENT}, (0.0, 15.0)),
        (BUY, {"type_": OrderType.MARKET}, (0.0, 0.0)),
    ],
)
def test_resting_order_keeps_its_terms_in_new_shares(
    side: Side, terms: dict[str, Any], expected: tuple[float, float]
) -> None:
    engine = opened(margin=MarginSpec(4.0))
    order_id = engine.submit(0, side, 10, **terms)
    engine.take_events()
    events = split(engine, 7)
    assert resting(engine) == [(order_id, 70, *expected)]
    slot = engine.state.slots[0]
    assert (slot.working_buy, slot.working_sell) == ((70, 0) if side == BUY else (0, 70))
    last = events[-1]
    assert (last["kind"], last["order_id"], last["lots"], last["status"]) == (
        EventKind.ORDER,
        order_id,
        70,
        Status.NEW,
    )
    assert_books(engine)


def test_orders_fill_in_new_shares_at_new_prices() -> None:
    engine = opened(fill_at_touch=True)
    hold(engine, 20)
    order(engine, BUY, 10, limit=90.0)
    order(engine, SELL, 5, limit=110.0)
    order(engine, SELL, 5, stop=80.0)
    split(engine, 2)
    assert not filled(row(engine, 50.0))
    assert filled(row(engine, 45.0)) == [(BUY, 20, 45.0)]
    assert filled(row(engine, 55.0)) == [(SELL, 10, 55.0)]
    assert filled(row(engine, 40.0)) == [(SELL, 10, 40.0)]
    assert cash(engine) == dollars(8_000 - 900 + 550 + 400)
    assert_books(engine)


def test_prices_of_a_path_after_a_split_begin_at_the_new_price() -> None:
    engine = opened()
    order(engine, BUY, 1, stop=140.0)  # 70 in new shares; the old price of 100 is beyond that
    split(engine, 2)
    assert not filled(row(engine, 60.0, kind=RowKind.EXTREME))
    assert filled(row(engine, 75.0, kind=RowKind.EXTREME)) == [(BUY, 2, 70.0)]


def test_trailing_stop_follows_at_its_distance_in_new_shares() -> None:
    engine = opened()
    hold(engine, 10)
    engine.submit(0, SELL, 10, OrderType.TRAILING_STOP, trail=4.0)
    split(engine, 2)
    assert resting(engine) == [(2, 20, 0.0, 48.0)]
    row(engine, 51.0)
    assert resting(engine) == [(2, 20, 0.0, 49.0)]
    assert filled(row(engine, 48.5)) == [(SELL, 20, 48.5)]


def test_cash_set_aside_for_an_order_is_enough_after_the_split() -> None:
    engine = opened(cash=1_000.0, taker_bps=10.0)
    order(engine, BUY, 9, limit=99.0)
    aside = int(engine.state.accounts[0].reserved)
    assert aside == dollars(891)  # at no fee: it is the maker
    split(engine, 7)
    assert engine.state.accounts[0].reserved == aside
    assert filled(row(engine, 14.0)) == [(BUY, 63, 14.0)]
    assert (engine.state.accounts[0].reserved, cash(engine)) == (0, dollars(1_000 - 882))


def test_partly_filled_order_goes_on_with_what_is_left() -> None:
    engine = opened(participation=1.0)
    order(engine, BUY, 10, limit=110.0)
    assert filled(row(engine, 100.0, size=4.0)) == [(BUY, 4, 100.0)]
    split(engine, 3)
    (place,) = engine.live_orders()
    rest = engine.state.orders[place]
    assert (rest.lots, rest.cum_lots, rest.notional) == (30, 12, dollars(400))  # 12 at 33.33 on average
    events = row(engine, 30.0, size=100.0)
    assert filled(events) == [(BUY, 18, 30.0)]
    assert (events[-1]["status"], events[-1]["cum_lots"]) == (Status.FILLED, 30)
    assert engine.state.slots[0].lots == 30
    assert_books(engine)


def test_order_of_which_not_one_share_is_left_ends() -> None:
    engine = opened(5.0)
    order(engine, BUY, 9, limit=4.0)
    order(engine, BUY, 19, limit=4.0)
    engine.take_events()
    events = split(engine, 1, 10)
    assert ended(events) == [(2, Status.NEW, Code.NONE), (1, Status.CANCELED, Code.SPLIT)]
    assert resting(engine) == [(2, 1, 40.0, 0.0)]
    # the cash set aside for 19 at 4 stays with the one at 40
    assert engine.state.accounts[0].reserved == dollars(76)
    assert_books(engine)


def test_rest_of_an_order_ends_where_it_is_less_than_a_share() -> None:
    engine = opened(5.0, participation=1.0)
    order(engine, BUY, 28, limit=6.0)
    row(engine, 5.0, size=20.0)
    events = split(engine, 1, 10)
    assert (events[-1]["status"], events[-1]["code"]) == (Status.CANCELED, Code.SPLIT)
    assert (engine.state.slots[0].lots, engine.state.slots[0].working_buy) == (2, 0)
    assert_books(engine)


def test_limit_below_a_tick_after_the_split_stays_at_a_tick() -> None:
    engine = opened(1.0)
    order(engine, BUY, 10, limit=0.02)
    split(engine, 7)
    assert resting(engine) == [(1, 70, 0.01, 0.0)]


@pytest.mark.parametrize("tif", [TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD])
def test_time_in_force_goes_on_over_a_split(tif: TimeInForce) -> None:
    engine = opened()
    ends = at(100)
    engine.submit(
        0,
        BUY,
        3,
        OrderType.LIMIT,
        tif,
        limit=90.0,
        expires=ends if tif == TimeInForce.GTD else NEVER,
    )
    split(engine, 2)
    if tif == TimeInForce.GTD:
        events = row(engine, 50.0, seconds=101)
        assert (events[0]["status"], events[0]["ts"]) == (Status.EXPIRED, ends)
    else:
        assert filled(row(engine, 44.0)) == [(BUY, 6, 44.0)]


@pytest.mark.parametrize("tif", [TimeInForce.AT_THE_OPEN, TimeInForce.AT_THE_CLOSE])
def test_order_for_an_auction_fills_in_new_shares(tif: TimeInForce) -> None:
    engine = opened()
    engine.submit(0, BUY, 3, OrderType.LIMIT, tif, limit=90.0)
    split(engine, 2)
    first = filled(row(engine, 44.0, seconds=1_000))
    second = filled(row(engine, 43.0, seconds=86_401))  # the next day
    expected = [(BUY, 6, 43.0)] if tif == TimeInForce.AT_THE_OPEN else [(BUY, 6, 44.0)]
    assert [*first, *second] == expected


def test_order_on_its_way_to_the_broker_arrives_in_new_shares() -> None:
    engine = opened(latency_ns=10 * SECOND)
    order(engine, BUY, 10, limit=99.0)
    split(engine, 7)
    assert resting(engine) == [(1, 70, 14.14, 0.0)]
    assert not filled(row(engine, 14.0, seconds=5))
    row(engine, 14.2, seconds=20)
    assert filled(row(engine, 14.13)) == [(BUY, 70, 14.13)]
    assert_books(engine)


def test_new_terms_on_their_way_to_the_broker_are_for_new_shares() -> None:
    engine = opened(latency_ns=10 * SECOND)
    order(engine, BUY, 10, limit=99.0)
    row(engine, 100.0, seconds=20)
    assert engine.amend(1, lots=20, limit=98.0) == Code.NONE
    split(engine, 7)
    assert resting(engine) == [(1, 70, 14.14, 0.0)]
    assert (
        engine.state.slots[0].working_buy == 140
    )  # the larger of the two, until the broker has the new ones
    row(engine, 14.2, seconds=40)
    assert resting(engine) == [(1, 140, 14.0, 0.0)]
    assert engine.state.slots[0].working_buy == 140
    assert_books(engine)


def test_cancel_on_its_way_reaches_the_order_after_the_split() -> None:
    engine = opened(latency_ns=10 * SECOND)
    order(engine, BUY, 10, limit=99.0)
    row(engine, 100.0, seconds=20)
    engine.cancel(1)
    split(engine, 2)
    events = row(engine, 50.0, seconds=40)
    assert ended(events) == [(1, Status.CANCELED, Code.NONE)]
    assert not resting(engine)


# -- pairs and brackets -----------------------------------------------------------------------------------------------

LIMIT, STOP, MARKET = int(OrderType.LIMIT), int(OrderType.STOP), int(OrderType.MARKET)


def test_pair_is_split_on_both_sides_and_still_trades_its_quantity_once() -> None:
    engine = opened(participation=1.0)
    hold(engine, 11)
    sell = Terms(SELL, LIMIT, 0, 11, limit=110.0), Terms(SELL, STOP, 0, 11, stop=90.0)
    engine.submit_pair(0, *sell)
    split(engine, 3, 2)
    # 16.5: the position keeps 16, and both orders 16
    assert resting(engine) == [(2, 16, 73.34, 0.0), (3, 16, 0.0, 60.0)]
    assert engine.state.slots[0].working_sell == 16
    row(engine, 74.0, size=6.0)
    assert resting(engine) == [(2, 10, 73.34, 0.0), (3, 10, 0.0, 60.0)]
    assert filled(row(engine, 60.0, size=100.0)) == [(SELL, 10, 60.0)]
    assert (engine.state.slots[0].lots, resting(engine)) == (0, [])
    assert_books(engine)


def test_pair_of_less_than_a_share_ends_on_both_sides() -> None:
    engine = opened(5.0)
    hold(engine, 9)
    engine.submit_pair(0, Terms(SELL, LIMIT, 0, 9, limit=6.0), Terms(SELL, STOP, 0, 9, stop=4.0))
    engine.take_events()
    assert ended(split(engine, 1, 10)) == [
        (2, Status.CANCELED, Code.SPLIT),
        (3, Status.CANCELED, Code.SPLIT),
    ]
    assert_books(engine)


def bracket(engine: Engine, lots: int) -> None:
    engine.submit_bracket(
        0,
        Terms(BUY, LIMIT, 0, lots, limit=100.0),
        (Terms(SELL, LIMIT, 0, lots, limit=120.0), Terms(SELL, STOP, 0, lots, stop=80.0)),
    )


def test_bracket_that_waits_is_split_with_its_children() -> None:
    engine = opened()
    bracket(engine, 10)
    split(engine, 2)
    assert resting(engine) == [(1, 20, 50.0, 0.0), (2, 20, 60.0, 0.0), (3, 20, 0.0, 40.0)]
    assert filled(row(engine, 49.0)) == [(BUY, 20, 49.0)]
    assert filled(row(engine, 61.0)) == [(SELL, 20, 61.0)]
    assert (engine.state.slots[0].lots, resting(engine)) == (0, [])
    assert_books(engine)


def test_bracket_of_which_a_part_is_filled_releases_the_rest_after_the_split() -> None:
    engine = opened(participation=1.0)
    bracket(engine, 10)
    row(engine, 99.0, size=4.0)
    split(engine, 2)
    held = [int(engine.state.orders[place].held_lots) for place in engine.live_orders()]
    assert (resting(engine)[0], held) == ((1, 12, 50.0, 0.0), [0, 12, 12])
    assert filled(row(engine, 60.5, size=100.0)) == [(SELL, 8, 60.5)]  # what the parent has bought
    assert filled(row(engine, 49.0, size=100.0)) == [(BUY, 12, 49.0)]
    assert filled(row(engine, 39.0, size=100.0)) == [(SELL, 12, 39.0)]
    assert (engine.state.slots[0].lots, resting(engine)) == (0, [])
    assert_books(engine)


@given(st.integers(2, 60), st.data(), st.sampled_from(RATIOS))
def test_children_of_a_bracket_never_sell_more_than_there_is_after_a_split(
    lots: int, data: Any, ratio: tuple[float, float]
) -> None:
    engine = opened(participation=1.0, cash=1e6)
    bracket(engine, lots)
    first = data.draw(st.integers(1, lots - 1))
    row(engine, 99.0, size=float(first))
    split(engine, *ratio)
    scaled = ratio[0] / ratio[1]
    row(engine, 99.0 / scaled, size=1e6)
    assert_books(engine)
    events = row(engine, 70.0 / scaled, size=1e6)
    assert all(side == SELL for side, _, _ in filled(events))
    assert engine.state.slots[0].lots >= 0
    row(engine, 130.0 / scaled, size=1e6)
    assert engine.state.slots[0].lots >= 0
    assert_books(engine)


def test_parent_of_which_nothing_is_left_takes_its_children_along() -> None:
    engine = opened(5.0)
    engine.submit_bracket(0, Terms(BUY, LIMIT, 0, 9, limit=4.0), (Terms(SELL, LIMIT, 0, 9, limit=6.0),))
    engine.take_events()
    assert ended(split(engine, 1, 10)) == [
        (1, Status.CANCELED, Code.SPLIT),
        (2, Status.CANCELED, Code.SPLIT),
    ]
    assert_books(engine)
