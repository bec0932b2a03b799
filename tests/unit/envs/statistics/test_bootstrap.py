"""The bootstrap against closed forms, and its intervals by how often they hold the truth."""

import math
import time
from statistics import NormalDist

import numpy as np
import pytest

from envs.statistics import Interval, SharpeEstimate, intervals, optimal_block_length, resampled_indices


def bounds(interval):
    """(low, high), both there."""
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


def autoregressive(coefficient, n, rng, series=1):
    """(series, n) of x[t] = coefficient x[t-1] + noise, about zero, from the stationary distribution."""
    noise = rng.normal(0.0, 0.01, (series, n))
    out = np.empty((series, n))
    out[:, 0] = noise[:, 0] / math.sqrt(1.0 - coefficient**2)
    for t in range(1, n):
        out[:, t] = coefficient * out[:, t - 1] + noise[:, t]
    return out


def test_variance_of_resampled_means_is_the_closed_form():
    # Politis and Romano 1994, lemma 1, for the circle of n places:
    # n var = c(0) + 2 sum over k = 1..n-1 of (1 - k / n) (1 - p)^k c(k), where c is the covariance around the circle
    x = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0])
    n, length = len(x), 4.0
    d = x - x.mean()
    circular = [float(d @ np.roll(d, k)) / n for k in range(n)]
    inside = [(1 - k / n) * (1 - 1 / length) ** k * circular[k] for k in range(1, n)]
    expected = (circular[0] + 2 * sum(inside)) / n
    means = x[resampled_indices(n, length, 60_000, np.random.default_rng(0))].mean(axis=1)
    assert means.mean() == pytest.approx(x.mean(), abs=0.02)
    assert means.var() == pytest.approx(expected, rel=0.025)


def test_blocks_have_the_asked_mean_length_and_go_on_at_the_beginning():
    at = resampled_indices(50, 5.0, 2000, np.random.default_rng(1))
    assert at.shape == (2000, 50)
    assert (at.min(), at.max()) == (0, 49)
    follows = (at[:, 1:] - at[:, :-1]) % 50 == 1
    # a new block follows the old one by chance in 1 of 50
    assert follows.mean() == pytest.approx(0.8 + 0.2 / 50, abs=0.005)
    assert follows[at[:, :-1] == 49].mean() == pytest.approx(0.8 + 0.2 / 50, abs=0.03)
    assert ((at[1:, 0] - at[:-1, -1]) % 50 == 1).mean() == pytest.approx(
        1 / 50, abs=0.015
    )  # of another resample
    assert np.bincount(at.ravel()) == pytest.approx(np.full(50, 2000), rel=0.2)


def test_blocks_of_one_draw_every_period_by_itself():
    at = resampled_indices(50, 1.0, 2000, np.random.default_rng(2))
    assert ((at[:, 1:] - at[:, :-1]) % 50 == 1).mean() == pytest.approx(1 / 50, abs=0.004)


@pytest.mark.parametrize("coefficient", [0.5, -0.4])
def test_block_length_of_an_autoregression_is_the_closed_form(coefficient):
    # the autocovariances are c a^|k|, so G / g(0) = 2 a / (1 - a)^2 / ((1 + a) / (1 - a)) = 2 a / (1 - a^2)
    n = 20_000
    expected = abs(2 * coefficient / (1 - coefficient**2)) ** (2 / 3) * n ** (1 / 3)
    many = autoregressive(coefficient, n, np.random.default_rng(3), series=15)
    found = np.median([optimal_block_length(x) for x in many])
    assert found == pytest.approx(expected, rel=0.08)


def test_block_length_is_that_of_another_library():
    # arch 8.0.0, optimal_block_length: 51.75170393 for the stationary bootstrap of this series, which is so dependent that
    # its window has the most lags (on others that library takes one lag more than the paper says)
    state, x, series = 1, 0.0, []
    for _ in range(1000):
        state = (1103515245 * state + 12345) % 2**31
        x = 0.95 * x + (state / 2**31 - 0.5) / 100
        series.append(x)
    assert optimal_block_length(series) == pytest.approx(51.75170393)


def test_block_length_of_independent_returns_is_mostly_one():
    rng = np.random.default_rng(4)
    found = [optimal_block_length(rng.normal(0.0, 0.01, 500)) for _ in range(50)]
    assert np.median(found) == 1.0


