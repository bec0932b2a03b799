"""Good till a date, immediate or cancel, fill or kill. What IOC does with partial fills is in test_partial_fills.py."""

from typing import Any

import pytest

from engine.engine import Engine
from engine.records import Code, RowKind, Side, Status, TimeInForce
from tests.stories.desk import (
    assert_balanced,
    at,
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
    wait,
)

BUY, SELL = Side.BUY, Side.SELL
GTD, IOC, FOK = TimeInForce.GTD, TimeInForce.IOC, TimeInForce.FOK
GONE = (Status.CANCELED, Code.FOK)


def with_order(
    tif: TimeInForce, lots: int, side: Side = BUY, engine: Engine | None = None, **terms: Any
) -> Engine:
    engine = engine or opened(100.0)
    put(engine, side, lots, tif=tif, **terms)
    engine.take_events()
    return engine


# -- good till a date -------------------------------------------------------------------------------------------------


def test_gtd_order_fills_before_its_time() -> None:
    engine = with_order(GTD, 10, limit=99.0, expires=at(10))
    assert filled(row(engine, 98.0, seconds=9)) == [(BUY, 10, 98.0)]


def test_gtd_order_has_expired_when_the_row_of_its_time_comes() -> None:
    engine = with_order(GTD, 10, limit=99.0, expires=at(10))
    (event,) = row(engine, 98.0, seconds=10)
    assert (event["status"], event["code"], event["ts"]) == (Status.EXPIRED, Code.NONE, at(10))
    assert engine.state.accounts[0].reserved == 0


def test_gtd_order_expires_without_a_row() -> None:
    engine = with_order(GTD, 10, limit=99.0, expires=at(10))
    assert engine.next_due() == at(10)
    (event,) = wait(engine, 30)
    assert (event["status"], event["ts"]) == (Status.EXPIRED, at(10))


def test_gtd_order_of_which_a_part_is_filled_keeps_that_part() -> None:
    engine = with_order(GTD, 10, limit=99.0, expires=at(10), engine=opened(100.0, participation=0.1))
    assert filled(row(engine, 98.0, size=40.0, seconds=5)) == [(BUY, 4, 98.0)]
    assert history(row(engine, 98.0, size=40.0, seconds=10), 1) == [(Status.EXPIRED, Code.NONE)]
    assert engine.state.slots[0].lots == 4
    assert_balanced(engine)


def test_gtd_order_can_expire_on_its_way_to_the_broker() -> None:
    engine = with_order(GTD, 10, limit=101.0, expires=at(0.4), engine=opened(100.0, latency_ns=at(0.5)))
    events = row(engine, 98.0, seconds=1)
    assert [(e["status"], e["ts"]) for e in events] == [(Status.EXPIRED, at(0.4))]


def test_gtd_order_can_expire_while_its_cancel_is_on_its_way() -> None:
    engine = with_order(GTD, 10, limit=99.0, expires=at(1.2), engine=opened(100.0, latency_ns=at(0.5)))
    row(engine, 100.0, seconds=1)
    engine.cancel(1)
    engine.take_events()
    assert history(row(engine, 98.0, seconds=2), 1) == [(Status.EXPIRED, Code.NONE)]


@pytest.mark.parametrize("expires", [0, -1])
def test_gtd_order_whose_time_has_come_is_denied(expires: int) -> None:
    engine = opened(100.0)
    put(engine, BUY, 10, limit=99.0, tif=GTD, expires=expires)
    assert code_of(engine) == Code.INSTRUMENT


@pytest.mark.parametrize("terms", [{"tif": GTD}, {"tif": TimeInForce.GTC, "expires": at(10)}])
def test_gtd_order_has_a_time_and_no_other_order_has(terms: dict[str, Any]) -> None:
    engine = opened(100.0)
    put(engine, BUY, 10, limit=99.0, **terms)
    assert code_of(engine) == Code.INSTRUMENT


# -- immediate or cancel ----------------------------------------------------------------------------------------------


def test_ioc_market_order_waits_through_highs_and_lows() -> None:
    engine = with_order(IOC, 10)
    assert path(engine, (97.0, RowKind.EXTREME), (104.0, RowKind.EXTREME)) == []
    assert path(engine, (101.0, RowKind.CLOSE)) == [(1, 1, 10, 101.0)]


def test_ioc_limit_that_a_path_passes_fills_at_it_and_pays_the_takers_fee() -> None:
    engine = with_order(IOC, 10, limit=98.0, engine=opened(100.0, taker_bps=10.0, maker_bps=1.0))
    (event,) = row(engine, 97.0, kind=RowKind.EXTREME)
    # 980 x 10 bps
    assert (event["last_px"], event["last_fee"], event["maker"]) == (98.0, dollars(0.98), 0)


