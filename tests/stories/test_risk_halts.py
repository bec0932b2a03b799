"""Limits act on marks: what the market alone breaks halts at that row, warnings come before, and DENY only denies."""

from __future__ import annotations

import pytest

from engine.engine import Engine
from engine.records import (
    DAY,
    Code,
    EventKind,
    Level,
    LimitAction,
    OperatorAction,
    Side,
    Status,
    TradingState,
)
from engine.spec import LimitSpec, RiskLimits, ShockSpec
from tests.builders import read
from tests.stories.accounts import dividend, pay, split
from tests.stories.desk import filled, prints, row
from tests.stories.risk import RETURNS, ask, day, hold, levels, loss, market, midnight, operate, switches

BUY, SELL = Side.BUY, Side.SELL
HALT, FLATTEN, DENY = LimitAction.HALT, LimitAction.FLATTEN, LimitAction.DENY
HALTED = TradingState.HALTED


def limit(name: str, share: float, action: LimitAction = HALT, warning: float = 0.0) -> RiskLimits:
    return RiskLimits(**{name: LimitSpec(share, warning, action)})


def states(engine: Engine) -> list[int]:
    return [int(state) for state in engine.state.accounts["state"]]


def test_var_that_the_market_alone_raises_halts_at_the_tick_of_breach() -> None:
    # 50 lots at p: the VaR is 50 p x 4 % = 2 p, the equity 5,000 + 50 p. 2 p > 2.01 % of it where 0.995 p > 100.5:
    # from 101.01 on
    engine = market(limits=limit("var", 0.0201))
    hold(engine, 50)
    assert not levels(row(engine, 101.0))
    resting = ask(engine, SELL, 10, limit=150.0)["order_id"]
    events = row(engine, 101.01)
    assert [(e["kind"], e["order_id"], e["code"]) for e in events] == [
        (EventKind.RISK, 0, Code.VAR),
        (EventKind.STATE, 0, Code.VAR),
        (EventKind.ORDER, resting, Code.VAR),
    ]
    assert events[0]["ts"] == engine.now
    assert (events[0]["account"], events[0]["strategy"], events[0]["lots"]) == (0, -1, Level.BEYOND)
    assert events[0]["measure"] == pytest.approx(2 * 101.01 / (5_000 + 50 * 101.01), rel=1e-12)
    assert events[0]["bound"] == pytest.approx(0.0201)
    assert events[2]["status"] == Status.CANCELED
    assert states(engine) == [HALTED]
    assert ask(engine, BUY, 1)["code"] == Code.TRADING_STATE
    assert ask(engine, SELL, 50)["code"] == Code.NONE
    assert filled(row(engine, 101.0, size=1e9)) == [(-1, 50, 101.0)]


def test_halt_stays_when_the_market_comes_back() -> None:
    engine = market(limits=limit("var", 0.0201))
    hold(engine, 50)
    row(engine, 102.0)
    assert not switches(row(engine, 90.0))
    assert states(engine) == [HALTED]


def test_var_that_a_new_day_raises_halts_at_the_end_of_the_period() -> None:
    # a day of -20 % makes the third worst -6 %: 50 x 80 x 6 % = 240 of 9,000
    engine = market(limits=limit("var", 0.0201))
    hold(engine, 50)
    assert not levels(row(engine, 80.0))  # 160 of 9,000
    events = midnight(engine)
    assert switches(events) == [(HALTED, Code.VAR)]
    assert events[0]["measure"] == pytest.approx(240 / 9_000)
    assert events[0]["ts"] % DAY == 0


def test_cvar_and_stressed_var_halt_as_well() -> None:
    for name, code, share in (("cvar", Code.CVAR, 0.0351), ("stressed_var", Code.STRESSED_VAR, 0.0501)):
        # 3.5 p and 5 p of 5,000 + 50 p: 1.745 p > 175.5 from 100.58 on; 2.495 p > 250.5 from 100.41 on
        first = {"cvar": 100.58, "stressed_var": 100.41}[name]
        engine = market(limits=limit(name, share), shocks=(ShockSpec("crash", (), -0.1),))
        hold(engine, 50)
        assert not switches(row(engine, first - 0.01))
        assert switches(row(engine, first)) == [(HALTED, code)]


def test_limit_that_flattens_closes_at_the_next_row() -> None:
    engine = market(limits=limit("var", 0.0201, FLATTEN))
    hold(engine, 50)
    assert switches(row(engine, 102.0)) == [(HALTED, Code.VAR)]
    assert filled(row(engine, 101.0, size=1e9)) == [(-1, 50, 101.0)]
    assert states(engine) == [HALTED]


def test_var_limit_that_denies_is_looked_at_when_a_period_ends() -> None:
    engine = market(limits=limit("var", 0.0201, DENY, warning=0.015))
    event = ask(engine, BUY, 50)
    assert event["code"] == Code.NONE
    row(engine, 100.0, size=1e9)
    assert not levels(row(engine, 110.0))
    # 50 x 120 x 4 % = 240 of 11,000; the day was one of +20 % in the place of +4 %
    row(engine, 120.0)
    assert levels(midnight(engine)) == [(Code.VAR, Level.BEYOND)]
    assert states(engine) == [TradingState.ACTIVE]


