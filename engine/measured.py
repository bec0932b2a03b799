"""What a portfolio may lose, as the shell reads it."""

from __future__ import annotations

from math import nan
from typing import NamedTuple

from engine.records import NONE, Code, Method, State


class Part(NamedTuple):
    """A position of a portfolio, as it is held: what it is worth, and what part of the portfolio's measure it is."""

    instrument: str
    value: float  # money units
    var: float
    cvar: float


class Measured(NamedTuple):
    """What a portfolio, as it is held, may lose, in money units; shares are of the account's equity."""

    code: Code  # NONE, or why it cannot be measured; then the figures are NaN
    equity: int
    var: float
    cvar: float
    stressed_var: float  # NaN without scenarios of stress
    parts: tuple[Part, ...]  # they add up to `var` and `cvar`


def method_of(s: State, p: int, method: Method | None) -> Method | None:
    """The method by which a portfolio can be measured: that one, or of None the limits'; None where it cannot be."""
    if len(s.risk) == 0 or s.portfolios[p].pnl == NONE:
        return None
    r = s.risk[0]
    asked = Method(int(r.method)) if method is None else method
    drawn = {Method.FILTERED: r.filtered, Method.MONTE_CARLO: r.drawn}
    return None if drawn.get(asked, 0) == NONE else asked


def read_measure(s: State, p: int, code: Code, equity: int, instruments: list[str]) -> Measured:
    """What `measure_portfolio` has just left of portfolio p in its gauge and positions."""
    if code != Code.NONE:
        return Measured(code, equity, nan, nan, nan, ())
    row, gauge = s.portfolios[p], s.gauges[p]
    held = s.positions[int(row.first_position) : int(row.first_position + row.n_positions)]
    parts = tuple(
        Part(instruments[int(i.instrument)], float(i.low), float(i.at_risk), float(i.shortfall))
        for i in held
        if i.low != 0.0
    )
    stressed = float(gauge.stressed) if row.stress_pnl != NONE else nan
    return Measured(code, equity, float(gauge.at_risk), float(gauge.shortfall), stressed, parts)
