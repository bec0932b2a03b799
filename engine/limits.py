"""Limits on what a portfolio may lose: what an order does to them, and where the portfolio stands.

An order passes a limit where the portfolio, with the order filled whole, is within it; or, where the portfolio is beyond it
without the order already, where the order makes the measure smaller. VaR may fall and rise again with an order's size, so
the largest size that passes is looked for from the top, by steps that jump over none: a measure changes by no more a lot
than the lot itself may lose.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.corners import reach
from engine.events import blank_event
from engine.jit import inline, jit
from engine.ledger import amount_of, equity_of
from engine.measures import is_tail
from engine.portfolios import gauge_loss, gauge_stress, is_measurable, mark_positions, why_unknown
from engine.records import (
    N_LIMITS,
    NONE,
    Code,
    EventKind,
    Level,
    Limit,
    LimitAction,
    Method,
    State,
)
from engine.scenarios import is_known

_STEPS = 20_000  # sizes that are tried before an order is denied
_GRID = 256  # sizes of Cornish-Fisher, whose steps nothing bounds
_LESS = 1.0 - 1e-12  # by so much an order has to lower what is beyond a limit; and what rounding may add


@inline
def code_of(limit: int) -> int:
    """The code of a limit."""
    if limit == Limit.VAR:
        return Code.VAR.value
    if limit == Limit.CVAR:
        return Code.CVAR.value
    if limit == Limit.STRESSED_VAR:
        return Code.STRESSED_VAR.value
    if limit == Limit.DRAWDOWN:
        return Code.DRAWDOWN.value
    return Code.DAILY_LOSS.value


@inline
def strategy_portfolio(s: State, strategy: int) -> int:
    """The portfolio of a strategy; NONE of an operator's."""
    p = len(s.accounts) + strategy
    return p if p < len(s.portfolios) else NONE


@jit
def bound_of(s: State, p: int, limit: int) -> float:
    """A limit as a share of equity: tightened, of VaR and CVaR, while outcomes reject the model."""
    bound = s.limits[p * N_LIMITS + limit].bound
    if limit <= Limit.CVAR and s.portfolios[s.portfolios[p].account].rejected:
        bound *= s.risk[0].tighten
    return float(bound)


@jit
def set_level(s: State, p: int, limit: int, level: int, measure: float) -> None:
    """Note where a portfolio stands against a limit, and tell it where that has changed. measure: a share of equity."""
    row = s.limits[p * N_LIMITS + limit]
    if level == row.level:
        return
    row.level = level
    e = s.events[blank_event(s, EventKind.RISK.value, code_of(limit))]
    e.lots = level
    e.measure = measure + 0.0  # a loss of nothing is no -0.0
    e.bound = bound_of(s, p, limit) if level == Level.BEYOND or row.warning == 0.0 else row.warning
    e.account = s.portfolios[p].account
    e.strategy = s.portfolios[p].strategy
    e.cash = s.accounts[e.account].cash


@inline
def level_of(measure: float, warning: float, bound: float) -> int:
    """Where a measure stands."""
    if bound > 0.0 and measure > bound:
        return Level.BEYOND.value
    return Level.WARNING.value if 0.0 < warning <= measure else Level.WITHIN.value


@inline
def measured(gauge: Any, limit: int) -> float:
    """What a gauge says of a limit, in money units."""
    if limit == Limit.VAR:
        return float(gauge.at_risk)
    return float(gauge.shortfall if limit == Limit.CVAR else gauge.stressed)


