"""The gate: every order, whoever gives it, is approved, cut or denied with a code."""

from typing import Any

import pytest

from engine.engine import Engine
from engine.records import SECOND, Code, EventKind, Side, Status, TradingState
from engine.spec import LimitsSpec
from tests.builders import make_engine, order, read, timer_at
from tests.stories.desk import at, code_of, dollars, filled, make_world, opened, own, prints, row

BUY, SELL = Side.BUY, Side.SELL


def limited(cash: float = 100_000, instrument: dict[str, Any] | None = None, **limits: Any) -> Engine:
    return opened(100.0, cash=cash, limits=LimitsSpec(**limits), **instrument or {})


def verdict(
    engine: Engine, side: Side, lots: int, limit: float = 0.0, stop: float = 0.0, slot: int = 0
) -> Code:
    order(engine, side, lots, limit=limit, stop=stop, slot=slot)
    return code_of(engine)


LIMITS: dict[str, Any] = {
    "max_stale_ns": SECOND,
    "collar": 0.05,
    "rate_orders": 1,
    "rate_window_ns": 1_000 * SECOND,
    "max_order_notional": 1_000,
    "max_position": 5,
    "max_gross": 0.05,
    "max_net": 0.05,
    "max_concentration": 0.05,
}


def test_checks_run_in_their_order() -> None:
    """An order that breaks every rule; one rule after the other is lifted."""
    rules = dict(LIMITS)
    cash = 100_000.0

    def ask(limit: float = 110.01, state: TradingState = TradingState.ACTIVE, priced: bool = True) -> Code:
        engine = make_engine(cash=cash, limits=LimitsSpec(**rules))
        if priced:
            row(engine, 100.0, seconds=1)
            assert verdict(engine, BUY, 1) == Code.NONE  # uses up the rate
        engine.process(timer_at(at(10)))
        engine.set_trading_state("a", state)
        # 2,000 x 110.01 = 220,020: more than the cash, than any limit, and 10 % from the market
        return verdict(engine, BUY, 2_000, limit=limit)

    assert ask(110.015, TradingState.HALTED, priced=False) == Code.TRADING_STATE
    assert ask(110.015, TradingState.REDUCE_ONLY, priced=False) == Code.TRADING_STATE
    assert ask(110.015, priced=False) == Code.INSTRUMENT
    assert ask(priced=False) == Code.PRICE_MISSING
    assert ask() == Code.PRICE_STALE
    del rules["max_stale_ns"]
    assert ask() == Code.PRICE_COLLAR
    del rules["collar"]
    assert ask() == Code.ORDER_RATE
    del rules["rate_orders"]
    assert ask() == Code.ORDER_NOTIONAL
    del rules["max_order_notional"]
    assert ask() == Code.CASH
    cash = 1_000_000.0  # 5 % of it are 50,000
    assert ask() == Code.POSITION
    del rules["max_position"]
    assert ask() == Code.GROSS_EXPOSURE
    del rules["max_gross"]
    assert ask() == Code.NET_EXPOSURE
    del rules["max_net"]
    assert ask() == Code.CONCENTRATION
    del rules["max_concentration"]
    assert ask() == Code.NONE


def test_denied_order_is_counted_by_code_and_leaves_nothing_behind() -> None:
    engine = limited(max_order_notional=1_000)
    before = engine.state.accounts[0].copy()
    assert verdict(engine, BUY, 11) == Code.ORDER_NOTIONAL
    assert engine.state.denied[Code.ORDER_NOTIONAL] == 1
    assert engine.state.denied.sum() == 1
    after = engine.state.accounts[0]
    assert after.orders == before.orders + 1
    assert (after.cash, after.reserved) == (before.cash, before.reserved)
    assert engine.live_orders() == []
    assert prints(engine, 1.0) == []


@pytest.mark.parametrize(
    ("rules", "lots", "code"),
    [
        ({"max_order_notional": 1_000}, 10, Code.ORDER_NOTIONAL),  # 10 x 100 = 1,000
        ({"max_position": 10}, 10, Code.POSITION),
        ({"max_gross": 0.25}, 250, Code.GROSS_EXPOSURE),  # a quarter of 100,000 is 250 x 100
        ({"max_net": 0.25}, 250, Code.NET_EXPOSURE),
        ({"max_concentration": 0.25}, 250, Code.CONCENTRATION),
        ({}, 1_000, Code.CASH),  # 1,000 x 100 = 100,000
    ],
)
def test_limit_on_size_passes_the_largest_order_and_denies_one_lot_more(
    rules: dict[str, Any], lots: int, code: Code
) -> None:
    assert verdict(limited(**rules), BUY, lots) == Code.NONE
    assert verdict(limited(**rules), BUY, lots + 1) == code
    # working orders count as if any could fill
    engine = limited(**rules)
    if code != Code.ORDER_NOTIONAL:
        assert verdict(engine, BUY, lots - 4) == Code.NONE
        assert verdict(engine, BUY, 5) == code
        assert verdict(engine, BUY, 4) == Code.NONE
    # and so does what is held
    engine = limited(**rules)
    if code != Code.ORDER_NOTIONAL:
        own(engine, lots - 4)
        assert verdict(engine, BUY, 5) == code


