"""Limits of strategies, of which several share an account: each counts its own part, as a share of the account's equity."""

from __future__ import annotations

import pytest

from engine.engine import Engine
from engine.records import Code, EventKind, Level, LimitAction, OperatorAction, Side, TradingState
from engine.spec import LimitSpec, RiskLimits, ShockSpec
from tests.stories.accounts import pay
from tests.stories.desk import filled, row
from tests.stories.risk import RETURNS, ask, hold, levels, loss, market, midnight, operate, switches

BUY, SELL = Side.BUY, Side.SELL
HALT = LimitAction.HALT
NONE = RiskLimits()


def var(share: float, action: LimitAction = LimitAction.DENY) -> RiskLimits:
    return RiskLimits(var=LimitSpec(share, action=action))


def drawdown(share: float, action: LimitAction = HALT) -> RiskLimits:
    return RiskLimits(drawdown=LimitSpec(share, action=action))


def strategy_states(engine: Engine) -> list[int]:
    return [int(state) for state in engine.state.strategies["state"]]


def test_strategys_limit_counts_its_own_positions_only() -> None:
    # 1.01 %: 101 hold 25 lots at 4; t has no limit of its own
    engine = market(strategies={"s": var(0.0101), "t": NONE})
    hold(engine, 500, slot=1)
    event = ask(engine, BUY, 26, slot=0)
    assert (event["code"], event["strategy"]) == (Code.VAR, 0)
    assert (event["measure"], event["bound"]) == (pytest.approx(0.0104), pytest.approx(0.0101))
    assert ask(engine, BUY, 25, slot=0)["code"] == Code.NONE


def test_order_has_to_pass_its_accounts_limit_and_its_strategys() -> None:
    # account: 50 lots. s: 25
    engine = market(limits=var(0.0201), strategies={"s": var(0.0101), "t": NONE})
    hold(engine, 30, slot=1)
    event = ask(engine, BUY, 21, slot=0)  # of the account 51
    assert (event["code"], event["bound"]) == (Code.VAR, pytest.approx(0.0201))
    assert ask(engine, BUY, 20, slot=0)["code"] == Code.NONE


def test_order_is_cut_to_what_passes_both() -> None:
    cut = LimitAction.RESIZE
    for held, passes in ((30, 20), (10, 25)):
        engine = market(limits=var(0.0201, cut), strategies={"s": var(0.0101, cut), "t": NONE})
        hold(engine, held, slot=1)
        assert ask(engine, BUY, 40, slot=0)["lots"] == passes


def test_strategies_that_stand_against_each_other_have_each_a_var_and_the_account_none() -> None:
    engine = market(strategies={"s": var(0.0101), "t": var(0.0101)})
    hold(engine, 25, slot=0)
    hold(engine, -25, slot=1)  # the third best day is 2 %: 50 by itself
    assert loss(engine).var == pytest.approx(0.0, abs=1e-9)
    assert loss(engine, "s").var == pytest.approx(100.0)
    assert loss(engine, "t").var == pytest.approx(50.0)
    assert ask(engine, BUY, 1, slot=0)["code"] == Code.VAR


def test_working_orders_of_the_other_strategy_do_not_count() -> None:
    engine = market(strategies={"s": var(0.0101), "t": NONE})
    assert ask(engine, BUY, 100, slot=1, limit=90.0)["code"] == Code.NONE
    assert ask(engine, BUY, 25, slot=0, limit=90.0)["code"] == Code.NONE
    assert ask(engine, BUY, 1, slot=0)["code"] == Code.VAR


def test_operators_order_is_no_strategys() -> None:
    engine = market(strategies={"s": var(0.0101)})
    assert ask(engine, BUY, 26, slot=engine.operator_slot("a", "A"))["code"] == Code.NONE


