"""Sharpe ratios against the papers' worked examples, against sums by hand, and by simulation of known markets."""

import math

import numpy as np
import pytest

from envs.statistics import (
    SharpeEstimate,
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    probabilistic_sharpe_ratio,
    sharpe_ratio,
)


def normal_cdf(z):
    return 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))


def test_estimate_of_four_returns_is_that_by_hand():
    # 0, 0, 0, 4 %: mean 1; distances -1, -1, -1, 3; their squares add up to 12, cubes to 24, fourth powers to 84
    # ddof=1: sqrt(12 / 3) = 2, so the ratio is 1 / 2; ddof=0: second moment 12 / 4 = 3
    # skewness (24 / 4) / 3^1.5 = 1.1547; kurtosis (84 / 4) / 3^2 = 2.3333
    estimate = SharpeEstimate.of([0.0, 0.0, 0.0, 0.04])
    assert estimate is not None
    assert estimate.returns == 4
    assert estimate.ratio == pytest.approx(0.5)
    assert estimate.skewness == pytest.approx(6 / 3**1.5)
    assert estimate.kurtosis == pytest.approx(7 / 3)
    # 1 - 1.1547 / 2 + (1.3333 / 4) / 4 = 0.50598; over n - 1 = 3
    assert estimate.standard_error == pytest.approx(math.sqrt(0.505983 / 3), rel=1e-5)
    assert probabilistic_sharpe_ratio([0.0, 0.0, 0.0, 0.04], 0.1) == pytest.approx(
        normal_cdf(0.4 / math.sqrt(0.505983 / 3)), rel=1e-5
    )


def test_probabilistic_ratio_is_the_paper_of_2012s():
    # two years of monthly returns with 1.59 a year, 0.458 a month
    assert SharpeEstimate(0.458, 24).probability_above(0.0) == pytest.approx(0.982, abs=5e-4)
    assert SharpeEstimate(0.458, 24, -2.448, 10.164).probability_above(0.0) == pytest.approx(0.913, abs=5e-4)


def test_deflated_ratio_is_the_paper_of_2014s():
    # five years of daily returns, 250 a year, with 2.5 a year; the variance of the trials' is 1/2 a year
    daily = SharpeEstimate(2.5 / math.sqrt(250), 1250, -3.0, 10.0)
    assert expected_maximum_sharpe(0.5 / 250, 100) == pytest.approx(0.1132, abs=5e-5)
    assert daily.probability_above(expected_maximum_sharpe(0.5 / 250, 100)) == pytest.approx(0.9004, abs=5e-5)
    assert daily.probability_above(expected_maximum_sharpe(0.5 / 250, 46)) == pytest.approx(0.9505, abs=5e-5)
    normal = SharpeEstimate(2.5 / math.sqrt(250), 1250)
    assert normal.probability_above(expected_maximum_sharpe(0.5 / 250, 88)) == pytest.approx(0.9505, abs=5e-5)


@pytest.mark.parametrize("trials", [10, 100, 1000])
def test_expected_maximum_is_near_that_of_the_normal_distribution(trials):
    x = np.linspace(-10.0, 10.0, 20_001)
    below = np.array([normal_cdf(z) for z in x])
    exact = float(np.trapezoid(x, below**trials))  # the mean of a distribution that is below^N
    assert expected_maximum_sharpe(4.0, trials) == pytest.approx(2.0 * exact, rel=0.025)


def test_deflated_ratio_of_one_trial_is_the_probabilistic_one_against_zero():
    returns = np.random.default_rng(0).normal(0.001, 0.01, 200)
    assert deflated_sharpe_ratio(returns, [0.3]) == probabilistic_sharpe_ratio(returns, 0.0) != 0.5


def test_deflated_ratio_takes_number_and_sample_variance_from_the_trials():
    returns = np.random.default_rng(0).normal(0.001, 0.01, 200)
    # 0.1, 0.2, 0.3: variance 0.02 / 2
    assert deflated_sharpe_ratio(returns, [0.1, 0.2, 0.3]) == probabilistic_sharpe_ratio(
        returns, expected_maximum_sharpe(0.01, 3)
    )


@pytest.mark.parametrize("edge", [0.0, 0.3])
def test_probabilistic_ratio_of_skewed_returns_is_above_a_share_as_often_as_it_says(edge):
    # exponential losses: the skewness is -2, and the true ratio is `edge`
    rng = np.random.default_rng(7)
    draws = (1.0 - rng.exponential(1.0, (2000, 500)) + edge) / 50.0
    found = np.array([probabilistic_sharpe_ratio(np.maximum(row, -1.0), edge) for row in draws])
    for share in (0.1, 0.5, 0.9):
        assert (found > share).mean() == pytest.approx(1.0 - share, abs=0.03)


def test_best_of_twenty_lucky_trials_passes_undeflated_and_fails_deflated():
    rng = np.random.default_rng(3)
    plain, deflated = [], []
    for _ in range(300):
        trials = rng.normal(0.0, 0.01, (20, 250))
        ratios = trials.mean(axis=1) / trials.std(axis=1, ddof=1)
        best = trials[int(np.argmax(ratios))]
        plain.append(probabilistic_sharpe_ratio(best))
        deflated.append(deflated_sharpe_ratio(best, ratios))
    # of 20 trials at 5 % each, one passes in 1 - 0.95^20 = 64 % of the searches
    assert np.mean(np.array(plain) > 0.95) == pytest.approx(0.64, abs=0.08)
    assert np.mean(np.array(deflated) > 0.95) < 0.05
    assert np.array(deflated).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    "returns", [[], [0.01], [0.01, 0.02], [0.0] * 10, [0.1] * 7], ids=["0", "1", "2", "flat", "equal"]
)
def test_ratios_of_too_few_or_equal_returns_are_none(returns):
    assert sharpe_ratio(returns) is None
    assert probabilistic_sharpe_ratio(returns) is None
    assert deflated_sharpe_ratio(returns, [0.1, 0.2]) is None


def test_probability_without_a_standard_error_is_none():
    # 1 - 2 + (5 - 1) / 4 = 0
    assert SharpeEstimate(1.0, 10, 2.0, 5.0).probability_above(0.0) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.01])
def test_return_that_is_none_is_refused_with_its_place(bad):
    with pytest.raises(ValueError, match=r"returns\[2\] is .*at least -1"):
        sharpe_ratio([0.0, 0.1, bad])


@pytest.mark.parametrize("trials", [[], [0.1, math.nan], [[0.1]]])
def test_trials_without_finite_ratios_are_refused(trials):
    with pytest.raises(ValueError, match="one finite number for each trial"):
        deflated_sharpe_ratio([0.0, 0.1, 0.2], trials)


def test_estimate_of_two_returns_or_without_a_number_is_refused():
    with pytest.raises(ValueError, match="there must be 3"):
        SharpeEstimate(0.1, 2)
    with pytest.raises(ValueError, match="no finite number"):
        SharpeEstimate(math.nan, 10)


@pytest.mark.parametrize(("variance", "trials"), [(1.0, 0), (-0.1, 5), (math.nan, 5)])
def test_expected_maximum_of_no_trials_or_no_variance_is_refused(variance, trials):
    with pytest.raises(ValueError, match="trials with a variance"):
        expected_maximum_sharpe(variance, trials)