@pytest.mark.parametrize(
    ("rules", "lots", "code"),
    [
        ({"max_order_notional": 1_000}, 10, Code.ORDER_NOTIONAL),
        ({"max_position": 10}, 10, Code.POSITION),
        ({"max_gross": 0.25}, 250, Code.GROSS_EXPOSURE),
        ({"max_net": 0.25}, 250, Code.NET_EXPOSURE),
        ({"max_concentration": 0.25}, 250, Code.CONCENTRATION),
        ({}, 1_000, Code.CASH),
    ],
)
def test_account_that_resizes_cuts_the_order_to_the_largest_that_passes(
    rules: dict[str, Any], lots: int, code: Code
) -> None:
    engine = limited(resize=True, **rules)
    order(engine, BUY, 5_000)
    [event] = read(engine.take_events())
    assert (event["status"], event["lots"], event["code"]) == (Status.NEW, lots, code)
    assert filled(row(engine, 100.0)) == [(1, lots, 100.0)]


def test_order_is_cut_by_each_limit_in_turn() -> None:
    engine = limited(resize=True, max_order_notional=1_000, max_position=7)
    order(engine, BUY, 5_000)  # to 10 by its notional, to 7 by the position
    [event] = read(engine.take_events())
    assert (event["lots"], event["code"]) == (7, Code.POSITION)


def test_order_is_not_cut_below_the_instruments_minimum() -> None:
    engine = limited(resize=True, max_position=7, instrument={"min_lots": 8})
    assert verdict(engine, BUY, 20) == Code.POSITION
    assert engine.live_orders() == []


def test_sale_is_cut_to_what_is_there() -> None:
    engine = limited(resize=True)
    own(engine, 10)
    order(engine, SELL, 25)
    [event] = read(engine.take_events())
    assert (event["lots"], event["code"]) == (10, Code.SHORT)


@pytest.mark.parametrize("state", [TradingState.REDUCE_ONLY, TradingState.HALTED])
def test_sale_that_is_cut_to_an_exit_passes_like_an_exit(state: TradingState) -> None:
    engine = limited(resize=True, max_stale_ns=SECOND)
    own(engine, 10)
    engine.process(timer_at(at(100)))  # the price is stale, the account may reduce only
    engine.set_trading_state("a", state)
    engine.take_events()
    order(engine, SELL, 25)
    [event] = read(engine.take_events())
    assert (event["lots"], event["code"]) == (10, Code.SHORT)


@pytest.mark.parametrize("state", [TradingState.REDUCE_ONLY, TradingState.HALTED])
def test_exit_passes_all_that_would_stop_an_entry(state: TradingState) -> None:
    engine = limited(
        max_stale_ns=SECOND,
        collar=0.01,
        max_order_notional=1_000,
        rate_orders=1,
        rate_window_ns=1_000 * SECOND,
        max_position=10,
        max_gross=0.01,
        instrument={"min_lots": 5},
    )
    own(engine, 10)
    engine.process(timer_at(at(100)))
    engine.set_trading_state("a", state)
    engine.take_events()
    assert verdict(engine, BUY, 5) == Code.TRADING_STATE
    # half the position, below the minimum, far from the market, beyond the rate, at a stale price
    assert verdict(engine, SELL, 3, limit=200.0) == Code.NONE
    assert verdict(engine, SELL, 7) == Code.NONE
    assert verdict(engine, SELL, 1) != Code.NONE  # that would flip it, were all to fill


@pytest.mark.parametrize(
    ("lots", "limit", "stop"),
    [
        (0, 0.0, 0.0),
        (-5, 0.0, 0.0),
        (1, 99.995, 0.0),  # off the grid of 0.01
        (1, 0.0, 99.995),
        (1, -1.0, 0.0),
        (1, float("nan"), 0.0),
        (1, float("inf"), 0.0),
        (1, 0.0, float("nan")),
        (4, 0.0, 0.0),  # below the minimum
        (101, 0.0, 0.0),  # above the maximum
        (2**62, 0.0, 0.0),
    ],
)
def test_order_against_the_instruments_rules_is_denied(lots: int, limit: float, stop: float) -> None:
    minimum = 5 if lots == 4 else 1
    engine = limited(instrument={"min_lots": minimum, "max_lots": 100})
    assert verdict(engine, BUY, lots, limit, stop) == Code.INSTRUMENT


