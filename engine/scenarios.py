"""The risk clock: what prices do from the end of one period to that of the next become rows of scenarios.

There is one grid of periods for all instruments. At the end of a period a row closes where any instrument had a price
since the row began, and none waits: an instrument waits while its market has been closed since then. So a weekend in which
only some markets trade is part of the row that ends when all have traded, and all returns of a row are of the same
stretch of time. What is quiet in an open market has a return of 0.

Returns are total and simple: splits and dividends are taken out, and a delisting pays what it pays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.covariance import cholesky, draw, shrunk_covariance
from engine.jit import inline, jit
from engine.records import NONE, State
from engine.sessions import open_between, sessions_left

LEAST_STRESS = 20  # rows of a historical window


@inline
def is_known(r: Any, history: Any) -> bool:
    """Whether an instrument's returns say what it may lose: enough of them, and of these half at least are not 0."""
    return bool(history.rows >= r.least and 2 * history.moved >= r.least)


@jit
def split_history(s: State, k: int, factor: float) -> None:
    """A split divides what lies before it: prices are multiplied by the factor."""
    if len(s.risk) > 0:
        history = s.histories[k]
        history.price *= factor
        history.paid *= factor


@jit
def pay_history(s: State, k: int, amount: float) -> None:
    """A unit of the instrument was paid an amount: it is part of the row's return."""
    if len(s.risk) > 0 and s.histories[k].price > 0.0:
        s.histories[k].paid += amount


@jit
def row_closes(s: State) -> bool:
    """Whether the period that ends now ends a row, too."""
    r = s.risk[0]
    fresh = False
    for k in range(len(s.instruments)):
        instrument = s.instruments[k]
        if instrument.delisted:
            fresh = fresh or s.histories[k].price > 0.0
        elif instrument.price > 0.0:
            if max(instrument.ts, instrument.marked) >= r.row_from:
                fresh = True
            elif _waits(s, instrument, r.row_from, s.clock[0].risk_due):
                return False
    return fresh


@inline
def _waits(s: State, instrument: Any, since: int, until: int) -> bool:
    """Whether the instrument's market has been closed all the time, and opens again."""
    if instrument.n_sessions == 0 or open_between(s, instrument, since, until) > 0:
        return False
    return sessions_left(s, instrument, until)


@jit
def close_row(s: State) -> None:
    """Take the row that ends now into the scenarios."""
    r = s.risk[0]
    end = s.clock[0].risk_due
    for k in range(len(s.instruments)):
        history = s.histories[k]
        instrument = s.instruments[k]
        price = 0.0 if instrument.delisted else instrument.price
        if history.price > 0.0:
            _add_return(s, r, k, (price + history.paid) / history.price - 1.0)
        history.price = price
        history.paid = 0.0
    for i in range(r.n_windows):
        window = s.windows[i]
        if window.start < end <= window.end and window.rows < window.room:
            if window.rows == 0:
                window.first_row = r.rows
            for k in range(len(s.instruments)):
                history = s.histories[k]
                seen = NONE != history.first_row <= window.first_row and history.price > 0.0
                at = r.stressed + k * r.stress + window.first + window.rows
                s.scenarios[at] = s.scenarios[r.raw + k * r.window] if seen else 0.0
            window.rows += 1
    r.rows += 1
    r.row_from = end
    if r.filtered != NONE:
        _filter(s, r)
    if r.drawn != NONE:
        _draw_anew(s, r)
    for k in range(len(s.instruments)):
        s.histories[k].largest = _largest(s, r.sample + k * r.width, r.width)
        s.histories[k].stress_largest = _largest(s, r.stressed + k * r.stress, r.stress)
    for i in range(len(s.positions)):
        s.positions[i].low = math.nan  # what was added up is of other scenarios
        s.positions[i].held = math.nan


@inline
def _add_return(s: State, r: Any, k: int, value: float) -> None:
    """A return becomes the instrument's newest; the others are a row older."""
    history = s.histories[k]
    first = r.raw + k * r.window
    if history.rows == r.window:
        history.moved -= s.scenarios[first + r.window - 1] != 0.0
    else:
        history.rows += 1
    history.moved += value != 0.0
    if history.first_row == NONE:
        history.first_row = r.rows
    _age(s.scenarios, first, r.window)
    s.scenarios[first] = value
    if r.filtered != NONE:
        _age(s.volatilities, k * r.window, r.window)
        # of the first that moved there was no forecast: it is its own size
        s.volatilities[k * r.window] = math.sqrt(history.variance) if history.variance > 0.0 else abs(value)
    if history.variance > 0.0:
        history.variance = r.decay * history.variance + (1.0 - r.decay) * value * value
    else:
        history.variance = value * value


@inline
def _age(x: Any, first: int, n: int) -> None:
    for j in range(first + n - 1, first, -1):
        x[j] = x[j - 1]


@jit
def _filter(s: State, r: Any) -> None:
    """Each return, scaled from the volatility that was forecast for it to the one that is forecast now."""
    for k in range(len(s.instruments)):
        now = math.sqrt(s.histories[k].variance)
        for j in range(k * r.window, k * r.window + s.histories[k].rows):
            then = s.volatilities[j]
            s.scenarios[r.filtered + j] = s.scenarios[r.raw + j] * (now / then) if then > 0.0 else 0.0


@jit
def _draw_anew(s: State, r: Any) -> None:
    """Normal draws with the covariance of the newest rows that all known instruments have."""
    m = 0
    n = r.window
    for k in range(len(s.instruments)):
        history = s.histories[k]
        if is_known(r, history) and not s.instruments[k].delisted:
            s.members[m] = k
            m += 1
            n = min(n, history.rows)
    r.singular = 0
    if m == 0:
        return
    shrunk_covariance(s.scenarios, r.raw, r.window, n, s.members, m, s.factor)
    if not cholesky(s.factor, m):
        r.singular = 1
        return
    draw(s.factor, m, s.members, s.normals, r.draws, s.scenarios, r.drawn)


@inline
def _largest(s: State, first: int, n: int) -> float:
    largest = 0.0
    for j in range(first, first + n):
        largest = max(largest, abs(s.scenarios[j]))
    return largest


@inline
def is_in_window(window: Any, history: Any) -> bool:
    """Whether an instrument had a return in each row of a window that has passed, and these are enough of them."""
    return bool(window.rows >= LEAST_STRESS and NONE != history.first_row <= window.first_row)


def rows_of(start: int, end: int, period: int) -> Any:
    """How many rows can end in (start, end]."""
    return np.int64((end - start) // period + 1)
