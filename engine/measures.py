"""What a portfolio may lose: VaR and CVaR of its profits by scenario, and how much of them each scenario makes.

A portfolio under a matrix of returns is a vector v of n profits (money units, a loss is negative). VaR and CVaR are losses,
positive where money is lost; both may be negative, and CVaR is not below VaR. Each is a function of v alone, homogeneous of
degree one: so gradient x v, summed over the scenarios, is the measure, and gradient x the profits of one position is that
position's part of it (Euler).

- The tail methods (`is_tail`) take an order statistic: with m = n * (1 - confidence), VaR is the (floor(m) + 1)-th largest
  loss, the lower quantile; CVaR = VaR + sum of (loss - VaR) over the larger losses / m, which is Acerbi and Tasche's (2002)
  mean of the tail.
- GAUSSIAN: mean and deviation (ddof 1).
- CORNISH_FISHER: the quantile's expansion in skewness and excess kurtosis (moments with ddof 0; Cornish and Fisher 1938),
  and for CVaR its mean beyond that quantile in closed form; where the expansion bends back, CVaR is VaR.
- EWMA: RiskMetrics' (1996) deviation, without a mean: the newest scenario comes first, weights fall by `decay`.

Over a horizon of h periods means grow with h and deviations with its root, skewness falls with the root and kurtosis with h;
order statistics grow with the root. One profit that is NaN makes both measures NaN.
"""

from __future__ import annotations

import math
from typing import Any

from engine.jit import inline, jit
from engine.moments import mean_of, moments, squares, weighted_variance
from engine.records import NONE, Method

ROUNDING = 1e-9  # n * (1 - confidence) is taken for a whole number from so little below it


@inline
def is_tail(method: int) -> bool:
    """Whether a method's measures are order statistics: else they are moments."""
    return method == Method.HISTORICAL or method == Method.FILTERED or method == Method.MONTE_CARLO


@jit
def measure(r: Any, method: int, horizon: int, v: Any, first: int, n: int, heap: Any) -> tuple[float, float]:
    """VaR and CVaR of the n >= 1 profits from place `first` of v on, over `horizon` periods; NaN where there are none.

    r: a RISK record. heap: scratch for n numbers.
    """
    h = float(horizon)
    if method == Method.GAUSSIAN:
        return _gaussian(r, h, v, first, n)
    if method == Method.CORNISH_FISHER:
        return _cornish_fisher(r, h, v, first, n)
    if method == Method.EWMA:
        sd = math.sqrt(h * weighted_variance(r.decay, v, first, n))
        return r.z * sd, r.es * sd
    root = math.sqrt(h)
    var, cvar = tail_of(v, first, n, r.tail, heap)
    return root * var, root * cvar


@jit
def gradient(
    r: Any,
    method: int,
    horizon: int,
    v: Any,
    first: int,
    n: int,
    heap: Any,
    var_weights: Any,
    cvar_weights: Any,
) -> None:
    """The derivatives of `measure`'s VaR and CVaR by each profit, into the first n places of two columns.

    Where several scenarios are the quantile, the first of them is taken for it. Where a deviation is 0, its derivative is
    taken for 0. NaN in all places where a measure is NaN.
    """
    h = float(horizon)
    if method == Method.GAUSSIAN:
        _gaussian_gradient(r, h, v, first, n, var_weights, cvar_weights)
    elif method == Method.CORNISH_FISHER:
        _cornish_fisher_gradient(r, h, v, first, n, var_weights, cvar_weights)
    elif method == Method.EWMA:
        _ewma_gradient(r, h, v, first, n, var_weights, cvar_weights)
    else:
        _tail_gradient(r, h, v, first, n, heap, var_weights, cvar_weights)


# -- the tail ---------------------------------------------------------------------------------------------------------


@inline
def _sink(heap: Any, k: int, x: float, last: int) -> None:
    """Put x at place k of a heap whose largest comes first, or below."""
    child = 2 * k + 1
    while child <= last:
        if child < last and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= x:
            break
        heap[k] = heap[child]
        k = child
        child = 2 * k + 1
    heap[k] = x