def test_order_before_the_first_price_is_denied() -> None:
    engine = make_engine()
    for limit in (0.0, 100.0):
        assert verdict(engine, BUY, 1, limit=limit) == Code.PRICE_MISSING


def test_price_is_stale_when_older_than_allowed() -> None:
    engine = limited(max_stale_ns=5 * SECOND)  # the price is of second 0
    engine.process(timer_at(at(5)))
    assert verdict(engine, BUY, 1) == Code.NONE
    engine.process(timer_at(at(5) + 1))
    assert verdict(engine, BUY, 1) == Code.PRICE_STALE


@pytest.mark.parametrize("kind", ["limit", "stop"])
def test_price_collar_is_a_distance_from_the_last_price(kind: str) -> None:
    engine = limited(collar=0.05)
    own(engine, 10)
    for price, expected in (
        (105.0, Code.NONE),
        (95.0, Code.NONE),
        (105.01, Code.PRICE_COLLAR),
        (94.99, Code.PRICE_COLLAR),
    ):
        given: dict[str, Any] = {kind: price}
        assert verdict(engine, BUY, 1, **given) == expected, price
    assert verdict(engine, BUY, 1) == Code.NONE  # a market order has no price of its own


def test_order_rate_counts_orders_in_any_window() -> None:
    engine = limited(rate_orders=2, rate_window_ns=10 * SECOND)
    verdicts = []
    for seconds in (1, 2, 3, 10.9, 11, 11.5, 12):
        row(engine, 100.0, seconds=seconds)
        verdicts.append(verdict(engine, BUY, 1))
    no, yes = Code.ORDER_RATE, Code.NONE
    # at 11 s the order of 1 s has left the window of ten seconds, at 12 s that of 2 s
    assert verdicts == [yes, yes, no, no, yes, no, yes]


def test_denied_order_does_not_count_against_the_rate() -> None:
    engine = limited(rate_orders=1, rate_window_ns=10 * SECOND, max_position=10)
    assert verdict(engine, BUY, 11) == Code.POSITION
    assert verdict(engine, BUY, 10) == Code.NONE


def test_exit_counts_against_the_rate_though_it_always_passes() -> None:
    engine = limited(rate_orders=2, rate_window_ns=10 * SECOND)
    own(engine, 10)  # at 0 s
    for seconds in (5, 6):
        row(engine, 100.0, seconds=seconds)
        assert verdict(engine, SELL, 1) == Code.NONE
    row(engine, 100.0, seconds=11)
    # the orders of 5 s and 6 s are both in the window that ends at 11 s
    assert verdict(engine, BUY, 1) == Code.ORDER_RATE


def test_limit_order_below_the_market_does_not_shrink_what_is_held() -> None:
    # 100 shares at 100 are all that half of 20,000 allows; a limit at 50 would, when it fills, add 5,000 to them
    for rule, code in (("max_gross", Code.GROSS_EXPOSURE), ("max_concentration", Code.CONCENTRATION)):
        rules: dict[str, Any] = {rule: 0.5}
        engine = limited(cash=20_000, **rules)
        own(engine, 100)
        assert verdict(engine, BUY, 100, limit=50.0) == code


def test_gross_and_net_exposure_are_of_all_instruments_and_concentration_of_one() -> None:
    for rule, code in (
        ("max_gross", Code.GROSS_EXPOSURE),
        ("max_net", Code.NET_EXPOSURE),
        ("max_concentration", Code.NONE),
    ):
        rules: dict[str, Any] = {rule: 0.5}
        engine = make_world(instruments=("A", "B"), cash=10_000, limits=LimitsSpec(**rules))
        row(engine, 100.0)
        row(engine, 50.0, instrument=1)
        assert verdict(engine, BUY, 30, slot=0) == Code.NONE  # 3,000 of the 5,000 that are allowed
        assert verdict(engine, BUY, 40, slot=1) == Code.NONE  # 2,000 more
        assert verdict(engine, BUY, 1, slot=1) == code


def test_position_limit_is_in_units() -> None:
    engine = limited(max_position=1.5, instrument={"lot_size": 0.5})
    assert verdict(engine, BUY, 4) == Code.POSITION
    assert verdict(engine, BUY, 3) == Code.NONE


def test_limits_are_of_the_account_not_of_the_strategy() -> None:
    engine = make_world(("a",), (("s", "a"), ("t", "a")), limits=LimitsSpec(max_position=10))
    row(engine, 100.0)
    assert verdict(engine, BUY, 6, slot=0) == Code.NONE
    assert verdict(engine, BUY, 5, slot=1) == Code.POSITION
    assert verdict(engine, BUY, 4, slot=1) == Code.NONE


