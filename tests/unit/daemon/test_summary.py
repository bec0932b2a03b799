"""The summary's own arithmetic; what it takes over from the engine is tested with the runner."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from daemon.metrics import Metrics
from daemon.risk.log import RiskLog
from daemon.summary import Run, summarise
from engine.engine import Engine
from engine.records import Method, Side
from engine.spec import (
    AccountSpec,
    EngineSpec,
    GradingSpec,
    InstrumentSpec,
    LimitSpec,
    LimitsSpec,
    RiskLimits,
    RiskSpec,
    ShockSpec,
    StrategySpec,
)
from tests.builders import MINUTE, USD, make_engine, make_ticks, stops

RUN = Run("id", "name", "hash", 5, 0, MINUTE, 0.5, 3, 1)


@pytest.fixture
def engine():
    """7 lots of 0.1 bought at 100.00, without fees."""
    made = make_engine(cash=1_000.0, lot_size=0.1, size=1.0)
    made.process(make_ticks([(0, 100.0)]))
    made.submit(0, Side.BUY, 7)
    made.process(make_ticks([(1, 100.0)]))
    return made


def test_equity_is_cash_and_holdings_at_the_last_price_to_the_unit(engine):
    for cents in range(1, 3000, 7):
        engine.state.instruments[0].price = cents / 100
        exact = 930 * USD + Decimal(cents) / 100 * Decimal("0.7") * USD
        assert engine.equity("a") == exact


def test_summary_marks_at_the_last_price_and_counts_that_fall_as_drawdown(engine):
    engine.process(make_ticks([(2, 50.0)]))
    summary = summarise(RUN, engine, Metrics([1_000 * USD]), {})
    (account,) = summary["accounts"]
    # 1000 - 70 + 0.7 x 50 = 965
    assert (account["cash_micros"], account["equity_micros"]) == (930 * USD, 965 * USD)
    assert account["return"] == pytest.approx(-0.035)
    assert account["max_drawdown"] == pytest.approx(0.035)
    assert (summary["rows_per_s"], summary["refused_rows"], summary["more"]["working_orders"]) == (10, 3, 1)


def test_figures_without_a_single_bar_are_null_and_the_summary_is_json(engine):
    summary = summarise(RUN, engine, Metrics([1_000 * USD]), {"a": 365})
    more = summary["more"]["accounts"]["a"]
    undefined = [k for k, v in more.items() if v is None]
    assert summary["accounts"][0]["sharpe"] is None
    assert undefined == [
        "annual_return",
        "volatility",
        "sortino",
        "calmar",
        "win_rate",
        "profit_factor",
        "time_in_market",
        "turnover",
    ]
    assert more["days_per_year"] == 365
    json.dumps(summary, allow_nan=False)


def test_money_paid_in_and_out_is_told_and_is_no_return(engine):
    metrics = Metrics([1_000 * USD])
    # 930 in cash and 70 in the instrument; 500 come in, 100 go out, and of 2000 there is no talk
    for amount in (500, -100, -2000):
        engine.deposit("a", amount * USD)
    out = engine.take_events()
    metrics.add(out.events, out.equity)
    engine.process(make_ticks([(2, 200.0)]))
    summary = summarise(RUN, engine, metrics, {})
    (account,) = summary["accounts"]
    more = summary["more"]["accounts"]["a"]
    # 930 + 400 + 0.7 x 200 = 1470 of 1400
    assert account["equity_micros"] == 1470 * USD
    assert account["return"] == pytest.approx(0.05)
    assert account["max_drawdown"] == 0
    assert (more["deposits_micros"], more["refused_withdrawals"]) == (400 * USD, 1)


def test_return_after_all_was_withdrawn_is_null(engine):
    metrics = Metrics([1_000 * USD])
    engine.submit(0, Side.SELL, 7)
    engine.process(make_ticks([(2, 100.0)]))
    for amount in (-1000, 10):
        engine.deposit("a", amount * USD)
    out = engine.take_events()
    metrics.add(out.events, out.equity)
    summary = summarise(RUN, engine, metrics, {})
    assert summary["accounts"][0]["return"] is None
    json.dumps(summary, allow_nan=False)


def test_what_a_margin_account_earned_and_suffered_is_told(engine):
    account = engine.state.accounts[0]
    account.income, account.interest, account.liquidations = 1, -2, 3
    account.brackets, account.both_sides = 5, 4
    more = summarise(RUN, engine, Metrics([1_000 * USD]), {})["more"]["accounts"]["a"]
    assert [
        more[key] for key in ("income_micros", "interest_micros", "liquidations", "brackets", "both_sides")
    ] == [1, -2, 3, 5, 4]


def test_rows_that_were_refused_are_told_by_reason(engine):
    run = replace(RUN, refused={"a price that is not positive": 3}, outside_hours=7)
    more = summarise(run, engine, Metrics([1_000 * USD]), {})["more"]
    assert (more["refused"], more["outside_hours"]) == ({"a price that is not positive": 3}, 7)


def test_denials_are_counted_by_the_name_of_their_code(engine):
    for lots in (10**6, 10**6, 0):
        engine.submit(0, Side.BUY, lots)
    engine.submit(0, Side.SELL, 1000)
    summary = summarise(RUN, engine, Metrics([1_000 * USD]), {})
    assert summary["accounts"][0]["denied"] == {"INSTRUMENT": 1, "CASH": 2, "SHORT": 1}
    assert summary["accounts"][0]["orders"] == 5


NO_LIMITS = LimitsSpec()
CLOSES = (100.0, 110.0, 99.0, 79.2, 83.16)  # returns of 10, -10, -20 and 5 %
RISK = RiskSpec(
    confidence=0.75,
    period_ns=MINUTE,
    window=4,
    min_history=4,
    shocks=(ShockSpec("crash", (("A", -0.5),)),),
    grading=GradingSpec((Method.GAUSSIAN,), outcomes=2),
)


def risky(limits=NO_LIMITS, risk=RISK, closes=CLOSES, strategy=NO_LIMITS.risk, bought=0):
    """An engine with 7 lots of 0.1, bought at one of the prices, after a minute at each of them; and its log."""
    spec = EngineSpec(
        (InstrumentSpec("A", lot_size=0.1),),
        (AccountSpec("a", 1_000.0, limits=limits), AccountSpec("b", 1_000.0)),
        (
            StrategySpec("s", "a", ("A",), MINUTE, size_value=1.0, limits=strategy),
            StrategySpec("t", "b", ("A",), MINUTE, size_value=1.0),
        ),
        risk=risk,
    )
    engine, log = Engine(spec), RiskLog(2)
    for k, close in enumerate(closes):
        log.add(engine.process(make_ticks([(k * MINUTE + 1, close)])))
        if k == bought:
            engine.submit(0, Side.BUY, 7)
            log.add(engine.process(make_ticks([(k * MINUTE + 2, close)])))
    log.add(engine.process(make_ticks([(len(closes) * MINUTE + 1, closes[-1])])))
    return engine, log


def risk_of(engine, log, account="a"):
    summary = summarise(RUN, engine, Metrics([1_000 * USD] * 2), {}, log)
    json.dumps(summary, allow_nan=False)
    return summary["more"]["accounts"][account].get("risk")


def test_risk_at_the_end_is_told_in_money_and_as_shares_of_equity():
    told = risk_of(*risky())
    assert [told[key] for key in ("method", "confidence", "horizon", "period_ns", "outcomes")] == [
        "historical", 0.75, 1, MINUTE, 2,
    ]  # fmt: skip
    now = told["now"]
    # 0.7 x 83.16 = 58.212 are held, beside 930. Of four returns a quarter, the worst, is beyond VaR: that is the second
    # worst, 10 %; CVaR is the worst, 20 %, and the crash takes half
    assert now["equity_micros"] == 988_212_000
    assert now["var_micros"] == pytest.approx(5.8212e6)
    assert now["cvar_micros"] == pytest.approx(11.6424e6)
    assert now["stressed_var_micros"] == pytest.approx(29.106e6)
    assert now["var"] == pytest.approx(5.8212 / 988.212)
    assert now["cvar"] == pytest.approx(11.6424 / 988.212)
    assert now["stressed_var"] == pytest.approx(29.106 / 988.212)
    assert now["code"] is None
    (part,) = now["parts"]
    assert part["instrument"] == "A"
    assert [part[f"{key}_micros"] for key in ("value", "var", "cvar")] == pytest.approx(
        [58.212e6, 5.8212e6, 11.6424e6]
    )


def test_account_that_holds_nothing_has_no_risk_and_nothing_of_it_is_less_than_nothing():
    engine, log = risky()
    told = risk_of(engine, log, "b")
    assert told["now"]["parts"] == []
    assert [str(told["now"][key]) for key in ("var", "cvar_micros", "stressed_var")] == ["0.0"] * 3
    assert told["grades"] == {}


def test_history_that_is_too_short_is_told_and_figures_are_null():
    told = risk_of(*risky(closes=CLOSES[:3]))
    assert told["now"]["code"] == "HISTORY"
    assert [told["now"][key] for key in ("var", "var_micros", "cvar", "stressed_var", "parts")] == [
        None, None, None, None, [],
    ]  # fmt: skip


def test_without_scenarios_of_stress_there_is_no_stressed_var():
    now = risk_of(*risky(risk=replace(RISK, shocks=())))["now"]
    assert (now["stressed_var"], now["stressed_var_micros"]) == (None, None)
    assert now["var"] > 0


def test_grades_are_told_by_method():
    # VaR at 83.16 is 10 %: the fall to 74 is beyond it, and the rise to 80 is not
    told = risk_of(*risky(closes=(*CLOSES, 74.0, 80.0)))
    assert list(told["grades"]) == ["historical", "gaussian"]
    grade = told["grades"]["historical"]
    assert (grade["n"], grade["exceedances"], grade["expected"]) == (2, 1, 0.5)


def test_model_that_the_last_outcomes_reject_is_told():
    tight = replace(RISK, grading=replace(RISK.grading, significance=0.4))
    # two losses beyond VaR of two, where half a one was expected: 4 log 4 = 5.5 is beyond the critical 0.71; one is not:
    # -2 (log 0.75 + log 0.25 - 2 log 0.5) = 0.58
    told = risk_of(*risky(risk=tight, closes=(*CLOSES, 60.0, 30.0)))
    assert (told["model_rejected"], told["rejections"]) == (True, 1)
    told = risk_of(*risky(risk=tight, closes=(*CLOSES, 60.0, 65.0)))
    assert (told["model_rejected"], told["rejections"]) == (False, 0)


def test_what_limits_did_is_counted():
    told = risk_of(*risky(stops(drawdown=0.02)))
    # from 110 to 79.2 the 0.7 units lose 21.56 of 1007, 2.1 %
    assert (told["breaches"], told["halts"]) == ({"DRAWDOWN": 1}, {"DRAWDOWN": 1})
    (halt,) = told["halted"]
    assert (halt["strategy"], halt["state"], halt["code"]) == (None, "HALTED", "DRAWDOWN")
    assert (told["warnings"], told["denied"], told["cut"]) == ({}, {}, {})


def test_denials_by_limits_on_risk_are_told_among_them_and_no_others():
    limits = LimitsSpec(risk=RiskLimits(var=LimitSpec(0.007, warning=0.005)))
    engine, log = risky(limits, closes=(*CLOSES, 83.16), bought=5)
    # 10 % of the 58.212 of 1000 that are held is a VaR of 0.58 %, and 9 lots would have 0.75 %
    engine.submit(0, Side.BUY, 2)
    engine.submit(0, Side.BUY, 10**6)  # cannot be paid for
    log.add(engine.take_events())
    told = risk_of(engine, log)
    assert told["denied"] == {"VAR": 1}
    assert told["warnings"] == {"VAR": 1}
    assert told["breaches"] == {}


def test_limit_of_a_strategy_alone_is_risk_of_its_account():
    engine, log = risky(risk=None, strategy=RiskLimits(drawdown=LimitSpec(0.5)))
    told = risk_of(engine, log)
    assert (told["method"], told["now"], told["model_rejected"], told["grades"]) == (None, None, None, {})
    assert risk_of(engine, log, "b") is None


def test_nothing_is_told_of_risk_where_none_is_configured():
    assert risk_of(*risky(risk=None)) is None
