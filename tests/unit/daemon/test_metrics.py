"""Figures against closed forms, and against pandas by definition."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.metrics import DailyEquity, Metrics, Trades, annual_return, sharpe, sortino, volatility
from engine.records import DAY, EQUITY, EVENT, SECOND, EventKind, Side

HOUR = 3600 * SECOND


def samples(rows, account=0):
    """(hours, equity) or (hours, equity, cash) as EQUITY records."""
    out = np.zeros(len(rows), EQUITY)
    for i, row in enumerate(rows):
        out[i]["ts"] = row[0] * HOUR
        out[i]["equity"] = row[1]
        out[i]["cash"] = row[2] if len(row) > 2 else row[1]
        out[i]["account"] = account
    return out


def fills(rows):
    """(side, lots, position after, realised, fee, strategy, instrument) as EVENT records of kind FILL."""
    out = np.zeros(len(rows), EVENT)
    out["kind"] = EventKind.FILL
    for i, (side, lots, position, realized, fee, strategy, instrument) in enumerate(rows):
        out[i]["side"], out[i]["last_lots"], out[i]["position"] = side, lots, position
        out[i]["realized"], out[i]["last_fee"] = realized, fee
        out[i]["strategy"], out[i]["instrument"] = strategy, instrument
        out[i]["last_notional"] = 10 * lots
    return out


def test_day_has_its_last_equity_and_midnight_belongs_to_the_day_that_ends():
    daily = DailyEquity()
    daily.add(samples([(9, 100), (15, 101), (24, 102), (30, 103), (49, 104)]))
    assert (daily.days, daily.equity) == ([0, 1, 2], [102, 103, 104])


def test_day_that_spans_two_batches_is_one_day():
    daily = DailyEquity()
    for hour, equity in [(9, 100), (15, 101), (24, 102), (30, 103)]:
        daily.add(samples([(hour, equity)]))
    assert (daily.days, daily.equity) == ([0, 1], [102, 103])


def test_samples_with_holdings_count_as_invested():
    daily = DailyEquity()
    daily.add(samples([(1, 100, 100), (2, 100, 40), (3, 101, 41), (4, 101, 101)]))
    assert (daily.invested, daily.samples) == (2, 4)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 10**12)), min_size=1, max_size=40),
    st.lists(st.integers(0, 40), max_size=8),
)
def test_daily_equity_is_that_of_pandas_however_the_run_is_cut(steps, cuts):
    hours = np.cumsum([step for step, _ in steps])
    records = samples([(int(h), e) for h, (_, e) in zip(hours, steps, strict=True)])
    daily = DailyEquity()
    for part in np.split(records, sorted(min(c, len(records)) for c in cuts)):
        daily.add(part)
    series = pd.Series(records["equity"], index=pd.to_datetime(records["ts"] - 1, unit="ns"))
    expected = series.groupby(pd.DatetimeIndex(series.index).floor("D")).last()
    assert daily.equity == expected.tolist()
    assert daily.days == [t.value // DAY for t in expected.index]
    np.testing.assert_allclose(daily.returns(), expected.astype(float).pct_change().dropna(), rtol=1e-12)


def test_sharpe_of_two_returns_is_their_closed_form():
    # returns a and b: mean (a+b)/2, deviation |a-b|/sqrt(2)
    a, b = 0.01, 0.03
    expected = ((a + b) / 2) / (abs(a - b) / math.sqrt(2)) * math.sqrt(252)
    assert sharpe(np.array([a, b]), 252) == pytest.approx(expected, rel=1e-12)


def test_ratios_are_those_of_pandas_by_definition():
    returns = np.array([0.01, -0.02, 0.015, 0.003, -0.001, 0.0])
    series = pd.Series(returns)
    assert sharpe(returns, 365) == pytest.approx(series.mean() / series.std() * 365**0.5, rel=1e-12)
    assert volatility(returns, 365) == pytest.approx(series.std() * 365**0.5, rel=1e-12)
    downside = (series.clip(upper=0) ** 2).mean() ** 0.5
    assert sortino(returns, 252) == pytest.approx(series.mean() / downside * 252**0.5, rel=1e-12)
    total = float(np.prod(1 + returns))
    assert annual_return(returns, 252) == pytest.approx(total ** (252 / 6) - 1, rel=1e-9)


@pytest.mark.parametrize("returns", [[], [0.01]])
def test_ratios_of_fewer_than_two_returns_are_undefined(returns):
    r = np.array(returns)
    assert [f(r, 252) for f in (sharpe, volatility, sortino, annual_return)] == [None] * 4


def test_ratios_without_any_risk_are_undefined():
    flat = np.full(10, 0.001)
    assert sharpe(flat, 252) is None
    assert sortino(flat, 252) is None
    assert sharpe(np.zeros(10), 252) is None


def test_returns_of_an_account_that_lost_everything_are_undefined():
    daily = DailyEquity()
    daily.add(samples([(20, 100), (40, 0), (60, 50)]))
    assert len(daily.returns()) == 0


def test_trade_runs_from_flat_to_flat_and_pays_its_fees():
    trades = Trades()
    buy, sell = Side.BUY, Side.SELL
    trades.add(
        fills(
            [
                (buy, 10, 10, 0, 1, 0, 0),
                (sell, 4, 6, 8, 1, 0, 0),
                (sell, 6, 0, -3, 1, 0, 0),  # 8 - 3 - 3 fees = 2 won
                (buy, 5, 5, 0, 2, 0, 0),
                (sell, 5, 0, 2, 2, 0, 0),  # 2 - 4 fees = 2 lost
                (buy, 5, 5, 0, 0, 0, 0),
                (sell, 5, 0, 0, 0, 0, 0),  # even
                (buy, 7, 7, 0, 9, 0, 0),  # still open
            ]
        )
    )
    assert (trades.won, trades.lost, trades.even, trades.count) == (1, 1, 1, 3)
    assert (trades.gained, trades.given) == (2, 2)
    assert trades.notional == 10 * (10 + 4 + 6 + 5 + 5 + 5 + 5 + 7)


def test_fill_that_turns_a_position_ends_one_trade_and_begins_another():
    trades = Trades()
    trades.add(fills([(1, 10, 10, 0, 1, 0, 0), (-1, 25, -15, 50, 1, 0, 0), (1, 15, 0, -20, 1, 0, 0)]))
    assert (trades.won, trades.lost, trades.gained, trades.given) == (1, 1, 48, 21)


def reference_trades(records):
    """The definition, fill by fill."""
    profit: list[int] = []
    open_: dict[tuple[int, int], int] = {}
    for f in records:
        key = (int(f["strategy"]), int(f["instrument"]))
        before = int(f["position"]) - int(f["side"]) * int(f["last_lots"])
        open_[key] = open_.get(key, 0) + int(f["realized"]) - int(f["last_fee"])
        if before * int(f["position"]) <= 0 and before != 0:
            profit.append(open_.pop(key))
    return profit


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, -1]),
            st.integers(1, 3),
            st.integers(-9, 9),
            st.integers(0, 3),
            st.integers(0, 1),
            st.integers(0, 2),
        ),
        max_size=60,
    ),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_trades_are_those_of_the_definition_however_the_run_is_cut(rows, cuts):
    positions: dict[tuple[int, int], int] = {}
    full = []
    for side, lots, realized, fee, strategy, instrument in rows:
        position = positions.get((strategy, instrument), 0) + side * lots
        positions[strategy, instrument] = position
        full.append((side, lots, position, realized, fee, strategy, instrument))
    records = fills(full)
    expected = reference_trades(records)
    trades = Trades()
    for part in np.split(records, sorted(min(c, len(records)) for c in cuts)):
        trades.add(part)
    assert trades.won == sum(p > 0 for p in expected)
    assert trades.lost == sum(p < 0 for p in expected)
    assert trades.even == sum(p == 0 for p in expected)
    assert trades.gained - trades.given == sum(expected)


def test_each_account_has_its_own_figures():
    metrics = Metrics(2)
    events = fills([(1, 1, 1, 0, 0, 0, 0), (1, 2, 2, 0, 0, 1, 0)])
    events["account"] = [0, 1]
    metrics.add(events, np.concatenate([samples([(1, 5)], 1), samples([(2, 6)], 0), samples([(3, 7)], 1)]))
    assert [d.equity for d in metrics.daily] == [[6], [7]]
    assert [t.notional for t in metrics.trades] == [10, 20]
