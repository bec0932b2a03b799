"""Portfolios are held against their limits as the market moves them: at marks, and at the ends of the risk clock's periods.

What a portfolio is worth is its account's equity; of a strategy, what the account was given and the strategy's own profit,
as if it had the account to itself. So a drawdown means the same of both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.grading import held_lots
from engine.jit import inline, jit
from engine.ledger import amount_of, equity_of, value_of
from engine.limits import bound_of, code_of, level_of, measured, set_level, take_gauge
from engine.measures import is_tail
from engine.portfolios import mark_positions
from engine.records import DAY, N_LIMITS, NONE, Code, Level, Limit, LimitAction, Method, State
from engine.scenarios import is_known


@jit
def worth_of(s: State, p: int) -> int:
    """What a portfolio is worth, money units."""
    portfolio = s.portfolios[p]
    account = s.accounts[portfolio.account]
    if portfolio.strategy == NONE:
        return equity_of(s, account)
    worth = account.initial + account.deposits
    strategy = s.strategies[portfolio.strategy]
    for i in range(strategy.first_slot, strategy.first_slot + strategy.n_slots):
        slot = s.slots[i]
        worth += slot.realized + slot.income - slot.fees - slot.cost
        if slot.lots != 0:
            instrument = s.instruments[slot.instrument]
            worth += value_of(instrument, slot.lots, instrument.price)
    return int(worth)


@jit
def begin_afresh(s: State, p: int) -> None:
    """Drawdown and daily loss of a portfolio start from what it is worth now, and what it stands at is taken anew."""
    portfolio = s.portfolios[p]
    _take_worth(s, p, np.int64(NONE))
    portfolio.peak = portfolio.worth
    portfolio.day_worth = portfolio.worth
    for limit in range(N_LIMITS):
        row = s.limits[p * N_LIMITS + limit]
        if row.level != Level.WITHIN:
            row.level = NONE
    s.gauges[p].slack = 0.0


@inline
def lots_in(s: State, p: int, k: int) -> Any:
    """The lots of instrument k in a portfolio, whose account trades it or not."""
    portfolio = s.portfolios[p]
    account = s.accounts[portfolio.account]
    instrument = s.instruments[k]
    if instrument.currency != account.currency:
        return np.int64(0)
    if portfolio.strategy == NONE:
        return s.holdings[account.first_holding + instrument.place].lots
    lots = np.int64(0)
    strategy = s.strategies[portfolio.strategy]
    for i in range(strategy.first_slot, strategy.first_slot + strategy.n_slots):
        if s.slots[i].instrument == k:
            lots = s.slots[i].lots
    return lots


@inline
def _take_worth(s: State, p: int, k: int) -> None:
    """Bring what a portfolio is worth to now. k: the instrument whose price alone has moved since; NONE: any may have.

    Each value is a whole number of money units, so that a difference is as exact as a sum.
    """
    portfolio = s.portfolios[p]
    moves = s.accounts[portfolio.account].moves
    if k != NONE and portfolio.moves == moves:
        instrument = s.instruments[k]
        lots = lots_in(s, p, k)
        if lots != 0:
            now = value_of(instrument, lots, instrument.price)
            portfolio.worth += now - value_of(instrument, lots, instrument.was)
    else:
        portfolio.worth = worth_of(s, p)
        portfolio.moves = moves


@jit
def watch(s: State, p: int, k: int) -> int:
    """Take what a portfolio is worth and, where a limit on it halts, what it may lose.

    k: the instrument whose price alone has moved since it was last done; NONE: any may have. NONE, or the code of a limit
    that was broken just now and says: halt.
    """
    c = s.clock[0]
    portfolio = s.portfolios[p]
    day = c.now // DAY
    if day != portfolio.day:
        portfolio.day = day
        portfolio.day_worth = portfolio.worth  # as it was at the last mark of the day before
    _take_worth(s, p, k)
    portfolio.peak = max(portfolio.peak, portfolio.worth)
    code = _lost(s, p, Limit.DRAWDOWN.value, portfolio.peak)
    other = _lost(s, p, Limit.DAILY_LOSS.value, portfolio.day_worth)
    if code == Code.NONE:
        code = other
    if portfolio.statistical == 2 and not _is_far(s, p):
        other = watch_losses(s, p)
        if code == Code.NONE:
            code = other
    return code


@jit
def denied_by_loss(s: State, p: int) -> int:
    """The code of a drawdown or day's loss that lets exits pass only; NONE."""
    row = s.limits[p * N_LIMITS + Limit.DAILY_LOSS]
    if row.level == Level.BEYOND and s.portfolios[p].day != s.clock[0].now // DAY:
        if row.action == LimitAction.DENY:  # a new day, of which there is no mark yet: nothing is lost
            set_level(s, p, Limit.DAILY_LOSS.value, Level.WITHIN.value, 0.0)
    for limit in (Limit.DRAWDOWN.value, Limit.DAILY_LOSS.value):
        row = s.limits[p * N_LIMITS + limit]
        if row.level == Level.BEYOND and row.action == LimitAction.DENY:
            return code_of(limit)
    return Code.NONE.value


@jit
def _lost(s: State, p: int, limit: int, best: Any) -> int:
    """Hold what a portfolio lost from its best against a limit; its code, where that was broken just now and halts."""
    row = s.limits[p * N_LIMITS + limit]
    lost = best - s.portfolios[p].worth
    level = Level.WITHIN.value
    if 0.0 < row.bound * best <= lost:
        level = Level.BEYOND.value
    elif 0.0 < row.warning * best <= lost:
        level = Level.WARNING.value
    return _stand(s, p, limit, level, lost / best if best > 0 else 0.0)


