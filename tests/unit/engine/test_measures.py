"""VaR and CVaR against their definitions in exact fractions, numpy, closed forms and differences, on real and on simulated returns."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from itertools import product
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.data.sample import SAMPLE_INSTRUMENTS, sample_path
from engine.measures import gradient, is_tail, measure
from engine.records import Method
from engine.table import state_at
from tests.builders import plain
from tests.unit.engine.compiled import left_behind, risk_record

TAIL = [Method.HISTORICAL, Method.FILTERED, Method.MONTE_CARLO]
MOMENTS = [Method.GAUSSIAN, Method.CORNISH_FISHER, Method.EWMA]
CONFIDENCES = ["0.5", "0.9", "0.95", "0.975", "0.99", "0.995", "0.999"]
LENGTHS = [1, 2, 3, 7, 10, 20, 99, 100, 101, 250, 500, 1000, 1999]


def measured(
    v: Any,
    method: Method = Method.HISTORICAL,
    confidence: float = 0.99,
    horizon: int = 1,
    decay: float = 0.94,
) -> tuple[float, float]:
    """(VaR, CVaR) of v, which lies between other numbers in its column."""
    column = np.concatenate(([-1e9] * 3, v, [-1e9] * 3))
    heap = np.full(len(v), math.nan)
    var, cvar = plain(measure)(risk_record(confidence, decay), method, horizon, column, 3, len(v), heap)
    return float(var), float(cvar)


def weights(v: Any, method: Method, confidence: float = 0.99, horizon: int = 1) -> tuple[Any, Any]:
    """The gradients of VaR and of CVaR."""
    n = len(v)
    column = np.concatenate(([-1e9] * 3, v, [-1e9] * 3))
    heap, of_var, of_cvar = (np.full(n + 1, 7.0) for _ in range(3))
    plain(gradient)(risk_record(confidence), method, horizon, column, 3, n, heap, of_var, of_cvar)
    assert of_var[n] == of_cvar[n] == 7.0
    return of_var[:n], of_cvar[:n]


@cache
def real_returns() -> Any:
    """Daily total returns of four stocks from 2004-08 to 2013, (days, 4): the newest day first."""
    prices = pd.read_csv(sample_path(), parse_dates=["Date"])
    table = prices.pivot_table(index="Date", columns="Ticker", values="Adj Close")
    table = table[list(SAMPLE_INSTRUMENTS)].dropna()
    return table.pct_change().dropna().to_numpy()[::-1]


def samples(n: int) -> list[Any]:
    """Profits of n scenarios: real ones of a portfolio with a short leg, and simulated with heavy tails."""
    r = np.random.default_rng(n)
    returns = real_returns()
    jumps = r.normal(0, 100, n) - np.where(r.random(n) < 0.05, 100 * r.pareto(2.5, n), 0.0)
    return [
        returns[:n] @ np.array([4_000.0, 3_000.0, -5_000.0, 1_000.0]),
        100.0 * r.standard_t(3, n),
        jumps,
        np.round(r.standard_t(3, n)),  # with ties
        np.sort(r.standard_t(3, n)),
        -np.sort(r.standard_t(3, n)),
    ]


# -- by definition ----------------------------------------------------------------------------------------------------


def tail_by_definition(v: Any, confidence: str) -> tuple[float, float]:
    """The lowest loss l with F(l) >= confidence, and the mean of the quantiles from there on."""
    losses = [float(loss) for loss in np.sort(-v)]
    n, c = len(losses), Fraction(confidence)
    var = next(loss for i, loss in enumerate(losses, 1) if Fraction(i, n) >= c)
    # loss i is the quantile of the probabilities from (i - 1) / n to i / n
    above = [max(float(Fraction(i, n) - max(Fraction(i - 1, n), c)), 0.0) for i in range(1, n + 1)]
    return var, math.fsum(loss * p for loss, p in zip(losses, above, strict=True)) / float(1 - c)


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("n", LENGTHS)
def test_tail_is_the_lower_quantile_and_the_mean_of_quantiles_beyond_it(n: int, confidence: str) -> None:
    for v in samples(n):
        var, cvar = measured(v, Method.HISTORICAL, float(confidence))
        expected = tail_by_definition(v, confidence)
        assert var == expected[0]
        assert cvar == pytest.approx(expected[1], rel=1e-12, abs=1e-12)


def test_tail_by_hand() -> None:
    # losses 12, 8, 5, 5, 2, -1, -2, -3, -4, -9; at 75 % the tail is m = 2.5 of the ten: VaR is the third, 5;
    # CVaR = (12 + 8 + 5 / 2) / 2.5 = 9
    v = np.array([-5.0, 3, -12, 4, 9, -5, 1, 2, -8, -2])
    assert measured(v, confidence=0.75) == (5.0, 9.0)
    assert measured(v, confidence=0.75, horizon=4) == (10.0, 18.0)  # twice: the root of 4
    # at 80 % m = 2: CVaR = (12 + 8) / 2
    assert measured(v, confidence=0.8) == pytest.approx((5.0, 10.0), rel=1e-14)
    # a portfolio that gains in each scenario has losses below 0: the third gain from below, (1 + 2 + 3 / 2) / 2.5
    assert measured(np.arange(1.0, 11), confidence=0.75) == pytest.approx((-3.0, -1.8), rel=1e-14)


@pytest.mark.parametrize("method", TAIL)
def test_filtered_and_drawn_scenarios_have_the_historical_statistic(method: Method) -> None:
    v = samples(500)[1]
    assert measured(v, method, 0.975, 10) == measured(v, Method.HISTORICAL, 0.975, 10)
    assert plain(is_tail)(method)


@pytest.mark.parametrize("method", MOMENTS)
def test_methods_of_moments_are_not_of_the_tail(method: Method) -> None:
    assert not plain(is_tail)(method)


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("n", LENGTHS[1:])
def test_gaussian_is_the_variance_of_a_portfolio_by_the_covariance_of_its_parts(
    n: int, confidence: str
) -> None:
    x = np.array([4_000.0, 3_000.0, -5_000.0, 1_000.0])
    returns = real_returns()[:n]
    normal = NormalDist(returns.mean(0) @ x * 10, math.sqrt(x @ np.cov(returns.T) @ x * 10))
    var, cvar = measured(returns @ x, Method.GAUSSIAN, float(confidence), 10)
    quantile = normal.inv_cdf(1.0 - float(confidence))
    assert var == pytest.approx(-quantile, rel=1e-9, abs=1e-8)
    # the mean of what lies below a normal's quantile: mean - variance x density / share
    shortfall = normal.mean - normal.variance * normal.pdf(quantile) / (1.0 - float(confidence))
    assert cvar == pytest.approx(-shortfall, rel=1e-9, abs=1e-8)


def expansion(v: Any, confidence: float) -> tuple[float, float]:
    """Cornish and Fisher's VaR, and the mean loss beyond it by numerical integration of the quantiles."""
    mean, sigma = np.mean(v), np.std(v)
    skew = np.mean((v - mean) ** 3) / sigma**3
    kurtosis = np.mean((v - mean) ** 4) / sigma**4 - 3.0

    def quantile(x: Any) -> Any:
        terms = (x**2 - 1) * skew / 6 + (x**3 - 3 * x) * kurtosis / 24 - (2 * x**3 - 5 * x) * skew**2 / 36
        return mean + sigma * (x + terms)

    z = NormalDist().inv_cdf(1.0 - confidence)
    x = np.linspace(-14.0, z, 20_001)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    simpson = np.ones(len(x))
    simpson[1:-1:2], simpson[2:-1:2] = 4.0, 2.0
    integral = simpson @ (quantile(x) * density) * (x[1] - x[0]) / 3
    return -quantile(z), -integral / (1.0 - confidence)


