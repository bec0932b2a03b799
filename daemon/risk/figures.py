"""What a summary tells of an account's risk.

method, confidence, horizon, period_ns   how the limits forecast a loss; null where nothing is forecast, and so are the
                  next three
now               what the account may lose as it was held at the end: VaR, CVaR and stressed VaR in money units and as
                  shares of equity, and the parts of each position in VaR and CVaR, which add up; `code` says why it
                  cannot be computed
outcomes          so many are what the method is judged by on the way
model_rejected    whether the last so many reject it at the end; what that does is the configuration's
grades            by method: forecasts held against outcomes, see daemon/risk/grades.py; empty where there was nothing to forecast
warnings, breaches, halts   how often the warning of one of the account's limits was reached, the limit itself, and how often
                  that halted it; by code
strategies        the same of the limits of its strategies' own, by strategy
cut, denied       how many orders were cut or denied; by code, of the account and its strategies
rejections        how often the method was rejected on the way
halted            what does not trade freely at the end: strategy (null: all of the account), its state, the code of what
                  switched it, and since when; accounts of which this is true are told of in any case
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from daemon.risk.grades import grades_of
from daemon.risk.log import DENIALS, Counts, Halt, RiskLog
from engine.records import N_CODES, NONE, Code, Method
from engine.spec import RiskLimits
from strategies.errors import iso_utc

if TYPE_CHECKING:
    from daemon.risk.grades import Grade
    from engine.engine import Engine


def risk_figures(engine: Engine, log: RiskLog) -> dict[str, dict[str, Any]]:
    """By account; those are left out for which nothing is configured, neither limits nor forecasts."""
    spec = engine.spec.risk
    names = [account.name for account in engine.spec.accounts]
    grades = grades_of(log.grades, len(names), 1.0 - spec.confidence) if spec else {}
    return {
        name: _figures(engine, k, log, grades.get(k, {}), halts)
        for k, name in enumerate(names)
        for halts in [[halt for halt in log.halts if halt.account == k]]
        if spec or halts or _limited(engine, k)
    }


def _figures(
    engine: Engine, account: int, log: RiskLog, grades: Mapping[Method, Grade], halts: Sequence[Halt]
) -> dict[str, Any]:
    spec = engine.spec.risk
    counts = log.counts[account]
    name = engine.spec.accounts[account].name
    denied = engine.state.denied[account * N_CODES : (account + 1) * N_CODES]
    return {
        "method": method_name(spec.method) if spec else None,
        "confidence": spec.confidence if spec else None,
        "horizon": spec.horizon if spec else None,
        "period_ns": spec.period_ns if spec else None,
        "outcomes": spec.grading.outcomes if spec else None,
        "now": measured(engine, name) if spec else None,
        "model_rejected": bool(engine.state.portfolios[account].rejected) if spec else None,
        "grades": {method_name(method): grade.as_dict() for method, grade in grades.items()},
        **_reached(counts),
        "strategies": {
            given.name.removeprefix(f"{name}/"): _reached(log.own[i])
            for i, given in enumerate(engine.spec.strategies)
            if given.account == name and i in log.own
        },
        "cut": _by_name(counts.cuts),
        "denied": {code.name: int(denied[code]) for code in DENIALS if denied[code]},
        "rejections": counts.rejections,
        "halted": [_halted(engine, halt) for halt in halts],
    }


def _halted(engine: Engine, halt: Halt) -> dict[str, Any]:
    own = None if halt.strategy == NONE else engine.spec.strategies[halt.strategy]
    return {
        "strategy": own.name.removeprefix(f"{own.account}/") if own else None,
        "state": halt.state.name,
        "code": halt.code.name,
        "since": iso_utc(halt.ts),
    }


def measured(engine: Engine, portfolio: str) -> dict[str, Any]:
    """What an account, or a strategy by its name in the engine, may lose as it is held now, by the limits' method."""
    found = engine.measure(portfolio)
    measures = {"var": found.var, "cvar": found.cvar, "stressed_var": found.stressed_var}
    told: dict[str, Any] = {"equity_micros": int(found.equity)}
    for name, value in measures.items():
        told[f"{name}_micros"] = _number(value)
        told[name] = _number(value / found.equity) if found.equity > 0 else None
    told["code"] = None if found.code == Code.NONE else Code(found.code).name
    told["parts"] = [
        {
            "instrument": instrument,
            "value_micros": _number(value),
            "var_micros": _number(var),
            "cvar_micros": _number(cvar),
        }
        for instrument, value, var, cvar in found.parts
    ]
    return told


def method_name(method: Method) -> str:
    """As the configuration writes it."""
    return Method(method).name.lower()


def _limited(engine: Engine, account: int) -> bool:
    given: list[RiskLimits] = [engine.spec.accounts[account].limits.risk]
    given += [s.limits for s in engine.spec.strategies if s.account == engine.spec.accounts[account].name]
    return any(limits != RiskLimits() for limits in given)


def _reached(counts: Counts) -> dict[str, dict[str, int]]:
    given = {"warnings": counts.warnings, "breaches": counts.breaches, "halts": counts.halts}
    return {what: _by_name(number) for what, number in given.items()}


def _by_name(counts: Mapping[Code, int]) -> dict[str, int]:
    return {code.name: counts[code] for code in sorted(counts)}


def _number(value: float) -> float | None:
    return float(value) + 0.0 if math.isfinite(value) else None  # -0.0 is nothing