def test_ioc_stop_that_a_path_triggers_takes_what_that_row_has() -> None:
    engine = with_order(IOC, 25, stop=103.0, engine=opened(100.0, participation=0.1))
    assert path(engine, (97.0, RowKind.EXTREME)) == []
    assert history(row(engine, 104.0, 100.0, RowKind.EXTREME), 1) == [
        (Status.PARTIALLY_FILLED, Code.NONE),  # 10 at 103
        (Status.CANCELED, Code.IOC_REST),
    ]


def test_ioc_order_on_a_row_without_size_is_cancelled_where_shares_are_bounded() -> None:
    engine = with_order(IOC, 10, engine=opened(100.0, participation=0.1))
    assert history(row(engine, 100.0, size=0.0), 1) == [(Status.CANCELED, Code.IOC_REST)]


# -- fill or kill -----------------------------------------------------------------------------------------------------


def test_fok_order_fills_whole_on_a_row_that_has_enough() -> None:
    engine = with_order(FOK, 25, engine=opened(100.0, participation=0.1, taker_bps=10.0, maker_bps=1.0))
    (event,) = row(engine, 101.0, size=250.0)
    assert (event["last_lots"], event["status"]) == (25, Status.FILLED)
    assert event["last_fee"] == dollars(2.525)  # 2,525 x 10 bps
    assert_balanced(engine)


@pytest.mark.parametrize("size", [100.0, 249.0, 0.0])
def test_fok_order_is_cancelled_on_a_row_that_has_not_enough(size: float) -> None:
    engine = with_order(FOK, 25, engine=opened(100.0, participation=0.1))
    assert history(row(engine, 101.0, size=size), 1) == [GONE]
    assert prints(engine, 101.0, size=1e6) == []
    assert (engine.state.slots[0].lots, engine.state.slots[0].working_buy) == (0, 0)
    assert_balanced(engine)


def test_fok_order_that_is_cancelled_takes_nothing_of_the_row_from_others() -> None:
    engine = with_order(FOK, 25, engine=opened(100.0, participation=0.1))
    put(engine, BUY, 10)
    assert prints(engine, 101.0, size=100.0) == [(2, 1, 10, 101.0)]


def test_fok_order_that_has_to_share_the_row_with_one_before_it_is_cancelled() -> None:
    engine = opened(100.0, participation=0.1)
    put(engine, BUY, 6)
    put(engine, BUY, 5, tif=FOK)
    assert prints(engine, 101.0, size=100.0) == [(1, 1, 6, 101.0)]
    assert engine.live_orders() == []


def test_fok_order_that_the_cash_does_not_pay_for_whole_is_cancelled() -> None:
    engine = with_order(FOK, 100, engine=opened(100.0, cash=10_000))
    assert history(row(engine, 101.0), 1) == [GONE]
    assert engine.state.accounts[0].cash == dollars(10_000)
    assert_balanced(engine)


@pytest.mark.parametrize(("price", "expected"), [(98.0, [(BUY, 10, 98.0)]), (99.0, []), (100.0, [])])
def test_fok_limit_fills_on_the_next_row_or_is_cancelled(
    price: float, expected: list[tuple[int, int, float]]
) -> None:
    engine = with_order(FOK, 10, limit=99.0)
    assert filled(row(engine, price)) == expected
    assert engine.live_orders() == []


def test_fok_market_order_waits_through_highs_and_lows() -> None:
    engine = with_order(FOK, 10)
    assert path(engine, (97.0, RowKind.EXTREME), (104.0, RowKind.EXTREME)) == []
    assert path(engine, (101.0, RowKind.CLOSE)) == [(1, 1, 10, 101.0)]


def test_fok_stop_waits_for_its_stop_and_then_fills_whole_or_is_cancelled() -> None:
    enough = with_order(FOK, 25, stop=105.0, engine=opened(100.0, participation=0.1))
    assert prints(enough, 104.0, 106.0, size=250.0) == [(1, 1, 25, 106.0)]
    short = with_order(FOK, 25, stop=105.0, engine=opened(100.0, participation=0.1))
    assert prints(short, 104.0, 106.0, 106.0, size=100.0) == []
    assert short.live_orders() == []


def test_fok_sale_of_what_another_order_has_sold_meanwhile_is_cancelled() -> None:
    engine = opened(100.0)
    own(engine, 10)
    put(engine, SELL, 10, stop=95.0, tif=FOK, reduce_only=True)
    put(engine, SELL, 4)
    engine.take_events()
    row(engine, 100.0)
    assert history(row(engine, 94.0), 2) == [GONE]
    assert engine.state.slots[0].lots == 6
