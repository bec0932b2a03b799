"""Tests of VaR: whether losses exceeded the forecasts as often as they should, and independently of one another.

A forecast of VaR is a loss where positive; the outcome exceeds it where pnl < -VaR (a loss equal to VaR does not). `tail`
is 1 - confidence, the probability with which a right forecast is exceeded.

The p-values are those of the asymptotic chi-squared distributions that the papers and other programs use. Counts are
whole numbers, so a right model is rejected at 5 % only roughly: of 250 outcomes at 99 %, by Kupiec's test in 9.5 %
of histories (8.1 % have no exceedance at all, which it calls too few, and 1.4 % have seven or more), by the test of
independence in 1.4 %.

Sources: Kupiec, "Techniques for Verifying the Accuracy of Risk Measurement Models", Journal of Derivatives 3(2), 1995;
Christoffersen, "Evaluating Interval Forecasts", International Economic Review 39(4), 1998; Basel Committee on Banking
Supervision, "Supervisory Framework for the Use of 'Backtesting' in Conjunction with the Internal Models Approach to
Market Risk Capital Requirements", 1996.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from daemon.risk.series import Array, checked, checked_tail

YELLOW, RED = 0.95, 0.9999  # cumulative probabilities at which the zones begin
_PLUS = (0.0, 0.0, 0.0, 0.0, 0.0, 0.40, 0.50, 0.65, 0.75, 0.85, 1.0)  # by exceedances; more: the last
_PLUS_N, _PLUS_TAIL = 250, 0.01

Zone = Literal["green", "yellow", "red"]


@dataclass(frozen=True)
class LikelihoodRatio:
    """A likelihood-ratio statistic, and how probable one at least as large is where the model is right."""

    lr: float
    p: float


@dataclass(frozen=True)
class TrafficLight:
    """The zone, the probability of at most so many exceedances where the model is right, and Basel's plus factor.

    plus is what is added to the multiplier of capital, 3; None but for 250 outcomes at 99 %, which the table is for.
    """

    zone: Zone
    probability: float
    plus: float | None


def exceedances(pnl: Array | Sequence[float], var: Array | Sequence[float]) -> Array:
    """(n,) bool: where the loss was larger than the forecast. Raises ValueError as `daemon.risk.series.checked` does."""
    pnl, var = checked(pnl=pnl, var=var)
    return np.asarray(pnl < -var)


def kupiec(exceedances: int, n: int, tail: float) -> LikelihoodRatio | None:
    """Kupiec's proportion-of-failures test: is the tail's probability that of the exceedances among n outcomes?

    chi-squared with one degree of freedom; two-sided: too few exceedances reject, too. 0 log 0 is 0, so that no exceedance
    and n of them have a statistic; None where n is 0. Raises ValueError unless 0 <= exceedances <= n and 0 < tail <= 1/2.
    """
    checked_tail(tail)
    _check_count(exceedances, n)
    if n == 0:
        return None
    misses = n - exceedances
    ratio = _log_likelihood(misses, exceedances) - _log_likelihood(misses, exceedances, tail)
    return _one_degree(2.0 * ratio)


def independence(hits: Array | Sequence[bool]) -> LikelihoodRatio | None:
    """Christoffersen's test of independence: is an exceedance as probable after another as after none?

    hits: (n,) bool, in the order of time. Against a Markov chain of the first order, from the n - 1 transitions;
    chi-squared with one degree of freedom. None below two exceedances, or two outcomes without: no pair of them can follow
    upon one another, and there is nothing to see. Raises ValueError where hits are no booleans, or not in one dimension.
    """
    counts = _transitions(hits)
    if counts is None:
        return None
    n00, n01, n10, n11 = counts
    ratio = _chain(counts) - _log_likelihood(n00 + n10, n01 + n11)
    return _one_degree(2.0 * ratio)


def conditional_coverage(hits: Array | Sequence[bool], tail: float) -> LikelihoodRatio | None:
    """Christoffersen's test of conditional coverage: of the exceedances' number and independence together.

    hits: (n,) bool, in the order of time. chi-squared with two degrees of freedom. As in the paper, the first outcome is
    given and the n - 1 others are judged, so that it is a true likelihood ratio: the sum of the statistic of independence
    and of Kupiec's of hits[1:]. Programs that add Kupiec's of all n differ from it a little. None and
    errors: as `independence`.
    """
    checked_tail(tail)
    counts = _transitions(hits)
    if counts is None:
        return None
    n00, n01, n10, n11 = counts
    lr = max(2.0 * (_chain(counts) - _log_likelihood(n00 + n10, n01 + n11, tail)), 0.0)
    return LikelihoodRatio(lr, math.exp(-lr / 2.0))


def traffic_light(exceedances: int, n: int, tail: float) -> TrafficLight | None:
    """Basel's zones: yellow where at most so many exceedances had a probability of 95 %, red where of 99.99 %.

    By the binomial distribution, for any n and tail; None where n is 0. Raises ValueError as `kupiec` does. Source: Basel
    1996, table 2.
    """
    checked_tail(tail)
    _check_count(exceedances, n)
    if n == 0:
        return None
    total = math.lgamma(n + 1)
    terms = (
        total - math.lgamma(k + 1) - math.lgamma(n - k + 1) + _log_likelihood(n - k, k, tail)
        for k in range(exceedances + 1)
    )
    probability = min(math.fsum(map(math.exp, terms)), 1.0)
    zone: Zone = "red" if probability >= RED else "yellow" if probability >= YELLOW else "green"
    of_the_table = n == _PLUS_N and math.isclose(tail, _PLUS_TAIL, rel_tol=1e-9)
    plus = _PLUS[min(exceedances, len(_PLUS) - 1)] if of_the_table else None
    return TrafficLight(zone, probability, plus)


def _check_count(exceedances: int, n: int) -> None:
    if not 0 <= exceedances <= n:
        raise ValueError(f"{exceedances} exceedances of {n} outcomes; there can be 0 to all of them")


def _log_likelihood(misses: int, hits: int, probability: float | None = None) -> float:
    """Of so many, independent of one another; without a probability, at the one that makes it largest."""
    if probability is None:
        probability = hits / (hits + misses)
    # 0 log 0 is 0
    missed = misses * math.log1p(-probability) if misses else 0.0
    return missed + (hits * math.log(probability) if hits else 0.0)


def _transitions(hits: Array | Sequence[bool]) -> tuple[int, int, int, int] | None:
    """How often 0 followed on 0, 1 on 0, 0 on 1 and 1 on 1; None where the test of independence is not defined."""
    given = np.asarray(hits)
    if given.ndim != 1 or (given.size and given.dtype != np.bool_):
        raise ValueError(f"hits are {given.dtype} of shape {given.shape}; give one boolean an outcome")
    if not 2 <= np.count_nonzero(given) <= given.size - 2:
        return None
    n00, n01, n10, n11 = np.bincount(2 * given[:-1] + given[1:], minlength=4).tolist()
    return n00, n01, n10, n11


def _chain(counts: tuple[int, int, int, int]) -> float:
    """The largest log-likelihood of a Markov chain."""
    n00, n01, n10, n11 = counts
    return _log_likelihood(n00, n01) + _log_likelihood(n10, n11)


def _one_degree(lr: float) -> LikelihoodRatio:
    lr = max(lr, 0.0)  # rounding
    return LikelihoodRatio(lr, math.erfc(math.sqrt(lr / 2.0)))