def test_order_that_reaches_the_warning_tells_so_and_passes() -> None:
    engine = market(limits=limit("var", 0.0201, DENY, warning=0.0159))
    engine.take_events()
    ask(engine, BUY, 39)
    order_id = engine.submit(0, BUY, 1)  # 40 lots: 160 of 10,000
    events = read(engine.take_events())
    (told,) = (e for e in events if e["kind"] == EventKind.RISK)
    assert (told["code"], told["lots"]) == (Code.VAR, Level.WARNING)
    assert (told["measure"], told["bound"]) == (pytest.approx(0.016), 0.0159)
    assert any(e["order_id"] == order_id and e["status"] == Status.NEW for e in events)
    engine.submit(0, BUY, 1)
    assert not levels(read(engine.take_events()))  # it was told


def test_drawdown_warns_before_it_halts() -> None:
    engine = market(limits=limit("drawdown", 0.2, warning=0.1))
    hold(engine, 100)
    assert not levels(row(engine, 90.01))
    (event,) = row(engine, 90.0)  # 9,000
    assert (event["kind"], event["code"], event["lots"]) == (EventKind.RISK, Code.DRAWDOWN, Level.WARNING)
    assert (event["measure"], event["bound"]) == (pytest.approx(0.1), pytest.approx(0.1))
    assert not row(engine, 80.01)
    events = row(engine, 80.0)
    assert levels(events) == [(Code.DRAWDOWN, Level.BEYOND)]
    assert (events[0]["measure"], events[0]["bound"]) == (pytest.approx(0.2), pytest.approx(0.2))
    assert switches(events) == [(HALTED, Code.DRAWDOWN)]


def test_level_is_told_again_when_it_was_left_in_between() -> None:
    engine = market(limits=limit("drawdown", 0.2, warning=0.1))
    hold(engine, 100)
    told = [levels(row(engine, p)) for p in (90.0, 89.0, 91.0, 90.0)]
    warned, left = [(Code.DRAWDOWN, Level.WARNING)], [(Code.DRAWDOWN, Level.WITHIN)]
    assert told == [warned, [], left, warned]


def test_warning_alone_is_a_limit_that_only_tells() -> None:
    engine = market(limits=limit("drawdown", 0.0, warning=0.1))
    hold(engine, 100)
    assert levels(row(engine, 80.0)) == [(Code.DRAWDOWN, Level.WARNING)]
    assert not levels(row(engine, 20.0))
    assert states(engine) == [TradingState.ACTIVE]


def test_drawdown_that_denies_lets_exits_pass_and_trades_again_when_it_is_made_good() -> None:
    engine = market(limits=limit("drawdown", 0.1, DENY))
    hold(engine, 50)
    ask(engine, BUY, 1, limit=50.0)
    assert levels(row(engine, 80.0)) == [(Code.DRAWDOWN, Level.BEYOND)]  # 9,000
    assert states(engine) == [TradingState.ACTIVE]
    assert len(engine.live_orders()) == 1  # what rests goes on resting
    assert ask(engine, BUY, 1)["code"] == Code.DRAWDOWN
    assert ask(engine, SELL, 51)["code"] == Code.DRAWDOWN
    assert ask(engine, SELL, 10)["code"] == Code.NONE
    assert filled(row(engine, 80.0, size=1e9)) == [(-1, 10, 80.0)]
    # 40 lots are left, and 5,800 in cash: a tenth less than the limit, 9 % of 10,000, is made good at 82.5
    assert levels(row(engine, 82.49)) == []
    assert ask(engine, BUY, 1)["code"] == Code.DRAWDOWN
    assert levels(row(engine, 82.51)) == [(Code.DRAWDOWN, Level.WITHIN)]
    assert ask(engine, BUY, 1)["code"] == Code.NONE


def test_warning_is_told_once_while_the_price_moves_about_it() -> None:
    engine = market(limits=RiskLimits(drawdown=LimitSpec(0.2, warning=0.1)))
    hold(engine, 50)
    told = [levels(row(engine, price)) for price in (80.0, 80.1, 79.9, 80.5, 80.0, 81.99)]
    assert told == [[(Code.DRAWDOWN, Level.WARNING)], [], [], [], [], []]
    assert levels(row(engine, 82.01)) == [(Code.DRAWDOWN, Level.WITHIN)]  # 9 % of 10,000 and less
    assert levels(row(engine, 80.0)) == [(Code.DRAWDOWN, Level.WARNING)]


def test_drawdown_that_denies_a_flat_account_ends_with_the_operators_reset() -> None:
    engine = market(limits=limit("drawdown", 0.1, DENY))
    hold(engine, 50)
    row(engine, 80.0)
    ask(engine, SELL, 50)
    row(engine, 80.0, size=1e9)
    assert ask(engine, BUY, 1)["code"] == Code.DRAWDOWN
    operate(engine, 0, OperatorAction.RESET)
    assert ask(engine, BUY, 1)["code"] == Code.NONE


