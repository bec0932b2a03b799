"""How sure a Sharpe ratio is, and what is left of it after the best of many trials was chosen.

The ratio is mean / standard deviation (ddof=1), per period, with no risk-free rate. Skewness and kurtosis are the
moments of the sample (ddof=0); kurtosis is 3 for a normal distribution, not its excess over that.

Sources: Bailey and Lopez de Prado, "The Sharpe Ratio Efficient Frontier", Journal of Risk 15(2), 2012; the same, "The
Deflated Sharpe Ratio", Journal of Portfolio Management 40(5), 2014.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from envs.statistics.series import LEAST, ROUNDING, Array, checked

EULER_MASCHERONI = 0.5772156649015329
_NORMAL = NormalDist()


@dataclass(frozen=True)
class SharpeEstimate:
    """A Sharpe ratio per period with what its error depends on: the number of returns and their shape."""

    ratio: float
    returns: int
    skewness: float = 0.0
    kurtosis: float = 3.0

    def __post_init__(self) -> None:
        if self.returns < LEAST:
            raise ValueError(f"a Sharpe ratio of {self.returns} returns; there must be {LEAST} at least")
        if not all(map(math.isfinite, (self.ratio, self.skewness, self.kurtosis))):
            raise ValueError(f"{self} holds what is no finite number")

    @classmethod
    def of(cls, returns: Array | Sequence[float]) -> SharpeEstimate | None:
        """That of (n,) returns; None below three returns, or where all are equal."""
        returns = checked(returns, "returns")
        if len(returns) < LEAST or (spread := float(returns.std(ddof=1))) < ROUNDING:
            return None
        scores = (returns - returns.mean()) / returns.std()
        return cls(
            float(returns.mean()) / spread, len(returns), float((scores**3).mean()), float((scores**4).mean())
        )

    @property
    def standard_error(self) -> float:
        """Asymptotic: sqrt((1 - skewness SR + (kurtosis - 1) / 4 SR^2) / (n - 1)); equation 4 of the paper of 2012.

        It is 0 for some distributions of two values only.
        """
        variance = 1.0 - self.skewness * self.ratio + (self.kurtosis - 1.0) / 4.0 * self.ratio**2
        return math.sqrt(max(variance, 0.0) / (self.returns - 1))

    def probability_above(self, benchmark: float) -> float | None:
        """Probabilistic Sharpe ratio: how probably the true ratio is above a benchmark, both per period.

        None where the standard error is 0.
        """
        error = self.standard_error
        return _NORMAL.cdf((self.ratio - benchmark) / error) if error > ROUNDING else None


def sharpe_ratio(returns: Array | Sequence[float]) -> float | None:
    """Sharpe ratio of (n,) returns, per period; None below three returns, or where all are equal."""
    estimate = SharpeEstimate.of(returns)
    return estimate.ratio if estimate else None


def probabilistic_sharpe_ratio(returns: Array | Sequence[float], benchmark: float = 0.0) -> float | None:
    """Probability that the true Sharpe ratio behind (n,) returns is above a benchmark; both per period.

    None below three returns, or where all are equal. Source: Bailey and Lopez de Prado 2012.
    """
    estimate = SharpeEstimate.of(returns)
    return estimate.probability_above(benchmark) if estimate else None


def expected_maximum_sharpe(variance: float, trials: int) -> float:
    """The largest Sharpe ratio to be expected of so many independent trials, none of which has skill.

    variance: of the ratios among the trials. sqrt(variance) ((1 - g) Z(1 - 1/N) + g Z(1 - 1/(N e))), where Z is the
    normal quantile and g the Euler-Mascheroni constant; one trial: 0. Where trials resemble each other it is too high,
    which is the safe side. Source: Bailey and Lopez de Prado 2014.
    """
    if trials < 1 or not (variance >= 0.0 and math.isfinite(variance)):
        raise ValueError(
            f"{trials} trials with a variance of {variance}; there must be one, and it at least 0"
        )
    if trials == 1:
        return 0.0  # the mean of the one ratio; the formula is for a maximum, and has -inf here
    first = _NORMAL.inv_cdf(1.0 - 1.0 / trials)
    second = _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - EULER_MASCHERONI) * first + EULER_MASCHERONI * second)


def deflated_sharpe_ratio(returns: Array | Sequence[float], trials: Array | Sequence[float]) -> float | None:
    """Probability that the chosen trial's true Sharpe ratio is above what the best of all trials shows by luck.

    returns: (n,) of the chosen trial. trials: (N,) Sharpe ratios of all trials, the chosen one among them, per the same
    period as the returns; a trial that never moved counts as 0. Their variance has ddof=1. Of one trial it is the
    probabilistic Sharpe ratio against 0. None below three returns, or where all are equal. Raises ValueError where there
    is no trial, or a ratio is no finite number. Source: Bailey and Lopez de Prado 2014.
    """
    ratios = np.asarray(trials, np.float64)
    if ratios.ndim != 1 or len(ratios) == 0 or not np.all(np.isfinite(ratios)):
        raise ValueError(
            f"the Sharpe ratios of the trials are {trials!r}; give one finite number for each trial, "
            "the chosen one included"
        )
    variance = float(ratios.var(ddof=1)) if len(ratios) > 1 else 0.0
    return probabilistic_sharpe_ratio(returns, expected_maximum_sharpe(variance, len(ratios)))
