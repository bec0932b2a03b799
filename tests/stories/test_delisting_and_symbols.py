"""The end of an instrument's trading, and its changes of name."""

from typing import Any

import pytest

from engine.engine import Terms
from engine.policies import Policy
from engine.records import (
    SECOND,
    Code,
    EventKind,
    OrderType,
    RowKind,
    Side,
    Status,
    TimeInForce,
    TradingState,
)
from engine.spec import MarginSpec
from tests.builders import order, stops
from tests.stories.accounts import (
    assert_books,
    delist,
    dividend,
    ended,
    equity,
    hold,
    opened,
    refused,
    resting,
    split,
    venue,
)
from tests.stories.desk import cash, code_of, dollars, filled, row

BUY, SELL = Side.BUY, Side.SELL


@pytest.mark.parametrize(
    ("price", "brings", "realized"),
    [(54.2, 2_710.0, -2_290.0), (None, 4_500.0, -500.0), (0.0, 0.0, -5_000.0), (130.0, 6_500.0, 1_500.0)],
    ids=["for a given price", "at the last price", "worthless", "with a profit"],
)
def test_position_is_closed_without_fees(price: float | None, brings: float, realized: float) -> None:
    engine = opened(taker_bps=10.0, fee_min=1.0)
    hold(engine, 50)  # 5,000 and a fee of 5
    row(engine, 90.0)
    action, payment = delist(engine, price)
    assert (action["kind"], action["code"]) == (EventKind.ACTION, Code.DELISTED)
    assert action["last_px"] == (90.0 if price is None else price)
    assert (payment["kind"], payment["code"]) == (EventKind.CASH, Code.DELISTED)
    assert (payment["last_notional"], payment["realized"]) == (dollars(brings), dollars(realized))
    assert (payment["strategy"], payment["instrument"], payment["position"]) == (0, 0, 0)
    slot, account = engine.state.slots[0], engine.state.accounts[0]
    assert (slot.lots, slot.cost, slot.realized) == (0, 0, dollars(realized))
    assert cash(engine) == equity(engine) == dollars(10_000 - 5_005 + brings)
    assert (account.fills, account.fees) == (1, dollars(5))  # that of the purchase
    assert_books(engine)


def test_short_position_is_bought_back_at_what_a_unit_pays() -> None:
    engine = opened(margin=MarginSpec(2.0), strategies=("s", "t"))
    hold(engine, -50, 0)
    hold(engine, 20, 1)
    events = delist(engine, 80.0)
    paid = [(e["strategy"], e["last_notional"]) for e in events if e["kind"] == EventKind.CASH]
    assert paid == [(0, dollars(-4_000)), (1, dollars(1_600))]
    assert [slot.realized for slot in engine.state.slots[:2]] == [dollars(1_000), dollars(-400)]
    assert cash(engine) == dollars(10_600)
    assert_books(engine)


def test_orders_of_every_kind_are_cancelled() -> None:
    engine = opened(margin=MarginSpec(4.0), instruments=("A", "B"))
    hold(engine, 10)
    order(engine, BUY, 1, limit=90.0)
    order(engine, SELL, 1, stop=90.0)
    engine.submit(0, SELL, 1, OrderType.TRAILING_STOP, trail=3.0)
    engine.submit(0, BUY, 1, tif=TimeInForce.AT_THE_CLOSE)
    sell = Terms(SELL, OrderType.LIMIT, 0, 2, limit=110.0), Terms(SELL, OrderType.STOP, 0, 2, stop=90.0)
    engine.submit_pair(0, *sell)
    engine.submit_bracket(0, Terms(BUY, OrderType.LIMIT, 0, 2, limit=95.0), sell)
    order(engine, BUY, 1, limit=90.0, slot=1)
    engine.take_events()
    events = ended(delist(engine))
    assert sorted(e[0] for e in events) == list(range(2, 11))
    assert {e[1] for e in events} == {Status.CANCELED}
    # the bracket's children end with their parent
    assert [e[2] for e in sorted(events)] == [Code.DELISTED] * 7 + [Code.PARENT] * 2
    assert [r[0] for r in resting(engine)] == [11]  # that of B
    assert engine.state.accounts[0].reserved == 0
    assert_books(engine)


def test_order_on_its_way_and_one_that_is_being_cancelled_end_too() -> None:
    engine = opened(latency_ns=60 * SECOND)
    order(engine, BUY, 1, limit=90.0)
    row(engine, 100.0, seconds=100)
    engine.cancel(1)
    order(engine, BUY, 2, limit=90.0)
    engine.take_events()
    assert ended(delist(engine)) == [(i, Status.CANCELED, Code.DELISTED) for i in (1, 2)]
    assert not ended(row(engine, 0.0, kind=RowKind.TIMER, seconds=1_000))
    assert_books(engine)


def test_account_being_flattened_sends_no_more_orders_for_what_is_delisted() -> None:
    engine = opened(latency_ns=60 * SECOND)
    order(engine, BUY, 10)
    row(engine, 100.0, seconds=100)
    order(engine, BUY, 1, limit=90.0)
    row(engine, 100.0, seconds=200)
    engine.flatten("a")
    engine.take_events()
    delist(engine, 70.0)
    assert (cash(engine), resting(engine)) == (dollars(9_700), [])
    assert engine.state.clock[0].sell_out == 0
    assert_books(engine)


