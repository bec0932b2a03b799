"""What a portfolio may lose: its positions times the scenarios, added up by scenario, and a statistic of the sums.

A portfolio is an account, or a strategy's part of one. A position is an interval of money: what the lots may be worth
when all, some or none of what works has filled. Of the statistics that look at single scenarios, each scenario takes the
worse end of each interval, which is never less than any subset of the orders may do. Of the others (see
engine/corners.py) the sums are of the low ends.

The sums are kept by blocks of positions. A mark that moved has its own block added up anew, and the blocks; nothing is
ever corrected by a difference, so that no error builds up and no result depends on what was asked before.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.corners import measure_rows, worst_corner
from engine.jit import inline, jit
from engine.ledger import amount_of
from engine.measures import is_tail, tail_of
from engine.records import NONE, Code, Method, State
from engine.scenarios import LEAST_STRESS, is_in_window, is_known
from engine.sessions import open_between

BLOCK = 32  # positions


@jit
def mark_positions(s: State, p: int, working: Any) -> int:
    """Bring a portfolio's positions and sums to today's marks; NONE, or the code of what makes that impossible.

    working: 1 counts what works as if any of it could fill; 0 takes the positions as they are held.
    """
    r = s.risk[0]
    portfolio = s.portfolios[p]
    gauge = s.gauges[p]
    gauge.scenarios = r.window
    gauge.longest = 0
    gauge.unknown = Code.NONE.value
    gauge.prior = 0.0
    stale = s.accounts[portfolio.account].max_stale_ns
    code = Code.NONE.value
    first = portfolio.first_position
    changed_blocks = 0
    _count_closing(s, portfolio, working)
    for begin in range(first, first + portfolio.n_positions, BLOCK):
        changed = False
        for i in range(begin, min(begin + BLOCK, first + portfolio.n_positions)):
            position = s.positions[i]
            if portfolio.strategy == NONE:
                holding = s.holdings[position.place]
                low_lots = holding.lots - holding.working_sell * working
                high_lots = holding.lots + holding.working_buy * working
            else:
                slot = s.slots[position.place]
                low_lots = slot.lots - slot.working_sell * working
                high_lots = slot.lots + slot.working_buy * working
            low_lots -= position.closes_long
            high_lots += position.closes_short
            low = 0.0
            high = 0.0
            if low_lots != 0 or high_lots != 0:
                instrument = s.instruments[position.instrument]
                trouble = price_trouble(s, instrument, stale)
                if trouble != Code.NONE:
                    code = trouble
                low = amount_of(instrument, low_lots, instrument.price)
                high = amount_of(instrument, high_lots, instrument.price)
                history = s.histories[position.instrument]
                if is_known(r, history):
                    gauge.scenarios = min(gauge.scenarios, history.rows)
                    gauge.longest = max(gauge.longest, history.rows)
                else:
                    gauge.prior += max(abs(low), abs(high)) * r.prior
                    gauge.unknown = why_unknown(r, history)
            if low != position.low or high != position.high:
                position.low = low
                position.high = high
                changed = True
        if changed:
            changed_blocks += 1
            _add_block(s, r, portfolio, begin)
    if changed_blocks > 0 and portfolio.n_positions > BLOCK:
        _add_blocks(s, portfolio.pnl, r.width, portfolio.n_positions)
        if portfolio.stress_pnl != NONE:
            _add_blocks(s, portfolio.stress_pnl, r.stress, portfolio.n_positions)
    return code


@inline
def _count_closing(s: State, portfolio: Any, working: Any) -> None:
    """Count, position by position, the lots that live reduce-only orders may close.

    A strategy's close what it holds and no more, however many they are; what else works may have closed some of it. Where
    an account is both long and short in an instrument, they may close the one, the other, or both.
    """
    first = portfolio.first_position
    for i in range(first, first + portfolio.n_positions):
        s.positions[i].closes_long = 0
        s.positions[i].closes_short = 0
    account = s.accounts[portfolio.account]
    if not working or account.reducing == 0:
        return
    for i in range(len(s.slots)):
        slot = s.slots[i]
        if slot.account != portfolio.account or slot.reducing == 0:
            continue
        place = slot.holding - account.first_holding
        if portfolio.strategy != NONE:
            if slot.strategy != portfolio.strategy:
                continue
            place = i - s.strategies[portfolio.strategy].first_slot
        position = s.positions[first + place]
        position.closes_long += max(slot.lots - slot.working_sell, np.int64(0))
        position.closes_short += max(-slot.lots - slot.working_buy, np.int64(0))


@inline
def why_unknown(r: Any, history: Any) -> int:
    """The code of an instrument whose returns are not known: too few, too few that moved, or none at all that did."""
    never = history.rows >= r.least and history.moved == 0
    return Code.SINGULAR.value if never else Code.HISTORY.value


@jit
def is_measurable(s: State, p: int, method: int) -> int:
    """NONE where what a portfolio whose positions were marked holds is known, or has a prior; else why it is not."""
    r = s.risk[0]
    gauge = s.gauges[p]
    if gauge.unknown != Code.NONE and r.prior == 0.0:
        return int(gauge.unknown)
    if method == Method.MONTE_CARLO and r.singular:
        return Code.SINGULAR.value
    return Code.NONE.value


@inline
def price_trouble(s: State, instrument: Any, stale: int) -> int:
    """What is wrong with an instrument's last price: NONE, missing or stale."""
    if not 0.0 < instrument.price < np.inf:
        return Code.PRICE_MISSING.value
    known = max(instrument.ts, instrument.marked)
    if stale > 0 and open_between(s, instrument, known, s.clock[0].now) > stale:
        return Code.PRICE_STALE.value
    return Code.NONE.value


