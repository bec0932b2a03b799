"""The worst that working orders may do to a measure that is a statistic of all scenarios together.

The standard deviation and what is made of it can grow or shrink with an order, and so no scenario has a worst of its own.
Of the widest intervals all corners are tried: each filled or not. What the others may add is added as if nothing offset
it; but for Cornish-Fisher, which is not subadditive, that is never too little.
"""

from __future__ import annotations

import math

from engine.jit import inline, jit
from engine.measures import measure
from engine.records import State
from engine.scenarios import is_known

MOST = 6  # intervals whose corners are tried


@jit
def measure_rows(s: State, method: int, horizon: int, n: int, longest: int) -> tuple[float, float]:
    """VaR and CVaR of the profits in `trial`: of the n newest, which all positions have, or of the `longest`, if that is more.

    In rows that a young instrument lacks it makes nothing. So neither does a new one hide what the others went through,
    nor do they hide what it does to them.
    """
    r = s.risk[0]
    var, cvar = measure(r, method, horizon, s.trial, 0, n, s.tail)
    if longest > n:
        one, other = measure(r, method, horizon, s.trial, 0, longest, s.tail)
        var = larger(var, one)
        cvar = larger(cvar, other)
    return var, cvar


@inline
def larger(one: float, other: float) -> float:
    """The larger of two; NaN where one of them is."""
    return other if not other <= one and not math.isnan(one) else one


@jit
def worst_corner(s: State, p: int, n: int, longest: int) -> tuple[float, float]:
    """VaR and CVaR, each the largest of all corners; `trial` holds the profits at the low ends, as `measure_rows` takes them."""
    r = s.risk[0]
    var, cvar = measure_rows(s, r.method, r.horizon, n, longest)
    m = _widest(s, p)
    for corner in range(1, 1 << m):
        # from one corner to the next of a Gray code a single interval changes its end
        gray = corner ^ (corner >> 1)
        changed = gray ^ ((corner - 1) ^ ((corner - 1) >> 1))
        which = 0
        while changed >> (which + 1) != 0:
            which += 1
        position = s.positions[s.members[which]]
        change = position.high - position.low if gray & changed != 0 else position.low - position.high
        x = r.sample + position.instrument * r.width
        for j in range(longest):
            s.trial[j] += change * s.scenarios[x + j]
        one, other = measure_rows(s, r.method, r.horizon, n, longest)
        var = larger(var, one)
        cvar = larger(cvar, other)
    if m == MOST:
        more_var, more_cvar = _add_rest(s, p, n, longest)
        var += more_var
        cvar += more_cvar
    return var, cvar


@jit
def _widest(s: State, p: int) -> int:
    """Write the portfolio's widest intervals of known instruments into `members`, the widest first; how many, at most MOST."""
    portfolio = s.portfolios[p]
    m = 0
    for i in range(portfolio.first_position, portfolio.first_position + portfolio.n_positions):
        position = s.positions[i]
        width = position.high - position.low
        if width == 0.0 or not is_known(s.risk[0], s.histories[position.instrument]):
            continue
        place = m
        while place > 0 and width > _width(s, place - 1):
            place -= 1
        if place == MOST:
            continue
        for j in range(min(m, MOST - 1), place, -1):
            s.members[j] = s.members[j - 1]
        s.members[place] = i
        m = min(m + 1, MOST)
    return m


@jit
def _width(s: State, place: int) -> float:
    position = s.positions[s.members[place]]
    return float(position.high - position.low)


@jit
def _add_rest(s: State, p: int, n: int, longest: int) -> tuple[float, float]:
    """What the intervals that are none of the widest may add, each by itself."""
    r = s.risk[0]
    portfolio = s.portfolios[p]
    var = 0.0
    cvar = 0.0
    for i in range(portfolio.first_position, portfolio.first_position + portfolio.n_positions):
        position = s.positions[i]
        width = position.high - position.low
        if width == 0.0 or not is_known(r, s.histories[position.instrument]):
            continue
        tried = False
        for j in range(MOST):
            tried = tried or s.members[j] == i
        if not tried:
            one, other = reach(s, position.instrument, n, longest)
            var += one * width
            cvar += other * width
    return var, cvar


@jit
def reach(s: State, k: int, n: int, longest: int) -> tuple[float, float]:
    """The most by which one more unit of money in instrument k, held or sold short, changes VaR and CVaR."""
    r = s.risk[0]
    x = r.sample + k * r.width
    for j in range(longest):
        s.trial[j] = s.scenarios[x + j]
    var, cvar = measure_rows(s, r.method, r.horizon, n, longest)
    for j in range(longest):
        s.trial[j] = -s.trial[j]
    one, other = measure_rows(s, r.method, r.horizon, n, longest)
    return max(abs(var), abs(one)), max(abs(cvar), abs(other))