def test_block_length_has_bounds():
    there_and_back = np.tile(
        [0.01, -0.01], 60
    )  # its autocovariances nearly cancel each other, and would have the longest
    assert optimal_block_length(there_and_back[:101]) == pytest.approx(3 * math.sqrt(101))
    assert optimal_block_length(there_and_back[:9]) == pytest.approx(9 / 3)
    assert optimal_block_length([0.01] * 100) == 1.0
    assert optimal_block_length([0.01, 0.02]) == 1.0


def test_intervals_of_independent_returns_are_the_closed_forms():
    returns = np.random.default_rng(5).normal(0.0005, 0.01, 1000)
    found = intervals(returns, np.random.default_rng(6), level=0.9, resamples=8000, block_length=1.0)
    z = NormalDist().inv_cdf(0.95)
    mean, sharpe, total = found["mean"], found["sharpe"], found["total_return"]
    error = returns.std() / math.sqrt(1000)
    assert mean.estimate == pytest.approx(returns.mean())
    assert (mean.low, mean.high) == pytest.approx(
        (returns.mean() - z * error, returns.mean() + z * error), abs=0.06 * error
    )
    estimate = SharpeEstimate.of(returns)
    assert estimate is not None
    assert sharpe.estimate == pytest.approx(estimate.ratio)
    error = estimate.standard_error
    assert (sharpe.low, sharpe.high) == pytest.approx(
        (estimate.ratio - z * error, estimate.ratio + z * error), abs=0.08 * error
    )
    # log growth is normal, nearly
    growth = np.log1p(returns)
    error = growth.std() * math.sqrt(1000)
    assert total.estimate == pytest.approx(math.expm1(growth.sum()))
    assert tuple(map(math.log1p, bounds(total))) == pytest.approx(
        (growth.sum() - z * error, growth.sum() + z * error), abs=0.06 * error
    )


def coverage(series, mean, sharpe, **settings):
    rng = np.random.default_rng(8)
    found = [intervals(x, rng, level=0.9, resamples=300, **settings) for x in series]
    held = {
        name: [low <= truth <= high for low, high in (bounds(one[name]) for one in found)]
        for name, truth in (("mean", mean), ("sharpe", sharpe))
    }
    return {name: np.mean(held[name]) for name in held}


def test_intervals_of_dependent_returns_hold_the_truth_nearly_as_often_as_they_say():
    # blocks of one ignore that the variance of the mean is (1 + a) / (1 - a) = 3 times that of independent returns, so that
    # the bounds at 1.645 of their errors stand at 0.95 of the true ones: 66 %
    series = 0.002 + autoregressive(0.5, 500, np.random.default_rng(7), series=200)
    truth = {"mean": 0.002, "sharpe": 0.002 / (0.01 / math.sqrt(1 - 0.5**2))}
    automatic, ignorant = coverage(series, **truth), coverage(series, **truth, block_length=1.0)
    for name in ("mean", "sharpe"):
        assert 0.82 <= automatic[name] <= 0.95
        assert ignorant[name] == pytest.approx(0.66, abs=0.08)


def test_difference_to_a_benchmark_is_of_the_same_periods():
    rng = np.random.default_rng(9)
    market = rng.normal(0.0, 0.02, 400)
    found = intervals(market + 0.001, rng, market)["mean"]
    assert (found.estimate, found.low, found.high) == pytest.approx((0.001, 0.001, 0.001))


def test_difference_of_means_has_the_interval_of_the_differences():
    rng = np.random.default_rng(10)
    market = rng.normal(0.0, 0.02, 300)
    agent = 0.5 * market + rng.normal(0.001, 0.003, 300)
    paired = intervals(agent, np.random.default_rng(11), market, block_length=3.0)
    direct = intervals(agent - market, np.random.default_rng(11), block_length=3.0)
    for bound in ("estimate", "low", "high"):
        assert getattr(paired["mean"], bound) == pytest.approx(getattr(direct["mean"], bound))
    ratios = [x.mean() / x.std(ddof=1) for x in (agent, market)]
    totals = [np.prod(1.0 + x) for x in (agent, market)]
    assert paired["sharpe"].estimate == pytest.approx(ratios[0] - ratios[1])
    assert paired["total_return"].estimate == pytest.approx(totals[0] - totals[1])