@pytest.mark.parametrize("confidence", CONFIDENCES[1:])
@pytest.mark.parametrize("n", [3, 7, 20, 101, 500, 1999])
def test_cornish_fisher_is_the_expansion_and_its_integral(n: int, confidence: str) -> None:
    for v in samples(n)[:3]:
        var, cvar = expansion(v, float(confidence))
        mine = measured(v, Method.CORNISH_FISHER, float(confidence))
        assert mine == pytest.approx((var, max(var, cvar)), rel=1e-9)


def test_cornish_fisher_cvar_is_raised_to_var_where_the_expansion_bends_back() -> None:
    # +1 and -1: sigma 1, skewness 0, excess kurtosis -2; at 99 % z = 2.32635:
    # VaR = z - (z^3 - 3 z) x 2 / 24 = 2.32635 - 5.61091 / 12 = 1.85877
    # es (1 - (z^2 - 1) x 2 / 24) = 2.66521 x (1 - 4.41189 / 12) = 1.68533, less
    var, cvar = measured(np.array([1.0, -1.0]), Method.CORNISH_FISHER)
    assert var == pytest.approx(1.85877, abs=1e-5)
    assert cvar == var
    of_var, of_cvar = weights(np.array([1.0, -1.0, 1.0, -1.0]), Method.CORNISH_FISHER)
    assert of_var.tolist() == of_cvar.tolist()


def test_cornish_fisher_over_a_horizon_is_that_of_sums_of_independent_profits() -> None:
    v = samples(9)[1]
    sums = np.array([sum(each) for each in product(v.tolist(), repeat=3)])  # each with the same probability
    assert measured(v, Method.CORNISH_FISHER, horizon=3) == pytest.approx(
        measured(sums, Method.CORNISH_FISHER), rel=1e-11
    )