@jit
def take_gauge(s: State, p: int, k: int, value: float, known: Any) -> int:
    """Measure all that is limited of a portfolio whose positions were marked, with `value` more of instrument k.

    NONE, or why that cannot be done. What is only warned of denies nothing: then it is NaN, and no more.
    """
    var = s.limits[p * N_LIMITS + Limit.VAR]
    cvar = s.limits[p * N_LIMITS + Limit.CVAR]
    stressed = s.limits[p * N_LIMITS + Limit.STRESSED_VAR]
    gauge = s.gauges[p]
    why = Code.NONE.value
    if max(var.bound, var.warning, cvar.bound, cvar.warning) > 0.0:
        code = is_measurable(s, p, s.risk[0].method)
        if value != 0.0 and not known and s.risk[0].prior == 0.0:
            code = why_unknown(s.risk[0], s.histories[k])
        if code == Code.NONE:
            gauge_loss(s, p, k, value, known)
            if not math.isfinite(gauge.at_risk) or not math.isfinite(gauge.shortfall):
                code = Code.NOT_FINITE.value
        if code != Code.NONE:
            gauge.at_risk = math.nan
            gauge.shortfall = math.nan
            if max(var.bound, cvar.bound) > 0.0:
                why = code
    if max(stressed.bound, stressed.warning) > 0.0:
        code = gauge_stress(s, p, k, value)
        if code == Code.NONE and not math.isfinite(gauge.stressed):
            code = Code.NOT_FINITE.value
        if code != Code.NONE:
            gauge.stressed = math.nan
            if stressed.bound > 0.0:
                why = code
    return why


@jit
def check_losses(s: State, order: Any, leaves: Any, own: Any, least: Any) -> int:
    """Hold an order against what its account, and its strategy, may lose; NONE, or a code. It may cut the order's lots.

    leaves: 1 where it closes what its account holds: then the account's limits do not count. own: 1 where it closes what
    its strategy holds: then the strategy's do not. least: lots that an order must have at least.
    """
    mine = strategy_portfolio(s, s.slots[order.slot].strategy)
    p = order.account if not leaves and s.portfolios[order.account].statistical else NONE
    other = mine if mine != NONE and not own and s.portfolios[mine].statistical else NONE
    if p == NONE:
        p = other
        other = NONE
    if p == NONE:
        return Code.NONE.value
    code = _begin(s, p)
    if code == Code.NONE and other != NONE:
        code = _begin(s, other)
    if code != Code.NONE:
        return code
    was = order.code
    beyond = _lots_beyond(s, p, other, order, order.lots)
    if beyond != 0:
        relaxed = _relax(s, p, order)
        if other != NONE:
            relaxed = _relax(s, other, order) or relaxed
        if beyond == NONE and not relaxed:
            return int(order.code)
        lots = _largest(s, p, other, order, least)
        if lots == 0:
            return int(order.code)
        if lots == order.lots:  # it lowers what was beyond
            order.code = was
            order.measure = 0.0
            order.bound = 0.0
        order.lots = lots
    _warn(s, p)
    if other != NONE:
        _warn(s, other)
    return Code.NONE.value


@jit
def _begin(s: State, p: int) -> int:
    """Mark a portfolio, and write what its limits are in money; NONE, or why it cannot be measured."""
    portfolio = s.portfolios[p]
    equity = equity_of(s, s.accounts[portfolio.account])
    code = mark_positions(s, p, np.int64(1))
    limited = False
    for limit in range(Limit.DRAWDOWN):
        trial = s.trials[p * N_LIMITS + limit]
        bound = bound_of(s, p, limit)
        trial.bound = bound * equity if bound > 0.0 else np.inf
        limited = limited or bound > 0.0
        if bound > 0.0 and equity <= 0 and code == Code.NONE:
            code = code_of(limit)
    return code if limited else Code.NONE.value


@jit
def _lots_beyond(s: State, p: int, other: int, order: Any, lots: Any) -> Any:
    """0 where an order of so many lots passes; else by how many lots it must be smaller at least, or NONE: no size may pass.

    The order's code, measure and bound are then those of the limit that is broken.
    """
    beyond = _beyond(s, p, order, lots)
    if other != NONE and beyond != NONE:
        more = _beyond(s, other, order, lots)
        beyond = more if more == NONE else max(beyond, more)
    return beyond


@jit
def _beyond(s: State, p: int, order: Any, lots: Any) -> Any:
    instrument = s.instruments[order.instrument]
    value = amount_of(instrument, order.side * lots, instrument.price)
    code = take_gauge(s, p, order.instrument, value, is_known(s.risk[0], s.histories[order.instrument]))
    steps = np.int64(0)
    if code != Code.NONE:
        _blame(s, p, order, code, 0.0, 0.0)
        return np.int64(NONE)
    for limit in range(Limit.DRAWDOWN):
        trial = s.trials[p * N_LIMITS + limit]
        if trial.bound == np.inf:
            continue
        loss = measured(s.gauges[p], limit)
        if not loss <= trial.bound:
            if steps == 0:
                _blame(s, p, order, code_of(limit), loss, bound_of(s, p, limit))
            denies = s.limits[p * N_LIMITS + limit].action != LimitAction.RESIZE
            if denies and lots == order.lots:
                _blame(s, p, order, code_of(limit), loss, bound_of(s, p, limit))
                return np.int64(NONE)
            # where the loss is a multiple of what a lot reaches, the quotient may be a whole number and a bit
            step = np.ceil((loss - trial.bound) / trial.reach * _LESS) if trial.reach > 0.0 else 1.0
            steps = max(steps, np.int64(min(max(step, 1.0), float(lots))))
    return steps