def test_blocks_of_two_series_are_those_of_the_more_dependent():
    rng = np.random.default_rng(12)
    noise, slow = rng.normal(0.0, 0.01, 400), autoregressive(0.8, 400, rng)[0]
    assert (length := optimal_block_length(slow)) > optimal_block_length(noise)
    for pair in ((noise, slow), (slow, noise)):
        automatic = intervals(pair[0], np.random.default_rng(13), pair[1])
        assert automatic == intervals(pair[0], np.random.default_rng(13), pair[1], block_length=length)


def test_same_generator_gives_the_same_intervals_and_another_gives_others():
    returns = np.random.default_rng(14).normal(0.0, 0.01, 200)
    first, second, other = (intervals(returns, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == second
    assert first["mean"].low != other["mean"].low


def test_wider_level_has_wider_bounds():
    returns = np.random.default_rng(15).normal(0.0, 0.01, 200)
    low, high = bounds(intervals(returns, np.random.default_rng(1), level=0.99)["sharpe"])
    inner_low, inner_high = bounds(intervals(returns, np.random.default_rng(1), level=0.8)["sharpe"])
    assert low < inner_low < returns.mean() / returns.std(ddof=1) < inner_high < high


def test_long_series_in_parts_have_the_bounds_of_their_closed_form(monkeypatch):
    monkeypatch.setattr("envs.statistics.bootstrap._AT_ONCE", 1000)  # ten resamples of a hundred at once
    returns = np.random.default_rng(16).normal(0.0, 0.01, 100)
    found = intervals(returns, np.random.default_rng(17), level=0.9, resamples=4005, block_length=1.0)["mean"]
    half = NormalDist().inv_cdf(0.95) * returns.std() / 10.0
    assert (found.low, found.high) == pytest.approx(
        (returns.mean() - half, returns.mean() + half), abs=0.1 * half
    )


@pytest.mark.parametrize("returns", [[], [0.1], [0.1, 0.2]])
def test_too_few_returns_have_no_intervals(returns):
    assert set(intervals(returns, np.random.default_rng(0)).values()) == {Interval(None, None, None)}


def test_returns_that_never_moved_have_a_mean_and_no_ratio():
    found = intervals([0.0] * 50, np.random.default_rng(0))
    assert found["mean"] == found["total_return"] == Interval(0.0, 0.0, 0.0)
    assert found["sharpe"] == Interval(None, None, None)


def test_ratio_whose_resamples_often_do_not_move_has_no_bounds():
    # one return in 50: 0.98^50 = 36 % of the resamples miss it
    found = intervals([0.01] + [0.0] * 49, np.random.default_rng(0), block_length=1.0)["sharpe"]
    assert found.estimate == pytest.approx(1 / math.sqrt(50))
    assert (found.low, found.high) == (None, None)


def test_total_return_after_ruin_is_minus_one():
    assert intervals([0.5, -1.0, 0.5], np.random.default_rng(0))["total_return"].estimate == -1.0


def test_total_return_that_is_no_number_is_none():
    found = intervals([1e10] * 40, np.random.default_rng(0))
    assert found["total_return"] == Interval(None, None, None)


def test_scaled_interval_scales_what_is_there():
    assert Interval(1.0, None, 3.0).scaled(2.0) == Interval(2.0, None, 6.0)
    with pytest.raises(ValueError, match="must be a positive number"):
        Interval(1.0, 0.0, 2.0).scaled(-1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": 1.0}, "between 0 and 1"),
        ({"level": 0.0}, "between 0 and 1"),
        ({"level": 0.99, "resamples": 100}, "take 200"),
        ({"block_length": 0.5}, "at least 1"),
        ({"block_length": math.inf}, "at least 1"),
        ({"benchmark": [0.1, 0.2]}, "must be paired"),
        ({"benchmark": [0.1, math.nan, 0.1]}, r"benchmark\[1\] is nan"),
    ],
)
def test_settings_that_make_no_interval_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        intervals([0.1, 0.2, 0.3], np.random.default_rng(0), **settings)


def test_thousand_resamples_of_a_thousand_days_take_well_below_a_second():
    returns = np.random.default_rng(18).normal(0.0, 0.01, 1000)
    begin = time.process_time()
    intervals(returns, np.random.default_rng(0))
    assert time.process_time() - begin < 1.0  # 0.1 s on an idle core
