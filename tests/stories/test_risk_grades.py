"""Forecasts are held against outcomes: of the portfolio as it was held then, and too many misses tighten the limits.

50 lots at 100 have a VaR of 200 and a CVaR of 350 (see tests/stories/test_var_limits.py), and after a quiet day, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.engine import Engine
from engine.records import DAY, Code, EventKind, LimitAction, Method, Side, TradingState
from engine.spec import GradingSpec, LimitSpec, RiskLimits
from tests.builders import read
from tests.stories.accounts import dividend, split
from tests.stories.desk import dollars, row
from tests.stories.risk import RETURNS, ask, day, hold, levels, loss, market

BUY, SELL = Side.BUY, Side.SELL


def graded(*methods: Method, lots: int = 50, **given: Any) -> Engine:
    """An engine that holds so many lots from the day before on, without limits."""
    engine = market(**{"grading": GradingSpec(methods), **given})
    hold(engine, lots)
    assert not len(day(engine, 100.0).grades)  # the first forecast
    return engine


def test_forecast_is_told_with_its_outcome_when_the_next_row_closes() -> None:
    engine = graded()
    made = engine.now
    (grade,) = day(engine, 97.0).grades
    assert (grade["ts"], grade["until"], grade["account"], grade["method"]) == (made, made + DAY, 0, 0)
    assert grade["equity"] == dollars(10_000)
    assert grade["at_risk"] == pytest.approx(dollars(200))
    assert grade["shortfall"] == pytest.approx(dollars(350))
    assert grade["pnl"] == pytest.approx(dollars(-150))


def test_outcome_is_that_of_the_portfolio_as_it_was_held_though_the_account_has_traded() -> None:
    # all is sold at 100 at once, and the fall to 90 costs the account nothing: the forecast was of 50 lots
    engine = graded()
    ask(engine, SELL, 50)
    row(engine, 100.0, size=1e9)
    assert engine.state.slots[0].lots == 0
    (grade,) = day(engine, 90.0).grades
    assert grade["pnl"] == pytest.approx(dollars(-500))
    assert not len(day(engine, 90.0).grades)  # nothing was held


def test_working_orders_are_no_part_of_a_forecast() -> None:
    engine = market(grading=GradingSpec())
    hold(engine, 50)
    ask(engine, BUY, 100, limit=50.0)
    day(engine, 100.0)
    (grade,) = day(engine, 100.0).grades
    assert grade["at_risk"] == pytest.approx(dollars(200))


def test_outcome_takes_splits_and_dividends_out() -> None:
    # 100, pays 1, two for one, 49: 99 of 100
    engine = graded()
    dividend(engine, 1.0)
    split(engine, 2.0)
    (grade,) = day(engine, 49.0).grades
    assert grade["pnl"] == pytest.approx(dollars(-50))


def test_forecast_is_for_one_period_whatever_the_limits_horizon() -> None:
    engine = graded(horizon=4)
    assert loss(engine).var == pytest.approx(400)
    (grade,) = day(engine, 100.0).grades
    assert grade["at_risk"] == pytest.approx(dollars(200))


def test_each_graded_method_is_told_once_and_the_limits_own_among_them() -> None:
    engine = graded(*Method)
    grades = day(engine, 100.0).grades
    assert grades["method"].tolist() == list(Method)
    assert len(set(grades["pnl"].tolist())) == 1
    # -4, 2, -8, 1, -6, 3, -2, 0 %: mean -1.75; squares 134 less 8 x 1.75^2 = 24.5: 109.5 / 7; sd 3.9551052
    gaussian = grades[int(Method.GAUSSIAN)]
    assert gaussian["at_risk"] == pytest.approx(dollars(50) * (1.75 + 0.67448975 * 3.9551052), rel=1e-7)
    assert len(set(np.round(grades["at_risk"]).tolist())) == 6


def test_short_history_is_not_forecast() -> None:
    engine = market(RETURNS[:2], grading=GradingSpec(), prior_volatility=0.02)
    hold(engine, 10)
    told = [len(day(engine, 100.0 + d).grades) for d in range(4)]
    # the fourth return is there when the second of these days ends: the third has an outcome
    assert told == [0, 0, 1, 1]


def rejected(tighten: float = 0.5) -> Engine:
    """Four outcomes, three of them beyond the VaR: one is expected.

    Kupiec's ratio of 3 in 4 is 2 x (3 ln 0.75 + ln 0.25 - 3 ln 0.25 - ln 0.75) = 4 ln 3 = 4.39 > 3.84; of 2 in 4 1.15.
    """
    engine = market(limits=RiskLimits(var=LimitSpec(0.05)), grading=GradingSpec(outcomes=4, tighten=tighten))
    hold(engine, 1)
    day(engine, 100.0)
    # the losses of the window: 8, 6, 4 %: a VaR of 4 %. A day of -9 % leaves 9, 8, 6, another 9, 9, 8, another 9, 9, 9
    for price in (100.0, 91.0, 82.81):
        assert not levels(read(day(engine, price)))
    events = read(day(engine, 75.3571))
    (event,) = (e for e in events if e["kind"] == EventKind.RISK)
    assert (event["code"], event["lots"], event["account"]) == (Code.MODEL, 1, 0)
    assert (event["measure"], event["bound"]) == (pytest.approx(0.75), pytest.approx(0.25))
    return engine


def test_model_that_outcomes_reject_tightens_its_limits_until_they_accept_it_again() -> None:
    engine = rejected()
    # equity 10,000 - 100 + 75.3571 = 9,975.3571, 2.5 % of it 249.38; a lot's VaR is 9 % of 75.3571 = 6.7821: 36.77 lots
    event = ask(engine, BUY, 36)
    assert (event["code"], event["bound"]) == (Code.VAR, pytest.approx(0.025))
    assert event["measure"] == pytest.approx(37 * 6.782139 / 9_975.3571, rel=1e-6)
    assert ask(engine, BUY, 35, limit=1.0)["code"] == Code.NONE
    day(engine, 75.3571)  # three of four, still
    assert ask(engine, BUY, 1)["code"] == Code.VAR
    events = read(day(engine, 75.3571))  # two of four
    (event,) = (e for e in events if e["kind"] == EventKind.RISK)
    assert (event["code"], event["lots"], event["measure"]) == (Code.MODEL, 0, pytest.approx(0.5))
    # 498.77 / 6.7821 = 73.5 lots
    assert ask(engine, BUY, 38, limit=1.0)["code"] == Code.VAR
    assert ask(engine, BUY, 37, limit=1.0)["code"] == Code.NONE


def test_rejected_model_without_tightening_only_tells() -> None:
    engine = rejected(tighten=1.0)
    assert ask(engine, BUY, 73)["code"] == Code.VAR
    assert ask(engine, BUY, 72)["code"] == Code.NONE


def test_tightened_limit_that_halts_does_so_when_the_model_is_rejected() -> None:
    engine = market(
        limits=RiskLimits(var=LimitSpec(0.01, action=LimitAction.HALT)),
        grading=GradingSpec(outcomes=4, tighten=0.1),
    )
    hold(engine, 2)
    for price in (100.0, 100.0, 91.0, 82.81):
        assert not levels(read(day(engine, price)))
    # 2 x 6.78 are 0.136 % of the equity: within 1 %, beyond a tenth of it
    events = read(day(engine, 75.3571))
    assert [(e["kind"], e["code"]) for e in events] == [
        (EventKind.RISK, Code.MODEL),
        (EventKind.RISK, Code.VAR),
        (EventKind.STATE, Code.VAR),
    ]
    assert engine.state.accounts[0].state == TradingState.HALTED


def test_model_that_is_too_cautious_is_not_rejected() -> None:
    # none of seven: Kupiec's ratio is -14 ln 0.75 = 4.03, as significant as too many, but nothing to tighten a limit for
    engine = graded(grading=GradingSpec(outcomes=7))
    for d in range(1, 8):
        assert not levels(read(day(engine, 100.0 * 1.01**d)))


def test_too_few_outcomes_reject_nothing() -> None:
    engine = market(limits=RiskLimits(var=LimitSpec(0.05)), grading=GradingSpec(outcomes=4))
    hold(engine, 1)
    day(engine, 100.0)
    for d in range(1, 4):  # three of three
        assert not levels(read(day(engine, 100.0 * 0.91**d)))
    assert ask(engine, BUY, 40)["code"] == Code.NONE