@inline
def _blame(s: State, p: int, order: Any, code: int, loss: float, bound: float) -> None:
    equity = equity_of(s, s.accounts[s.portfolios[p].account])
    order.code = code
    order.measure = loss / equity + 0.0 if equity > 0 else 0.0
    order.bound = bound


@jit
def _relax(s: State, p: int, order: Any) -> bool:
    """Where a portfolio is beyond a limit without the order, the order has to lower the measure; whether there is one.

    And how far a lot of the order reaches.
    """
    r = s.risk[0]
    instrument = s.instruments[order.instrument]
    history = s.histories[order.instrument]
    known = is_known(r, history)
    lot = amount_of(instrument, 1, instrument.price)
    root = math.sqrt(r.horizon)
    var = r.prior * r.z * root
    cvar = r.prior * r.es * root
    if known and is_tail(r.method):
        var = history.largest * root
        cvar = var
    elif known:
        shared = min(s.gauges[p].scenarios, history.rows)
        var, cvar = reach(s, order.instrument, shared, max(s.gauges[p].longest, history.rows))
    for limit in range(Limit.DRAWDOWN):
        far = var if limit == Limit.VAR else cvar
        if limit == Limit.STRESSED_VAR:
            far = max(history.stress_largest, r.prior * r.z) * root
        s.trials[p * N_LIMITS + limit].reach = far * lot
    relaxed = False
    if take_gauge(s, p, order.instrument, 0.0, known) == Code.NONE:
        for limit in range(Limit.DRAWDOWN):
            trial = s.trials[p * N_LIMITS + limit]
            loss = measured(s.gauges[p], limit)
            if loss > trial.bound:
                trial.bound = loss * _LESS
                relaxed = True
    return relaxed


@jit
def _largest(s: State, p: int, other: int, order: Any, least: Any) -> Any:
    """The largest size, of at least so many lots, that passes; 0 where none does.

    The order keeps the code, the measure and the bound of what its full size breaks.
    """
    lots = order.lots
    beyond = _lots_beyond(s, p, other, order, lots)
    code = order.code
    measure = order.measure
    bound = order.bound
    grid = np.int64(0)
    if s.risk[0].method == Method.CORNISH_FISHER:
        grid = np.int64(lots // _GRID + 1)
    for _ in range(_STEPS):
        step = beyond if grid == 0 else min(grid, lots - least)
        if beyond <= 0 or step < 1 or lots - step < least:
            break
        lots -= step
        beyond = _lots_beyond(s, p, other, order, lots)
    if beyond == 0 and grid > 1:
        high = min(lots + grid, order.lots)
        while high - lots > 1:
            middle = lots + (high - lots) // 2
            if _lots_beyond(s, p, other, order, middle) == 0:
                lots = middle
            else:
                high = middle
        _lots_beyond(s, p, other, order, lots)  # the gauges are those of this size
    order.code = code
    order.measure = measure
    order.bound = bound
    return lots if beyond == 0 else np.int64(0)


@jit
def _warn(s: State, p: int) -> None:
    """An order that passes may bring its portfolio to a warning level: told once, at the order."""
    equity = equity_of(s, s.accounts[s.portfolios[p].account])
    for limit in range(Limit.DRAWDOWN):
        row = s.limits[p * N_LIMITS + limit]
        if row.warning > 0.0 and row.level == Level.WITHIN and equity > 0:
            loss = measured(s.gauges[p], limit)
            if loss >= row.warning * equity:
                set_level(s, p, limit, Level.WARNING.value, loss / equity)
                s.gauges[p].slack = 0.0  # as it is held it may be within: the next mark sees
