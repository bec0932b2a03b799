"""The test of expected shortfall: Acerbi and Szekely's second.

Z2 = 1 + sum over exceedances of pnl / CVaR, divided by n tail. It is 0 on average where the forecasts are right, 1 where
nothing was lost beyond VaR, and falls as exceedances become more, or larger: -1 means twice the tail's loss.

Its distribution depends little on the model's (the paper's critical value for 5 %, of 250 outcomes at 97.5 %, is -0.70
for a normal tail and -0.82 for Student's t of 3 degrees), so the p-value is that of a normal tail, for the n and the
tail at hand. It is computed, not simulated: the characteristic function of the sum of n independent losses, each 0 or a
loss beyond VaR, is the n-th power of that of one; on a grid of 1/256 of CVaR its error is below 0.0001 where one
exceedance or more is expected. Where the tail is heavier than normal, p is too small: at 5 % a right model of Student's t
of 3 degrees is rejected in about 7 % of histories of 250 at 97.5 %.

Source: Acerbi and Szekely, "Backtesting Expected Shortfall", Risk 27, 2014.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from daemon.risk.series import Array, checked, checked_tail

_CELLS = 256  # of the grid, to one CVaR
_LARGEST = 9.0  # standard deviations; a normal loss beyond has a probability of 1e-19
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Shortfall:
    """Z2, and how probable one at least as low is where the model is right and its tail normal."""

    z2: float
    p: float


def acerbi_szekely(
    pnl: Array | Sequence[float],
    var: Array | Sequence[float],
    cvar: Array | Sequence[float],
    tail: float,
) -> Shortfall | None:
    """Acerbi and Szekely's second test, of (n,) outcomes, with forecasts of VaR and CVaR that are losses where positive.

    One-sided: it rejects where losses beyond VaR are too many or too large. None where n is 0. Raises ValueError where a
    CVaR is not positive: a forecast of no loss cannot be a unit of losses.
    """
    checked_tail(tail)
    pnl, var, cvar = checked(pnl=pnl, var=var, cvar=cvar)
    check_cvar(cvar)
    n = len(pnl)
    if n == 0:
        return None
    losses = float((-pnl / cvar)[pnl < -var].sum())  # in units of CVaR
    return Shortfall(1.0 - losses / (n * tail), probability_of_losses(losses, n, tail))


def check_cvar(cvar: Array) -> None:
    """Raises ValueError where a CVaR is not positive."""
    wrong = np.flatnonzero(cvar <= 0.0)
    if len(wrong):
        raise ValueError(
            f"cvar[{wrong[0]}] is {cvar[wrong[0]]}; it must be a loss, above 0: leave that period out"
        )


def probability_of_losses(losses: float, n: int, tail: float) -> float:
    """How probable it is that n normal outcomes lose at least so much beyond VaR, in units of CVaR, where forecasts are right.

    tail: at most 1/2. Nothing, or less than nothing, is lost with certainty.
    """
    if losses <= 0.0:
        return 1.0
    at_least = _at_least(n, tail)
    # cell k holds what is nearest to k / _CELLS, so that at_least[k] is known at its lower edge
    place = losses * _CELLS + 0.5
    if place >= len(at_least) - 1:
        return 0.0
    below = int(place)
    rest = place - below
    return float((1.0 - rest) * at_least[below] + rest * at_least[below + 1])


@lru_cache(maxsize=8)
def _at_least(n: int, tail: float) -> Array:
    """(size,) the probability that the losses are in a cell of the grid or above it."""
    z = -_NORMAL.inv_cdf(tail)
    cvar = _NORMAL.pdf(z) / tail
    cells = np.arange(int((_LARGEST / cvar) * _CELLS) + 2)
    edges = np.append(cells - 0.5, cells[-1] + 0.5) * (cvar / _CELLS)  # standard deviations
    beyond = np.array([0.5 * math.erfc(max(edge, z) / math.sqrt(2.0)) for edge in edges])
    # The sum is taken in a circle: what is longer than this has no weight that a float64 would notice.
    longest = n * tail + 12.0 * math.sqrt(n * tail) + 30.0
    size = 1 << math.ceil(math.log2(longest * _CELLS))
    one = np.zeros(size)
    one[cells] = beyond[:-1] - beyond[1:]
    one[0] += 1.0 - tail
    total = np.fft.irfft(np.fft.rfft(one) ** n, size)
    # rounding leaves some cells below 0, and the sum a little above 1
    return np.minimum(np.cumsum(np.maximum(total, 0.0)[::-1])[::-1], 1.0)
