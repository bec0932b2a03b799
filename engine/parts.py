"""What a portfolio as it is held may lose, and which part of that each of its positions is."""

from __future__ import annotations

import math

import numpy as np

from engine.grading import held_profits, matrix_of
from engine.jit import jit
from engine.measures import gradient, measure
from engine.portfolios import gauge_stress, is_measurable, mark_positions
from engine.records import NONE, Code, State
from engine.scenarios import is_known


@jit
def measure_portfolio(s: State, p: int, method: int) -> int:
    """Measure a portfolio as it is held by a method, over the limits' horizon; NONE, or why that cannot be done.

    Into its gauge, in money units; each position's part into `var` and `cvar`: the measure's derivative by the position
    times the position (Euler), which add up to the measure. Observes only: nothing that is state changes.
    """
    r = s.risk[0]
    portfolio = s.portfolios[p]
    gauge = s.gauges[p]
    code = mark_positions(s, p, np.int64(0))
    if code == Code.NONE:
        code = is_measurable(s, p, method)
    if code == Code.NONE and portfolio.stress_pnl != NONE:
        code = gauge_stress(s, p, 0, 0.0)
    rows = gauge.scenarios
    prior = gauge.prior
    gauge.at_risk = 0.0
    gauge.shortfall = 0.0
    if code != Code.NONE:
        return code
    n = held_profits(s, p, method, rows)
    gauge.at_risk, gauge.shortfall = measure(r, method, r.horizon, s.trial, 0, n, s.tail)
    if not math.isfinite(gauge.at_risk) or not math.isfinite(gauge.shortfall):
        return Code.NOT_FINITE.value
    gradient(r, method, r.horizon, s.trial, 0, n, s.tail, s.var_weights, s.cvar_weights)
    root = math.sqrt(r.horizon)
    gauge.at_risk += prior * r.z * root
    gauge.shortfall += prior * r.es * root
    first, width = matrix_of(r, method)
    for i in range(portfolio.first_position, portfolio.first_position + portfolio.n_positions):
        position = s.positions[i]
        k = position.instrument
        position.at_risk = 0.0
        position.shortfall = 0.0
        if is_known(r, s.histories[k]):
            x = first + k * width
            for j in range(n):
                position.at_risk += s.var_weights[j] * s.scenarios[x + j]
                position.shortfall += s.cvar_weights[j] * s.scenarios[x + j]
            position.at_risk *= position.low
            position.shortfall *= position.low
        else:
            position.at_risk = abs(position.low) * r.prior * r.z * root
            position.shortfall = abs(position.low) * r.prior * r.es * root
    return Code.NONE.value
