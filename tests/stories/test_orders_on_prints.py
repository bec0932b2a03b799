"""Market, limit and stop orders on prints: real trades, between which the price may jump."""

import pytest

from engine.records import Side, Status
from tests.builders import make_ticks, order, statuses
from tests.stories.desk import assert_balanced, cash, dollars, opened, own, prints

BUY, SELL = Side.BUY, Side.SELL


def test_market_buy_fills_at_the_next_print_not_at_the_one_it_was_decided_on() -> None:
    engine = opened(100.0, cash=10_000)
    first = order(engine, BUY, 10)
    assert prints(engine, 101.0, 102.0) == [(first, 1, 10, 101.0)]
    assert cash(engine) == dollars(10_000 - 10 * 101)
    assert_balanced(engine)


def test_market_sell_fills_at_the_next_print() -> None:
    engine = opened(100.0, cash=10_000)
    own(engine, 10)  # for 1,000
    first = order(engine, SELL, 10)
    assert prints(engine, 98.5) == [(first, -1, 10, 98.5)]
    # 10,000 - 1,000 + 985
    assert cash(engine) == dollars(9_985)
    assert engine.state.accounts[0].realized == dollars(-15)
    assert_balanced(engine)


@pytest.mark.parametrize(
    ("side", "limit", "price", "through", "touch"),
    [
        (BUY, 99.0, 99.01, None, None),  # not there yet
        (BUY, 99.0, 99.0, None, 99.0),  # touched: the queue at 99 may not have reached us
        (BUY, 99.0, 98.99, 98.99, 98.99),  # through
        (BUY, 99.0, 95.0, 95.0, 95.0),  # a jump, to the trader's advantage
        (SELL, 101.0, 100.99, None, None),
        (SELL, 101.0, 101.0, None, 101.0),
        (SELL, 101.0, 101.01, 101.01, 101.01),
        (SELL, 101.0, 107.0, 107.0, 107.0),
    ],
)
@pytest.mark.parametrize("at_touch", [False, True])
def test_limit_fills_at_the_print_that_trades_through_it(
    side: Side, limit: float, price: float, through: float | None, touch: float | None, at_touch: bool
) -> None:
    engine = opened(100.0, fill_at_touch=at_touch)
    own(engine, 10)
    first = order(engine, side, 10, limit=limit)
    expected = touch if at_touch else through
    assert prints(engine, price) == ([] if expected is None else [(first, int(side), 10, expected)])


def test_limit_above_the_market_buys_at_the_print_and_never_above_the_limit() -> None:
    engine = opened(100.0)
    first = order(engine, BUY, 10, limit=101.0)
    # 102 is beyond the limit, 101 touches it only, 100.50 is better than it
    assert prints(engine, 102.0, 101.0, 100.5) == [(first, 1, 10, 100.5)]


@pytest.mark.parametrize(
    ("side", "stop", "price", "expected"),
    [
        (BUY, 105.0, 104.99, None),
        (BUY, 105.0, 105.0, 105.0),  # reached is enough
        (BUY, 105.0, 110.0, 110.0),  # a gap costs what a gap costs
        (SELL, 95.0, 95.01, None),
        (SELL, 95.0, 95.0, 95.0),
        (SELL, 95.0, 90.0, 90.0),
    ],
)
def test_stop_fills_at_the_print_that_reaches_it(
    side: Side, stop: float, price: float, expected: float | None
) -> None:
    engine = opened(100.0)
    own(engine, 10)
    first = order(engine, side, 10, stop=stop)
    assert prints(engine, price) == ([] if expected is None else [(first, int(side), 10, expected)])


def test_stop_that_the_market_has_passed_already_fills_at_the_next_print_that_is_still_beyond() -> None:
    engine = opened(100.0)
    own(engine, 10)
    first = order(engine, SELL, 10, stop=101.0)
    # between two prints nothing is known: 102 is not at or below 101, 100.50 is
    assert prints(engine, 102.0, 100.5) == [(first, -1, 10, 100.5)]


def test_orders_that_one_print_reaches_fill_in_order_of_arrival() -> None:
    engine = opened(100.0)
    far = order(engine, BUY, 1, limit=97.0)
    near = order(engine, BUY, 1, limit=99.0)
    market = order(engine, BUY, 1)
    assert prints(engine, 96.0) == [(far, 1, 1, 96.0), (near, 1, 1, 96.0), (market, 1, 1, 96.0)]


def test_limit_far_away_rests_through_any_number_of_prints() -> None:
    engine = opened(100.0)
    first = order(engine, BUY, 1, limit=50.0)
    assert prints(engine, *[100.0 + i % 7 for i in range(100)]) == []
    assert prints(engine, 49.99) == [(first, 1, 1, 49.99)]


def test_order_goes_from_new_to_filled() -> None:
    engine = opened(100.0)
    first = order(engine, BUY, 1)
    assert statuses(engine.take_events()) == [Status.NEW]
    assert statuses(engine.process(make_ticks([(5, 100.0)])), first) == [Status.FILLED]
