"""Where a limit could be passed over: what only works or only warns, the first day, no equity, somebody else's rows."""

from typing import Any

import numpy as np
import pytest

from engine.engine import Engine, EngineError
from engine.records import (
    DAY,
    SECOND,
    Code,
    EventKind,
    Level,
    LimitAction,
    OperatorAction,
    Side,
    Status,
    TimeInForce,
    TradingState,
)
from engine.spec import (
    AccountSpec,
    EngineSpec,
    InstrumentSpec,
    LimitSpec,
    LimitsSpec,
    MarginSpec,
    RiskLimits,
    RiskSpec,
    Sessions,
    ShockSpec,
    StrategySpec,
    WindowSpec,
)
from tests.builders import MINUTE, make_ticks, read
from tests.stories.desk import row
from tests.stories.risk import RETURNS, ask, hold, levels, market, switches

BUY, SELL = Side.BUY, Side.SELL
DENY, RESIZE, HALT = LimitAction.DENY, LimitAction.RESIZE, LimitAction.HALT
HALTED = TradingState.HALTED


def var(limit: float, warning: float = 0.0, action: LimitAction = DENY) -> RiskLimits:
    return RiskLimits(var=LimitSpec(limit, warning, action))


def shocked(shock: float, limit: float, action: LimitAction, price: float, leverage: float = 20.0) -> Engine:
    """10,000 that may owe, one instrument at that price, no return known: only what a shock would do is limited."""
    limits = RiskLimits(stressed_var=LimitSpec(limit, action=action))
    margin = MarginSpec(leverage, 0.0) if leverage > 1 else None
    account = AccountSpec("a", 10_000.0, limits=LimitsSpec(risk=limits), margin=margin)
    risk = RiskSpec(shocks=(ShockSpec("crash", (), shock),))
    strategies = (StrategySpec("s", "a", ("A",), MINUTE),)
    engine = Engine(EngineSpec((InstrumentSpec("A"),), (account,), strategies, risk=risk))
    engine.process(make_ticks([(0, price)]))
    return engine


def test_warning_of_a_resting_order_ends_at_the_next_mark_also_after_a_snapshot() -> None:
    engine = market(limits=var(0.5, 0.015, HALT))
    hold(engine, 20)
    row(engine, 100.0)
    ask(engine, BUY, 30, limit=50.0)  # 20 lots of 4 % are 0.8 % of 10,000; with 30 more 2 %
    other = Engine(engine.spec)
    other.restore(engine.snapshot())
    for each in (engine, other):
        assert levels(row(each, 100.01)) == [(Code.VAR, Level.WITHIN)]
    assert engine.state_hash() == other.state_hash()


def test_order_that_only_works_in_a_young_instrument_hides_no_crash_of_another() -> None:
    # A lost half on three of nine days; a quarter of nine is 2.25, so the third largest loss counts: 2,500 of 50 lots.
    # B, of four days, makes the rows that both have four, and in these A lost 1 %
    crashed = (-0.5, -0.5, -0.5, 0.01, -0.01, 0.01, -0.01, 0.01, -0.01)
    engine = market(
        {"A": crashed, "B": (0.01, -0.01, 0.01, -0.01)}, var(0.1), confidence=0.75, window=9, min_history=4
    )
    assert ask(engine, BUY, 50)["code"] == Code.VAR
    assert ask(engine, BUY, 1, slot=1, limit=1.0)["code"] == Code.NONE
    denied = ask(engine, BUY, 50)
    assert (denied["code"], denied["measure"]) == (Code.VAR, pytest.approx(0.25))


def test_shock_halts_on_the_first_day_before_any_row_has_closed() -> None:
    # 20 lots, half of which a shock takes: 1,000 of 10,000 at 100, 1,200 of 10,400 at 120, which is above 11 %
    engine = shocked(-0.5, 0.11, HALT, 100.0, leverage=1.0)
    hold(engine, 20)
    assert not switches(row(engine, 110.0))
    assert switches(row(engine, 120.0)) == [(HALTED, Code.STRESSED_VAR)]


