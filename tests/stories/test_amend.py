"""Amending orders that work: quantity and prices, what the gate says, and what happens on the way."""

from typing import Any

import pytest

from engine.engine import Engine
from engine.records import N_CODES, Code, Side, Status, TimeInForce
from engine.spec import LimitsSpec, MarginSpec
from tests.builders import order, read
from tests.stories.accounts import assert_books, venue
from tests.stories.desk import (
    at,
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
HALF = at(0.5)


def resting(lots: int = 10, limit: float = 99.0, **given: Any) -> Engine:
    """A price of 100, and order 1: a buy limit at the broker."""
    engine = opened(100.0, **given)
    order(engine, BUY, lots, limit=limit)
    if given.get("latency_ns"):
        row(engine, 100.0, seconds=1.0)
    engine.take_events()
    return engine


# -- what changes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lots", [20, 4])
def test_amended_quantity_is_what_fills_and_what_is_set_aside(lots: int) -> None:
    engine = resting()
    assert engine.amend(1, lots=lots) == Code.NONE
    (event,) = read(engine.take_events())
    assert (event["status"], event["lots"], event["code"]) == (Status.NEW, lots, Code.NONE)
    assert engine.state.accounts[0].reserved == dollars(99 * lots)
    assert engine.state.slots[0].working_buy == lots
    assert_books(engine)
    assert prints(engine, 98.0) == [(1, 1, lots, 98.0)]
    assert_books(engine)


def test_amended_limit_is_the_one_that_fills() -> None:
    engine = resting()
    assert engine.amend(1, limit=98.0) == Code.NONE
    assert engine.state.accounts[0].reserved == dollars(980)
    assert prints(engine, 98.5, 98.0) == []
    assert prints(engine, 97.99) == [(1, 1, 10, 97.99)]
    assert_books(engine)


def test_amended_stop_is_the_one_that_triggers() -> None:
    engine = opened(100.0)
    own(engine, 10)
    put(engine, SELL, 10, stop=95.0)
    assert engine.amend(2, stop=90.0) == Code.NONE
    assert prints(engine, 94.0) == []
    assert engine.amend(2, stop=94.5) == Code.NONE  # the price is beyond it already
    assert prints(engine, 94.2) == [(2, -1, 10, 94.2)]


def test_both_prices_of_a_stop_limit_can_be_amended_until_it_is_triggered() -> None:
    engine = opened(100.0)
    put(engine, BUY, 10, stop=105.0, limit=106.0)
    assert engine.amend(1, stop=103.0, limit=103.5) == Code.NONE
    assert prints(engine, 104.0) == []  # triggered, beyond the limit
    assert engine.amend(1, stop=110.0) == Code.INSTRUMENT
    assert engine.amend(1, limit=104.5) == Code.NONE
    assert prints(engine, 104.2) == [(1, 1, 10, 104.2)]


def test_limit_amended_to_where_the_market_is_takes() -> None:
    engine = resting(maker_bps=1.0, taker_bps=10.0)
    engine.amend(1, limit=101.0)
    engine.take_events()
    (event,) = row(engine, 100.5)
    assert (event["last_px"], event["maker"], event["last_fee"]) == (100.5, 0, dollars(1.005))


def test_quantity_must_be_more_than_what_has_filled() -> None:
    engine = resting(participation=0.1)
    assert prints(engine, 98.0, size=40.0) == [(1, 1, 4, 98.0)]
    assert engine.amend(1, lots=4) == Code.INSTRUMENT
    assert engine.amend(1, lots=5) == Code.NONE
    assert working(engine, 1).working == 1
    engine.take_events()
    assert history(row(engine, 98.0, size=1_000.0), 1) == [(Status.FILLED, Code.NONE)]
    assert engine.state.slots[0].lots == 5
    assert_books(engine)


# -- what the gate says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"lots": 11}, Code.CASH),  # 11 x 99 = 1,089 of 1,000
        ({"limit": 100.01}, Code.CASH),
        ({"limit": 99.005}, Code.INSTRUMENT),
        ({"limit": -1.0}, Code.INSTRUMENT),
        ({"stop": 105.0}, Code.INSTRUMENT),  # it has none
    ],
)
def test_amendment_that_is_refused_changes_nothing(change: dict[str, Any], code: Code) -> None:
    engine = resting(cash=1_000)
    before = working(engine, 1).tolist()
    assert engine.amend(1, **change) == code
    (event,) = read(engine.take_events())
    assert (event["status"], event["code"], event["lots"], event["limit"]) == (Status.NEW, code, 10, 99.0)
    assert working(engine, 1).tolist() == before
    assert engine.state.accounts[0].reserved == dollars(990)
    assert engine.state.denied.reshape(-1, N_CODES)[0, code] == 1
    assert prints(engine, 98.0) == [(1, 1, 10, 98.0)]
    assert_books(engine)


