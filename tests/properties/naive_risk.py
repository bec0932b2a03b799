"""A second, slow reading of the risk gate in plain numpy: what docs/risk.md says, with none of the engine's functions.

`RiskClock` turns the rows of a tape into returns; `Measures` says what a portfolio may lose, by the definitions; `Book`
holds what an account or a strategy has and what works, and says which sizes of an order may pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from engine.normals import normals
from engine.records import Limit, Method, RowKind
from engine.spec import EngineSpec, LimitSpec, RiskLimits, RiskSpec

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ranges = dict[
    int, tuple[float, float]
]  # by instrument: the least and the most money that a position may be worth
PRICES = (RowKind.PRINT, RowKind.EXTREME, RowKind.CLOSE, RowKind.MARK)
TAILS = (Method.HISTORICAL, Method.FILTERED, Method.MONTE_CARLO)
LEAST_STRESS = 20  # rows that a window of stress needs


class RiskClock:
    """What closes at the ends of periods, from rows that are taken one by one."""

    def __init__(self, spec: EngineSpec) -> None:
        assert spec.risk is not None
        self.spec, self.risk = spec, spec.risk
        n = len(spec.instruments)
        self.prices = [0.0] * n  # the last
        self.base = [0.0] * n  # at the end of the last row, in today's shares
        self.paid = [0.0] * n  # to a unit since then
        self.last: list[float] = [-math.inf] * n  # when it had its last price
        self.gone = [False] * n
        self.since = -math.inf  # when the open row began
        self.due: int | None = None
        self.ends: list[int] = []  # of the rows that closed
        self.returns: list[list[float]] = []  # by row; NaN where an instrument has none

    def wait(self, ts: int) -> bool:
        """Let time come to ts; whether a row closed."""
        risk = self.risk
        if self.due is None:
            periods = -(-(ts - risk.offset_ns) // risk.period_ns)
            self.due = periods * risk.period_ns + risk.offset_ns
        closed = len(self.ends)
        while self.due <= ts:
            self._end(self.due)
            self.due += risk.period_ns
        return len(self.ends) > closed

    def take(self, ts: int, k: int, price: float, size: float, kind: RowKind) -> None:
        """Take a row that makes sense; time is its own."""
        if kind in PRICES:
            self.prices[k] = price
            self.last[k] = ts
        elif kind == RowKind.SPLIT:
            for column in (self.prices, self.base, self.paid):
                column[k] *= size / price
        elif kind == RowKind.DIVIDEND:
            self.paid[k] += price
            self.prices[k] -= price
        elif kind == RowKind.DELISTING:
            self.paid[k] += price if size > 0.0 else self.prices[k]
            self.gone[k] = True
            self.prices[k] = 0.0

    def _end(self, end: int) -> None:
        there = [k for k, price in enumerate(self.prices) if price > 0.0 and not self.gone[k]]
        fresh = [k for k in there if self.last[k] >= self.since]
        ended = [k for k, gone in enumerate(self.gone) if gone and self.base[k] > 0.0]
        if not (fresh or ended) or any(self._waits(k, end) for k in there if k not in fresh):
            return
        now = np.array([0.0 if self.gone[k] else p for k, p in enumerate(self.prices)])
        base = np.array(self.base)
        known = base > 0.0
        row = np.full(len(base), np.nan)
        row[known] = (now[known] + np.array(self.paid)[known]) / base[known] - 1.0
        self.returns.append([float(r) for r in row])
        self.ends.append(end)
        self.base, self.paid, self.since = [float(p) for p in now], [0.0] * len(base), end

    def _waits(self, k: int, end: int) -> bool:
        """Whether its market has been closed since the row began, and is to open again."""
        name = self.spec.instruments[k].calendar
        if not name:
            return False
        hours = self.spec.calendars[name]
        spans = list(zip(hours.opens.tolist(), hours.closes.tolist(), strict=True))
        was_open = any(opens < end and closes > self.since for opens, closes in spans)
        return not was_open and any(closes > end for _, closes in spans)

    def of(self, k: int) -> Floats:
        """An instrument's returns, newest first, at most a window of them."""
        column = np.array([row[k] for row in reversed(self.returns[-self.risk.window :])])
        return column[~np.isnan(column)]

    def all_of(self, k: int) -> Floats:
        """An instrument's returns since it has a price, oldest first."""
        column = np.array([row[k] for row in self.returns])
        return column[~np.isnan(column)]

    def is_known(self, k: int) -> bool:
        """Whether its returns say what it may lose."""
        returns = self.of(k)
        return bool(2 * np.count_nonzero(returns) >= self.risk.min_history <= len(returns))


