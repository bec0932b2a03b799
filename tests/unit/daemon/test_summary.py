"""The summary's own arithmetic; what it takes over from the engine is tested with the runner."""

import json
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
    summary = summarise(RUN, engine, Metrics(1), {})
    (account,) = summary["accounts"]
    # 1000 - 70 + 0.7 x 50 = 965
    assert (account["cash_micros"], account["equity_micros"]) == (930 * USD, 965 * USD)
    assert account["return"] == pytest.approx(-0.035)
    assert account["max_drawdown"] == pytest.approx(0.035)
    assert (summary["rows_per_s"], summary["refused_rows"], summary["more"]["working_orders"]) == (10, 3, 1)


def test_figures_without_a_single_bar_are_null_and_the_summary_is_json(engine):
    summary = summarise(RUN, engine, Metrics(1), {"a": 365})
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


def test_denials_are_counted_by_the_name_of_their_code(engine):
    for lots in (10**6, 10**6, 0):
        engine.submit(0, Side.BUY, lots)
    engine.submit(0, Side.SELL, 1000)
    summary = summarise(RUN, engine, Metrics(1), {})
    assert summary["accounts"][0]["denied"] == {"INSTRUMENT": 1, "CASH": 2, "SHORT": 1}
    assert summary["accounts"][0]["orders"] == 5