def test_shock_halts_though_var_cannot_be_measured() -> None:
    # 20 lots, of which it is not known any more what they may lose; half of their worth, by the shock
    risk = RiskLimits(var=LimitSpec(0.5, action=HALT), stressed_var=LimitSpec(0.11, action=HALT))
    engine = market(limits=risk, shocks=(ShockSpec("crash", (), -0.5),))
    hold(engine, 20)
    engine.state.histories[0].moved = 0
    assert engine.measure("a").code == Code.SINGULAR
    assert not switches(row(engine, 110.0))  # 1,100 of 10,200
    assert switches(row(engine, 120.0)) == [(HALTED, Code.STRESSED_VAR)]


@pytest.mark.parametrize(
    ("shock", "limit", "price", "most"),
    [
        (-0.18, 0.38, 1.0, 21_111),  # 3,800 / 0.18: no row has closed, and 100,000 lots are far from it
        (-0.34, 0.17, 50.0, 100),  # 1,700 / 17, where floats make a little more of it
    ],
)
def test_size_that_a_shock_leaves_is_the_largest(shock: float, limit: float, price: float, most: int) -> None:
    engine = shocked(shock, limit, RESIZE, price)
    order = ask(engine, BUY, int(100_000 / price))
    assert (order["code"], order["lots"]) == (Code.STRESSED_VAR, most)


def test_halting_var_is_beyond_where_there_is_no_equity() -> None:
    engine = market(limits=var(0.5, action=HALT), margin=MarginSpec(20.0, 0.0))
    hold(engine, -150)
    events = row(engine, 300.0)  # 10,000 + 15,000 - 45,000
    assert levels(events) == [(Code.VAR, Level.BEYOND)]
    assert switches(events)[-1] == (HALTED, Code.VAR)  # after the margin call


def test_limit_that_only_warns_denies_nothing_that_cannot_be_measured() -> None:
    engine = market((), RiskLimits(var=LimitSpec(warning=0.01), stressed_var=LimitSpec(warning=0.01)),
                    windows=(WindowSpec("w", -2 * DAY, -DAY),), engine={"trade_from": 0})  # fmt: skip
    assert ask(engine, BUY, 1)["code"] == Code.NONE


def test_operators_row_before_the_first_row_is_refused() -> None:
    engine = Engine(market().spec)
    with pytest.raises(EngineError, match="before the first row"):
        engine.operate("a", OperatorAction.HALT)


def test_stress_that_does_not_know_what_is_held_leaves_var_to_be_measured() -> None:
    engine = market(limits=var(0.5), windows=(WindowSpec("w", -2 * DAY, -DAY),), engine={"trade_from": 0})
    hold(engine, 20)
    measured = engine.measure("a")
    assert (measured.code, np.isnan(measured.stressed_var)) == (Code.NONE, True)
    assert measured.var > 0.0


def test_halted_strategy_does_not_open_a_position_by_an_exit_of_its_account() -> None:
    engine = market(strategies=("s", "t"))
    hold(engine, 50, slot=0)
    engine.operate("t", OperatorAction.HALT)
    assert ask(engine, SELL, 50, slot=1)["code"] == Code.TRADING_STATE
    assert ask(engine, SELL, 50, slot=0)["code"] == Code.NONE


def test_order_that_closes_anothers_position_meets_the_limit_of_the_strategy_that_it_opens_one_for() -> None:
    # t sells what s has bought: the account is flat then, and t is short 50 lots, to which 4, 3 and 2 % up are the worst
    # of eight days. The third worst counts: 100 of 10,000
    engine = market(strategies={"s": RiskLimits(), "t": var(0.009)})
    hold(engine, 50, slot=0)
    denied = ask(engine, SELL, 50, slot=1)
    assert (denied["code"], denied["measure"]) == (Code.VAR, pytest.approx(0.01))
    assert ask(engine, SELL, 44, slot=1)["code"] == Code.NONE