def test_rows_after_the_delisting_are_refused_and_counted() -> None:
    engine = opened()
    hold(engine, 10)
    delist(engine, 50.0)
    assert not row(engine, 100.0)
    assert not split(engine, 2)
    assert not dividend(engine, 1.0)
    assert not delist(engine, 60.0)
    assert not row(engine, 0.0, kind=RowKind.SYMBOL)
    assert refused(engine) == 5
    assert cash(engine) == dollars(9_500)
    assert engine.state.instruments[0].price == 100.0
    assert_books(engine)


def test_orders_after_the_delisting_are_denied_and_other_instruments_trade_on() -> None:
    engine = opened(instruments=("A", "B"))
    delist(engine)
    order(engine, BUY, 1)
    assert code_of(engine) == Code.DELISTED
    order(engine, SELL, 1, limit=120.0)
    assert code_of(engine) == Code.DELISTED
    hold(engine, 5, slot=1)
    assert engine.state.slots[1].lots == 5


def test_strategy_that_still_wants_the_position_is_denied() -> None:
    engine = opened(strategy={"policy": Policy.BUY_AND_HOLD, "size_value": 10.0})
    delist(engine)  # while its first bar is open
    events = row(engine, 0.0, kind=RowKind.TIMER, seconds=60)
    assert [(e["status"], e["code"]) for e in events] == [(Status.DENIED, Code.DELISTED)]


def test_bar_in_progress_closes_with_what_came_before() -> None:
    engine = venue(strategy={"features": ("close",)})
    row(engine, 100.0, seconds=1)
    delist(engine, 50.0)
    row(engine, 0.0, kind=RowKind.TIMER, seconds=60)
    assert engine.state.features[0].value == 100.0


@pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf"), 1e300])
def test_price_that_makes_no_sense_is_a_bad_row_and_changes_nothing(price: float) -> None:
    engine = opened()
    hold(engine, 10)
    order(engine, BUY, 1, limit=90.0)
    engine.take_events()
    assert not delist(engine, price)
    assert (refused(engine), engine.state.slots[0].lots) == (1, 10)
    assert len(resting(engine)) == 1
    assert row(engine, 89.0)


def test_price_that_does_not_fit_is_refused() -> None:
    engine = opened()
    hold(engine, 100)
    assert not delist(engine, 1e9)  # 10^17 millionths
    assert (refused(engine), engine.state.slots[0].lots) == (1, 100)


def test_instrument_without_a_price_can_be_delisted() -> None:
    engine = venue()
    (event,) = delist(engine)
    assert (event["code"], event["last_px"]) == (Code.DELISTED, 0.0)


def test_loss_of_a_delisting_is_seen_by_the_hard_stop_at_once() -> None:
    engine = opened(limits=stops(drawdown=0.15, flatten=True), instruments=("A", "B"))
    hold(engine, 50, 0)
    hold(engine, 10, 1)
    delist(engine, 0.0)
    assert engine.state.accounts[0].state == TradingState.HALTED
    assert filled(row(engine, 99.0, instrument=1)) == [(SELL, 10, 99.0)]


def test_loss_of_a_delisting_leads_to_a_margin_call_elsewhere() -> None:
    engine = opened(margin=MarginSpec(4.0, 0.25), instruments=("A", "B"))
    hold(engine, 50, 0)
    hold(engine, 300, 1)
    # cash -25,000 + 1,500; equity 6,500 < 25 % of 30,000; 26,000 may be held
    events = delist(engine, 30.0)
    assert [(e["instrument"], e["lots"]) for e in events if e["kind"] == EventKind.ORDER] == [(1, 40)]
    row(engine, 100.0, instrument=1)
    assert engine.state.slots[1].lots == 260
    assert_books(engine)


def test_change_of_symbol_is_told_and_changes_nothing_else() -> None:
    engine = opened(symbols=("OLD", "META"))
    hold(engine, 10)
    order(engine, BUY, 1, limit=90.0)
    engine.take_events()
    (event,) = row(engine, 1.0, 0.0, RowKind.SYMBOL)
    assert (event["kind"], event["code"], event["last_px"]) == (EventKind.ACTION, Code.SYMBOL, 1.0)
    assert engine.state.instruments[0].symbol == 1
    assert (engine.state.slots[0].lots, cash(engine), refused(engine)) == (10, dollars(9_000), 0)
    assert filled(row(engine, 89.0)) == [(BUY, 1, 89.0)]


@pytest.mark.parametrize("index", [-1.0, float("nan"), float("inf")])
def test_symbol_that_makes_no_sense_is_a_bad_row(index: float) -> None:
    engine = opened(symbols=("OLD",))
    assert not row(engine, index, 0.0, RowKind.SYMBOL)
    assert (refused(engine), engine.state.instruments[0].symbol) == (1, 0)


@pytest.mark.parametrize("kind", [RowKind.SPLIT, RowKind.DIVIDEND, RowKind.SYMBOL, RowKind.DELISTING])
@pytest.mark.parametrize("instrument", [-1, 1, 99])
def test_action_of_an_instrument_that_is_not_there_is_a_bad_row(kind: RowKind, instrument: int) -> None:
    engine = opened()
    assert not row(engine, 2.0, 1.0, kind, instrument)
    assert refused(engine) == 1


@pytest.mark.parametrize("kind", range(11, 16))
def test_row_of_a_kind_that_is_not_known_is_a_bad_row(kind: Any) -> None:
    engine = opened()
    before = cash(engine)
    assert not row(engine, 2.0, 1.0, kind)
    assert (refused(engine), cash(engine)) == (1, before)
