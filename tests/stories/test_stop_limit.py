"""Stop-limit orders: a stop that, once it is reached, is a limit order."""

from typing import Any

import pytest

from engine.engine import Engine
from engine.records import Code, OrderType, RowKind, Side, Slippage, Status, TimeInForce
from tests.stories.desk import (
    assert_balanced,
    code_of,
    dollars,
    filled,
    history,
    opened,
    own,
    path,
    prints,
    put,
    row,
    working,
)

BUY, SELL = Side.BUY, Side.SELL
EXTREME, CLOSE = RowKind.EXTREME, RowKind.CLOSE


def rested(side: Side, stop: float, limit: float, price: float = 100.0, **given: Any) -> Engine:
    """An engine that holds 10 and has one such order for 10."""
    engine = opened(price, **given)
    own(engine, 10)
    put(engine, side, 10, stop=stop, limit=limit)
    engine.take_events()
    return engine


@pytest.mark.parametrize(
    ("side", "stop", "limit", "price"),
    [
        (BUY, 105.0, 106.0, 105.5),
        (BUY, 105.0, 106.0, 106.0),  # at its limit is within it: it takes, and stands in no queue
        (SELL, 95.0, 94.0, 94.5),
        (SELL, 95.0, 94.0, 94.0),
    ],
)
def test_print_that_triggers_it_within_the_limit_fills_it_there(
    side: Side, stop: float, limit: float, price: float
) -> None:
    engine = rested(side, stop, limit)
    assert prints(engine, price) == [(2, int(side), 10, price)]
    assert_balanced(engine)


def test_price_within_the_limit_that_has_not_reached_the_stop_fills_nothing() -> None:
    engine = rested(BUY, 105.0, 106.0)
    assert prints(engine, 104.99, 90.0) == []


@pytest.mark.parametrize(
    ("side", "stop", "limit", "gap", "touch", "through"),
    [(BUY, 105.0, 106.0, 107.0, 106.0, 105.9), (SELL, 95.0, 94.0, 93.0, 94.0, 94.1)],
)
def test_gap_beyond_the_limit_triggers_it_and_it_rests_as_a_limit(
    side: Side, stop: float, limit: float, gap: float, touch: float, through: float
) -> None:
    engine = rested(side, stop, limit)
    assert prints(engine, gap, touch, gap) == []
    assert prints(engine, through) == [(2, int(side), 10, through)]


def test_order_that_rests_after_its_trigger_fills_though_the_price_is_back_over_the_stop() -> None:
    engine = rested(BUY, 105.0, 106.0)
    assert prints(engine, 107.0, 101.0) == [(2, 1, 10, 101.0)]


def test_limit_equal_to_the_stop_fills_at_a_print_on_both() -> None:
    assert prints(rested(BUY, 105.0, 105.0), 105.0) == [(2, 1, 10, 105.0)]


def test_limit_equal_to_the_stop_that_a_print_jumps_over_has_to_be_traded_through() -> None:
    engine = rested(BUY, 105.0, 105.0)
    assert prints(engine, 105.01, 105.0) == []
    assert prints(engine, 104.99) == [(2, 1, 10, 104.99)]


@pytest.mark.parametrize(
    ("side", "stop", "limit", "end", "expected"),
    [
        (BUY, 105.0, 106.0, 108.0, 105.0),  # the path passes 105 first
        (BUY, 105.0, 105.0, 108.0, 105.0),
        (SELL, 95.0, 94.0, 90.0, 95.0),
        (SELL, 95.0, 95.0, 90.0, 95.0),
    ],
)
def test_path_triggers_it_at_the_stop_and_fills_it_there(
    side: Side, stop: float, limit: float, end: float, expected: float
) -> None:
    assert path(rested(side, stop, limit), (end, EXTREME)) == [(2, int(side), 10, expected)]