def test_operators_order_meets_the_same_gate() -> None:
    engine = limited(max_order_notional=1_000)
    slot = engine.operator_slot("a", "A")
    assert verdict(engine, BUY, 11, slot=slot) == Code.ORDER_NOTIONAL
    assert verdict(engine, BUY, 10, slot=slot) == Code.NONE
    engine.set_trading_state("a", TradingState.HALTED)
    engine.take_events()
    assert verdict(engine, BUY, 1, slot=slot) == Code.TRADING_STATE


def test_buy_that_covers_working_sales_is_no_exit() -> None:
    engine = limited()
    own(engine, 10)
    order(engine, SELL, 10, limit=200.0)
    engine.set_trading_state("a", TradingState.REDUCE_ONLY)
    engine.take_events()
    assert verdict(engine, BUY, 5) == Code.TRADING_STATE


def test_worst_price_of_a_stop_order_is_what_cash_is_set_aside_for() -> None:
    engine = limited(cash=1_000)
    assert verdict(engine, BUY, 10, stop=100.01) == Code.CASH  # 10 x 100.01 = 1,000.10
    assert verdict(engine, BUY, 9, stop=110.0) == Code.NONE  # 990
    assert engine.state.accounts[0].reserved == dollars(990)


# -- the operator's switches -------------------------------------------------------------------------------------------


def test_halting_cancels_working_orders_and_says_why() -> None:
    engine = limited()
    own(engine, 10)
    order(engine, BUY, 1, limit=90.0)
    order(engine, SELL, 10, limit=110.0)
    engine.take_events()
    engine.set_trading_state("a", TradingState.HALTED)
    events = read(engine.take_events())
    assert [(e["kind"], e["status"], e["code"]) for e in events] == [
        (EventKind.STATE, Status.PENDING_NEW, Code.OPERATOR),
        (EventKind.ORDER, Status.CANCELED, Code.OPERATOR),
        (EventKind.ORDER, Status.CANCELED, Code.OPERATOR),
    ]
    assert events[0]["lots"] == TradingState.HALTED
    assert engine.live_orders() == []


def test_reduce_only_leaves_working_orders_and_ends_when_switched_back() -> None:
    engine = limited()
    order(engine, BUY, 1, limit=90.0)
    engine.set_trading_state("a", TradingState.REDUCE_ONLY)
    assert len(engine.live_orders()) == 1
    assert verdict(engine, BUY, 1) == Code.TRADING_STATE
    engine.set_trading_state("a", TradingState.ACTIVE)
    assert verdict(engine, BUY, 1) == Code.NONE


def test_switch_of_one_account_leaves_the_others() -> None:
    engine = make_world(("a", "b"), (("s", "a"), ("t", "b")))
    row(engine, 100.0)
    engine.set_trading_state("a", TradingState.HALTED)
    engine.take_events()
    assert verdict(engine, BUY, 1, slot=0) == Code.TRADING_STATE
    assert verdict(engine, BUY, 1, slot=1) == Code.NONE


def test_flatten_cancels_orders_and_sells_every_strategys_position() -> None:
    engine = make_world(("a",), (("s", "a"), ("t", "a")), instruments=("A", "B"), cash=100_000)
    row(engine, 100.0)
    row(engine, 50.0, instrument=1)
    own(engine, 10, slot=0)  # s in A
    own(engine, 20, slot=3)  # t in B
    order(engine, SELL, 4, slot=0, limit=200.0)
    order(engine, BUY, 4, slot=1, limit=10.0)
    assert engine.flatten("a") == 2
    events = [*row(engine, 99.0), *row(engine, 49.0, instrument=1)]
    assert filled(events) == [(-1, 10, 99.0), (-1, 20, 49.0)]
    assert engine.live_orders() == []
    assert engine.flatten("a") == 0


def test_flatten_sells_a_position_larger_than_one_order_may_be() -> None:
    engine = limited(instrument={"max_lots": 10})
    own(engine, 10)
    order(engine, BUY, 5)
    row(engine, 100.0)
    assert engine.state.slots[0].lots == 15
    engine.flatten("a")
    row(engine, 100.0)
    assert engine.state.slots[0].lots == 0


def test_flatten_passes_in_a_halted_account() -> None:
    engine = limited()
    own(engine, 10)
    engine.set_trading_state("a", TradingState.HALTED)
    assert engine.flatten("a") == 1
    assert filled(row(engine, 90.0))[-1] == (-1, 10, 90.0)
