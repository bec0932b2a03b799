"""The summary's own arithmetic; what it takes over from the engine is tested with the runner."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from daemon.metrics import Metrics
from daemon.summary import Run, equity_now, summarise
from engine.records import Side
from tests.builders import MINUTE, USD, make_engine, make_ticks

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
        assert equity_now(engine, 0) == exact


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
