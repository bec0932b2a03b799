"""Cash dividends: who holds is paid, who is short pays, and prices, orders and indicators go on without a jump."""

from typing import Any

import pytest

from engine.engine import Terms
from engine.records import SECOND, Code, EventKind, OrderType, RowKind, Side, Trail
from engine.spec import MarginSpec
from tests.builders import order, timer_at
from tests.stories.accounts import (
    assert_books,
    cash_moves,
    dividend,
    equity,
    hold,
    opened,
    refused,
    resting,
    venue,
)
from tests.stories.desk import at, cash, closed_bars, dollars, filled, row

BUY, SELL = Side.BUY, Side.SELL


def test_holder_is_paid_and_the_price_falls_by_as_much() -> None:
    engine = opened()
    hold(engine, 50)
    action, payment = dividend(engine, 0.82)
    assert (action["kind"], action["code"], action["last_px"]) == (EventKind.ACTION, Code.DIVIDEND, 0.82)
    assert (payment["code"], payment["last_notional"]) == (Code.DIVIDEND, dollars(41))  # 50 x 0.82
    assert (payment["strategy"], payment["instrument"], payment["position"]) == (0, 0, 50)
    assert (payment["cash"], cash(engine)) == (dollars(5_041), dollars(5_041))
    slot, account = engine.state.slots[0], engine.state.accounts[0]
    assert slot.income == account.income == dollars(41)
    assert (slot.realized, slot.cost) == (0, dollars(5_000))
    assert engine.state.instruments[0].price == 99.18
    assert equity(engine) == dollars(10_000)
    assert_books(engine)


def test_short_seller_pays_the_dividend() -> None:
    engine = opened(margin=MarginSpec(2.0))
    hold(engine, -50)
    assert cash_moves(dividend(engine, 0.82)) == [(Code.DIVIDEND, dollars(-41))]
    assert engine.state.accounts[0].income == dollars(-41)
    assert (cash(engine), equity(engine)) == (dollars(14_959), dollars(10_000))
    assert_books(engine)


def test_each_strategy_is_paid_for_what_it_holds() -> None:
    engine = opened(margin=MarginSpec(2.0), strategies=("s", "t", "u"))
    hold(engine, 30, 0)
    hold(engine, -10, 2)
    payments = [e for e in dividend(engine, 1.5) if e["kind"] == EventKind.CASH]
    assert [(e["strategy"], e["last_notional"]) for e in payments] == [(0, dollars(45)), (2, dollars(-15))]
    assert [slot.income for slot in engine.state.slots[:3]] == [dollars(45), 0, dollars(-15)]
    assert_books(engine)


def test_payment_is_rounded_half_to_even() -> None:
    engine = opened(lot_size=0.001)
    hold(engine, 5)
    # 0.005 x 0.0001 = half a millionth
    assert cash_moves(dividend(engine, 0.0001)) == [(Code.DIVIDEND, 0)]
    hold(engine, 10)
    assert cash_moves(dividend(engine, 0.0001)) == [(Code.DIVIDEND, 2)]  # 1.5
    assert_books(engine)


def test_who_has_sold_before_is_not_paid() -> None:
    engine = opened()
    hold(engine, 10)
    order(engine, SELL, 10)
    row(engine, 100.0)
    assert not cash_moves(dividend(engine, 1.0))


