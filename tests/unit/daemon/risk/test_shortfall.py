"""Acerbi and Szekely's second test against their table, a published example, and simulation."""

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest

from daemon.risk.shortfall import acerbi_szekely, probability_of_losses

# Acerbi and Szekely 2014: critical values of Z2 at 5 %, of 250 outcomes at 97.5 %, by degrees of freedom; with the
# quantile of Student's t at 2.5 %, from its tables
CRITICAL = {3: (-0.82, -3.182446), 100: (-0.70, -1.983972)}


def defined(test):
    assert test is not None
    return test


def p_of(z2, n, tail):
    return probability_of_losses((1.0 - z2) * n * tail, n, tail)


def cvar_of_t(degrees, quantile, tail):
    """Closed form: density at the quantile / tail, times (degrees + quantile^2) / (degrees - 1)."""
    log = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - 0.5 * math.log(degrees * math.pi)
    density = math.exp(log - (degrees + 1) / 2 * math.log1p(quantile**2 / degrees))
    return density / tail * (degrees + quantile**2) / (degrees - 1)


def test_statistic_of_four_outcomes_is_that_by_hand():
    # exceedances: -3 beyond 2, of a CVaR of 2.5, and -5 beyond 4, of 4; in units of CVaR 1.2 and 1.25
    # 4 outcomes at 25 %: 1 - 2.45 / (4 x 0.25) = -1.45
    test = defined(acerbi_szekely([-3.0, 1.0, -2.0, -5.0], [2.0, 2.0, 2.0, 4.0], [2.5, 3.0, 3.0, 4.0], 0.25))
    assert test.z2 == pytest.approx(-1.45)


def test_statistic_without_exceedance_is_one_and_certain():
    test = defined(acerbi_szekely([1.0, -1.0], [2.0, 2.0], [3.0, 3.0], 0.01))
    assert (test.z2, test.p) == (1.0, 1.0)
    assert acerbi_szekely([], [], [], 0.01) is None


def test_fixed_critical_values_of_the_paper_have_their_probabilities():
    assert p_of(-0.70, 250, 0.025) == pytest.approx(0.05, abs=0.001)
    assert p_of(-1.8, 250, 0.025) == pytest.approx(0.0001, abs=0.00002)


def test_p_of_a_published_example_is_its_own():
    # MathWorks' documentation of esbacktest: 1966 outcomes at 97.5 %, from their table of simulated critical values
    assert p_of(-0.34639, 1966, 0.025) == pytest.approx(0.01, abs=0.0003)
    assert p_of(-0.38265, 1966, 0.025) == pytest.approx(0.0054099, abs=0.0003)


@pytest.mark.parametrize(("n", "tail"), [(250, 0.01), (250, 0.025), (60, 0.05), (1000, 0.025)])
def test_p_is_the_share_of_simulated_histories(n, tail):
    histories = 40_000
    rng = np.random.default_rng(14)
    # exceedances of a history are binomial, and each loss is the normal quantile of a uniform number below the tail
    normal = NormalDist()
    losses = np.array([-normal.inv_cdf(u) for u in rng.uniform(0.0, tail, 200_000)])
    counts = rng.binomial(n, tail, histories)
    history = np.repeat(np.arange(histories), counts)
    sums = np.bincount(history, rng.choice(losses, len(history)), histories)
    cvar = normal.pdf(normal.inv_cdf(tail)) / tail
    z2 = 1.0 - sums / cvar / (n * tail)
    for level in (0.5, 0.0, -0.5, -1.0, -1.5):
        share = float(np.mean(z2 <= level))
        error = math.sqrt(max(share * (1 - share), 1e-4) / histories)
        assert p_of(level, n, tail) == pytest.approx(share, abs=4 * error)


def test_p_where_one_exceedance_is_all_there_is_is_exact():
    # one outcome at 5 %: it loses x CVaR or more with the normal's probability, if that is beyond VaR
    normal = NormalDist()
    var, cvar = -normal.inv_cdf(0.05), normal.pdf(normal.inv_cdf(0.05)) / 0.05
    for x in (0.2, 0.5, 0.9, 1.0, 1.5):
        exact = normal.cdf(-max(x * cvar, var))
        assert probability_of_losses(x, 1, 0.05) == pytest.approx(exact, abs=2e-4)


@pytest.mark.parametrize("degrees", CRITICAL)
def test_statistic_of_students_t_is_below_the_papers_critical_value_in_5_per_cent(degrees):
    critical, quantile = CRITICAL[degrees]
    cvar = cvar_of_t(degrees, quantile, 0.025)
    rng = np.random.default_rng(degrees)
    outcomes = rng.standard_t(degrees, (8000, 250))
    var, cvar = np.full(250, -quantile), np.full(250, cvar)
    tests = [defined(acerbi_szekely(row, var, cvar, 0.025)) for row in outcomes]
    # 4 binomial errors of 8000 histories, and the rounding of the table's figure, in which 0.01 are 0.001
    assert np.mean([test.z2 < critical for test in tests]) == pytest.approx(0.05, abs=0.011)
    # so a normal tail's p rejects too often, and by no more than what the module says
    assert 0.04 < np.mean([test.p < 0.05 for test in tests]) < 0.08


def test_p_falls_with_losses_and_never_leaves_its_bounds():
    ps = [probability_of_losses(x, 250, 0.01) for x in np.linspace(0.0, 300.0, 3001)]
    assert ps[0] == 1.0
    assert ps[-1] == 0.0
    assert probability_of_losses(math.inf, 250, 0.01) == 0.0
    # nothing between no loss and VaR, which is 0.873 of CVaR: the probability of any exceedance
    assert ps[1] == pytest.approx(1 - 0.99**250, rel=1e-9)
    assert all(a >= b >= 0.0 for a, b in pairwise(ps))


def test_cvar_that_is_no_loss_is_refused():
    with pytest.raises(ValueError, match=r"cvar\[1\] is 0.0; it must be a loss"):
        acerbi_szekely([0.0, 0.0], [1.0, 0.0], [1.0, 0.0], 0.01)
