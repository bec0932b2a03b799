"""Forecasts are held against outcomes: what the portfolio as it was held then made until the next row closed.

Of each account and graded method the forecast is for one period, of what is held and not of what works. Nothing is
forecast where nothing is held, or where something is held whose history is too short: a forecast that rests on a prior
volatility grades nobody's model.
"""

from __future__ import annotations

import math
from typing import Any

from engine.corners import measure_rows
from engine.events import blank_event
from engine.jit import inline, jit
from engine.ledger import amount_of, equity_of
from engine.records import N_METHODS, NONE, Code, EventKind, Method, State
from engine.scenarios import is_known


@inline
def matrix_of(r: Any, method: int) -> tuple[int, int]:
    """Where the scenarios of a method begin, and how many an instrument has room for."""
    if method == Method.FILTERED:
        return r.filtered, r.window
    if method == Method.MONTE_CARLO:
        return r.drawn, r.draws
    return r.raw, r.window


@jit
def shared_rows(s: State, p: int) -> tuple[int, int]:
    """How many rows all that a portfolio holds share, and how many the one has that has the most.

    The first is 0 where it holds nothing, and NONE where something is unknown.
    """
    portfolio = s.portfolios[p]
    n = 0
    longest = 0
    for i in range(portfolio.first_position, portfolio.first_position + portfolio.n_positions):
        if held_lots(s, p, i) != 0:
            history = s.histories[s.positions[i].instrument]
            if not is_known(s.risk[0], history):
                return NONE, 0
            n = min(n, history.rows) if n > 0 else history.rows
            longest = max(longest, history.rows)
    return n, longest


@inline
def held_lots(s: State, p: int, i: int) -> Any:
    """The lots of position i, of portfolio p, as they are held."""
    place = s.positions[i].place
    return s.holdings[place].lots if s.portfolios[p].strategy == NONE else s.slots[place].lots


@jit
def held_profits(s: State, p: int, method: int, rows: int) -> None:
    """Write what a portfolio makes, as it is held, in each scenario of a method into `trial`.

    rows: how many, unless they are draws. Positions that are unknown are left out.
    """
    r = s.risk[0]
    portfolio = s.portfolios[p]
    first, width = matrix_of(r, method)
    n = width if method == Method.MONTE_CARLO else rows
    for j in range(n):
        s.trial[j] = 0.0
    for i in range(portfolio.first_position, portfolio.first_position + portfolio.n_positions):
        lots = held_lots(s, p, i)
        k = s.positions[i].instrument
        if lots != 0 and is_known(r, s.histories[k]):
            value = amount_of(s.instruments[k], lots, s.instruments[k].price)
            x = first + k * width
            for j in range(n):
                s.trial[j] += value * s.scenarios[x + j]


@jit
def grade_row(s: State) -> None:
    """Tell the outcomes of the forecasts that wait for this row."""
    r = s.risk[0]
    c = s.clock[0]
    for a in range(len(s.accounts)):
        portfolio = s.portfolios[a]
        if not portfolio.frozen:
            continue
        portfolio.frozen = 0
        pnl = 0.0
        for k in range(len(s.instruments)):
            value = s.frozen[a * len(s.instruments) + k]
            if value != 0.0:
                pnl += value * s.scenarios[r.raw + k * r.window]
        for method in range(N_METHODS):
            forecast = s.forecasts[a * N_METHODS + method]
            if not forecast.made:
                continue
            grade = s.grades[c.n_grades]
            c.n_grades += 1
            grade.ts = portfolio.since
            grade.until = r.row_from
            grade.account = a
            grade.method = method
            grade.equity = portfolio.equity
            grade.at_risk = forecast.at_risk
            grade.shortfall = forecast.shortfall
            grade.pnl = pnl
            if method == r.method:
                _count(s, a, int(pnl < -forecast.at_risk))


@jit
def _count(s: State, a: int, hit: int) -> None:
    """Count an outcome of the limits' model among an account's last, and reject the model or accept it again."""
    r = s.risk[0]
    portfolio = s.portfolios[a]
    place = a * r.outcomes + portfolio.next
    if portfolio.outcomes == r.outcomes:
        portfolio.hits -= s.hits[place]
    else:
        portfolio.outcomes += 1
    s.hits[place] = hit
    portfolio.hits += hit
    portfolio.next = (portfolio.next + 1) % r.outcomes
    n = portfolio.outcomes
    rejected = 0
    if n == r.outcomes and portfolio.hits > n * r.tail:
        rejected = int(likelihood_ratio(portfolio.hits, n, r.tail) > r.critical)
    if rejected != portfolio.rejected:
        portfolio.rejected = rejected
        e = s.events[blank_event(s, EventKind.RISK.value, Code.MODEL.value)]
        e.lots = rejected
        e.measure = portfolio.hits / n
        e.bound = r.tail
        e.account = a
        e.cash = s.accounts[a].cash


@jit
def likelihood_ratio(hits: int, n: int, tail: float) -> float:
    """Kupiec's (1995) likelihood ratio of so many exceedances among n outcomes, where a share `tail` is expected."""
    misses = n - hits
    ratio = misses * math.log(1.0 - tail) + hits * math.log(tail)
    if hits > 0:
        ratio -= hits * math.log(hits / n)
    if misses > 0:
        ratio -= misses * math.log(misses / n)
    return -2.0 * ratio


@jit
def forecast_losses(s: State) -> None:
    """Forecast, by each graded method, what each account may lose until the next row; what it holds is kept for then."""
    r = s.risk[0]
    for a in range(len(s.accounts)):
        portfolio = s.portfolios[a]
        equity = equity_of(s, s.accounts[a])
        rows, longest = shared_rows(s, a)
        if rows <= 0 or equity <= 0:
            continue
        portfolio.frozen = 1
        portfolio.since = r.row_from
        portfolio.equity = equity
        for k in range(len(s.instruments)):
            s.frozen[a * len(s.instruments) + k] = 0.0
        for i in range(portfolio.first_position, portfolio.first_position + portfolio.n_positions):
            k = s.positions[i].instrument
            instrument = s.instruments[k]
            s.frozen[a * len(s.instruments) + k] = amount_of(instrument, held_lots(s, a, i), instrument.price)
        for method in range(N_METHODS):
            forecast = s.forecasts[a * N_METHODS + method]
            forecast.made = 0
            if r.graded & (1 << method) == 0 or (method == Method.MONTE_CARLO and r.singular):
                continue
            held_profits(s, a, method, longest)
            n, most = (r.draws, r.draws) if method == Method.MONTE_CARLO else (rows, longest)
            forecast.at_risk, forecast.shortfall = measure_rows(s, method, 1, n, most)
            forecast.made = int(math.isfinite(forecast.at_risk) and math.isfinite(forecast.shortfall))
