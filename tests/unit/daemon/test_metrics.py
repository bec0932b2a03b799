"""Figures against closed forms, and against pandas by definition."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.metrics import DailyEquity, Metrics, Trades, annual_return, sharpe, sortino, volatility
from engine.records import DAY, EQUITY, EVENT, SECOND, Code, EventKind, Side, Status

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


def payments(rows, code=Code.DEPOSIT, account=0):
    """(hours, amount) as EVENT records of kind CASH."""
    out = np.zeros(len(rows), EVENT)
    out["kind"], out["code"], out["account"] = EventKind.CASH, code, account
    for i, (hours, amount) in enumerate(rows):
        out[i]["ts"], out[i]["last_notional"] = hours * HOUR, amount
    return out


def take(daily, records, paid=()):
    daily.add(records, payments(paid))


def test_day_has_its_last_equity_and_midnight_belongs_to_the_day_that_ends():
    daily = DailyEquity(100)
    take(daily, samples([(9, 100), (15, 101), (24, 102), (30, 103), (49, 104)]))
    assert (daily.days, daily.equity) == ([0, 1, 2], [102, 103, 104])


def test_day_that_spans_two_batches_is_one_day():
    daily = DailyEquity(100)
    for hour, equity in [(9, 100), (15, 101), (24, 102), (30, 103)]:
        take(daily, samples([(hour, equity)]))
    assert (daily.days, daily.equity) == ([0, 1], [102, 103])


def test_samples_with_holdings_count_as_invested():
    daily = DailyEquity(100)
    take(daily, samples([(1, 100, 100), (2, 100, 40), (3, 101, 41), (4, 101, 101)]))
    assert (daily.invested, daily.samples) == (2, 4)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 10**12)), min_size=1, max_size=40),
    st.lists(st.integers(0, 40), max_size=8),
)
def test_daily_equity_is_that_of_pandas_however_the_run_is_cut(steps, cuts):
    hours = np.cumsum([step for step, _ in steps])
    records = samples([(int(h), e) for h, (_, e) in zip(hours, steps, strict=True)])
    daily = DailyEquity(100)
    for part in np.split(records, sorted(min(c, len(records)) for c in cuts)):
        take(daily, part)
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
    daily = DailyEquity(100)
    take(daily, samples([(20, 100), (40, 0), (60, 50)]))
    assert len(daily.returns()) == 0


def test_deposit_is_no_profit_and_returns_are_chained_around_it():
    daily = DailyEquity(100)
    # Day 0 ends with 110 of 100: up a tenth. At midnight 90 are paid in: 200, of which 220 are made, a tenth again.
    # On day 2 at noon, with 231 by the last sample (5 % more), 31 are paid out: 200, and the day ends at 190, 5 % less.
    records = samples([(9, 100), (24, 110), (48, 220), (60, 231), (72, 190)])
    take(daily, records, [(24, 90), (60, -31)])
    assert daily.returns() == pytest.approx([0.1, 1.05 * 0.95 - 1])
    assert daily.worth(190) == pytest.approx(100 * 1.1 * 1.1 * 1.05 * 0.95)
    # the peak is at noon of day 2, before the withdrawal
    assert daily.max_drawdown == pytest.approx(0.05)
    assert daily.fall(160) == pytest.approx(0.2)


def test_deposit_in_a_drawdown_does_not_make_it_smaller():
    daily = DailyEquity(100)
    take(daily, samples([(24, 80), (48, 980)]), [(25, 900)])
    assert daily.max_drawdown == pytest.approx(0.2)  # 1 - 980 / (100 + 900) would be 2 %
    assert daily.returns() == pytest.approx([0.0])


def test_deposit_before_the_first_sample_is_no_profit_either():
    daily = DailyEquity(100)
    take(daily, samples([(24, 330)]), [(1, 100), (2, 100)])
    assert daily.worth(330) == pytest.approx(110)


def test_withdrawal_that_was_refused_changes_nothing_and_is_counted():
    daily, plain = DailyEquity(100), DailyEquity(100)
    refused = payments([(25, -50)], Code.WITHDRAWAL)
    refused["status"] = Status.DENIED
    records = samples([(24, 80), (48, 90)])
    daily.add(records, refused)
    take(plain, records)
    assert daily.refused == 1
    assert (daily.returns() == plain.returns()).all()
    assert daily.worth(90) == 90


def test_account_that_is_emptied_has_no_returns_from_there_on():
    daily = DailyEquity(100)
    take(daily, samples([(24, 100), (48, 50)]), [(30, -100), (31, 50)])
    assert daily.worth(50) is None
    assert len(daily.returns()) == 0
    assert daily.fall(50) == 0


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 10**12)), min_size=2, max_size=30),
    st.lists(st.tuples(st.integers(1, 900), st.integers(1, 10**12)), max_size=6),
    st.lists(st.integers(0, 900), max_size=6),
)
def test_growth_with_payments_is_that_of_the_definition_however_the_run_is_cut(steps, paid, cuts):
    hours = np.cumsum([step for step, _ in steps])
    rows = [(int(h), e) for h, (_, e) in zip(hours, steps, strict=True)]
    paid = sorted(paid)
    # the definition: multiply from sample to sample, each payment adding to what the next one starts from
    growth, base, at = 1.0, 100.0, 0
    for hour, equity in rows:
        for h, amount in paid:
            if at <= h < hour:
                base += amount
        growth *= equity / base
        base, at = float(equity), hour
    daily = DailyEquity(100)
    last = 0
    for cut in [*sorted(cuts), 10**6]:
        part = [r for r in rows if last <= r[0] < cut]
        take(daily, samples(part), [p for p in paid if last <= p[0] < cut and p[0] < rows[-1][0]])
        last = cut
    assert daily.worth(rows[-1][1]) == pytest.approx(100 * growth, rel=1e-9)


@given(st.lists(st.integers(1, 2**53), min_size=2, max_size=30))
def test_figures_without_payments_are_those_of_equity_itself_to_the_bit(equity):
    daily = DailyEquity(equity[0])
    take(daily, samples([(24 * (i + 1), e) for i, e in enumerate(equity)]))
    e = np.array(equity, np.float64)
    assert daily.returns().tolist() == (e[1:] / e[:-1] - 1.0).tolist()
    fall, peak = 0.0, equity[0]
    for now in equity:  # as the engine does it
        peak = max(peak, now)
        if now < peak:
            fall = max(fall, 1.0 - now / peak)
    assert daily.max_drawdown == fall
    assert daily.worth(equity[-1]) == equity[-1]


def test_delisting_ends_a_trade_and_a_fraction_paid_for_in_a_split_belongs_to_it():
    trades = Trades()
    bought = fills([(1, 10, 10, 0, 1, 0, 0), (1, 4, 4, 0, 1, 0, 1)])
    fraction = payments([(1, 30)], Code.SPLIT)  # of the first: 3 for 2 less a bit, with a profit of 5 on it
    fraction["realized"], fraction["position"] = 5, 14
    gone = payments([(2, 100)], Code.DELISTED)  # the second, worth 20 less than it cost
    gone["realized"], gone["position"], gone["instrument"] = -20, 0, 1
    sold = fills([(-1, 14, 0, 7, 2, 0, 0)])
    trades.add(np.concatenate([bought, fraction, gone, sold]))
    # the first: -1 + 5 + 7 - 2 = 9; the second: -1 - 20 = -21
    assert (trades.won, trades.lost, trades.gained, trades.given) == (1, 1, 9, 21)
    assert trades.notional == 10 * (10 + 4 + 14)


def test_cash_of_other_kinds_reaches_no_figure():
    metrics = Metrics([100])
    for code in (Code.INTEREST, Code.DIVIDEND, Code.BORROW):
        metrics.add(payments([(1, 50)], code), samples([]))
    metrics.add(payments([(2, 100)]), samples([(3, 300)]))
    assert metrics.daily[0].worth(300) == pytest.approx(150)
    assert metrics.trades[0].count == 0


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
    metrics = Metrics([5, 5])
    events = fills([(1, 1, 1, 0, 0, 0, 0), (1, 2, 2, 0, 0, 1, 0)])
    events["account"] = [0, 1]
    metrics.add(events, np.concatenate([samples([(1, 5)], 1), samples([(2, 6)], 0), samples([(3, 7)], 1)]))
    assert [d.equity for d in metrics.daily] == [[6], [7]]
    assert [t.notional for t in metrics.trades] == [10, 20]
