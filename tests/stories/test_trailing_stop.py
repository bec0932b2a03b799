"""Trailing stops: they follow the price at a distance, in their owner's favour only."""

from typing import Any

import pytest

from engine.engine import Engine
from engine.records import Code, RowKind, Side, Slippage
from tests.builders import make_engine
from tests.stories.desk import (
    assert_balanced,
    at,
    code_of,
    dollars,
    filled,
    opened,
    own,
    path,
    prints,
    put,
    row,
    wait,
    working,
)

BUY, SELL = Side.BUY, Side.SELL
EXTREME, CLOSE = RowKind.EXTREME, RowKind.CLOSE


def trailing(side: Side, price: float = 100.0, lots: int = 10, **given: Any) -> Engine:
    """An engine that holds 10 at a price and has one trailing stop, order 2."""
    terms = {name: given.pop(name) for name in ("trail", "percent") if name in given}
    engine = opened(price, **given)
    own(engine, 10)
    put(engine, side, lots, **terms)
    return engine


def stops(engine: Engine, *prices: float) -> list[float]:
    """Where the stop stands after each of the prints."""
    out = []
    for price in prices:
        assert prints(engine, price) == []
        out.append(float(working(engine, 2).stop))
    return out


def test_sale_by_an_amount_follows_up_and_never_down() -> None:
    engine = trailing(SELL, trail=2.0)
    assert working(engine, 2).stop == 98.0
    assert stops(engine, 99.0, 103.0, 102.0, 101.01) == [98.0, 101.0, 101.0, 101.0]
    assert prints(engine, 101.0) == [(2, -1, 10, 101.0)]
    assert_balanced(engine)


def test_purchase_by_an_amount_follows_down_and_never_up() -> None:
    engine = trailing(BUY, trail=2.0)
    assert working(engine, 2).stop == 102.0
    assert stops(engine, 97.0, 98.5, 96.5, 98.0) == [99.0, 99.0, 98.5, 98.5]
    assert prints(engine, 98.5) == [(2, 1, 10, 98.5)]


@pytest.mark.parametrize(("ticks", "paid"), [(0.0, 99.0), (3.0, 98.97)])
def test_gap_through_it_fills_at_the_print_with_slippage(ticks: float, paid: float) -> None:
    engine = trailing(SELL, trail=2.0, slippage=Slippage.TICKS, slippage_value=ticks)
    prints(engine, 103.0)
    assert prints(engine, 99.0) == [(2, -1, 10, paid)]


@pytest.mark.parametrize(
    ("side", "price", "expected"),
    [
        (SELL, 100.0, 95.0),
        (SELL, 110.0, 104.5),
        (SELL, 100.01, 95.0),  # 95.0095, to the tick below
        (BUY, 100.0, 105.0),
        (BUY, 90.0, 94.5),
        (BUY, 100.01, 105.02),  # 105.0105, to the tick above
    ],
)
def test_distance_in_percent_is_of_the_price_and_rounds_away_from_it(
    side: Side, price: float, expected: float
) -> None:
    assert working(trailing(side, price, percent=0.05), 2).stop == expected


def test_sale_by_a_share_follows_at_a_growing_distance() -> None:
    engine = trailing(SELL, percent=0.05)
    # 5 % of 110 are 5.50, of 120 are 6
    assert stops(engine, 110.0, 105.0, 120.0) == [104.5, 104.5, 114.0]
    assert prints(engine, 114.0) == [(2, -1, 10, 114.0)]


def test_amount_that_is_off_the_grid_is_rounded_away_from_the_price() -> None:
    assert working(trailing(SELL, trail=1.005), 2).stop == 98.99  # 98.995
    assert working(trailing(BUY, trail=1.005), 2).stop == 101.01  # 101.005


def test_amount_larger_than_the_price_leaves_the_stop_at_a_tick() -> None:
    assert working(trailing(SELL, trail=200.0), 2).stop == 0.01


def test_on_a_path_it_follows_to_the_high_and_fills_on_the_way_down_from_it() -> None:
    engine = trailing(SELL, trail=2.0)
    # 100 -> 104 moves it to 102; 104 -> 97 passes 102
    assert path(engine, (104.0, EXTREME)) == []
    assert path(engine, (97.0, EXTREME)) == [(2, -1, 10, 102.0)]


def test_on_a_path_that_goes_down_first_it_fills_where_it_stood() -> None:
    engine = trailing(SELL, trail=2.0)
    assert path(engine, (97.0, EXTREME)) == [(2, -1, 10, 98.0)]


def test_row_is_held_against_the_stop_as_it_stood_before_it() -> None:
    engine = trailing(SELL, trail=2.0)
    # the close of 102.50 is above the stop of 102: it moves nothing and fills nothing
    assert path(engine, (104.0, EXTREME), (102.5, CLOSE)) == []
    assert working(engine, 2).stop == 102.0
    # a gap up and back between two prints is not seen: from 102.50 to 101.99 it is triggered by what is
    assert prints(engine, 101.99) == [(2, -1, 10, 101.99)]


def test_it_begins_with_the_price_at_which_the_broker_gets_it() -> None:
    engine = opened(100.0, latency_ns=at(0.5))
    put(engine, BUY, 10)
    row(engine, 100.0, seconds=1.0)
    put(engine, SELL, 10, trail=2.0)
    row(engine, 110.0, seconds=1.2)
    assert working(engine, 2).stop == 0.0
    row(engine, 106.0, seconds=1.3)
    wait(engine, 1.5)
    assert working(engine, 2).stop == 104.0  # the 110 were before its time
    assert filled(row(engine, 104.0, seconds=2.0)) == [(SELL, 10, 104.0)]


def test_once_triggered_the_rest_goes_on_like_a_market_order() -> None:
    engine = trailing(SELL, trail=2.0, participation=0.1)
    assert prints(engine, 98.0, 99.5, size=60.0) == [(2, -1, 6, 98.0), (2, -1, 4, 99.5)]


def test_purchase_sets_aside_what_it_costs_where_it_begins() -> None:
    assert working(trailing(BUY, trail=2.0), 2).reserved == dollars(1_020)
    assert working(trailing(BUY, percent=0.05), 2).reserved == dollars(1_050)


def test_it_is_denied_before_any_price_is_known() -> None:
    engine = make_engine()
    put(engine, BUY, 10, trail=2.0)
    assert code_of(engine) == Code.PRICE_MISSING


@pytest.mark.parametrize(
    "distance", [{"trail": -1.0}, {"percent": 1.0}, {"percent": -0.05}, {"trail": 1e300}]
)
def test_distance_that_makes_no_sense_is_denied(distance: dict[str, Any]) -> None:
    engine = opened(100.0)
    put(engine, BUY, 10, **distance)
    assert code_of(engine) == Code.INSTRUMENT


def test_its_stop_cannot_be_amended_and_its_quantity_can() -> None:
    engine = trailing(SELL, trail=2.0)
    assert engine.amend(2, stop=97.0) == Code.INSTRUMENT
    assert engine.amend(2, lots=4) == Code.NONE
    assert prints(engine, 103.0, 101.0) == [(2, -1, 4, 101.0)]