@jit
def tail_of(v: Any, first: int, n: int, tail: float, heap: Any) -> tuple[float, float]:
    """The historical VaR and CVaR of the n >= 1 profits from place `first` of v on; NaN where one of them is.

    tail: 1 - confidence, above 0 and below 1. heap: scratch for floor(n * tail) + 1 numbers; it holds the smallest profits
    seen so far, the largest of them first, which hardly any other profit is smaller than.
    """
    m = n * tail
    last = int(m + ROUNDING)
    for k in range(last + 1):
        x = v[first + k]
        if x != x:
            return math.nan, math.nan
        heap[k] = x
    for k in range((last - 1) // 2, -1, -1):
        _sink(heap, k, heap[k], last)
    largest = heap[0]
    for i in range(first + last + 1, first + n):
        x = v[i]
        if not x >= largest:
            if x != x:
                return math.nan, math.nan
            _sink(heap, 0, x, last)
            largest = heap[0]
    beyond = 0.0
    for k in range(1, last + 1):
        beyond += largest - heap[k]
    return -largest, -largest + beyond / m


@jit
def _tail_gradient(
    r: Any, h: float, v: Any, first: int, n: int, heap: Any, var_weights: Any, cvar_weights: Any
) -> None:
    var, _ = tail_of(v, first, n, r.tail, heap)
    root = math.sqrt(h)
    m = n * r.tail
    place = NONE
    share = 1.0  # of the quantile in the tail: what the larger losses leave of it
    for s in range(n):
        x = -v[first + s]
        var_weights[s] = 0.0
        cvar_weights[s] = 0.0
        if x > var:
            cvar_weights[s] = -root / m
            share -= 1.0 / m
        elif place == NONE and x == var:
            place = s
    if place == NONE:  # nothing equals a NaN
        for s in range(n):
            var_weights[s] = var
            cvar_weights[s] = var
    else:
        var_weights[place] = -root
        cvar_weights[place] = -root * share


# -- moments ----------------------------------------------------------------------------------------------------------


@inline
def _deviation(v: Any, first: int, n: int, mean: float) -> float:
    return math.sqrt(squares(v, first, n, mean) / (n - 1)) if n > 1 else math.nan


@jit
def _gaussian(r: Any, h: float, v: Any, first: int, n: int) -> tuple[float, float]:
    mean = mean_of(v, first, n)
    sd = math.sqrt(h) * _deviation(v, first, n, mean)
    return r.z * sd - h * mean, r.es * sd - h * mean


@jit
def _gaussian_gradient(
    r: Any, h: float, v: Any, first: int, n: int, var_weights: Any, cvar_weights: Any
) -> None:
    mean = mean_of(v, first, n)
    sd = _deviation(v, first, n, mean)
    slope = 0.0 if sd == 0.0 else math.sqrt(h) / ((n - 1) * sd)
    for s in range(n):
        d = slope * (v[first + s] - mean)
        var_weights[s] = r.z * d - h / n
        cvar_weights[s] = r.es * d - h / n


@jit
def _ewma_gradient(r: Any, h: float, v: Any, first: int, n: int, var_weights: Any, cvar_weights: Any) -> None:
    variance = weighted_variance(r.decay, v, first, n)
    total = 0.0
    weight = 1.0
    for _ in range(n):
        total += weight
        weight *= r.decay
    weight = 0.0 if variance == 0.0 else math.sqrt(h / variance) / total
    for s in range(n):
        var_weights[s] = r.z * weight * v[first + s]
        cvar_weights[s] = r.es * weight * v[first + s]
        weight *= r.decay


# -- Cornish and Fisher -----------------------------------------------------------------------------------------------


@inline
def _quantile(zq: float, skew: float, kurtosis: float) -> float:
    """The expansion of the quantile whose normal quantile is zq, for mean 0 and deviation 1."""
    zz = zq * zq
    bend = (zz - 1.0) * skew / 6.0 + (zz - 3.0) * zq * kurtosis / 24.0
    return zq + bend - (2.0 * zz - 5.0) * zq * skew * skew / 36.0


@inline
def _shortfall(r: Any, zq: float, skew: float, kurtosis: float) -> float:
    """Minus the mean of that expansion below the quantile."""
    zz = zq * zq
    bend = zq * skew / 6.0 + (zz - 1.0) * kurtosis / 24.0
    return r.es * (1.0 + bend - (2.0 * zz - 1.0) * skew * skew / 36.0)


@jit
def _cornish_fisher(r: Any, h: float, v: Any, first: int, n: int) -> tuple[float, float]:
    mean, sigma, skew, kurtosis = moments(v, first, n)
    root = math.sqrt(h)
    var = -h * mean - root * sigma * _quantile(-r.z, skew / root, kurtosis / h)
    cvar = -h * mean + root * sigma * _shortfall(r, -r.z, skew / root, kurtosis / h)
    if not cvar >= var:
        cvar = var
    return var, cvar


@jit
def _cornish_fisher_gradient(
    r: Any, h: float, v: Any, first: int, n: int, var_weights: Any, cvar_weights: Any
) -> None:
    """By the chain rule, through the four moments.

    With u = (v - mean) / sigma, n times the derivative by a profit is 1 of the mean, u of sigma,
    3 (u^2 - 1 - skew u) / sigma of the skewness and 4 (u^3 - skew - (kurtosis + 3) u) / sigma of the kurtosis.
    """
    mean, sigma, raw_skew, raw_kurtosis = moments(v, first, n)
    root = math.sqrt(h)
    skew = raw_skew / root
    kurtosis = raw_kurtosis / h
    zq = -r.z
    zz = zq * zq
    var = -root * _quantile(zq, skew, kurtosis)
    var_skew = -((zz - 1.0) / 6.0 - (2.0 * zz - 5.0) * zq * skew / 18.0)  # the root of h cancels out
    var_kurtosis = -(zz - 3.0) * zq / 24.0 / root
    cvar = root * _shortfall(r, zq, skew, kurtosis)
    cvar_skew = r.es * (zq / 6.0 - (2.0 * zz - 1.0) * skew / 18.0)
    cvar_kurtosis = r.es * (zz - 1.0) / 24.0 / root
    if not cvar >= var:
        cvar = var
        cvar_skew = var_skew
        cvar_kurtosis = var_kurtosis
    square = 0.0 if sigma == 0.0 else 1.0  # the mean of u^2
    scale = 0.0 if sigma == 0.0 else 1.0 / sigma
    for s in range(n):
        u = (v[first + s] - mean) * scale
        by_skew = 3.0 * (u * u - square - raw_skew * u)
        by_kurtosis = 4.0 * (u * u * u - raw_skew - (raw_kurtosis + 3.0) * u)
        var_weights[s] = (var * u + var_skew * by_skew + var_kurtosis * by_kurtosis - h) / n
        cvar_weights[s] = (cvar * u + cvar_skew * by_skew + cvar_kurtosis * by_kurtosis - h) / n