class Loss(NamedTuple):
    """What a portfolio may lose, in money."""

    var: float
    cvar: float
    stressed_var: float


def tail_loss(pnl: Floats, confidence: float) -> tuple[float, float]:
    """VaR and CVaR of equally likely profits: the quantile from below, and the mean beyond it (Acerbi, Tasche 2002)."""
    losses = sorted((-float(v) for v in pnl), reverse=True)
    worst = len(losses) * (1.0 - confidence)
    whole = math.floor(worst + 1e-9)
    var = losses[whole]
    return var, (sum(losses[:whole]) + (worst - whole) * var) / worst


def moment_loss(pnl: Floats, method: Method, risk: RiskSpec, horizon: int) -> tuple[float, float]:
    """VaR and CVaR from moments."""
    normal = NormalDist()
    c, h, n = risk.confidence, float(horizon), len(pnl)
    z = normal.inv_cdf(c)
    es = normal.pdf(z) / (1.0 - c)
    if method == Method.EWMA:
        weights = risk.decay ** np.arange(n)
        sd = math.sqrt(h * float(weights @ pnl**2 / weights.sum()))
        return z * sd, es * sd
    mean = float(np.mean(pnl))
    if method == Method.GAUSSIAN:
        sd = math.sqrt(h) * float(np.std(pnl, ddof=1))
        return -h * mean + z * sd, -h * mean + es * sd
    sigma = float(np.std(pnl))
    if sigma == 0.0:
        return -h * mean, -h * mean
    skew = float(np.mean((pnl - mean) ** 3)) / sigma**3 / math.sqrt(h)
    excess = (float(np.mean((pnl - mean) ** 4)) / sigma**4 - 3.0) / h
    mean, sigma, q = mean * h, sigma * math.sqrt(h), -z
    at = q + (q**2 - 1) * skew / 6 + (q**3 - 3 * q) * excess / 24 - (2 * q**3 - 5 * q) * skew**2 / 36
    var = -mean - sigma * at
    factor = 1 + q * skew / 6 + (q**2 - 1) * excess / 24 - (2 * q**2 - 1) * skew**2 / 36
    return var, max(-mean + sigma * es * factor, var)