@pytest.mark.parametrize("decay", [0.5, 0.94, 0.97, 1.0])
@pytest.mark.parametrize("n", LENGTHS)
def test_ewma_is_pandas_weighted_mean_of_squares(n: int, decay: float) -> None:
    for v in samples(n):
        squares = pd.Series(v[::-1] ** 2)
        variance = (squares.ewm(alpha=1 - decay).mean() if decay < 1 else squares.expanding().mean()).iloc[-1]
        # 1.9599640 and 2.3378028: the standard normal's quantile at 97.5 %, and the mean of it beyond
        expected = np.array([1.959963984540054, 2.337802792201363]) * math.sqrt(5 * variance)
        assert measured(v, Method.EWMA, 0.975, 5, decay) == pytest.approx(tuple(expected), rel=1e-9)


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_sample_of_normal_quantiles_has_the_normal_distributions_measures(
    method: Method, confidence: float
) -> None:
    normal = NormalDist(0.0, 3.0)
    v = np.array([normal.inv_cdf((i + 0.5) / 20_000) for i in range(20_000)])
    quantile = normal.inv_cdf(confidence)
    shortfall = normal.variance * normal.pdf(quantile) / (1 - confidence)
    assert measured(v, method, confidence, decay=1.0) == pytest.approx((quantile, shortfall), rel=2e-3)


