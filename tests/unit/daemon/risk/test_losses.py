"""Loss functions by hand, and that the true forecast has the lowest."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from daemon.risk.losses import fissler_ziegel, tick_loss

TAIL = 0.025
VAR = -NormalDist().inv_cdf(TAIL)
CVAR = NormalDist().pdf(VAR) / TAIL
# 100,000 standard normal outcomes without the noise of drawing them
NORMAL = np.array([NormalDist().inv_cdf((k + 0.5) / 100_000) for k in range(100_000)])


def fz(pnl, var, cvar, tail):
    loss = fissler_ziegel(pnl, var, cvar, tail)
    assert loss is not None
    return loss


def tick(pnl, var, tail):
    loss = tick_loss(pnl, var, tail)
    assert loss is not None
    return loss


def test_tick_loss_of_three_outcomes_is_that_by_hand():
    # VaR 2, tail 10 %: 1 gained: 0.1 x 3; 1 lost: 0.1 x 1; 5 lost: -0.9 x -3
    assert tick([1.0, -1.0, -5.0], [2.0, 2.0, 2.0], 0.1) == pytest.approx((0.3 + 0.1 + 2.7) / 3)
    assert tick_loss([], [], 0.1) is None


def test_fissler_ziegel_loss_of_three_outcomes_is_that_by_hand():
    # VaR 2, CVaR 4, tail 10 %: beyond VaR 0, 0 and 3, / (0.1 x 4): 7.5; each 2 / 4 + ln 4 - 1 = 0.886294
    loss = fz([1.0, -2.0, -5.0], [2.0] * 3, [4.0] * 3, 0.1)
    assert loss == pytest.approx(7.5 / 3 + 0.886294, abs=1e-6)
    assert fissler_ziegel([], [], [], 0.1) is None


def test_fissler_ziegel_loss_of_the_true_forecast_is_the_logarithm_of_cvar():
    # beyond VaR are tail (CVaR - VaR) on average; so (CVaR - VaR) / CVaR + VaR / CVaR - 1 = 0 is left beside it
    ones = np.ones_like(NORMAL)
    assert fz(NORMAL, VAR * ones, CVAR * ones, TAIL) == pytest.approx(math.log(CVAR), abs=1e-4)


def test_tick_loss_of_the_true_forecast_is_the_tails_share_of_cvar():
    # tail (0 + VaR) + tail (CVaR - VaR)
    assert tick(NORMAL, np.full_like(NORMAL, VAR), TAIL) == pytest.approx(TAIL * CVAR, rel=1e-4)


@pytest.mark.parametrize(
    ("var", "cvar"), [(0.9, 1.0), (1.1, 1.0), (1.0, 0.9), (1.0, 1.1), (0.9, 0.9), (1.1, 1.1), (0.5, 0.5)]
)
def test_fissler_ziegel_loss_of_a_wrong_forecast_is_larger(var, cvar):
    ones = np.ones_like(NORMAL)
    right = fz(NORMAL, VAR * ones, CVAR * ones, TAIL)
    wrong = fz(NORMAL, var * VAR * ones, cvar * CVAR * ones, TAIL)
    assert wrong > right + 1e-3


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 2.0])
def test_tick_loss_of_a_wrong_forecast_is_larger(factor):
    right = tick(NORMAL, np.full_like(NORMAL, VAR), TAIL)
    assert tick(NORMAL, np.full_like(NORMAL, factor * VAR), TAIL) > right * 1.005


def test_forecast_that_follows_volatility_has_lower_losses_than_the_right_one_on_average():
    rng = np.random.default_rng(7)
    volatility = np.exp(0.5 * np.sin(np.arange(50_000) / 100.0))
    pnl = volatility * rng.standard_normal(len(volatility))
    # the constant forecast is that of the mixture: its own quantile, and the mean beyond it
    var = -float(np.quantile(pnl, TAIL))
    cvar = -float(pnl[pnl < -var].mean())
    ones = np.ones_like(pnl)
    assert tick(pnl, VAR * volatility, TAIL) < tick(pnl, var * ones, TAIL)
    following = fz(pnl, VAR * volatility, CVAR * volatility, TAIL)
    assert following < fz(pnl, var * ones, cvar * ones, TAIL)


def test_difference_of_fissler_ziegel_losses_does_not_depend_on_the_unit():
    pnl, var, cvar = np.array([-3.0, 1.0, -1.0]), np.array([2.0, 1.0, 1.5]), np.array([2.5, 1.5, 2.0])
    difference = fz(pnl, var, cvar, 0.1) - fz(pnl, 2 * var, 2 * cvar, 0.1)
    cents = [100 * x for x in (pnl, var, cvar)]
    same = fz(cents[0], cents[1], cents[2], 0.1) - fz(cents[0], 2 * cents[1], 2 * cents[2], 0.1)
    assert difference == pytest.approx(same)


def test_fissler_ziegel_loss_of_a_cvar_that_is_no_loss_is_refused():
    with pytest.raises(ValueError, match=r"cvar\[0\] is -1.0; it must be a loss"):
        fz([0.0], [-2.0], [-1.0], 0.01)