@pytest.mark.parametrize(
    ("side", "terms", "expected"),
    [
        (BUY, {"type_": OrderType.LIMIT, "limit": 95.0}, (94.18, 0.0)),
        (SELL, {"type_": OrderType.LIMIT, "limit": 105.0}, (105.0, 0.0)),
        (BUY, {"type_": OrderType.STOP, "stop": 105.0}, (0.0, 105.0)),
        (SELL, {"type_": OrderType.STOP, "stop": 95.0}, (0.0, 94.18)),
        (BUY, {"type_": OrderType.STOP_LIMIT, "stop": 105.0, "limit": 106.0}, (106.0, 105.0)),
        (SELL, {"type_": OrderType.STOP_LIMIT, "stop": 95.0, "limit": 94.0}, (93.18, 94.18)),
        (SELL, {"type_": OrderType.TRAILING_STOP, "trail": 5.0}, (0.0, 94.18)),
        (BUY, {"type_": OrderType.TRAILING_STOP, "trail": 0.05, "trail_kind": Trail.PERCENT}, (0.0, 105.0)),
        (BUY, {"type_": OrderType.LIMIT, "limit": 0.5}, (0.01, 0.0)),  # not below a tick
    ],
)
def test_buy_limits_and_sell_stops_fall_by_the_dividend_and_other_orders_stay(
    side: Side, terms: dict[str, Any], expected: tuple[float, float]
) -> None:
    engine = opened(margin=MarginSpec(2.0))
    order_id = engine.submit(0, side, 10, **terms)
    dividend(engine, 0.82)
    assert resting(engine) == [(order_id, 10, *expected)]


def test_fallen_price_is_rounded_so_that_the_order_is_no_easier_to_fill() -> None:
    engine = opened(margin=MarginSpec(2.0))
    order(engine, BUY, 10, limit=95.0)
    order(engine, SELL, 10, stop=95.0)
    dividend(engine, 0.825)
    assert resting(engine) == [(1, 10, 94.17, 0.0), (2, 10, 0.0, 94.17)]


@pytest.mark.parametrize(
    ("side", "stop", "limit", "after"),
    [(SELL, 99.0, 98.5, 98.5), (BUY, 101.0, 101.5, 100.68)],
)
def test_stop_limit_that_was_triggered_is_treated_as_the_limit_that_it_is(
    side: Side, stop: float, limit: float, after: float
) -> None:
    engine = opened(margin=MarginSpec(2.0))
    engine.submit(0, side, 10, OrderType.STOP_LIMIT, stop=stop, limit=limit)
    assert not filled(row(engine, 98.0 if side == SELL else 102.0))  # a gap beyond the limit
    dividend(engine, 0.82)
    assert [r[2] for r in resting(engine)] == [after]


def test_price_that_falls_by_the_dividend_alone_fills_no_order() -> None:
    engine = opened()
    hold(engine, 10)
    order(engine, SELL, 10, stop=99.5)
    order(engine, BUY, 10, limit=99.5)
    dividend(engine, 0.82)
    assert not filled(row(engine, 99.18))
    assert not filled(row(engine, 98.69))  # 99.5 - 0.82 = 98.68
    assert filled(row(engine, 98.68)) == [(SELL, 10, 98.68)]
    assert filled(row(engine, 98.67)) == [(BUY, 10, 98.67)]
    assert_books(engine)


def test_cash_set_aside_is_released_when_the_order_fills_for_less() -> None:
    engine = opened()
    order(engine, BUY, 10, limit=95.0)
    dividend(engine, 5.0)
    assert filled(row(engine, 89.0)) == [(BUY, 10, 89.0)]
    assert (engine.state.accounts[0].reserved, cash(engine)) == (0, dollars(9_110))


def test_children_of_a_bracket_fall_with_their_parent() -> None:
    engine = opened()
    parent = Terms(BUY, OrderType.LIMIT, 0, 10, limit=95.0)
    children = (
        Terms(SELL, OrderType.LIMIT, 0, 10, limit=110.0),
        Terms(SELL, OrderType.STOP, 0, 10, stop=90.0),
    )
    engine.submit_bracket(0, parent, children)
    dividend(engine, 0.82)
    assert resting(engine) == [(1, 10, 94.18, 0.0), (2, 10, 110.0, 0.0), (3, 10, 0.0, 89.18)]
    row(engine, 94.0)
    assert filled(row(engine, 89.0)) == [(SELL, 10, 89.0)]
    assert_books(engine)