BACK = 0.9  # a level is left where the measure is below so much of what reached it: no event at each tick about it


@inline
def _settled(row: Any, bound: float, level: int, share: float) -> int:
    """The level that a limit keeps, where it stood higher and has not fallen far enough."""
    if row.level == Level.BEYOND and bound > 0.0 and share >= BACK * bound:
        return Level.BEYOND.value
    if row.level > level and level == Level.WITHIN and 0.0 < BACK * row.warning <= share:
        return Level.WARNING.value
    return level


@inline
def _stand(s: State, p: int, limit: int, level: int, share: float) -> int:
    """Note a level; the limit's code, where it was broken just now and halts."""
    row = s.limits[p * N_LIMITS + limit]
    level = _settled(row, bound_of(s, p, limit), level, share)
    broken = level == Level.BEYOND and row.level != Level.BEYOND and row.action >= LimitAction.HALT
    set_level(s, p, limit, level, share)
    return code_of(limit) if broken else Code.NONE.value


@jit
def watch_losses(s: State, p: int) -> int:
    """Hold what a portfolio, as it is held, may lose against its limits; the code of one broken just now that halts."""
    code = Code.NONE.value
    portfolio = s.portfolios[p]
    gauge = s.gauges[p]
    equity = equity_of(s, s.accounts[portfolio.account])
    gauge.slack = 0.0
    if mark_positions(s, p, np.int64(0)) != Code.NONE:
        return code
    if equity <= 0:
        return _all_beyond(s, p)
    take_gauge(s, p, 0, 0.0, np.int64(1))  # what cannot be measured is NaN, and keeps its level
    slack = np.inf
    for limit in range(Limit.DRAWDOWN):
        row = s.limits[p * N_LIMITS + limit]
        loss = measured(gauge, limit)
        bound = bound_of(s, p, limit)
        if (row.bound > 0.0 or row.warning > 0.0) and not math.isnan(loss):
            other = _stand(s, p, limit, level_of(loss / equity, row.warning, bound), loss / equity)
            if code == Code.NONE:
                code = other
            slack = min(slack, abs(loss - bound * equity), abs(loss - row.warning * equity))
            slack = min(slack, abs(loss - BACK * bound * equity), abs(loss - BACK * row.warning * equity))
    gauge.slack = slack * _SURELY
    gauge.equity = equity
    for i in range(portfolio.first_position, portfolio.first_position + portfolio.n_positions):
        s.positions[i].held = s.positions[i].low
    return code


@jit
def _all_beyond(s: State, p: int) -> int:
    """Without equity anything that may be lost is beyond every share of it; the code of a limit broken just now that halts."""
    portfolio = s.portfolios[p]
    held = False
    for i in range(portfolio.first_position, portfolio.first_position + portfolio.n_positions):
        held = held or s.positions[i].low != 0.0
    code = Code.NONE.value
    for limit in range(Limit.DRAWDOWN):
        if held and s.limits[p * N_LIMITS + limit].bound > 0.0:
            other = _stand(s, p, limit, Level.BEYOND.value, 0.0)
            if code == Code.NONE:
                code = other
    return code


_SURELY = 1.0 - 1e-9  # what rounding may take of a slack


@jit
def _is_far(s: State, p: int) -> bool:
    """Whether since a portfolio was last measured its positions have moved too little for any of its levels to change.

    A measure moves by no more than what the positions moved by, times the largest return; of a statistic of moments, times
    at most 1 + es of it. Cornish-Fisher's is not bounded.
    """
    r = s.risk[0]
    portfolio = s.portfolios[p]
    gauge = s.gauges[p]
    if r.method == Method.CORNISH_FISHER or not gauge.slack > 0.0:
        return False
    most = 0.0
    for limit in range(Limit.DRAWDOWN):
        row = s.limits[p * N_LIMITS + limit]
        most = max(most, row.bound, row.warning)
    equity = equity_of(s, s.accounts[portfolio.account])
    moved = most * abs(equity - gauge.equity)
    factor = math.sqrt(r.horizon) if is_tail(r.method) else r.horizon + r.es * math.sqrt(r.horizon)
    for i in range(portfolio.first_position, portfolio.first_position + portfolio.n_positions):
        position = s.positions[i]
        instrument = s.instruments[position.instrument]
        value = amount_of(instrument, held_lots(s, p, i), instrument.price)
        if (value == 0.0) != (position.held == 0.0):
            return False  # what comes or goes may change how many rows all have
        change = abs(value - position.held)
        if change != 0.0:  # also NaN
            history = s.histories[position.instrument]
            known = is_known(r, history)
            reach = history.largest * factor if known else r.prior * r.es * math.sqrt(r.horizon)
            stress = max(history.stress_largest, r.prior * r.z) * math.sqrt(r.horizon)
            moved += change * max(reach, stress)
    return bool(moved < gauge.slack)


@jit
def must_flatten(s: State, p: int) -> bool:
    """Whether a limit that is broken also closes the positions."""
    for limit in range(N_LIMITS):
        row = s.limits[p * N_LIMITS + limit]
        if row.level == Level.BEYOND and row.action == LimitAction.FLATTEN:
            return True
    return False
