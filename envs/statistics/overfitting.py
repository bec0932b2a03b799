"""How probably the best of several trials was chosen for its luck: combinatorially symmetric cross-validation (CSCV).

The periods are cut into an even number of blocks. For every choice of half of them, the trial with the highest Sharpe
ratio on that half is looked up on the other half. Where the choice meant nothing, it lies below the median of the trials
there half of the time.

Source: Bailey, Borwein, Lopez de Prado and Zhu, "The Probability of Backtest Overfitting", Journal of Computational
Finance 20(4), 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from envs.statistics.series import ROUNDING, Array, checked

MOST_BLOCKS = 20  # 184,756 ways to choose half of them
_AT_ONCE = 1 << 20  # values of a half of the choices; bounds the memory


@dataclass(frozen=True, eq=False)
class Overfitting:
    """What was found in the C = blocks! / (blocks / 2)!^2 ways of choosing half of the blocks.

    probability: share of ways in which the chosen trial was at the median of all trials out of sample, or below it.
    logits: (C,) float64, ln(w / (1 - w)) where w is the chosen trial's rank out of sample (1 the worst) over the number of
    trials + 1; at most 0 where it counts to the probability. in_sample, out_of_sample: (C,) its Sharpe ratios per period.
    slope, intercept: the line of least squares out of sample = intercept + slope x in sample, None where all in_sample are
    equal; a negative slope says that the better a trial looked, the worse it did after. loss_probability: share of ways in
    which it lost out of sample.
    """

    probability: float
    logits: Array
    in_sample: Array
    out_of_sample: Array
    slope: float | None
    intercept: float | None
    loss_probability: float


def backtest_overfitting(returns: Array, blocks: int = 16) -> Overfitting:
    """CSCV of (T, N) returns: T periods in order of time, one column for each of N trials, over an even number of blocks.

    Blocks are of equal length, or differ by one period where T is no multiple of them. On a half that does not move a
    trial, its ratio counts as 0. Equal ratios share the mean of their ranks; the first of equal best trials is chosen.
    Raises ValueError below two trials, below four periods or one a block, and where blocks are odd or beyond 2 to 20.
    """
    returns = checked(returns, "returns", ndim=2)
    periods, trials = returns.shape
    if trials < 2:
        raise ValueError(f"returns of {trials} trials; overfitting is asked of a choice between two or more")
    if blocks % 2 or not 2 <= blocks <= MOST_BLOCKS:
        raise ValueError(f"{blocks} blocks; they must be even, from 2 to {MOST_BLOCKS}")
    if periods < max(blocks, 4):
        raise ValueError(
            f"returns of {periods} periods in {blocks} blocks; take fewer blocks, or at least {max(blocks, 4)} periods"
        )
    halves = _Halves(returns, blocks)
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))  # (C, blocks / 2)
    inside = np.zeros((len(chosen), blocks))
    np.put_along_axis(inside, chosen, 1.0, axis=1)
    step = max(1, _AT_ONCE // trials)
    parts = [halves.followed(inside[i : i + step]) for i in range(0, len(inside), step)]
    before, after, rank = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    slope, intercept = _line(before, after)
    return Overfitting(
        probability=float((2.0 * rank <= trials + 1).mean()),
        logits=np.log(rank / (trials + 1 - rank)),
        in_sample=before,
        out_of_sample=after,
        slope=slope,
        intercept=intercept,
        loss_probability=float((after < 0.0).mean()),
    )


class _Halves:
    # A ratio on any blocks follows from sums over each of them. They are of distances from the trial's mean, so that
    # the variance is no small difference of large squares.

    def __init__(self, returns: Array, blocks: int) -> None:
        periods = len(returns)
        begins = np.arange(blocks) * periods // blocks
        self._mean = returns.mean(axis=0)  # (N,)
        distances = returns - self._mean
        self._count = np.diff(begins, append=periods).astype(np.float64)  # (blocks,)
        self._sum = np.add.reduceat(distances, begins)  # (blocks, N)
        self._squares = np.add.reduceat(distances**2, begins)

    def _ratios(self, inside: Array) -> Array:
        # (c, blocks) of 0 and 1 -> (c, N) Sharpe ratios
        count = (inside @ self._count)[:, None]
        total = inside @ self._sum
        variance = np.maximum(inside @ self._squares - total**2 / count, 0.0) / (count - 1.0)
        moved = variance >= ROUNDING**2
        return np.asarray(
            np.where(moved, (self._mean + total / count) / np.sqrt(np.where(moved, variance, 1.0)), 0.0)
        )

    def followed(self, inside: Array) -> tuple[Array, Array, Array]:
        """(c, blocks) -> the best trial's ratio inside, its ratio outside, and its rank there, each (c,)."""
        before, after = self._ratios(inside), self._ratios(1.0 - inside)
        best = before.argmax(axis=1)[:, None]
        own = np.take_along_axis(after, best, axis=1)
        rank = (after < own).sum(axis=1) + ((after == own).sum(axis=1) + 1) / 2.0
        return np.take_along_axis(before, best, axis=1)[:, 0], own[:, 0], rank


def _line(x: Array, y: Array) -> tuple[float | None, float | None]:
    dx = x - x.mean()
    spread = float(dx @ dx)
    if spread < ROUNDING:
        return None, None
    slope = float(dx @ (y - y.mean())) / spread
    return slope, float(y.mean()) - slope * float(x.mean())