@dataclass
class Measures:
    """What portfolios may lose at one moment of the risk clock."""

    clock: RiskClock
    returns: dict[tuple[Method, int], Floats] = field(default_factory=dict)

    @property
    def risk(self) -> RiskSpec:
        return self.clock.risk

    def _scenarios(self, method: Method, k: int) -> Floats:
        """An instrument's scenarios, newest first."""
        if (method, k) not in self.returns:
            if method == Method.MONTE_CARLO:
                self._draw()
            elif method == Method.FILTERED:
                self.returns[method, k] = self._filtered(k)
            else:
                self.returns[method, k] = self.clock.of(k)
        return self.returns[method, k]

    def _filtered(self, k: int) -> Floats:
        """Returns scaled from the volatility of their time to today's."""
        variance, scaled = 0.0, []
        for r in self.clock.all_of(k):
            then = math.sqrt(variance) if variance > 0.0 else abs(r)
            scaled.append(r / then if then > 0.0 else 0.0)
            decay = self.risk.decay if variance > 0.0 else 0.0
            variance = decay * variance + (1.0 - decay) * r**2
        return np.array(scaled[: -self.risk.window - 1 : -1]) * math.sqrt(variance)

    def _draw(self) -> None:
        """Normal draws with the shrunk covariance of all known instruments."""
        risk = self.risk
        members = self.members()
        n = min(len(self.clock.of(k)) for k in members)
        x = np.array([self.clock.of(k)[:n] for k in members])
        factor = np.linalg.cholesky(shrunk(x))
        fixed = normals(risk.seed, len(self.clock.prices), risk.draws).reshape(-1, risk.draws)
        for k, drawn in zip(members, factor @ fixed[members], strict=True):
            self.returns[Method.MONTE_CARLO, k] = drawn

    def members(self) -> list[int]:
        """The instruments that are drawn together."""
        everything = range(len(self.clock.prices))
        return [k for k in everything if self.clock.is_known(k) and not self.clock.gone[k]]

    def singular(self) -> bool:
        """Whether the covariance has no factor."""
        try:
            for k in self.members():
                self._scenarios(Method.MONTE_CARLO, k)
        except np.linalg.LinAlgError:
            return True
        return False

    def unknown(self, held: Iterable[int]) -> list[int]:
        """Those of the instruments that have too short a history."""
        return [k for k in held if not self.clock.is_known(k)]

    def matrix(self, method: Method, held: Sequence[int]) -> Floats:
        """(instruments, scenarios) of those that are known; in rows that a younger one lacks it makes nothing."""
        rows = [self._scenarios(method, k) for k in held]
        out = np.zeros((len(rows), max(len(row) for row in rows)))
        for mine, row in zip(out, rows, strict=True):
            mine[: len(row)] = row
        return out

    def loss(self, between: Ranges, method: Method, horizon: int, among: Iterable[int] = ()) -> Loss:
        """The worst VaR, CVaR and stressed VaR of positions that may each be worth any amount between two.

        What has too short a history counts with its prior volatility, added to the rest. Measured are the rows that all
        have in common that are held, or `among` which something is to be held, and the rows of the oldest of them: the
        larger counts.
        """
        risk = self.risk
        held = [k for k, (low, high) in between.items() if low != 0.0 or high != 0.0 or k in among]
        unknown = self.unknown(held)
        known = [k for k in held if k not in unknown]
        var = cvar = 0.0
        if known:
            everything = self.matrix(method, known)
            shared = min(len(self._scenarios(method, k)) for k in known)
            ends = np.array([between[k] for k in known])
            losses = []
            for r in (everything[:, :shared], everything):
                if method in TAILS:
                    worst = np.minimum(ends[:, :1] * r, ends[:, 1:] * r).sum(axis=0)
                    one, other = tail_loss(worst, risk.confidence)
                    losses.append((math.sqrt(horizon) * one, math.sqrt(horizon) * other))
                else:
                    corners = [np.array(corner) @ r for corner in product(*ends.tolist())]
                    losses += [moment_loss(pnl, method, risk, horizon) for pnl in corners]
            var, cvar = max(x for x, _ in losses), max(y for _, y in losses)
        z = NormalDist().inv_cdf(risk.confidence)
        es = NormalDist().pdf(z) / (1.0 - risk.confidence)
        most = sum(max(abs(low), abs(high)) for low, high in (between[k] for k in unknown))
        prior = most * risk.prior_volatility * math.sqrt(horizon)
        return Loss(var + z * prior, cvar + es * prior, self.stressed(between))

    def stressed(self, between: Ranges) -> float:
        """The largest loss of the historical windows and the shocks."""
        risk = self.risk
        z = NormalDist().inv_cdf(risk.confidence)
        losses = []
        for window in risk.windows:
            rows = self._window(window.start, window.end)
            held = {k: ends for k, ends in between.items() if ends != (0.0, 0.0)}
            known = [k for k in held if self.in_window(k, rows)]
            others = [max(abs(low), abs(high)) for k, (low, high) in held.items() if k not in known]
            loss = sum(others) * risk.prior_volatility * z
            if known:
                r = np.array([[self.clock.returns[i][k] for i in rows] for k in known])
                ends = np.array([between[k] for k in known])
                worst = np.minimum(ends[:, :1] * r, ends[:, 1:] * r).sum(axis=0)
                loss += tail_loss(worst, risk.confidence)[0]
            losses.append(loss * math.sqrt(risk.horizon))
        for shock in risk.shocks:
            named = dict(shock.returns)
            moves = {k: named.get(self.clock.spec.instruments[k].name, shock.others) for k in between}
            losses.append(-sum(min(low * moves[k], high * moves[k]) for k, (low, high) in between.items()))
        return max(losses, default=0.0)

    def _window(self, start: int, end: int) -> list[int]:
        return [i for i, closed in enumerate(self.clock.ends) if start < closed <= end]

    def in_window(self, k: int, rows: list[int]) -> bool:
        """Whether it has a return in each of a window's rows, and these are enough."""
        return len(rows) >= LEAST_STRESS and not any(math.isnan(self.clock.returns[i][k]) for i in rows)

    def windows_know(self, held: Iterable[int]) -> bool:
        """Whether all windows of stress know all of them."""
        held = list(held)
        rows = [self._window(w.start, w.end) for w in self.risk.windows]
        return all(self.in_window(k, of_window) for of_window in rows for k in held)


