"""The best policy of a small market with costs, by dynamic programming for the average reward.

A market's states z move by a chain P whatever the agent does, and mu(z) is the log return to be expected until the next
close. Let D(z) be what it is worth, over an endless future, to be long rather than flat before deciding in z. After the
decision it is worth W(z) = mu(z) + sum of P(z, z') D(z'). Going long costs a, going flat b, so

    D(z) = W(z) held within [-b, a]:    from flat go long where W > a, from long go flat where W < -b,

and the reward per step is the mean of max(0, W - a) over the stationary distribution of z: what a flat account gains by the
freedom to go long. (Bellman's equation of the average reward, e.g. Puterman, Markov Decision Processes (1994), ch. 8: the two
equations of the values of flat and long are subtracted, and the one of flat is averaged.) Iterating D is a map that never
widens a difference; nothing special happens where never trading, or never selling, is best.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from envs.controls.policies import FLAT, LONG, Array, BinPolicy, ControlError, switch_costs

TOLERANCE = 1e-12  # of the reward per step: relative to the optimum's, about 1e-8
MOST_SWEEPS = 1_000_000


@dataclass(frozen=True, eq=False)
class Problem:
    """A market as the dynamic programme sees it.

    chain: (m, m) float64, chance of the next state by state; irreducible and aperiodic. expected: (m,) float64, log return to
    the next close. Raises ControlError where shapes do not fit or a row does not sum to one.
    """

    chain: Array
    expected: Array

    def __post_init__(self) -> None:
        m = len(self.expected)
        if self.expected.shape != (m,) or self.chain.shape != (m, m):
            raise ControlError(
                f"chain: its shape is {self.chain.shape} for {m} states; give a row and a column for each"
            )
        if not np.all(np.isfinite(self.expected)):
            raise ControlError("expected: a return is not finite")
        if not np.all(self.chain >= 0) or not np.allclose(self.chain.sum(axis=1), 1.0, rtol=0, atol=1e-9):
            raise ControlError("chain: a row is no distribution; its chances must be >= 0 and sum to 1")

    @cached_property
    def stationary(self) -> Array:
        """(m,) the share of time spent in each state."""
        m = len(self.expected)
        # one of the balance equations follows from the others; the sum of all shares takes its place
        system = self.chain.T - np.eye(m)
        system[-1] = 1.0
        one = np.zeros(m)
        one[-1] = 1.0
        return np.clip(np.linalg.solve(system, one), 0.0, None)


@dataclass(frozen=True, eq=False)
class Solution:
    """A policy and the mean log return of equity per step that it earns in the long run, after costs, from flat."""

    policy: BinPolicy
    reward_per_step: float


def optimum(problem: Problem, fee_bps: float) -> tuple[Array, float]:
    """The best targets (2, m) int8 by position held and state, and their reward per step to within 2e-12.

    Where two actions are worth the same, the position is kept. Raises ControlError where the values do not settle.
    """
    enter, leave = switch_costs(fee_bps)
    worth = _worth(problem.chain, problem.expected, enter, leave)
    gain = problem.stationary @ np.maximum(worth - enter, 0.0)
    return _targets(worth, enter, leave), float(gain)


def reward_of(problem: Problem, shows: Array, targets: Array, fee_bps: float) -> float:
    """The reward per step of any targets in the long run, exact on the chain, from flat.

    shows: (m, k) chance that a state shows as each observation, independent from step to step given the states; targets:
    (2, k) by position held and observation.
    """
    enter, leave = switch_costs(fee_bps)
    share = problem.stationary
    buys, stays = shows @ targets[FLAT], shows @ targets[LONG]
    if not np.any(buys > 0):
        return 0.0
    # l(z): share of time in z holding a position. Those that stay and those that buy carry it to the next state:
    # l = P' (stays l + buys (share - l))
    system = np.eye(len(share)) - problem.chain.T * (stays - buys)
    held = np.linalg.solve(system, problem.chain.T @ (buys * share))
    bought, sold = buys * (share - held), (1.0 - stays) * held
    after = held + bought - sold
    return float(after @ problem.expected - enter * bought.sum() - leave * sold.sum())


def best_seen(problem: Problem, shows: Array, fee_bps: float) -> tuple[Array, float]:
    """The best targets (2, k) that see only an observation and the position held, and their true reward per step.

    shows: as in `reward_of`, such as the bin of a feature. Begins with the optimum, with the fee and without it, of a market
    whose states are the observations (the true states behind each weighted by the time spent in them); from both, changes one
    target after the other as long as the true reward, on the market's own states, rises; takes the better. Where each state
    shows as itself, this is the optimum. In general no single change improves it; what needs several changes at once, chance
    or a memory of earlier observations is left out.
    """
    share = problem.stationary
    weight = share[:, None] * shows  # (m, k)
    seen = weight.sum(axis=0)
    weight = weight / np.maximum(seen, np.finfo(float).tiny)
    chain = weight.T @ problem.chain @ shows
    expected = weight.T @ problem.expected
    best, reward = np.zeros((2, len(seen)), np.int8), 0.0
    for enter, leave in (switch_costs(0.0), switch_costs(fee_bps)):
        start = _targets(_worth(chain, expected, enter, leave), enter, leave)
        targets, gain = _climbed(problem, shows, start, fee_bps)
        if gain > reward + TOLERANCE:
            best, reward = targets, gain
    return best, reward


def _climbed(problem: Problem, shows: Array, best: Array, fee_bps: float) -> tuple[Array, float]:
    # one target after the other is changed as long as that helps
    reward, improved = reward_of(problem, shows, best, fee_bps), True
    while improved:
        improved = False
        for at in np.ndindex(best.shape):
            other = best.copy()
            other[at] ^= 1
            gain = reward_of(problem, shows, other, fee_bps)
            if gain > reward + TOLERANCE:
                best, reward, improved = other, gain, True
    return best, reward


def _worth(chain: Array, expected: Array, enter: float, leave: float) -> Array:
    # W of the module's docstring, (m,)
    before = np.zeros(len(expected))
    for _ in range(MOST_SWEEPS):
        worth = expected + chain @ before
        after = np.clip(worth, -leave, enter)
        if np.abs(after - before).max() <= TOLERANCE:
            return np.asarray(worth)
        before = after
    raise ControlError(f"chain: values still move after {MOST_SWEEPS} sweeps; the market mixes too slowly")


def _targets(worth: Array, enter: float, leave: float) -> Array:
    # (2, m) int8; differences that are rounding only change nothing
    return np.stack([worth > enter + TOLERANCE, worth >= -leave - TOLERANCE]).astype(np.int8)
