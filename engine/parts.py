"""What a portfolio as it is held may lose, and which part of that each of its positions is."""

from __future__ import annotations

import math

import numpy as np

from engine.corners import measure_rows
from engine.grading import held_profits, matrix_of
from engine.jit import jit
from engine.measures import gradient, measure
from engine.portfolios import gauge_stress, is_measurable, mark_positions
from engine.records import NONE, Code, Method, State
from engine.scenarios import is_known


@jit
def measure_portfolio(s: State, p: int, method: int) -> int:
    """Measure a portfolio as it is held by a method, over the limits' horizon; NONE, or why that cannot be done.

    Into its gauge, in money units, stressed VaR as NaN where that cannot be said; each position's parts into `at_risk` and
    `shortfall`: the measure's derivative by the position times the position (Euler), which add up to the measure. Observes
    only: nothing that is state changes.
    """
    r = s.risk[0]
    portfolio = s.portfolios[p]
    gauge = s.gauges[p]
    code = mark_positions(s, p, np.int64(0))
    if code == Code.NONE:
        code = is_measurable(s, p, method)
    if code != Code.NONE:
        return code
    if portfolio.stress_pnl == NONE or gauge_stress(s, p, 0, 0.0) != Code.NONE:
        gauge.stressed = math.nan
    n = gauge.scenarios
    longest = max(n, gauge.longest)
    held_profits(s, p, method, longest)
    if method == Method.MONTE_CARLO:
        n = r.draws
        longest = n
    gauge.at_risk, gauge.shortfall = measure_rows(s, method, r.horizon, n, longest)
    if not math.isfinite(gauge.at_risk) or not math.isfinite(gauge.shortfall):
        return Code.NOT_FINITE.value
    for which in range(2):
        _take_parts(s, p, method, which, n, longest)
    root = math.sqrt(r.horizon)
    gauge.at_risk += gauge.prior * r.z * root
    gauge.shortfall += gauge.prior * r.es * root
    return Code.NONE.value


@jit
def _take_parts(s: State, p: int, method: int, which: int, n: int, longest: int) -> None:
    """Write each position's part of VaR (0) or CVaR (1), whose profits lie in `trial`; of the rows that it is measured on."""
    r = s.risk[0]
    portfolio = s.portfolios[p]
    root = math.sqrt(r.horizon)
    if longest > n:
        var, cvar = measure(r, method, r.horizon, s.trial, 0, n, s.tail)
        n = longest if (var, cvar)[which] < (s.gauges[p].at_risk, s.gauges[p].shortfall)[which] else n
    gradient(r, method, r.horizon, s.trial, 0, n, s.tail, s.var_weights, s.cvar_weights)
    first, width = matrix_of(r, method)
    for i in range(portfolio.first_position, portfolio.first_position + portfolio.n_positions):
        position = s.positions[i]
        k = position.instrument
        part = 0.0
        if is_known(r, s.histories[k]):
            x = first + k * width
            for j in range(n):
                weight = s.var_weights[j] if which == 0 else s.cvar_weights[j]
                part += weight * s.scenarios[x + j]
            part *= position.low
        else:
            part = abs(position.low) * r.prior * (r.z if which == 0 else r.es) * root
        if which == 0:
            position.at_risk = part
        else:
            position.shortfall = part