def shrunk(x: Floats) -> Floats:
    """The covariance of (instruments, rows), correlations shrunk to 0 (Schäfer, Strimmer 2005, target D)."""
    n = x.shape[1]
    covariance = np.atleast_2d(np.cov(x))
    sd = np.sqrt(np.diag(covariance))
    scaled = (x - x.mean(axis=1, keepdims=True)) / sd[:, None]
    top = bottom = 0.0
    for i, j in product(range(len(x)), repeat=2):
        if i != j:
            w = scaled[i] * scaled[j]
            top += n / (n - 1) ** 3 * float(np.sum((w - w.mean()) ** 2))
            bottom += float(covariance[i, j] / sd[i] / sd[j]) ** 2
    intensity = 1.0 if bottom <= 0.0 else min(max(top / bottom, 0.0), 1.0)
    kept = (1.0 - intensity) + intensity * np.eye(len(x))
    return covariance * kept


@dataclass
class Book:
    """A portfolio: lots that are held, signed lots that work, and what a lot is worth; by instrument.

    closing: signed lots that reduce-only orders may close beyond what else works.
    """

    held: dict[int, int]
    working: list[tuple[int, int]]
    unit: dict[int, float]
    closing: list[tuple[int, int]] = field(default_factory=list)

    def between(self, k: int = -1, lots: int = 0) -> Ranges:
        """Each position's range, with so many lots of one instrument more."""
        out = {}
        for i, held in self.held.items():
            held += lots if i == k else 0
            may = [n for j, n in (*self.working, *self.closing) if j == i]
            buys, sells = sum(n for n in may if n > 0), sum(n for n in may if n < 0)
            out[i] = ((held + sells) * self.unit[i], (held + buys) * self.unit[i])
        return out

    def some(self) -> set[int]:
        """The instruments that are held, or may be."""
        return {k for k, ends in self.between().items() if any(ends)}

    def subsets(self, k: int, lots: int) -> Iterator[Ranges]:
        """Each portfolio that there would be if some of the working orders filled, and the others did not."""
        may = (*self.working, *self.closing)
        for chosen in product((0, 1), repeat=len(may)):
            held = dict(self.held)
            held[k] += lots
            for (i, n), fills in zip(may, chosen, strict=True):
                held[i] += n * fills
            yield {i: (n * self.unit[i], n * self.unit[i]) for i, n in held.items()}


def statistical(limits: RiskLimits) -> dict[Limit, LimitSpec]:
    """The limits on forecasts that are set."""
    found = {Limit.VAR: limits.var, Limit.CVAR: limits.cvar, Limit.STRESSED_VAR: limits.stressed_var}
    return {which: given for which, given in found.items() if given.limit > 0.0}


def kupiec(exceedances: int, n: int, tail: float) -> float:
    """The likelihood ratio of Kupiec's test (1995): so many exceedances against those to be expected."""

    def log_likelihood(p: float) -> float:
        hits = exceedances * math.log(p) if exceedances else 0.0
        return hits + ((n - exceedances) * math.log1p(-p) if n > exceedances else 0.0)

    return 2.0 * (log_likelihood(exceedances / n) - log_likelihood(tail))
