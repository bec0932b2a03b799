"""Of 2,000 simulated histories, a right model is rejected as often as it should, a wrong one nearly always.

The rates that are right are exact: summed over all counts of exceedances for Kupiec's test, and over all counts, runs and
ends for Christoffersen's, since chi-squared is a coarse approximation of either.
"""

import math
from collections import Counter
from functools import cache
from statistics import NormalDist

import numpy as np
import pytest

from daemon.risk.grades import TESTS, grade

HISTORIES = 2000
CHI2 = {1: 3.841458820694124, 2: 5.991464547107979}  # quantiles at 95 %, from tables

NORMAL = NormalDist()
# quantiles of Student's t of 5 degrees of freedom, from tables
QUANTILE_OF_T5 = {0.01: -3.364930, 0.025: -2.570582}


def true_forecast(name, tail):
    """VaR and CVaR in closed form."""
    if name == "normal":
        quantile = NORMAL.inv_cdf(tail)
        return -quantile, NORMAL.pdf(quantile) / tail
    quantile = QUANTILE_OF_T5[tail]
    density = 8 / (3 * math.pi * math.sqrt(5)) / (1 + quantile**2 / 5) ** 3
    return -quantile, density / tail * (5 + quantile**2) / 4


def drawn(name, n, histories=HISTORIES, seed=3):
    rng = np.random.default_rng([seed, n])
    if name == "normal":
        return rng.standard_normal((histories, n))
    return rng.standard_t(5, (histories, n))


def rates(outcomes, var, cvar, tail):
    """Share of histories that each test rejects at 5 %, and of each standing."""
    n = outcomes.shape[1]
    rejected: Counter[str] = Counter()
    standings: Counter[str] = Counter()
    for pnl in outcomes:
        found = grade(pnl, np.full(n, var), np.full(n, cvar), tail)
        standings[found.standing] += 1
        for name in TESTS:
            test = getattr(found, name)
            rejected[name] += test is not None and test.p < 0.05
    return {name: count / len(outcomes) for name, count in (rejected | standings).items()}


def log_likelihood(*counts_and_probabilities):
    return sum(count * math.log(p) for count, p in counts_and_probabilities if count)


@cache
def exact_rates(n, tail):
    """Probability that a right model is rejected, by the definitions of the statistics."""
    total = dict.fromkeys(("kupiec", "independence", "conditional_coverage"), 0.0)
    for k in range(n + 1):
        free = log_likelihood((n - k, (n - k) / n), (k, k / n))
        given = log_likelihood((n - k, 1 - tail), (k, tail))
        each = math.exp(given)  # of one order of k exceedances
        if 2 * (free - given) > CHI2[1]:
            total["kupiec"] += each * math.comb(n, k)
        if each * math.comb(n, k) < 1e-12 or not 2 <= k <= n - 2:
            continue
        # so many orders have r runs of exceedances and z runs of others, and begin and end with one or not
        for r in range(1, k + 1):
            for first, last in ((0, 0), (0, 1), (1, 0), (1, 1)):
                z = r + 1 - first - last
                if not 1 <= z <= n - k:
                    continue
                probability = each * math.comb(k - 1, r - 1) * math.comb(n - k - 1, z - 1)
                n01, n10, n11, n00 = r - first, r - last, k - r, n - k - z
                after_none, after_one, misses, hits = n00 + n01, n10 + n11, n00 + n10, n01 + n11
                chain = log_likelihood(
                    (n00, n00 / after_none),
                    (n01, n01 / after_none),
                    (n10, n10 / after_one),
                    (n11, n11 / after_one),
                )
                alone = log_likelihood((misses, misses / (n - 1)), (hits, hits / (n - 1)))
                coverage = log_likelihood((misses, 1 - tail), (hits, tail))
                total["independence"] += probability * (2 * (chain - alone) > CHI2[1])
                total["conditional_coverage"] += probability * (2 * (chain - coverage) > CHI2[2])
    return total


def test_exact_rates_of_250_outcomes_are_those_that_the_modules_state():
    rate = exact_rates(250, 0.01)
    # no exceedance, 0.99^250 = 8.11 %, and seven or more, 1 - 98.63 % of Basel's table
    assert rate["kupiec"] == pytest.approx(0.0811 + 0.0137, abs=1e-4)
    assert rate["independence"] == pytest.approx(0.014, abs=5e-4)


@pytest.mark.parametrize("name", ["normal", "t5"])
@pytest.mark.parametrize(("n", "tail"), [(250, 0.01), (500, 0.025)])
def test_right_model_is_rejected_at_the_nominal_rate(name, n, tail):
    var, cvar = true_forecast(name, tail)
    found = rates(drawn(name, n), var, cvar, tail)
    exact = exact_rates(n, tail)
    for test in ("kupiec", "independence", "conditional_coverage"):
        error = math.sqrt(exact[test] * (1 - exact[test]) / HISTORIES)
        assert found[test] == pytest.approx(exact[test], abs=3.5 * error), test
    # p is of a normal tail: 5 % there, and of t5 somewhat more, as the paper's critical values say
    error = math.sqrt(0.05 * 0.95 / HISTORIES)
    if name == "normal":
        assert found["shortfall"] == pytest.approx(0.05, abs=3.5 * error)
    else:
        assert 0.05 - 2 * error < found["shortfall"] < 0.065 + 3.5 * error
    assert found["rejected"] < 0.10


@pytest.mark.parametrize("name", ["normal", "t5"])
@pytest.mark.parametrize(("n", "tail"), [(250, 0.01), (500, 0.025)])
def test_model_of_half_the_true_volatility_is_rejected(name, n, tail):
    var, cvar = true_forecast(name, tail)
    found = rates(drawn(name, n), 0.5 * var, 0.5 * cvar, tail)
    for test in ("kupiec", "conditional_coverage", "shortfall"):
        assert found[test] > 0.995, test
    assert found["rejected"] > 0.995


def test_model_of_twice_the_true_volatility_is_too_cautious_and_not_rejected():
    var, cvar = true_forecast("normal", 0.01)
    found = rates(drawn("normal", 250), 2 * var, 2 * cvar, 0.01)
    assert found["too cautious"] > 0.995


def test_model_with_right_var_and_cvar_of_half_is_rejected_by_shortfall_alone():
    var, cvar = true_forecast("normal", 0.025)
    found = rates(drawn("normal", 1000, 500), var, 0.5 * cvar, 0.025)
    assert found["shortfall"] > 0.9
    assert found["kupiec"] < 0.08


def test_exceedances_that_follow_upon_one_another_are_rejected_by_independence():
    # after one 30 %, after none 3.68 %: 5 % of all
    n, tail = 1000, 0.05
    rng = np.random.default_rng(11)
    uniform = rng.random((500, n))
    pnl = np.zeros((500, n))
    for i in range(1, n):
        pnl[uniform[:, i] < np.where(pnl[:, i - 1] < 0, 0.3, 0.05 * 0.7 / 0.95), i] = -1.0
    found = rates(pnl, 0.5, 1.0, tail)
    assert found["independence"] > 0.99
