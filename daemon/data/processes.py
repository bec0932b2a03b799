"""Random paths of a log price, exact at whatever times they are asked for.

Time is trading time in days: it stands still while the market is closed. There is no step size: a path that is asked
for at more times has the same distribution at each. A path is walked stretch by stretch and ends each stretch at its
very end, so that what comes after depends on nothing but the random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log, sqrt
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]


class Path(Protocol):
    """A log price that moves on."""

    def advance(self, at: Array, span: float) -> Array:
        """(n,) log prices at the (n,) ascending times `at` of the next stretch, which lasts span days."""


@dataclass(frozen=True)
class State:
    """A state of the market, per day: drift of the price, variance of the log return."""

    drift: float
    variance: float
    days: float = inf  # that it lasts, in the mean
    next: tuple[float, ...] = ()  # chances of the states that follow; they sum to 1


class Chain:
    """A Markov chain in continuous time over states of the market; it begins in the first.

    A state lasts an exponential time. One state that lasts for ever makes a geometric Brownian motion.
    """

    def __init__(self, states: Sequence[State], rng: np.random.Generator) -> None:
        self._states = states
        self._log_drift = np.array([s.drift - s.variance / 2 for s in states])
        self._variance = np.array([s.variance for s in states])
        self._rng = rng
        self._state = 0
        self._left = self._stay()

    def visits(self, span: float) -> tuple[list[int], list[float]]:
        """The states of the next stretch of span days, and when in it each ends; the last ends with it."""
        states, ends, now = [self._state], [], 0.0
        while now + self._left < span:
            now += self._left
            ends.append(now)
            self._state = int(self._rng.choice(len(self._states), p=self._states[self._state].next))
            self._left = self._stay()
            states.append(self._state)
        self._left -= span - now
        return states, [*ends, span]

    def moments(self, t: Array) -> tuple[Array, Array]:
        """(n,) mean and variance of the log return up to each of the (n,) times from the one before (the first from 0)."""
        states, ends = self.visits(float(t[-1]))
        knots = np.array([0.0, *ends])
        lengths = np.diff(knots)
        mean = _integral(t, knots, lengths * self._log_drift[states])
        variance = _integral(t, knots, lengths * self._variance[states])
        return mean, np.maximum(variance, 0.0, out=variance)  # rounding at a knot

    def _stay(self) -> float:
        days = self._states[self._state].days
        return inf if days == inf else float(self._rng.exponential(days))


def _integral(t: Array, knots: Array, pieces: Array) -> Array:
    # of a function that is constant between knots, over [t[i-1], t[i]]
    total = np.interp(t, knots, np.concatenate(([0.0], np.cumsum(pieces))))
    total[1:] -= total[:-1].copy()
    return total


class Jumps:
    """A compound Poisson process of normal sizes; a rate of 0 makes none."""

    def __init__(self, per_day: float, mean: float, deviation: float, rng: np.random.Generator) -> None:
        self._per_day = per_day
        self._mean = mean
        self._deviation = deviation
        self._rng = rng

    def add(self, steps: Array, t: Array, pull: float) -> None:
        """Add the jumps of the stretch [0, t[-1]] to the (n,) steps that end at the (n,) times t, in place.

        pull: the rate a day at which a jump is forgotten until its step ends.
        """
        n = self._rng.poisson(self._per_day * t[-1])
        when = self._rng.uniform(0.0, t[-1], n)
        sizes = self._rng.normal(self._mean, self._deviation, n)
        step = np.searchsorted(t, when)
        np.add.at(steps, step, sizes * np.exp(-pull * (t[step] - when)))


class Diffusion:
    """dX = (drift - variance/2) dt + sqrt(variance) dW + dJ, with the chain's drift and variance.

    Without jumps the price exp(X) grows by exp(drift * t) in the mean.
    """

    def __init__(self, start: float, chain: Chain, jumps: Jumps, rng: np.random.Generator) -> None:
        self._x = start
        self._chain = chain
        self._jumps = jumps
        self._rng = rng

    def advance(self, at: Array, span: float) -> Array:
        t = np.append(at, span)
        mean, variance = self._chain.moments(t)
        steps = self._rng.standard_normal(len(t))
        steps *= np.sqrt(variance, out=variance)
        steps += mean
        self._jumps.add(steps, t, 0.0)
        steps[0] += self._x
        x = np.cumsum(steps, out=steps)
        self._x = float(x[-1])
        return x[:-1]


class Reversion:
    """dX = pull * (mean - X) dt + sqrt(variance) dW + dJ (Ornstein-Uhlenbeck), discretised exactly.

    After days of ln 2 / pull half of the distance to the mean is gone. Without jumps X is normal in the long run, of
    variance `variance / (2 * pull)`, and X at times dt apart correlates by exp(-pull * dt).
    """

    def __init__(
        self,
        start: float,
        mean: float,
        half_life: float,
        variance: float,
        jumps: Jumps,
        rng: np.random.Generator,
    ) -> None:
        self._from_mean = start - mean
        self._mean = mean
        self._pull = log(2) / half_life
        self._deviation = sqrt(variance / (2 * self._pull))
        self._jumps = jumps
        self._rng = rng

    def advance(self, at: Array, span: float) -> Array:
        t = np.append(at, span)
        exponent = -self._pull * np.diff(t, prepend=0.0)
        steps = self._rng.standard_normal(len(t))
        steps *= self._deviation * np.sqrt(-np.expm1(2 * exponent))
        self._jumps.add(steps, t, self._pull)
        x = recur(np.exp(exponent), steps, self._from_mean)
        self._from_mean = float(x[-1])
        return x[:-1] + self._mean


def recur(a: Array, b: Array, start: float) -> Array:
    """(n,) x[i] = a[i] * x[i-1] + b[i], with x[-1] = start.

    Laid out as rows of about sqrt(n): the columns go one after the other for all rows at once, then the rows are linked.
    """
    n = len(a)
    width = max(1, round(sqrt(n)))
    rows = -(-n // width)
    a = np.append(a, np.ones(rows * width - n)).reshape(rows, width).T.copy()
    b = np.append(b, np.zeros(rows * width - n)).reshape(rows, width).T.copy()
    for j in range(1, width):
        b[j] += a[j] * b[j - 1]
        a[j] *= a[j - 1]
    before = np.empty(rows)
    for i in range(rows):
        before[i] = start
        start = a[-1, i] * start + b[-1, i]
    return np.asarray((a * before + b).T.reshape(-1)[:n])
