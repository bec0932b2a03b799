"""What an agent earns for a bar, in compiled code; ``envs/task.py`` has the formula."""

from __future__ import annotations

import math
from typing import Any

from engine.jit import inline, jit
from envs.task import RewardKind

DECAY = 0.94  # of the volatility, by bar (RiskMetrics 1996)
LEAST = 1e-6  # an equity below this share of the initial one counts as this share, where a logarithm is taken


@inline
def begin_reward(lane: Any, settings: Any, equity: int) -> None:
    """An episode begins with that equity."""
    lane.initial = equity
    lane.equity = equity
    lane.peak = equity
    lane.fees = 0
    lane.drawdown = 0.0
    lane.average = 0.0
    lane.square = settings.variance
    lane.variance = settings.volatility_target * settings.volatility_target


@jit
def reward_of(lane: Any, settings: Any, equity: int, fees: int) -> float:
    """The reward of the bar that has brought the lane to that equity and to those fees so far, in money units.

    The lane's equity, peak, fees and moving averages follow.
    """
    before = max(lane.equity, LEAST * lane.initial)
    ret = (equity - lane.equity) / before
    reward = 0.0
    if settings.reward == RewardKind.PROFIT:
        reward = (equity - lane.equity) / lane.initial
    elif settings.reward == RewardKind.LOG_RETURN:
        reward = math.log(max(equity, LEAST * lane.initial) / before)
    else:
        d_mean = ret - lane.average
        d_square = ret * ret - lane.square
        variance = lane.square - lane.average * lane.average
        if variance > 0.0:
            reward = (lane.square * d_mean - 0.5 * lane.average * d_square) / (variance * math.sqrt(variance))
        lane.average += settings.eta * d_mean
        lane.square += settings.eta * d_square
    lane.peak = max(lane.peak, equity)
    drawdown = 1.0 - equity / lane.peak
    reward += 0.5 * settings.risk * ret * ret
    reward -= settings.drawdown_penalty * max(drawdown - lane.drawdown, 0.0)
    reward -= settings.cost_penalty * (fees - lane.fees) / before
    if settings.volatility_penalty > 0.0:
        lane.variance = DECAY * lane.variance + (1.0 - DECAY) * ret * ret
        excess = math.sqrt(lane.variance) - settings.volatility_target
        reward -= settings.volatility_penalty * max(excess, 0.0)
    lane.drawdown = drawdown
    lane.equity = equity
    lane.fees = fees
    return reward * settings.scale