def test_daily_loss_that_denies_is_over_with_the_day_even_where_nothing_is_held() -> None:
    engine = market(limits=limit("daily_loss", 0.1, DENY))
    hold(engine, 50)
    row(engine, 80.0)
    ask(engine, SELL, 50)
    row(engine, 80.0, size=1e9)
    assert ask(engine, BUY, 1)["code"] == Code.DAILY_LOSS
    midnight(engine)
    row(engine, 80.0)
    assert ask(engine, BUY, 1)["code"] == Code.NONE


def test_daily_loss_that_denies_is_over_with_the_day_where_something_is_held() -> None:
    engine = market(limits=limit("daily_loss", 0.1, DENY))
    hold(engine, 50)
    row(engine, 80.0)
    midnight(engine)
    assert levels(row(engine, 80.0)) == [(Code.DAILY_LOSS, Level.WITHIN)]
    assert ask(engine, BUY, 1)["code"] == Code.NONE


def test_two_limits_broken_at_once_are_both_told_and_switch_once() -> None:
    limits = RiskLimits(drawdown=LimitSpec(0.1, action=HALT), daily_loss=LimitSpec(0.1, action=FLATTEN))
    engine = market(limits=limits)
    hold(engine, 50)
    events = row(engine, 80.0)
    assert levels(events) == [(Code.DRAWDOWN, Level.BEYOND), (Code.DAILY_LOSS, Level.BEYOND)]
    assert switches(events) == [(HALTED, Code.DRAWDOWN)]
    # the one that flattens is broken, too
    assert filled(row(engine, 80.0, size=1e9)) == [(-1, 50, 80.0)]


def test_lot_of_a_young_instrument_does_not_hide_what_the_others_went_through() -> None:
    # over B's four days the second worst of 50 lots of A is 2 %, 100; over the eight that A has it is 4 %: 200 of 10,000
    engine = market({"A": RETURNS, "B": (0.001, -0.001, 0.001, 0.001)}, limit("var", 0.015))
    hold(engine, 1, slot=1)
    assert ask(engine, BUY, 50, slot=0)["code"] == Code.VAR
    assert ask(engine, BUY, 1, slot=1)["code"] == Code.NONE


def test_split_and_dividend_move_no_limit() -> None:
    engine = market(
        limits=RiskLimits(var=LimitSpec(0.0201, action=HALT), drawdown=LimitSpec(0.01, action=HALT))
    )
    hold(engine, 50)
    events = [*split(engine, 2.0), *dividend(engine, 1.0), *row(engine, 49.0)]
    assert not levels(events)
    assert loss(engine).var == pytest.approx(100 * 49 * 0.04)


def test_deposit_that_raises_the_equity_takes_a_breach_back_and_a_withdrawal_makes_one() -> None:
    engine = market(limits=limit("var", 0.0201))
    hold(engine, 50)
    assert switches(pay(engine, -100.0)) == [(HALTED, Code.VAR)]  # 200 of 9,900 are 2.02 %
    assert levels(pay(engine, 200.0)) == []  # 200 of 10,100 are 1.98 %, not yet a tenth less than 2.01 %
    assert levels(pay(engine, 1_100.0)) == [(Code.VAR, Level.WITHIN)]  # of 11,200 they are 1.79 %
    assert states(engine) == [HALTED]  # it is told, and the operator decides
    assert not levels(operate(engine, 0, OperatorAction.RESET))
    assert states(engine) == [TradingState.ACTIVE]


def test_var_halts_a_portfolio_that_the_market_shrinks_below_its_debts() -> None:
    # 200 lots on credit: equity 10,000 at 100. At 60: 2,000, and a VaR of 480
    engine = market(limits=limit("var", 0.1))
    hold(engine, 200)
    # 8 p of 200 p - 10,000: beyond a tenth where 12 p < 1,000, below 83.33
    assert not switches(row(engine, 83.34))
    assert switches(row(engine, 83.33)) == [(HALTED, Code.VAR)]


def test_working_orders_are_no_breach_by_the_market() -> None:
    # held: 40 lots. Working: 10 more, within the limit when they were given; the market's move counts what is held
    engine = market(limits=limit("var", 0.0201))
    hold(engine, 40)
    assert ask(engine, BUY, 10, limit=90.0)["code"] == Code.NONE
    assert not levels(row(engine, 105.0))  # 50 lots would have been beyond at 101.01
    assert ask(engine, BUY, 1)["code"] == Code.VAR


def test_every_row_of_a_bars_path_is_looked_at() -> None:
    engine = market(limits=limit("var", 0.0201))
    hold(engine, 50)
    assert prints(engine, 100.5, 101.01, 100.0) == []
    assert states(engine) == [HALTED]


def test_short_history_halts_nothing_by_itself() -> None:
    engine = market(limits=limit("var", 0.0201))
    hold(engine, 50)
    for _ in range(8):
        assert not switches(read(day(engine, 100.0)))
    assert ask(engine, BUY, 1)["status"] == Status.DENIED
