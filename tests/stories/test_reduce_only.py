"""Reduce-only orders: they shrink the position of their strategy, never flip it, and end with it."""

from typing import Any

import pytest

from engine.engine import Engine
from engine.records import Code, Side, Status
from engine.spec import MarginSpec
from tests.builders import order
from tests.stories.accounts import assert_books, venue
from tests.stories.desk import code_of, filled, history, make_world, opened, own, prints, put, row, working

BUY, SELL = Side.BUY, Side.SELL
ENDED = (Status.CANCELED, Code.REDUCE_ONLY)


def holding(lots: int = 10, **given: Any) -> Engine:
    """A cash account that holds so many, order 1 having bought them."""
    engine = opened(100.0, **given)
    own(engine, lots)
    return engine


def short(lots: int = 10) -> Engine:
    """A margin account that has sold so many short."""
    engine = venue(margin=MarginSpec(4.0, 0.1))
    row(engine, 100.0)
    order(engine, SELL, lots)
    assert filled(row(engine, 100.0)) == [(SELL, lots, 100.0)]
    return engine


def reduce(engine: Engine, side: Side = SELL, lots: int = 10, **terms: Any) -> int:
    order_id = put(engine, side, lots, reduce_only=True, **terms)
    engine.take_events()
    return order_id


def test_order_larger_than_the_position_is_cut_to_it() -> None:
    engine = holding()
    put(engine, SELL, 15, reduce_only=True)
    assert code_of(engine) == Code.REDUCE_ONLY
    assert filled(row(engine, 101.0)) == [(SELL, 10, 101.0)]
    assert engine.state.slots[0].lots == 0
    assert_books(engine)


@pytest.mark.parametrize("side", [BUY, SELL])
def test_order_without_a_position_to_reduce_is_denied(side: Side) -> None:
    engine = opened(100.0) if side == SELL else holding()  # to buy does not reduce what is held
    put(engine, side, 10, reduce_only=True)
    assert code_of(engine) == Code.REDUCE_ONLY
    assert engine.live_orders() == []


def test_position_of_another_strategy_is_not_there_to_reduce() -> None:
    engine = make_world(("a",), (("s", "a"), ("t", "a")))
    row(engine, 100.0)
    own(engine, 10, slot=0)
    put(engine, SELL, 10, slot=1, reduce_only=True)
    assert code_of(engine) == Code.REDUCE_ONLY


def test_order_fills_no_more_than_the_position_then_is_and_the_other_ends_with_it() -> None:
    engine = holding()
    limit = reduce(engine, limit=110.0)
    stop = reduce(engine, stop=90.0)
    assert engine.state.slots[0].working_sell == 0  # neither counts
    order(engine, SELL, 4)
    assert filled(row(engine, 100.0)) == [(SELL, 4, 100.0)]
    assert [working(engine, i).lots for i in (limit, stop)] == [10, 10]
    events = row(engine, 111.0)
    assert filled(events) == [(SELL, 6, 111.0)]
    assert history(events, limit) == [(Status.PARTIALLY_FILLED, Code.NONE), ENDED]
    assert history(events, stop) == [ENDED]
    assert engine.state.slots[0].lots == 0
    assert_books(engine)


def test_two_that_one_gap_reaches_do_not_flip_the_position() -> None:
    engine = holding()
    first, second = reduce(engine, stop=95.0), reduce(engine, stop=94.0)
    events = row(engine, 90.0)
    assert filled(events) == [(SELL, 10, 90.0)]
    assert [history(events, i)[-1] for i in (first, second)] == [(Status.FILLED, Code.NONE), ENDED]
    assert_books(engine)


def test_order_ends_when_its_strategy_sells_the_position_otherwise() -> None:
    engine = holding()
    stop = reduce(engine, stop=90.0)
    order(engine, SELL, 10)
    assert history(row(engine, 100.0), stop) == [ENDED]
    own(engine, 5)  # a new position does not bring it back
    assert prints(engine, 80.0) == []


def test_order_that_has_filled_in_part_ends_when_the_rest_is_gone() -> None:
    engine = holding(participation=0.1)
    limit = reduce(engine, limit=101.0)
    assert prints(engine, 102.0, size=40.0) == [(limit, -1, 4, 102.0)]
    order(engine, SELL, 6)
    assert history(row(engine, 100.0, size=60.0), limit) == [ENDED]
    assert_books(engine)


def test_purchase_that_reduces_a_short_position_does_not_flip_it() -> None:
    engine = short()
    stop = reduce(engine, BUY, 15, stop=105.0)
    assert working(engine, stop).lots == 10
    order(engine, BUY, 7)
    row(engine, 100.0)
    events = row(engine, 106.0)
    assert filled(events) == [(BUY, 3, 106.0)]
    assert history(events, stop)[-1] == ENDED
    assert engine.state.slots[0].lots == 0
    assert_books(engine)


def test_order_ends_when_the_position_is_flipped() -> None:
    engine = venue(margin=MarginSpec(4.0, 0.1))
    row(engine, 100.0)
    own(engine, 10)
    stop = reduce(engine, stop=90.0)
    order(engine, SELL, 15)
    assert history(row(engine, 100.0), stop) == [ENDED]
    assert engine.state.slots[0].lots == -5
    assert_books(engine)


def test_plain_sale_of_what_a_reduce_only_order_has_sold_is_cancelled_in_a_cash_account() -> None:
    engine = holding()
    reduce(engine, stop=95.0)
    plain = order(engine, SELL, 10, limit=110.0)
    engine.take_events()
    assert filled(row(engine, 94.0)) == [(SELL, 10, 94.0)]
    assert history(row(engine, 111.0), plain) == [(Status.CANCELED, Code.SHORT)]
    assert engine.state.slots[0].lots == 0
    assert_books(engine)


def test_plain_sale_that_passed_as_an_exit_of_a_margin_account_remains_one() -> None:
    engine = venue(margin=MarginSpec(4.0, 0.1))
    row(engine, 100.0)
    own(engine, 10)
    plain = order(engine, SELL, 10, limit=110.0)
    reduce(engine, stop=95.0)
    assert filled(row(engine, 94.0)) == [(SELL, 10, 94.0)]
    assert history(row(engine, 111.0), plain) == [(Status.CANCELED, Code.SHORT)]
    assert engine.state.slots[0].lots == 0  # and not 10 short
    assert_books(engine)
