"""Moments of a vector's numbers v[first : first + n], n >= 1: one that is NaN makes them NaN.

Each addition has to wait for the one before it: so the sums run in four or eight accumulators side by side, which the
compiler turns into vector instructions without changing the order of any.
"""

from __future__ import annotations

import math
from typing import Any

from engine.jit import jit


@jit
def mean_of(v: Any, first: int, n: int) -> float:
    """The arithmetic mean; of equal numbers it is that number, exactly, so that they have no deviation."""
    origin = v[first]
    a = b = c = d = 0.0
    e = f = g = k = 0.0
    i = first
    end = first + n
    while i + 8 <= end:
        a += v[i] - origin
        b += v[i + 1] - origin
        c += v[i + 2] - origin
        d += v[i + 3] - origin
        e += v[i + 4] - origin
        f += v[i + 5] - origin
        g += v[i + 6] - origin
        k += v[i + 7] - origin
        i += 8
    a = ((a + e) + (b + f)) + ((c + g) + (d + k))
    while i < end:
        a += v[i] - origin
        i += 1
    return origin + a / n


@jit
def squares(v: Any, first: int, n: int, mean: float) -> float:
    """The sum of squared distances from `mean`."""
    a = b = c = d = 0.0
    e = f = g = k = 0.0
    i = first
    end = first + n
    while i + 8 <= end:
        a += (v[i] - mean) * (v[i] - mean)
        b += (v[i + 1] - mean) * (v[i + 1] - mean)
        c += (v[i + 2] - mean) * (v[i + 2] - mean)
        d += (v[i + 3] - mean) * (v[i + 3] - mean)
        e += (v[i + 4] - mean) * (v[i + 4] - mean)
        f += (v[i + 5] - mean) * (v[i + 5] - mean)
        g += (v[i + 6] - mean) * (v[i + 6] - mean)
        k += (v[i + 7] - mean) * (v[i + 7] - mean)
        i += 8
    a = ((a + e) + (b + f)) + ((c + g) + (d + k))
    while i < end:
        a += (v[i] - mean) * (v[i] - mean)
        i += 1
    return a


@jit
def weighted_variance(decay: float, v: Any, first: int, n: int) -> float:
    """The mean of v squared, with weights decay ** age.

    From the oldest to the newest, total = total * decay + square: eight such sums side by side, each of every eighth age.
    """
    end = first + n
    whole = first + n // 8 * 8
    a = b = c = d = 0.0
    e = f = g = k = 0.0
    weights = 0.0
    i = end - 1
    while i >= whole:  # the oldest, which fill no eight
        a = a * decay + v[i] * v[i]
        weights = weights * decay + 1.0
        i -= 1
    d2 = decay * decay
    d4 = d2 * d2
    d8 = d4 * d4
    each = (1.0 + decay) * (1.0 + d2) * (1.0 + d4)  # the sum of decay ** age over eight
    i = whole - 8
    while i >= first:
        a = a * d8 + v[i] * v[i]
        b = b * d8 + v[i + 1] * v[i + 1]
        c = c * d8 + v[i + 2] * v[i + 2]
        d = d * d8 + v[i + 3] * v[i + 3]
        e = e * d8 + v[i + 4] * v[i + 4]
        f = f * d8 + v[i + 5] * v[i + 5]
        g = g * d8 + v[i + 6] * v[i + 6]
        k = k * d8 + v[i + 7] * v[i + 7]
        weights = weights * d8 + each
        i -= 8
    low = (a + b * decay) + d2 * (c + d * decay)
    high = (e + f * decay) + d2 * (g + k * decay)
    return (low + d4 * high) / weights


@jit
def moments(v: Any, first: int, n: int) -> tuple[float, float, float, float]:
    """Mean, deviation (ddof 0), skewness and excess kurtosis; these two are 0 where there is no deviation."""
    mean = mean_of(v, first, n)
    a2 = b2 = c2 = d2 = 0.0
    a3 = b3 = c3 = d3 = 0.0
    a4 = b4 = c4 = d4 = 0.0
    i = first
    end = first + n
    while i + 4 <= end:
        a = v[i] - mean
        b = v[i + 1] - mean
        c = v[i + 2] - mean
        d = v[i + 3] - mean
        aa = a * a
        bb = b * b
        cc = c * c
        dd = d * d
        a2 += aa
        b2 += bb
        c2 += cc
        d2 += dd
        a3 += aa * a
        b3 += bb * b
        c3 += cc * c
        d3 += dd * d
        a4 += aa * aa
        b4 += bb * bb
        c4 += cc * cc
        d4 += dd * dd
        i += 4
    m2 = (a2 + b2) + (c2 + d2)
    m3 = (a3 + b3) + (c3 + d3)
    m4 = (a4 + b4) + (c4 + d4)
    while i < end:
        a = v[i] - mean
        aa = a * a
        m2 += aa
        m3 += aa * a
        m4 += aa * aa
        i += 1
    m2 /= n
    sigma = math.sqrt(m2)
    if not m2 * m2 > 0.0:
        return mean, sigma, 0.0, 0.0
    return mean, sigma, m3 / n / (m2 * sigma), m4 / n / (m2 * m2) - 3.0
