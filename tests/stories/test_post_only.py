"""Post-only orders: limits that are rejected rather than take liquidity."""

from typing import Any

import pytest

from engine.engine import Engine
from engine.records import Code, Side, Status, TimeInForce
from tests.builders import make_engine, order
from tests.stories.accounts import assert_books
from tests.stories.desk import at, code_of, dollars, filled, history, opened, own, prints, put, row, wait

BUY, SELL = Side.BUY, Side.SELL
REJECTED = (Status.REJECTED, Code.POST_ONLY)


def post(engine: Engine, side: Side, limit: float, **given: Any) -> int:
    return put(engine, side, 10, limit=limit, post_only=True, **given)


@pytest.mark.parametrize(
    ("side", "limit", "rejected"),
    [
        (BUY, 100.01, True),
        (BUY, 100.0, True),  # at the last price it would meet who stands there
        (BUY, 99.99, False),
        (SELL, 99.99, True),
        (SELL, 100.0, True),
        (SELL, 100.01, False),
    ],
)
def test_order_that_the_last_price_meets_is_rejected(side: Side, limit: float, rejected: bool) -> None:
    engine = opened(100.0)
    own(engine, 10)
    first = post(engine, side, limit)
    assert history(row(engine, 100.0), first) == [REJECTED if rejected else (Status.NEW, Code.NONE)]
    assert (len(engine.live_orders()), engine.state.slots[0].lots) == (0 if rejected else 1, 10)
    if rejected:
        assert (engine.state.accounts[0].reserved, engine.state.slots[0].working_sell) == (0, 0)
    assert_books(engine)


def test_order_that_rests_pays_the_makers_fee() -> None:
    engine = opened(100.0, maker_bps=1.0, taker_bps=10.0)
    post(engine, BUY, 99.0)
    engine.take_events()
    (event,) = row(engine, 98.0)
    assert (event["last_px"], event["last_fee"], event["maker"]) == (98.0, dollars(0.098), 1)


def test_price_when_the_broker_gets_it_decides_against_it() -> None:
    engine = opened(100.0, latency_ns=at(0.5))
    first = post(engine, BUY, 99.5)  # when it was given the price was above its limit
    engine.take_events()
    assert row(engine, 99.4, seconds=0.4) == []
    (event,) = wait(engine, 1)
    assert ((event["status"], event["code"]), event["ts"]) == (REJECTED, at(0.5))
    assert prints(engine, 99.0) == []
    assert not engine.cancel(first)


def test_price_when_the_broker_gets_it_decides_for_it() -> None:
    engine = opened(100.0, latency_ns=at(0.5))
    first = post(engine, BUY, 100.5)  # it would have taken
    row(engine, 101.0, seconds=0.4)
    assert history(wait(engine, 1), first) == [(Status.NEW, Code.NONE)]
    assert prints(engine, 100.4) == [(first, 1, 10, 100.4)]


def test_order_whose_cancel_is_on_its_way_ends_where_it_would_take() -> None:
    engine = opened(100.0, latency_ns=at(0.5))
    first = post(engine, BUY, 101.0)
    wait(engine, 0.2)
    engine.cancel(first)
    engine.take_events()
    assert history(row(engine, 100.0, seconds=0.6), first) == [(Status.CANCELED, Code.POST_ONLY)]
    assert engine.state.slots[0].lots == 0


def test_amendment_that_would_take_ends_the_order() -> None:
    engine = opened(100.0)
    first = post(engine, BUY, 99.0)
    engine.take_events()
    assert engine.amend(first, limit=100.0) == Code.NONE  # the gate has nothing against it
    assert code_of(engine) == Code.POST_ONLY
    assert engine.live_orders() == []
    assert engine.state.accounts[0].reserved == 0


def test_amendment_that_does_not_take_leaves_it_a_maker() -> None:
    engine = opened(100.0, maker_bps=1.0, taker_bps=10.0)
    first = post(engine, BUY, 99.0)
    engine.amend(first, limit=99.99)
    engine.take_events()
    (event,) = row(engine, 99.5)
    assert event["maker"] == 1


def test_limit_that_is_not_post_only_takes_and_pays_for_it() -> None:
    engine = opened(100.0, maker_bps=1.0, taker_bps=10.0)
    order(engine, BUY, 10, limit=100.0)
    engine.take_events()
    (event,) = row(engine, 99.9)
    assert (event["last_fee"], event["maker"]) == (dollars(0.999), 0)


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"stop": 105.0},
        {"stop": 105.0, "limit": 106.0},
        {"trail": 2.0},
        {"limit": 99.0, "tif": TimeInForce.IOC},
        {"limit": 99.0, "tif": TimeInForce.FOK},
    ],
)
def test_only_limits_that_may_rest_can_be_post_only(terms: dict[str, Any]) -> None:
    engine = opened(100.0)
    put(engine, BUY, 10, post_only=True, **terms)
    assert code_of(engine) == Code.INSTRUMENT


def test_before_the_first_price_it_is_denied_like_others() -> None:
    engine = make_engine()
    post(engine, BUY, 99.0)
    assert code_of(engine) == Code.PRICE_MISSING
    assert filled(row(engine, 98.0)) == []