def test_amended_order_may_spend_what_the_old_one_had_set_aside() -> None:
    engine = resting(cash=1_000)
    assert engine.amend(1, limit=100.0) == Code.NONE  # all of the cash, not 990 and 1,000
    assert engine.state.accounts[0].reserved == dollars(1_000)


def test_amendment_is_cut_where_the_account_resizes() -> None:
    engine = resting(5, cash=1_000, limits=LimitsSpec(resize=True))
    assert engine.amend(1, lots=20) == Code.NONE
    (event,) = read(engine.take_events())
    assert (event["lots"], event["code"]) == (10, Code.CASH)  # 1,000 / 99 = 10.1


def test_amendment_counts_as_an_order() -> None:
    engine = resting(limits=LimitsSpec(rate_orders=2, rate_window_ns=at(60)))
    assert [engine.amend(1, lots=11), engine.amend(1, lots=12)] == [Code.NONE, Code.ORDER_RATE]


def test_exit_that_is_amended_to_more_than_is_held_flips_the_position() -> None:
    engine = venue(margin=MarginSpec(4.0, 0.1))
    row(engine, 100.0)
    own(engine, 10)
    order(engine, SELL, 10, limit=110.0)
    assert engine.amend(2, lots=15) == Code.NONE
    assert prints(engine, 111.0) == [(2, -1, 15, 111.0)]
    assert engine.state.slots[0].lots == -5
    assert_books(engine)


def test_market_order_has_no_prices_to_amend() -> None:
    engine = opened(100.0)
    order(engine, BUY, 10)
    assert engine.amend(1, limit=99.0) == Code.INSTRUMENT
    assert engine.amend(1, lots=3) == Code.NONE
    assert prints(engine, 100.0) == [(1, 1, 3, 100.0)]


def test_order_that_is_not_there_or_has_ended_cannot_be_amended() -> None:
    engine = resting()
    assert engine.amend(7, lots=5) is None
    engine.cancel(1)
    assert engine.amend(1, lots=5) is None


def test_orders_of_a_pair_or_bracket_keep_their_quantity_and_may_change_their_prices() -> None:
    engine = opened(100.0)
    own(engine, 10)
    engine.submit_pair(0, terms(SELL, 10, limit=110.0), terms(SELL, 10, stop=90.0))
    engine.submit_bracket(0, terms(BUY, 10, limit=95.0), [terms(SELL, 10, limit=120.0)])
    assert [engine.amend(i, lots=5) for i in (2, 3, 4, 5)] == [Code.GROUP] * 4
    changes: list[tuple[int, dict[str, Any]]] = [
        (2, {"limit": 108.0}),
        (3, {"stop": 92.0}),
        (4, {"limit": 96.0}),
        (5, {"limit": 115.0}),
    ]
    assert [engine.amend(i, **change) for i, change in changes] == [Code.NONE] * 4
    assert_books(engine)
    assert prints(engine, 91.0) == [(3, -1, 10, 91.0), (4, 1, 10, 91.0)]
    assert prints(engine, 116.0) == [(5, -1, 10, 116.0)]
    assert_books(engine)


# -- on its way -------------------------------------------------------------------------------------------------------


def test_old_terms_hold_until_the_broker_has_the_new_ones() -> None:
    engine = resting(latency_ns=HALF)
    engine.amend(1, limit=98.0)
    assert filled(row(engine, 98.5, seconds=1.4)) == [(BUY, 10, 98.5)]
    engine = resting(latency_ns=HALF)
    engine.amend(1, limit=98.0)
    assert filled(row(engine, 98.5, seconds=1.5)) == []
    assert filled(row(engine, 97.9, seconds=1.6)) == [(BUY, 10, 97.9)]


def test_larger_of_both_counts_while_it_is_on_its_way() -> None:
    engine = resting(latency_ns=HALF)
    for lots, meanwhile in [(20, 20), (5, 20)]:
        assert engine.amend(1, lots=lots) == Code.NONE
        assert engine.state.slots[0].working_buy == meanwhile
        assert engine.state.accounts[0].reserved == dollars(99 * meanwhile)
        assert_books(engine)
        row(engine, 100.0)
        assert engine.state.slots[0].working_buy == lots
        assert engine.state.accounts[0].reserved == dollars(99 * lots)
        assert_books(engine)


