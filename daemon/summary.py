"""The figures of a finished run as one JSON object.

run_id, result_hash, rows, bars, first_ts, last_ts, wall_s, rows_per_s, refused_rows, and `accounts`: a list of name,
cash_micros, equity_micros, return, sharpe, max_drawdown, fills, orders, denied (by code), fees_micros. What else a
trader looks for is under `more`. An undefined figure is null.

rows            rows of the tape: a bar has four, its path; corporate actions and deposits are rows, too
bars            bars that closed in the engine, of all instruments and timeframes
refused_rows    rows of the sources that were set aside
cash_micros     in the smallest unit of the account's currency: a millionth, unless the configuration says otherwise
                (`currencies`; satoshis of BTC). `more` says how many are one, as units_per_currency
equity_micros   cash, and holdings at the last prices
return          equity / initial cash - 1; time-weighted where money was paid in or out: that is no profit
sharpe          of daily returns, see `daemon.metrics`; yearly by the calendar's days, 252 or 365 of most
max_drawdown    largest fall from a peak, as a share of the peak, over bar closes and the end; what was paid in or out is none
orders          all that were submitted, those denied included
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from daemon.metrics import DailyEquity, Metrics, Trades, annual_return, sharpe, sortino, volatility
from daemon.risk.figures import risk_figures
from engine.records import N_CODES, Code, TradingState
from strategies.errors import iso_utc

if TYPE_CHECKING:
    from daemon.risk.log import RiskLog
    from engine.engine import Engine

YEAR = 252  # trading days, where a calendar has weekends


@dataclass(frozen=True)
class Run:
    """What is known of a run besides its engine. Times in ns UTC; wall_s in seconds, without compiling and loading."""

    run_id: str
    name: str
    result_hash: str
    rows: int
    first_ts: int
    last_ts: int
    wall_s: float
    refused_rows: int
    working_orders: int
    refused: Mapping[str, int] = field(default_factory=dict)  # those rows by reason
    outside_hours: int = 0  # good rows that were left out, because of `hours: regular`


def summarise(
    run: Run,
    engine: Engine,
    metrics: Metrics,
    days_per_year: dict[str, int],
    risk: RiskLog | None = None,
) -> dict[str, Any]:
    """The summary. days_per_year: by account; 252 for one that is not named. risk: None where nobody asks for it."""
    clock = engine.state.clock[0]
    accounts = []
    more = {}
    risks = risk_figures(engine, risk) if risk else {}
    for index, spec in enumerate(engine.spec.accounts):
        days = days_per_year.get(spec.name, YEAR)
        accounts.append(_account(engine, index, metrics.daily[index], days))
        more[spec.name] = _more(engine, index, metrics.daily[index], metrics.trades[index], days)
        if spec.name in risks:
            more[spec.name]["risk"] = risks[spec.name]
    return {
        "run_id": run.run_id,
        "result_hash": run.result_hash,
        "rows": run.rows,
        "bars": int(clock.bars),
        "first_ts": iso_utc(run.first_ts),
        "last_ts": iso_utc(run.last_ts),
        "wall_s": round(run.wall_s, 6),
        "rows_per_s": round(run.rows / run.wall_s) if run.wall_s > 0 else None,
        "refused_rows": run.refused_rows,
        "accounts": accounts,
        "more": {
            "name": run.name,
            "refused": dict(run.refused),
            "outside_hours": run.outside_hours,
            "late_rows": int(clock.late_rows),
            "bad_rows": int(clock.bad_rows),
            "working_orders": run.working_orders,
            "accounts": more,
        },
    }


def _account(engine: Engine, index: int, daily: DailyEquity, days_per_year: int) -> dict[str, Any]:
    account = engine.state.accounts[index]
    initial = int(account.initial)
    denied = engine.state.denied[index * N_CODES : (index + 1) * N_CODES]
    name = engine.spec.accounts[index].name
    equity = engine.equity(name)
    worth = daily.worth(equity)
    return {
        "name": name,
        "cash_micros": int(account.cash),
        "equity_micros": equity,
        "return": None if worth is None else _ratio(worth - initial, initial),
        "sharpe": sharpe(daily.returns(), days_per_year),
        "max_drawdown": daily.fall(equity),
        "fills": int(account.fills),
        "orders": int(account.orders),
        "denied": {Code(code).name: int(n) for code, n in enumerate(denied) if n},
        "fees_micros": int(account.fees),
    }


def _more(
    engine: Engine, index: int, daily: DailyEquity, trades: Trades, days_per_year: int
) -> dict[str, Any]:
    """What else traders look for.

    annual_return, volatility, sortino: see `daemon.metrics`. calmar: annual return / max_drawdown. trades: round trips
    that ended. win_rate: share of them that gained after fees. profit_factor: what those gained / what the losing ones
    lost. time_in_market: share of the equity samples at which it held something. turnover: money traded / mean daily
    equity. realized_micros: profit of what was sold, before fees. income_micros: dividends received less paid.
    interest_micros: received less paid, fees for borrowing among it. deposits_micros: paid in less paid out.
    refused_withdrawals: those for which there was not enough. liquidations: margin calls. brackets: fills of one side of a
    bracket; both_sides: those of which the same bar would have filled the other side, too: the order in which it reached
    them is a guess. risk: where limits on risk, or forecasts, are configured: see daemon/risk/figures.py.
    """
    account = engine.state.accounts[index]
    spec = engine.spec.accounts[index]
    returns = daily.returns()
    annual = annual_return(returns, days_per_year)
    drawdown = daily.fall(engine.equity(spec.name))
    return {
        "currency": spec.currency,
        "units_per_currency": engine.spec.scale(spec.currency),
        "days": len(daily.days),
        "days_per_year": days_per_year,
        "annual_return": annual,
        "volatility": volatility(returns, days_per_year),
        "sortino": sortino(returns, days_per_year),
        "calmar": annual / drawdown if annual is not None and drawdown > 0.0 else None,
        "trades": trades.count,
        "win_rate": _ratio(trades.won, trades.count),
        "profit_factor": _ratio(trades.gained, trades.given),
        "time_in_market": _ratio(daily.invested, daily.samples),
        "turnover": _ratio(trades.notional * len(daily.equity), sum(daily.equity)),
        "realized_micros": int(account.realized),
        "income_micros": int(account.income),
        "interest_micros": int(account.interest),
        "deposits_micros": int(account.deposits),
        "refused_withdrawals": daily.refused,
        "liquidations": int(account.liquidations),
        "brackets": int(account.brackets),
        "both_sides": int(account.both_sides),
        "trading_state": TradingState(int(account.state)).name,
    }


def _ratio(part: float, whole: int) -> float | None:
    value = part / whole if whole > 0 else None
    return value if value is None or math.isfinite(value) else None