def test_order_on_its_way_to_the_broker_falls_too() -> None:
    engine = opened(latency_ns=10 * SECOND)
    order(engine, BUY, 10, limit=95.0)
    dividend(engine, 0.82)
    row(engine, 99.0, seconds=20)
    assert resting(engine) == [(1, 10, 94.18, 0.0)]


def test_new_terms_on_their_way_to_the_broker_fall_too() -> None:
    engine = opened(latency_ns=10 * SECOND)
    order(engine, BUY, 10, limit=95.0)
    row(engine, 100.0, seconds=20)
    engine.amend(1, limit=96.0)
    dividend(engine, 0.82)
    assert resting(engine) == [(1, 10, 94.18, 0.0)]
    row(engine, 99.0, seconds=40)
    assert resting(engine) == [(1, 10, 95.18, 0.0)]


def test_bars_are_brought_to_prices_without_the_dividend() -> None:
    engine = venue(strategy={"history": 4})
    row(engine, 80.0, size=10.0, seconds=0)
    row(engine, 120.0, size=6.0, seconds=59)
    row(engine, 100.0, size=4.0, seconds=60)
    dividend(engine, 25.0)  # of a price of 100: what lies before is multiplied by 0.75
    row(engine, 70.0, size=5.0, seconds=80)
    engine.process(timer_at(at(120)))
    assert closed_bars(engine) == [
        (0.0, 60.0, 90.0, 60.0, 90.0, 16.0, 2),
        (60.0, 75.0, 75.0, 70.0, 70.0, 9.0, 2),  # volumes stay
    ]


def test_return_over_a_dividend_is_that_of_who_holds() -> None:
    engine = venue(strategy={"features": ("return_1", "close", "sma_2")})
    row(engine, 100.0, seconds=0)
    engine.process(timer_at(at(60)))
    dividend(engine, 2.0)
    row(engine, 99.96, seconds=70)
    engine.process(timer_at(at(120)))
    change, close, average = engine.state.features["value"]
    assert change == pytest.approx(0.02, abs=1e-12)  # 99.96 / 98: as if nothing had been paid
    assert close == 99.96
    assert average == pytest.approx((98.0 + 99.96) / 2, abs=1e-12)


def test_dividend_and_split_of_one_day_apply_in_the_order_of_the_tape() -> None:
    engine = opened()
    hold(engine, 10)
    dividend(engine, 2.0)  # 98
    row(engine, 2.0, 1.0, RowKind.SPLIT)
    assert (engine.state.instruments[0].price, cash(engine)) == (49.0, dollars(9_020))
    dividend(engine, 1.0)  # of the new shares
    assert (engine.state.instruments[0].price, cash(engine)) == (48.0, dollars(9_040))
    assert equity(engine) == dollars(10_000)
    assert_books(engine)


def test_dividend_before_the_first_price_is_of_no_consequence() -> None:
    engine = venue()
    (event,) = dividend(engine, 1.0)
    assert event["code"] == Code.DIVIDEND
    assert (refused(engine), engine.state.instruments[0].price) == (0, 0.0)


@pytest.mark.parametrize("amount", [0.0, -1.0, 100.0, 100.01, float("nan"), float("inf")])
def test_dividend_that_makes_no_sense_is_a_bad_row_and_changes_nothing(amount: float) -> None:
    engine = opened()
    hold(engine, 10)
    order(engine, BUY, 1, limit=90.0)
    engine.take_events()
    assert not dividend(engine, amount)
    assert refused(engine) == 1
    assert (engine.state.instruments[0].price, cash(engine)) == (100.0, dollars(9_000))
    assert resting(engine) == [(2, 1, 90.0, 0.0)]


def test_dividend_that_does_not_fit_is_refused_and_pays_nobody() -> None:
    engine = opened(0.02, cash=8e9, strategies=("s", "t"))
    hold(engine, 1)
    hold(engine, 10**11, 1)
    row(engine, 1e9)
    # 10^11 x 9 x 10^8 dollars
    assert not dividend(engine, 9e8)
    assert (refused(engine), engine.state.accounts[0].income) == (1, 0)
    assert_books(engine)