def test_order_that_fills_more_than_its_new_quantity_meanwhile_ends_as_filled() -> None:
    engine = resting(latency_ns=HALF, participation=0.1)
    engine.amend(1, lots=5)
    assert filled(row(engine, 98.0, size=70.0, seconds=1.2)) == [(BUY, 7, 98.0)]
    (event,) = wait(engine, 2)
    assert (event["status"], event["ts"]) == (Status.FILLED, at(1.5))
    assert (event["lots"], event["cum_lots"]) == (7, 7)
    assert engine.live_orders() == []
    assert_books(engine)


def test_fill_meanwhile_counts_towards_the_new_quantity() -> None:
    engine = resting(latency_ns=HALF, participation=0.1)
    engine.amend(1, lots=15)
    row(engine, 98.0, size=40.0, seconds=1.2)
    assert filled(row(engine, 98.0, size=1_000.0, seconds=2.0)) == [(BUY, 11, 98.0)]
    assert_books(engine)


def test_order_can_be_amended_on_its_way_to_the_broker() -> None:
    engine = opened(100.0, latency_ns=HALF)
    order(engine, BUY, 10, limit=99.0)
    wait(engine, 0.2)
    engine.amend(1, limit=97.0)
    assert filled(row(engine, 98.0, seconds=0.4)) == []  # not there yet
    assert filled(row(engine, 99.0, seconds=0.6)) == []
    wait(engine, 0.7)
    assert working(engine, 1).limit == 97.0
    assert filled(row(engine, 98.0, seconds=0.8)) == []


def test_second_amendment_while_one_is_on_its_way_is_refused() -> None:
    engine = resting(latency_ns=HALF)
    assert engine.amend(1, lots=5) == Code.NONE
    assert engine.amend(1, lots=6) == Code.GROUP
    wait(engine, 1.5)
    assert engine.amend(1, lots=6) == Code.NONE


def test_amendment_while_a_cancel_is_on_its_way_is_refused() -> None:
    engine = resting(latency_ns=HALF)
    engine.cancel(1)
    assert engine.amend(1, lots=5) == Code.GROUP
    assert history(wait(engine, 2), 1)[-1] == (Status.CANCELED, Code.NONE)
    assert_books(engine)


def test_cancel_while_an_amendment_is_on_its_way_comes_after_it() -> None:
    engine = resting(latency_ns=HALF)
    engine.amend(1, limit=98.0)
    wait(engine, 1.2)
    assert engine.cancel(1)
    assert filled(row(engine, 98.5, seconds=1.6)) == []  # the new limit
    assert history(wait(engine, 2), 1)[-1] == (Status.CANCELED, Code.NONE)
    assert_books(engine)


def test_trailing_stop_that_is_amended_keeps_what_it_has_followed_meanwhile() -> None:
    engine = opened(100.0, latency_ns=HALF)
    order(engine, BUY, 10)
    row(engine, 100.0, seconds=1.0)
    put(engine, SELL, 10, trail=2.0)
    wait(engine, 2.0)
    engine.amend(2, lots=5)
    row(engine, 110.0, seconds=2.2)
    row(engine, 109.0, seconds=3.0)
    assert (working(engine, 2).stop, working(engine, 2).lots) == (108.0, 5)


# -- the queue --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ([], 1),
        ([{"lots": 2}], 1),  # less: it keeps its place
        ([{"lots": 4}], 2),
        ([{"limit": 98.5}], 2),
        ([{"limit": 98.5}, {"limit": 99.0}], 2),  # and does not get it back
        ([{"limit": 99.0}], 1),  # the same price is no other
        ([{"lots": 2}, {"lots": 3}], 2),
    ],
)
def test_order_keeps_its_place_only_where_it_asks_for_less(changes: list[dict[str, Any]], first: int) -> None:
    engine = opened(100.0, participation=0.1)
    for _ in range(2):
        order(engine, BUY, 3, limit=99.0)
    for change in changes:
        assert engine.amend(1, **change) == Code.NONE
    # a row of 10 has one lot for the account
    assert prints(engine, 98.0, size=10.0) == [(first, 1, 1, 98.0)]


@pytest.mark.parametrize("tif", [TimeInForce.DAY, TimeInForce.GTD])
def test_amended_order_keeps_its_time_in_force(tif: TimeInForce) -> None:
    engine = opened(100.0)
    given = {"expires": at(10)} if tif == TimeInForce.GTD else {}
    put(engine, BUY, 10, limit=99.0, tif=tif, **given)
    engine.amend(1, limit=98.0)
    end = 10 if given else 86_400
    row(engine, 100.0, seconds=9)
    assert [(e["status"], e["ts"]) for e in wait(engine, end) if e["order_id"]] == [(Status.EXPIRED, at(end))]
    assert engine.state.accounts[0].reserved == 0