def test_drawdown_of_a_strategy_is_of_what_it_would_have_made_of_the_account_alone() -> None:
    # s: 10,000 and 50 lots that lose 10 each: 9,500. The account, with t short, lost nothing
    engine = market(strategies={"s": drawdown(0.05), "t": NONE})
    hold(engine, 50, slot=0)
    hold(engine, -50, slot=1)
    resting = [ask(engine, BUY, 1, slot=slot, limit=50.0)["order_id"] for slot in (0, 1)]
    assert not levels(row(engine, 90.01))
    events = row(engine, 90.0)
    assert levels(events) == [(Code.DRAWDOWN, Level.BEYOND)]
    assert switches(events) == [(TradingState.HALTED, Code.DRAWDOWN)]
    assert [(e["account"], e["strategy"]) for e in events[:2]] == [(0, 0), (0, 0)]
    assert [e["order_id"] for e in events if e["kind"] == EventKind.ORDER] == resting[:1]
    assert strategy_states(engine)[:2] == [TradingState.HALTED, TradingState.ACTIVE]
    assert engine.state.accounts[0].state == TradingState.ACTIVE
    assert ask(engine, BUY, 1, slot=0)["code"] == Code.TRADING_STATE
    assert ask(engine, BUY, 1, slot=1)["code"] == Code.NONE


def test_strategy_that_breaks_its_limit_in_a_halted_account_is_still_halted_when_the_account_is_reset() -> (
    None
):
    # the account is halted at 97 and what s holds goes on falling; the operator resets the account only
    for prices in ((97.0, 90.0), (90.0,)):
        engine = market(limits=drawdown(0.015), strategies={"s": drawdown(0.05), "t": NONE})
        hold(engine, 50, slot=0)
        for price in prices:
            row(engine, price)
        operate(engine, 0, OperatorAction.RESET)
        assert ask(engine, BUY, 1, slot=0)["code"] == Code.TRADING_STATE
        assert ask(engine, BUY, 1, slot=1)["code"] == Code.NONE


def test_halted_strategy_may_shrink_its_own_position_though_the_accounts_grows_by_it() -> None:
    engine = market(strategies={"s": drawdown(0.05), "t": NONE})
    hold(engine, 50, slot=0)
    hold(engine, -80, slot=1)  # the account is short
    row(engine, 90.0)
    assert ask(engine, SELL, 51, slot=0)["code"] == Code.TRADING_STATE
    assert ask(engine, SELL, 30, slot=0)["code"] == Code.NONE
    assert ask(engine, SELL, 21, slot=0)["code"] == Code.TRADING_STATE  # 20 are left beside what works
    assert ask(engine, SELL, 20, slot=0)["code"] == Code.NONE


def test_order_that_shrinks_its_strategys_position_passes_its_limit_but_not_the_accounts() -> None:
    limits = {"s": var(0.0101), "t": NONE}
    for account, code in ((NONE, Code.NONE), (var(0.0101), Code.VAR)):
        engine = market(limits=account, strategies=limits)
        hold(engine, 25, slot=0)
        hold(engine, -60, slot=1)  # 35 sold: 70
        row(engine, 150.0)  # s: 25 x 150 x 4 % = 150; account: equity 10,000 - 1,750 = 8,250, and 105 of 83
        assert ask(engine, SELL, 10, slot=0)["code"] == code


def test_hedge_that_a_strategy_takes_off_passes_its_own_limit_though_it_raises_the_var() -> None:
    # s: 40 lots of A and 20 of B, which moves against it: 80 of a limit of 101. Without the hedge it is 160
    engine = market({"A": RETURNS, "B": tuple(-r for r in RETURNS)}, strategies={"s": var(0.0101), "t": NONE})
    hold(engine, 20, slot=1)  # s, B: 40, by itself
    hold(engine, 40, slot=0)
    hold(engine, -50, slot=3)  # t, B: so that the sale is no exit of the account
    assert ask(engine, BUY, 11, slot=0)["code"] == Code.VAR
    assert ask(engine, SELL, 21, slot=1)["code"] == Code.VAR  # it flips
    assert ask(engine, SELL, 20, slot=1)["code"] == Code.NONE