def test_stop_that_may_close_a_hedge_counts_as_if_it_had() -> None:
    # A and B move alike. 40 of A against 80 of B sold short lose what 40 short lose; a stop may buy the 80 back, and then
    # 40 of A stand alone: 160 of 10,000, and 80 of them 320
    engine = market({"A": RETURNS, "B": RETURNS}, var(0.03))
    hold(engine, 40)
    hold(engine, -80, slot=1)
    assert ask(engine, BUY, 40)["code"] == Code.NONE
    engine.cancel(ask(engine, BUY, 1, limit=50.0)["order_id"])
    for order in list(engine.live_orders()):
        engine.cancel(int(engine.state.orders[order].id))
    assert ask(engine, BUY, 80, slot=1, stop=120.0, reduce_only=True)["code"] == Code.NONE
    denied = ask(engine, BUY, 40)
    assert (denied["code"], denied["measure"]) == (Code.VAR, pytest.approx(0.032))


@pytest.mark.parametrize(("returns", "code"), [((0.5, 0, 0, 0), Code.HISTORY), ((0.5, 0, 0.1, 0), Code.NONE)])
def test_instrument_that_hardly_ever_moved_is_not_known(returns: tuple[float, ...], code: Code) -> None:
    engine = market(returns, var(0.9))  # four returns are enough, of which two at least move
    assert ask(engine, BUY, 1)["code"] == code


def in_rows(engine: Engine, rows: list[Any], one_by_one: bool) -> list[tuple[int, Code, int]]:
    """(account, code, ns) of the states and levels that these rows bring about, in one batch or each by itself."""
    batches = [[r] for r in rows] if one_by_one else [rows]
    events = [e for batch in batches for e in read(engine.process(make_ticks(batch)))]
    told = [e for e in events if e["kind"] in (EventKind.STATE, EventKind.RISK)]
    return [(e["account"], e["code"], e["ts"]) for e in told]


def two_accounts(action: LimitAction, **b: Any) -> Engine:
    """A holds 50 A at 100 of 10,000; b trades B; both with a limit on drawdown."""
    limits = LimitsSpec(risk=RiskLimits(drawdown=LimitSpec(0.1, action=action)))
    engine = Engine(
        EngineSpec(
            (InstrumentSpec("A"), InstrumentSpec("B", **b)),
            tuple(AccountSpec(name, 10_000.0, limits=limits) for name in "ab"),
            (StrategySpec("s", "a", ("A",), MINUTE), StrategySpec("t", "b", ("B",), MINUTE)),
            calendars={"X": Sessions(np.array([0, DAY]), np.array([DAY * 2 // 3, DAY * 5 // 3]))},
        )
    )
    engine.process(make_ticks([(0, 100.0, 1, 0), (0, 100.0, 1, 1)]))
    hold(engine, 50, slot=0)
    return engine


@pytest.mark.parametrize("one_by_one", [False, True])
def test_level_that_a_switch_by_hand_leaves_open_is_told_at_the_first_row_of_anything(
    one_by_one: bool,
) -> None:
    engine = two_accounts(DENY)
    hold(engine, 50, slot=1)
    now = engine.now
    engine.process(make_ticks([(now + 1, 70.0, 1, 1), (now + 2, 99.0, 1, 0)]))
    engine.set_trading_state("b", TradingState.ACTIVE)
    engine.take_events()
    rows = [(now + 10 + i, 98.9 + 0.001 * (i % 3), 1, 0) for i in range(10)]
    assert in_rows(engine, rows, one_by_one) == [(1, Code.DRAWDOWN, now + 10)]


@pytest.mark.parametrize("one_by_one", [False, True])
def test_loss_of_a_fill_at_the_close_halts_at_the_first_row_of_anything(one_by_one: bool) -> None:
    engine = two_accounts(HALT, calendar="X", fee_per_unit=50.0)  # 30 lots: 1,500 of 10,000 are lost to fees
    order = ask(engine, BUY, 30, slot=1, tif=TimeInForce.AT_THE_CLOSE)
    assert order["status"] != Status.DENIED
    close = DAY * 2 // 3
    engine.process(make_ticks([(close - 2 * SECOND, 99.0, 1, 0), (close - SECOND, 100.0, 1e9, 1)]))
    rows = [(close + 10 + i, 98.9 + 0.001 * (i % 3), 1, 0) for i in range(10)]
    told = in_rows(engine, rows, one_by_one)
    assert told == [
        (1, Code.DRAWDOWN, close + 10),
        (1, Code.DRAWDOWN, close + 10),
    ]  # the level, then the state
