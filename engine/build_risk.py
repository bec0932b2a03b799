"""A specification's risk clock, portfolios and limits become arrays; what is not asked for has no length."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.normals import inverse_normal, normals
from engine.portfolios import BLOCK
from engine.records import (
    N_LIMITS,
    N_METHODS,
    NO_TIME,
    NONE,
    RECORD_TYPES,
    LimitAction,
    Method,
)
from engine.scenarios import rows_of
from engine.spec import EngineSpec, LimitSpec, RiskLimits, RiskSpec

Array = np.ndarray[Any, Any]
GRADES_ROOM = 1024
WIDE_REGISTERS = 8  # what reads in steps may read so far beyond the end


def limits_in_order(given: RiskLimits) -> tuple[LimitSpec, ...]:
    """The limits by their place in `Limit`."""
    return given.var, given.cvar, given.stressed_var, given.drawdown, given.daily_loss


def risk_arrays(
    spec: EngineSpec, accounts: Any, holdings: Any, slots: Any, strategies: Any
) -> dict[str, Any]:
    """The arrays of a State that have to do with what portfolios may lose."""
    types = RECORD_TYPES
    n_instruments, n_accounts = len(spec.instruments), len(spec.accounts)
    risk = _zeros(1 if spec.risk else 0, types.risk)
    windows = _zeros(0, types.windows)
    if spec.risk:
        _set_risk(risk[0], spec.risk)
        windows = _windows(spec.risk)
        room = sum(int(w.room) for w in windows)
        risk[0].n_windows, risk[0].n_shocks = len(windows), len(spec.risk.shocks)
        risk[0].stress = room + len(spec.risk.shocks)
        scenarios = _scenarios(spec, risk[0])
    else:
        scenarios = np.zeros(0)
    histories = _zeros(n_instruments, types.histories)
    histories["first_row"] = NONE
    if spec.risk and risk[0].stress:  # the shocks are known from the start
        stress = scenarios[int(risk[0].stressed) :].reshape(n_instruments, int(risk[0].stress))
        histories["stress_largest"] = np.abs(stress).max(axis=1)

    portfolios, limits, places, n_pnl = _portfolios(spec, risk, accounts, holdings, slots, strategies)

    widest = most = outcomes = 0
    drawn = False
    if spec.risk:
        row = risk[0]
        drawn = row.drawn != NONE
        widest = max(int(row.window), int(row.draws) if drawn else 0, int(row.stress)) + WIDE_REGISTERS
        most = max(n_instruments, WIDE_REGISTERS)
        outcomes = int(row.outcomes)
    return {
        "risk": risk,
        "histories": histories,
        "windows": windows,
        "scenarios": scenarios,
        "volatilities": np.zeros(n_instruments * int(risk[0].window) if _filters(risk) else 0),
        "portfolios": portfolios,
        "limits": limits,
        "forecasts": _zeros(n_accounts * N_METHODS if spec.risk else 0, types.forecasts),
        "frozen": np.zeros(n_accounts * n_instruments if spec.risk else 0),
        "hits": np.zeros(n_accounts * outcomes, np.int64),
        "normals": normals(spec.risk.seed, n_instruments, spec.risk.draws) if spec.risk and drawn else np.zeros(0),
        "gauges": _zeros(len(portfolios), types.gauges),
        "trials": _zeros(len(limits), types.trials),
        "positions": places,
        "pnl": np.zeros(n_pnl),
        "trial": np.zeros(widest),
        "tail": np.zeros(widest),
        "var_weights": np.zeros(widest),
        "cvar_weights": np.zeros(widest),
        "factor": np.zeros(n_instruments * n_instruments if drawn else 0),
        "members": np.zeros(most, np.int64),
        "grades": _zeros(n_accounts * N_METHODS + GRADES_ROOM if spec.risk else n_accounts * N_METHODS, types.grades),
    }  # fmt: skip


def _portfolios(
    spec: EngineSpec, risk: Any, accounts: Any, holdings: Any, slots: Any, strategies: Any
) -> tuple[Any, Any, Any, int]:
    """Portfolios, their limits and positions, and how long their sums by scenario are; says which accounts are guarded."""
    types, n_accounts = RECORD_TYPES, len(spec.accounts)
    given = [a.limits.risk for a in spec.accounts] + [s.limits for s in spec.strategies]
    portfolios = _zeros(len(given), types.portfolios)
    limits = _zeros(len(given) * N_LIMITS, types.limits)
    positions: list[tuple[int, int]] = []
    n_pnl = 0
    for p, its in enumerate(given):
        row = portfolios[p]
        strategy = p - n_accounts
        row.strategy = strategy if strategy >= 0 else NONE
        row.account = strategies[strategy].account if strategy >= 0 else p
        account = accounts[row.account]
        row.worth = row.peak = row.day_worth = account.cash
        row.day = NO_TIME
        halts = any(limit.action >= LimitAction.HALT for limit in limits_in_order(its)[:3])
        row.statistical = its.statistical + (its.statistical and halts)
        for i, limit in enumerate(limits_in_order(its)):
            place = limits[p * N_LIMITS + i]
            place.bound, place.warning, place.action = limit.limit, limit.warning, limit.action
        row.watched = bool(
            row.statistical == 2 or its.drawdown != LimitSpec() or its.daily_loss != LimitSpec()
        )
        account.guarded |= row.watched
        row.first_position, row.pnl, row.stress_pnl = len(positions), NONE, NONE
        if not spec.risk or not (row.strategy == NONE or row.statistical):
            continue
        if row.strategy == NONE:
            first, n, known = account.first_holding, account.n_holdings, holdings
        else:
            first, n, known = strategies[strategy].first_slot, strategies[strategy].n_slots, slots
        positions += [(i, int(known[i].instrument)) for i in range(first, first + n)]
        row.n_positions = n
        sums = 1 if n <= BLOCK else 2 + (n - 1) // BLOCK
        row.pnl = n_pnl
        n_pnl += sums * int(risk[0].width)
        if risk[0].stress:
            row.stress_pnl = n_pnl
            n_pnl += sums * int(risk[0].stress)
    places = _zeros(len(positions), types.positions)
    for place, (i, k) in zip(places, positions, strict=True):
        place.place, place.instrument = i, k
    places["low"] = places["held"] = math.nan  # nothing is added up yet
    return portfolios, limits, places, n_pnl


def _zeros(n: int, dtype: Any) -> Any:
    return np.zeros(n, dtype).view(np.recarray)


def _filters(risk: Any) -> bool:
    return len(risk) > 0 and risk[0].filtered != NONE


def _set_risk(row: Any, given: RiskSpec) -> None:
    methods = {given.method, *given.grading.methods}
    row.period, row.offset = given.period_ns, given.offset_ns
    row.row_from = NO_TIME
    row.window, row.draws = given.window, given.draws
    row.least, row.horizon, row.method = given.min_history, given.horizon, given.method
    row.graded = sum(1 << m for m in methods)
    row.outcomes = given.grading.outcomes
    row.tail = 1.0 - given.confidence
    row.z, root = inverse_normal(np.array([given.confidence, 1.0 - given.grading.significance / 2.0]))
    row.es = math.exp(-row.z * row.z / 2.0) / math.sqrt(2.0 * math.pi) / row.tail
    row.decay, row.prior = given.decay, given.prior_volatility
    row.tighten = given.grading.tighten
    # the square of a standard normal is chi-squared with one degree of freedom
    row.critical = root * root
    row.filtered = 0 if Method.FILTERED in methods else NONE  # `_scenarios` says where
    row.drawn = 0 if Method.MONTE_CARLO in methods else NONE


def _windows(given: RiskSpec) -> Any:
    rows = _zeros(len(given.windows), RECORD_TYPES.windows)
    first = 0
    for row, window in zip(rows, given.windows, strict=True):
        row.start, row.end, row.first = window.start, window.end, first
        row.room = rows_of(window.start, window.end, given.period_ns)
        first += int(row.room)
    return rows


def _scenarios(spec: EngineSpec, row: Any) -> Array:
    """Room for all matrices, one after the other; the shocks are there from the start."""
    assert spec.risk
    n = len(spec.instruments)
    at = n * int(row.window)
    if row.filtered != NONE:
        row.filtered, at = at, at + n * int(row.window)
    if row.drawn != NONE:
        row.drawn, at = at, at + n * int(row.draws)
    row.stressed = at
    row.width = row.draws if spec.risk.method == Method.MONTE_CARLO else row.window
    row.sample = {Method.FILTERED: row.filtered, Method.MONTE_CARLO: row.drawn}.get(spec.risk.method, row.raw)
    scenarios = np.zeros(at + n * int(row.stress))
    stress = scenarios[at:].reshape(n, int(row.stress))
    for j, shock in enumerate(spec.risk.shocks, int(row.stress) - len(spec.risk.shocks)):
        named = dict(shock.returns)
        stress[:, j] = [named.get(i.name, shock.others) for i in spec.instruments]
    return scenarios
