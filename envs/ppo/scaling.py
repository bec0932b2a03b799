"""Rewards brought to the size at which PPO's default settings are meant to work."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
CLIP = 10.0
EPSILON = 1e-12  # of a variance: returns of a minute are as small as 1e-5


class RewardScale:
    """Divides rewards by the running standard deviation (ddof=0) of each lane's discounted sum of them so far.

    A bar's return is a thousandth, and a fresh value function is off by one: unscaled, advantages are noise until it
    has learned that. The sign and the ratios of rewards stay, so that the best policy does. The result is bounded to [-10, 10].
    As Stable-Baselines3's VecNormalize does it, but without an observation of variance 1 to begin with.
    """

    def __init__(self, n: int, gamma: float) -> None:
        self.gamma = gamma
        self.sums = np.zeros(n)  # discounted, of each lane's episode
        self.seen = np.zeros(3)  # how many sums have been seen, their mean, and their variance

    def __call__(self, rewards: Array, done: Array) -> Array:
        """(n,) rewards of a step, scaled, float32; done: (n,) bool, where an episode ended with it."""
        self.sums *= self.gamma
        self.sums += rewards
        n, (seen, mean, variance) = len(rewards), self.seen
        share = n / (seen + n)
        apart = self.sums.mean() - mean
        # of two samples together: Chan, Golub and LeVeque (1979)
        variance += share * (self.sums.var() - variance) + share * (1.0 - share) * apart * apart
        self.seen[:] = seen + n, mean + share * apart, variance
        self.sums[done] = 0.0
        return np.clip(rewards / np.sqrt(variance + EPSILON), -CLIP, CLIP).astype(np.float32)

    def forget(self) -> None:
        """Begin new episodes; what has been seen of their size stays."""
        self.sums[:] = 0.0