def test_strategys_limit_that_flattens_closes_what_it_holds_and_nothing_else() -> None:
    engine = market(strategies={"s": drawdown(0.05, LimitAction.FLATTEN), "t": NONE})
    hold(engine, 50, slot=0)
    hold(engine, 30, slot=1)
    row(engine, 90.0)
    assert filled(row(engine, 90.0, size=1e9)) == [(-1, 50, 90.0)]
    assert engine.state.slots[1].lots == 30


def test_strategys_var_halts_it_at_the_tick_of_breach() -> None:
    # s: 2 p of 10,000 + 50 (p - 100) + 10 (p - 100): 2 p > 0.0201 x (4,000 + 60 p) where 0.794 p > 80.4: 101.26
    engine = market(strategies={"s": var(0.0201, HALT), "t": NONE})
    hold(engine, 50, slot=0)
    hold(engine, 10, slot=1)
    assert not switches(row(engine, 101.25))
    assert switches(row(engine, 101.26)) == [(TradingState.HALTED, Code.VAR)]
    assert strategy_states(engine)[0] == TradingState.HALTED


def test_daily_loss_of_a_strategy_counts_from_the_morning() -> None:
    engine = market(strategies={"s": RiskLimits(daily_loss=LimitSpec(0.05, action=HALT)), "t": NONE})
    hold(engine, 50, slot=0)
    row(engine, 92.0)  # 4 %
    midnight(engine)
    # 9,600, of which 5 % are 480: 9.60 a lot
    assert not switches(row(engine, 82.41))
    assert switches(row(engine, 82.4)) == [(TradingState.HALTED, Code.DAILY_LOSS)]


def test_deposit_is_no_profit_of_a_strategy() -> None:
    engine = market(strategies={"s": drawdown(0.05), "t": NONE})
    hold(engine, 50, slot=0)
    pay(engine, 10_000.0)
    # of 20,000: 5 % are 1,000, or 20 a lot
    assert not switches(row(engine, 80.01))
    assert switches(row(engine, 80.0)) == [(TradingState.HALTED, Code.DRAWDOWN)]


def test_drawdown_that_denies_stops_the_strategy_and_not_its_neighbour() -> None:
    engine = market(strategies={"s": drawdown(0.05, LimitAction.DENY), "t": NONE})
    hold(engine, 50, slot=0)
    row(engine, 90.0)
    assert ask(engine, BUY, 1, slot=0)["code"] == Code.DRAWDOWN
    assert ask(engine, BUY, 1, slot=1)["code"] == Code.NONE
    assert ask(engine, SELL, 50, slot=0)["code"] == Code.NONE


def test_stress_of_a_strategy_is_of_its_own_positions() -> None:
    stressed = RiskLimits(stressed_var=LimitSpec(0.0501))
    engine = market(
        {"A": RETURNS, "B": RETURNS},
        strategies={"s": stressed, "t": NONE},
        shocks=(ShockSpec("crash", (("A", -0.1),), -0.05),),
    )
    hold(engine, 100, slot=2)  # t, A
    assert ask(engine, BUY, 51, slot=0)["code"] == Code.STRESSED_VAR
    assert ask(engine, BUY, 50, slot=0)["code"] == Code.NONE


def test_operators_reset_of_a_strategy_starts_its_drawdown_afresh() -> None:
    engine = market(strategies={"s": drawdown(0.05), "t": NONE})
    hold(engine, 50, slot=0)
    row(engine, 90.0)
    operate(engine, 1, OperatorAction.RESET)
    # from 9,500: 475, or 9.50 a lot
    assert not switches(row(engine, 80.51))
    assert switches(row(engine, 80.5)) == [(TradingState.HALTED, Code.DRAWDOWN)]
