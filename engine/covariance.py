"""Normal scenarios: a covariance of returns that is shrunk, its factor, and draws with it.

A matrix of returns is laid out instrument by instrument: the return of instrument k at age s is at first + k * width + s.
Of all instruments those in `members` count, m of them.
"""

from __future__ import annotations

import math
from typing import Any

from engine.jit import jit
from engine.moments import mean_of

LEAST_PIVOT = 1e-12  # of a variance, that the instruments before do not explain


@jit
def _products(x: Any, a: int, mean_a: float, b: int, mean_b: float, n: int) -> tuple[float, float]:
    """Of the products of two series' distances from their means: their sum, and that of their squares."""
    t0 = t1 = t2 = t3 = 0.0
    q0 = q1 = q2 = q3 = 0.0
    i = 0
    while i + 4 <= n:
        w0 = (x[a + i] - mean_a) * (x[b + i] - mean_b)
        w1 = (x[a + i + 1] - mean_a) * (x[b + i + 1] - mean_b)
        w2 = (x[a + i + 2] - mean_a) * (x[b + i + 2] - mean_b)
        w3 = (x[a + i + 3] - mean_a) * (x[b + i + 3] - mean_b)
        t0 += w0
        t1 += w1
        t2 += w2
        t3 += w3
        q0 += w0 * w0
        q1 += w1 * w1
        q2 += w2 * w2
        q3 += w3 * w3
        i += 4
    t0 = (t0 + t2) + (t1 + t3)
    q0 = (q0 + q2) + (q1 + q3)
    while i < n:
        w0 = (x[a + i] - mean_a) * (x[b + i] - mean_b)
        t0 += w0
        q0 += w0 * w0
        i += 1
    return t0, q0


@jit
def shrunk_covariance(x: Any, first: int, width: int, n: int, members: Any, m: int, out: Any) -> float:
    """The covariance (ddof 1) of the members' n newest returns, their correlations shrunk to zero; gives the intensity.

    out: (m * m,) float64; variances stay as they are. The intensity, between 0 and 1, is the one that is estimated to make
    the mean squared error of the correlations least (Schafer and Strimmer 2005, target D, on standardised returns). It is 1
    where no two members are correlated at all. All is NaN with fewer than two returns.
    """
    if n < 2:
        for i in range(m * m):
            out[i] = math.nan
        return math.nan
    noise = 0.0
    signal = 0.0
    for i in range(m):
        a = first + members[i] * width
        mean = mean_of(x, a, n)
        variance = _products(x, a, mean, a, mean, n)[0] / (n - 1)
        # the last column, which is free until the end, keeps the means; its own variance is the last to be written
        out[i * m + m - 1] = mean
        out[i * m + i] = variance
        for j in range(i):
            b = first + members[j] * width
            total, squares = _products(x, a, mean, b, out[j * m + m - 1], n)
            covariance = total / (n - 1)
            out[i * m + j] = covariance
            scale = variance * out[j * m + j]
            if scale > 0.0:
                noise += (squares - total * total / n) / scale
                signal += covariance * covariance / scale
    noise *= n / ((n - 1.0) * (n - 1.0) * (n - 1.0))
    intensity = 1.0
    if noise < signal:
        intensity = max(noise / signal, 0.0)  # below zero by rounding only
    for i in range(m):
        for j in range(i):
            out[i * m + j] *= 1.0 - intensity
            out[j * m + i] = out[i * m + j]
    return intensity


@jit
def _dot(x: Any, a: int, b: int, n: int) -> float:
    t0 = t1 = t2 = t3 = 0.0
    i = 0
    while i + 4 <= n:
        t0 += x[a + i] * x[b + i]
        t1 += x[a + i + 1] * x[b + i + 1]
        t2 += x[a + i + 2] * x[b + i + 2]
        t3 += x[a + i + 3] * x[b + i + 3]
        i += 4
    t0 = (t0 + t2) + (t1 + t3)
    while i < n:
        t0 += x[a + i] * x[b + i]
        i += 1
    return t0


@jit
def cholesky(out: Any, m: int) -> bool:
    """Replace the lower half of a symmetric (m * m,) matrix by its factor L, of which it is L times L transposed.

    False where it has none that can be trusted: an instrument never moves, is explained by those before it up to 1e-12 of
    its variance, or a number is NaN. What then stands in it means nothing. The upper half stays as it is.
    """
    for i in range(m):
        for j in range(i):
            out[i * m + j] = (out[i * m + j] - _dot(out, i * m, j * m, j)) / out[j * m + j]
        diagonal = out[i * m + i]
        pivot = diagonal - _dot(out, i * m, i * m, i)
        if not pivot > LEAST_PIVOT * diagonal:
            return False
        out[i * m + i] = math.sqrt(pivot)
    return True


@jit
def draw(factor: Any, m: int, members: Any, normals: Any, draws: int, target: Any, first: int) -> None:
    """Give each member its `draws` returns: the factor times the standard normals of the members before it and its own.

    normals: (n_instruments * draws,) float64, instrument by instrument; a member's draws are its own, whichever others there
    are. target: another column, laid out in the same way from place `first` on; what is there of members is overwritten.
    """
    for i in range(m):
        at = first + members[i] * draws
        row = i * m
        for d in range(draws):
            target[at + d] = 0.0
        j = 0
        while j + 4 <= i + 1:  # four members at a time: the target is loaded and stored a fourth as often
            w0 = factor[row + j]
            w1 = factor[row + j + 1]
            w2 = factor[row + j + 2]
            w3 = factor[row + j + 3]
            z0 = members[j] * draws
            z1 = members[j + 1] * draws
            z2 = members[j + 2] * draws
            z3 = members[j + 3] * draws
            for d in range(draws):
                a = w0 * normals[z0 + d] + w1 * normals[z1 + d]
                b = w2 * normals[z2 + d] + w3 * normals[z3 + d]
                target[at + d] = target[at + d] + (a + b)
            j += 4
        while j <= i:
            w0 = factor[row + j]
            z0 = members[j] * draws
            for d in range(draws):
                target[at + d] = target[at + d] + w0 * normals[z0 + d]
            j += 1