# -- what is the same, and what is not there --------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, 8, 500])
@pytest.mark.parametrize("method", Method)
def test_equal_profits_are_all_that_there_is_to_expect(method: Method, n: int) -> None:
    if method == Method.EWMA:  # knows no mean: a loss or a gain of 0.1 is a deviation of 0.1
        expected = pytest.approx((0.1 * 2.3263478740408408, 0.1 * 2.6652142203457980), rel=1e-9)
    elif method == Method.GAUSSIAN and n == 1:  # one number has no deviation
        expected = pytest.approx((math.nan, math.nan), nan_ok=True)
    else:
        expected = pytest.approx((-0.1, -0.1), rel=0, abs=0)
    assert measured(np.full(n, 0.1), method) == expected
    for w, of in zip(weights(np.full(n, 0.1), method), measured(np.full(n, 0.1), method), strict=True):
        assert 0.1 * w.sum() == pytest.approx(of, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("method", Method)
def test_portfolio_that_never_moves_loses_nothing(method: Method) -> None:
    assert measured(np.zeros(100), method) == (0.0, 0.0)
    of_var, of_cvar = weights(np.zeros(100), method)
    assert np.isfinite([of_var, of_cvar]).all()


@pytest.mark.parametrize("n", [1, 3, 21, 200])
@pytest.mark.parametrize("method", Method)
def test_one_profit_that_is_nan_makes_all_measures_nan_wherever_it_stands(method: Method, n: int) -> None:
    good = samples(n)[1]
    for place in range(n):
        v = good.copy()
        v[place] = math.nan
        assert np.isnan(measured(v, method)).all()
        assert np.isnan(weights(v, method)).all()


# -- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [1, 4])
@pytest.mark.parametrize("method", Method)
def test_gradient_is_the_quotient_of_small_differences(method: Method, horizon: int) -> None:
    for v in samples(43)[:3]:
        step = 1e-5 * np.std(v)
        found = np.array(weights(v, method, 0.9, horizon))
        for s in range(len(v)):
            up, down = v.copy(), v.copy()
            up[s] += step
            down[s] -= step
            high = np.array(measured(up, method, 0.9, horizon))
            low = np.array(measured(down, method, 0.9, horizon))
            assert (high - low) / (2 * step) == pytest.approx(found[:, s], abs=1e-7, rel=1e-6)


@pytest.mark.parametrize("confidence", [0.5, 0.99])
@pytest.mark.parametrize("n", LENGTHS[1:])
@pytest.mark.parametrize("method", Method)
def test_parts_of_positions_add_up_to_the_measure(method: Method, n: int, confidence: float) -> None:
    values = np.array([4_000.0, 3_000.0, -5_000.0, 1_000.0])
    profits = real_returns()[:n] * values
    v = profits.sum(1)
    parts = np.array(weights(v, method, confidence, 2)) @ profits
    measures = measured(v, method, confidence, 2)
    assert parts.sum(1) == pytest.approx(np.array(measures), rel=1e-9, abs=1e-9)
    for tied in samples(n)[3:]:
        of_var, of_cvar = weights(tied, method, confidence)
        assert (of_var @ tied, of_cvar @ tied) == pytest.approx(
            measured(tied, method, confidence), rel=1e-9, abs=1e-9
        )


def test_tail_gradient_by_hand() -> None:
    # as above: VaR is the first of the two losses of 5; CVaR 1 / 2.5 of the losses of 12 and 8, and 1 / 5 of that one
    v = np.array([-5.0, 3, -12, 4, 9, -5, 1, 2, -8, -2])
    of_var, of_cvar = weights(v, Method.HISTORICAL, 0.75, 4)
    assert of_var.tolist() == [-2.0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert of_cvar == pytest.approx(np.array([-0.4, 0, -0.8, 0, 0, 0, 0, 0, -0.8, 0]), abs=1e-15)


# -- coherence --------------------------------------------------------------------------------------------------------

profit = st.floats(-1e6, 1e6, allow_subnormal=False)
pairs = st.integers(1, 60).flatmap(
    lambda n: st.tuples(*(st.lists(profit, min_size=n, max_size=n).map(np.array) for _ in range(2)))
)
confidences = st.sampled_from([float(c) for c in CONFIDENCES])
SLACK = 1e-7  # of profits up to a million


@given(pairs, confidences)
def test_cvar_of_two_portfolios_together_is_at_most_the_sum_of_theirs(
    pair: tuple[Any, Any], confidence: float
) -> None:
    a, b = pair
    of_a, of_b = (measured(v, confidence=confidence)[1] for v in pair)
    assert measured(a + b, confidence=confidence)[1] <= of_a + of_b + SLACK


@given(pairs, confidences, st.floats(-1e5, 1e5))
def test_tail_falls_by_what_is_gained_for_certain_and_where_all_scenarios_are_better(
    pair: tuple[Any, Any], confidence: float, gain: float
) -> None:
    v, other = pair
    var, cvar = measured(v, confidence=confidence)
    assert measured(v + gain, confidence=confidence) == pytest.approx((var - gain, cvar - gain), abs=SLACK)
    better = measured(np.maximum(v, other), confidence=confidence)
    assert better[0] <= var
    assert better[1] <= cvar + SLACK


@given(pairs, confidences, st.floats(0.001, 1000))
def test_tail_grows_with_the_size_of_the_portfolio(
    pair: tuple[Any, Any], confidence: float, size: float
) -> None:
    var, cvar = measured(pair[0], confidence=confidence)
    scaled = measured(size * pair[0], confidence=confidence)
    assert scaled == pytest.approx((size * var, size * cvar), rel=1e-9, abs=SLACK)


@pytest.mark.parametrize("method", Method)
@given(pair=pairs, confidence=confidences)
def test_cvar_is_at_least_var(method: Method, pair: tuple[Any, Any], confidence: float) -> None:
    v = pair[0]
    var, cvar = measured(v, method, confidence)
    assert cvar >= var or (len(v) == 1 and method == Method.GAUSSIAN)


@given(pairs, confidences, st.randoms(use_true_random=False))
def test_tail_does_not_depend_on_the_order_of_scenarios(
    pair: tuple[Any, Any], confidence: float, shuffler: Any
) -> None:
    v = pair[0]
    order = list(range(len(v)))
    shuffler.shuffle(order)
    var, cvar = measured(v, confidence=confidence)
    shuffled = measured(v[order], confidence=confidence)
    assert shuffled[0] == var
    assert shuffled[1] == pytest.approx(cvar, rel=1e-12, abs=1e-12)


# -- compiled ---------------------------------------------------------------------------------------------------------


def all_measures(at: Any) -> int:
    """Of the profits in `pnl`: each method's measures and gradients into `scenarios`, one n after the other."""
    s = state_at(at)
    place = 0
    for k in range(len(s.hits)):
        n = s.hits[k]
        for method in range(6):
            r = s.risk[k & 1]
            var, cvar = measure(r, method, 3, s.pnl, k, n, s.tail)
            gradient(r, method, 3, s.pnl, k, n, s.tail, s.trial, s.factor)
            s.scenarios[place] = var
            s.scenarios[place + 1] = cvar
            s.scenarios[place + 2] = 1.0 if is_tail(method) else 0.5
            place += 3
            for i in range(n):
                s.scenarios[place] = s.trial[i]
                s.scenarios[place + 1] = s.factor[i]
                place += 2
    return 0


@pytest.mark.parametrize("which", range(3))
def test_compiled_measures_are_those_of_plain_python_bit_by_bit(which: int) -> None:
    lengths = [1, 2, 3, 4, 7, 8, 9, 31, 100, 255, 500]
    room = 6 * sum(3 + 2 * n for n in lengths)
    uncompiled, compiled = left_behind(
        all_measures,
        risk=[risk_record(0.99), risk_record(0.9, 0.97)],
        pnl=samples(600)[which + 1],
        hits=lengths,
        scenarios=np.zeros(room),
        **{name: np.zeros(600) for name in ("tail", "trial", "factor")},
    )
    assert np.count_nonzero(uncompiled.scenarios) > room / 3
    assert uncompiled.scenarios.tobytes() == compiled.scenarios.tobytes()
