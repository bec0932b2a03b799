"""Rewards against the formula of ``envs/task.py``, by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from engine.build import records
from envs.records import LANE, SETTINGS
from envs.rewards import begin_reward, reward_of
from envs.task import RewardKind
from tests.builders import plain


def rewards(
    equities: list[int], kind: RewardKind = RewardKind.LOG_RETURN, fees: Any = None, **given: float
) -> Any:
    """The reward of each bar of an account that goes through these equities, in money units."""
    settings, lane = records(1, SETTINGS)[0], records(1, LANE)[0]
    settings.reward, settings.scale, settings.eta, settings.variance = kind, 1.0, 0.1, 0.0004
    for name, value in given.items():
        settings[name] = value
    plain(begin_reward)(lane, settings, equities[0])
    paid = fees or [0] * (len(equities) - 1)
    return [plain(reward_of)(lane, settings, e, f) for e, f in zip(equities[1:], paid, strict=True)]


def test_profit_is_the_change_of_equity_as_a_share_of_the_first() -> None:
    assert rewards([1000, 1100, 1050, 1050], RewardKind.PROFIT) == pytest.approx([0.1, -0.05, 0.0])


def test_log_returns_add_up_to_that_of_the_episode() -> None:
    found = rewards([1000, 1100, 990, 1250])
    assert found == pytest.approx([math.log(1.1), math.log(0.9), math.log(1250 / 990)])
    assert sum(found) == pytest.approx(math.log(1.25))


def test_ruin_costs_a_finite_amount() -> None:
    # an equity of nothing, or a debt, counts as a millionth of the first
    assert rewards([1_000_000, 0, -500]) == pytest.approx([math.log(1e-6), 0.0])


def test_differential_sharpe_is_what_moody_and_saffell_define() -> None:
    # A = 0, B = 0.0004 at first, eta 0.1. R = 0.1: dA = 0.1, dB = 0.01 - 0.0004 = 0.0096
    #   D = (B dA - A dB / 2) / (B - A^2)^1.5 = 0.00004 / 0.000008 = 5;  A = 0.01, B = 0.00136
    # R = -0.05: dA = -0.06, dB = 0.0025 - 0.00136 = 0.00114
    #   D = (0.00136 x -0.06 - 0.01 x 0.00114 / 2) / (0.00136 - 0.0001)^1.5 = -0.0000873 / 0.00126^1.5
    found = rewards([1000, 1100, 1045], RewardKind.DIFFERENTIAL_SHARPE)
    assert found == pytest.approx([5.0, -0.0000873 / 0.00126**1.5])


def test_differential_sharpe_is_the_derivative_of_the_moving_ratio() -> None:
    # with a small eta the moving ratio A / sqrt(B - A^2) grows by eta x D at each bar
    eta = 1e-6
    returns = np.random.default_rng(1).normal(0.001, 0.02, 50)
    equities = np.round(1e12 * np.cumprod(np.concatenate([[1.0], 1.0 + returns]))).astype(np.int64)
    found = rewards([int(e) for e in equities], RewardKind.DIFFERENTIAL_SHARPE, eta=eta)
    a, b, ratios = 0.0, 0.0004, [0.0]
    for r in np.diff(equities) / equities[:-1]:
        a, b = a + eta * (r - a), b + eta * (r * r - b)
        ratios.append(a / math.sqrt(b - a * a))
    assert found == pytest.approx(np.diff(ratios) / eta, rel=1e-3, abs=1e-3)


def test_drawdown_is_paid_for_where_it_deepens() -> None:
    # the peak is 1,200: at 900 the drawdown is a quarter, at 600 a half; on the way back nothing is paid
    found = rewards([1000, 1200, 900, 600, 900], RewardKind.PROFIT, drawdown_penalty=2.0)
    assert found == pytest.approx([0.2, -0.3 - 2 * 0.25, -0.3 - 2 * 0.25, 0.3])


def test_costs_are_paid_for_twice_where_they_have_a_penalty() -> None:
    # fees so far of 10, then 10: the second bar has none
    found = rewards([1000, 990, 990], RewardKind.PROFIT, [10, 10], cost_penalty=3.0)
    assert found == pytest.approx([-0.01 - 3 * 10 / 1000, 0.0])


def test_risk_adds_half_of_the_squared_return() -> None:
    assert rewards([1000, 1100, 990], RewardKind.PROFIT, risk=4.0) == pytest.approx(
        [0.1 + 2 * 0.01, -0.11 + 2 * 0.01]
    )
    assert rewards([1000, 1100], RewardKind.PROFIT, risk=-4.0) == pytest.approx([0.1 - 0.02])


def test_volatility_above_its_target_is_paid_for() -> None:
    # it begins at the target, 0.02: 0.94 x 0.0004 + 0.06 x 0.01 = 0.000976
    found = rewards([1000, 1100, 1100], RewardKind.PROFIT, volatility_target=0.02, volatility_penalty=5.0)
    first = math.sqrt(0.000976)
    second = math.sqrt(0.94 * 0.000976)
    assert found == pytest.approx([0.1 - 5 * (first - 0.02), -5 * (second - 0.02)])
    assert rewards([1000, 1001], RewardKind.PROFIT, volatility_target=0.02, volatility_penalty=5.0) == [
        pytest.approx(0.001)
    ]


def test_scale_multiplies_the_whole() -> None:
    given: Any = {"drawdown_penalty": 1.0, "risk": 2.0}
    one = rewards([1000, 1100, 900], **given)
    assert rewards([1000, 1100, 900], scale=-7.0, **given) == pytest.approx([-7 * r for r in one])