def test_limit_on_the_other_side_of_the_stop_waits_for_the_path_to_come_back() -> None:
    # "when 105 has been seen, buy at 103": up to 108, then down through 103
    engine = rested(BUY, 105.0, 103.0)
    assert path(engine, (108.0, EXTREME)) == []
    assert path(engine, (103.0, EXTREME)) == []  # touched
    assert path(engine, (102.0, CLOSE)) == [(2, 1, 10, 103.0)]


@pytest.mark.parametrize(("limit", "first", "second"), [(106.5, 106.0, None), (105.5, None, 105.5)])
def test_path_that_begins_beyond_the_stop_triggers_it_where_it_begins(
    limit: float, first: float | None, second: float | None
) -> None:
    engine = rested(BUY, 105.0, limit, price=106.0)
    assert path(engine, (108.0, EXTREME)) == ([] if first is None else [(2, 1, 10, first)])
    assert path(engine, (104.0, EXTREME)) == ([] if second is None else [(2, 1, 10, second)])


def test_fill_at_the_trigger_pays_the_takers_fee_and_one_after_it_the_makers() -> None:
    engine = rested(BUY, 105.0, 106.0, taker_bps=10.0, maker_bps=2.0)
    at_once = row(engine, 105.5)
    # 1,055 x 10 bps
    assert [(e["last_fee"], e["maker"]) for e in at_once] == [(dollars(1.055), 0)]
    engine = rested(BUY, 105.0, 106.0, taker_bps=10.0, maker_bps=2.0)
    row(engine, 107.0)
    later = row(engine, 105.9)
    # 1,059 x 2 bps
    assert [(e["last_fee"], e["maker"]) for e in later] == [(dollars(0.2118), 1)]


def test_what_the_trigger_leaves_over_rests_as_a_maker() -> None:
    engine = rested(BUY, 105.0, 106.0, participation=0.1, taker_bps=10.0, maker_bps=2.0)
    events = [
        *row(engine, 105.5, size=40.0),
        *row(engine, 106.0, size=500.0),
        *row(engine, 105.5, size=500.0),
    ]
    # 4 x 105.50 = 422 x 10 bps, then 6 x 105.50 = 633 x 2 bps
    assert [(e["last_lots"], e["last_fee"]) for e in events] == [(4, dollars(0.422)), (6, dollars(0.1266))]
    assert engine.state.slots[0].lots == 20
    assert_balanced(engine)


def test_it_pays_no_slippage() -> None:
    engine = rested(BUY, 105.0, 106.0, slippage=Slippage.TICKS, slippage_value=3.0)
    assert prints(engine, 105.5) == [(2, 1, 10, 105.5)]


def test_it_sets_aside_what_it_costs_at_its_limit() -> None:
    engine = rested(BUY, 105.0, 106.0)
    assert working(engine, 2).reserved == dollars(1_060)


def test_ioc_waits_for_its_stop_and_is_gone_if_the_gap_is_beyond_the_limit() -> None:
    engine = opened(100.0)
    first = put(engine, BUY, 10, stop=105.0, limit=106.0, tif=TimeInForce.IOC)
    engine.take_events()
    assert row(engine, 104.0) == []
    assert history(row(engine, 107.0), first) == [(Status.CANCELED, Code.IOC_REST)]


def test_fill_or_kill_waits_for_its_stop_and_fills_within_the_limit() -> None:
    engine = opened(100.0)
    put(engine, BUY, 10, stop=105.0, limit=106.0, tif=TimeInForce.FOK)
    assert filled([*row(engine, 104.0), *row(engine, 105.5)]) == [(BUY, 10, 105.5)]


@pytest.mark.parametrize("prices", [{"stop": 105.0}, {"limit": 106.0}, {"stop": 105.0, "limit": 106.005}])
def test_order_that_lacks_a_price_or_has_one_off_the_grid_is_denied(prices: dict[str, Any]) -> None:
    engine = opened(100.0)
    engine.submit(0, BUY, 10, OrderType.STOP_LIMIT, **prices)
    assert code_of(engine) == Code.INSTRUMENT