@inline
def _block_place(portfolio: Any, begin: int, pnl: int, width: int) -> int:
    """Where the sums of the block of positions that begins there lie: of a single block, they are those of all."""
    if portfolio.n_positions <= BLOCK:
        return pnl
    return pnl + (1 + (begin - portfolio.first_position) // BLOCK) * width


@jit
def _add_block(s: State, r: Any, portfolio: Any, begin: int) -> None:
    tail = is_tail(r.method)
    at = _block_place(portfolio, begin, portfolio.pnl, r.width)
    for j in range(r.width):
        s.pnl[at + j] = 0.0
    stress_at = _block_place(portfolio, begin, portfolio.stress_pnl, r.stress)
    stressed = portfolio.stress_pnl != NONE
    if stressed:
        for j in range(r.stress):
            s.pnl[stress_at + j] = 0.0
    for i in range(begin, min(begin + BLOCK, portfolio.first_position + portfolio.n_positions)):
        position = s.positions[i]
        if position.low == 0.0 and position.high == 0.0:
            continue
        if is_known(r, s.histories[position.instrument]):
            high = position.high if tail else position.low
            _add_position(s, position.low, high, r.sample + position.instrument * r.width, at, r.width)
        if stressed:
            x = r.stressed + position.instrument * r.stress
            _add_position(s, position.low, position.high, x, stress_at, r.stress)


@inline
def _add_position(s: State, low: float, high: float, x: int, at: int, n: int) -> None:
    """Add what an interval makes in each of n scenarios, at the worse of its ends."""
    if low == high:
        for j in range(n):
            s.pnl[at + j] += low * s.scenarios[x + j]
    else:
        for j in range(n):
            value = s.scenarios[x + j]
            s.pnl[at + j] += min(low * value, high * value)


@inline
def _add_blocks(s: State, at: int, n: int, positions: int) -> None:
    for j in range(n):
        s.pnl[at + j] = s.pnl[at + n + j]
    for b in range(2, (positions - 1) // BLOCK + 2):
        for j in range(n):
            s.pnl[at + j] += s.pnl[at + b * n + j]


@jit
def gauge_loss(s: State, p: int, k: int, value: float, known: Any) -> None:
    """VaR and CVaR of a portfolio whose positions were marked, were it to hold `value` more of instrument k.

    known: whether k's returns are known. Into the portfolio's gauge, in money units; NaN where they are no numbers.
    """
    r = s.risk[0]
    portfolio = s.portfolios[p]
    gauge = s.gauges[p]
    n = gauge.scenarios
    longest = gauge.longest
    if value != 0.0 and known:
        n = min(n, s.histories[k].rows)
        longest = max(longest, s.histories[k].rows)
    longest = max(n, longest)
    if r.method == Method.MONTE_CARLO:
        n = r.draws
        longest = n
    prior = gauge.prior
    if value != 0.0 and not known:
        prior += _prior_change(s, p, k, value)
    if value != 0.0 and known:
        x = r.sample + k * r.width
        for j in range(longest):
            s.trial[j] = s.pnl[portfolio.pnl + j] + value * s.scenarios[x + j]
    else:
        for j in range(longest):
            s.trial[j] = s.pnl[portfolio.pnl + j]
    if is_tail(r.method):
        gauge.at_risk, gauge.shortfall = measure_rows(s, r.method, r.horizon, n, longest)
    else:
        gauge.at_risk, gauge.shortfall = worst_corner(s, p, n, longest)
    if prior > 0.0:
        root = math.sqrt(r.horizon)
        gauge.at_risk += prior * r.z * root
        gauge.shortfall += prior * r.es * root


@inline
def _prior_change(s: State, p: int, k: int, value: float) -> float:
    """How much larger the prior loss of a portfolio becomes, were it to hold `value` more of instrument k."""
    portfolio = s.portfolios[p]
    for i in range(portfolio.first_position, portfolio.first_position + portfolio.n_positions):
        position = s.positions[i]
        if position.instrument == k:
            before = max(abs(position.low), abs(position.high))
            after = max(abs(position.low + value), abs(position.high + value))
            return (after - before) * s.risk[0].prior
    return 0.0


@jit
def gauge_stress(s: State, p: int, k: int, value: float) -> int:
    """The largest loss of stress, likewise; NONE, or HISTORY where a window does not know what is held."""
    r = s.risk[0]
    portfolio = s.portfolios[p]
    gauge = s.gauges[p]
    x = r.stressed + k * r.stress
    at = portfolio.stress_pnl
    if value != 0.0:
        for j in range(r.stress):
            s.trial[j] = s.pnl[at + j] + value * s.scenarios[x + j]
    else:
        for j in range(r.stress):
            s.trial[j] = s.pnl[at + j]
    worst = -np.inf
    root = math.sqrt(r.horizon)
    for w in range(r.n_windows):
        window = s.windows[w]
        prior = 0.0
        for i in range(portfolio.first_position, portfolio.first_position + portfolio.n_positions):
            position = s.positions[i]
            change = value if position.instrument == k else 0.0
            most = max(abs(position.low + change), abs(position.high + change))
            if most > 0.0 and not is_in_window(window, s.histories[position.instrument]):
                prior += most
        if prior > 0.0 and r.prior == 0.0:
            return Code.HISTORY.value
        loss = prior * r.prior * r.z
        if window.rows >= LEAST_STRESS:
            var, _ = tail_of(s.trial, window.first, window.rows, r.tail, s.tail)
            loss += var
        if not loss * root <= worst and not math.isnan(worst):  # what is no number stays
            worst = loss * root
    for j in range(r.stress - r.n_shocks, r.stress):
        if not -s.trial[j] <= worst and not math.isnan(worst):
            worst = -s.trial[j]
    gauge.stressed = worst
    return Code.NONE.value
