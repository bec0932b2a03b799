"""The figures of a finished run as one JSON object.

run_id, result_hash, rows, bars, first_ts, last_ts, wall_s, rows_per_s, refused_rows, and `accounts`: a list of name,
cash_micros, equity_micros, return, sharpe, max_drawdown, fills, orders, denied (by code), fees_micros. What else a
trader looks for is under `more`. An undefined figure is null.

rows            rows of the tape: a bar has four, its path
bars            bars that closed in the engine, of all instruments and timeframes
refused_rows    rows of the sources that were set aside
cash_micros     in the smallest unit of the account's currency: a millionth, unless the configuration says otherwise
equity_micros   cash, and holdings at the last prices
return          equity / initial cash - 1
sharpe          of daily returns, see `daemon.metrics`; yearly by 252 or 365 days
max_drawdown    largest fall from a peak, as a share of the peak, over bar closes and the end
orders          all that were submitted, those denied included
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.metrics import DailyEquity, Metrics, Trades, annual_return, sharpe, sortino, volatility
from engine.records import N_CODES, Code, TradingState
from strategies.errors import iso_utc

if TYPE_CHECKING:
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


def summarise(run: Run, engine: Engine, metrics: Metrics, days_per_year: dict[str, int]) -> dict[str, Any]:
    """The summary. days_per_year: by account; 252 for one that is not named."""
    clock = engine.state.clock[0]
    accounts = []
    more = {}
    for index, spec in enumerate(engine.spec.accounts):
        days = days_per_year.get(spec.name, YEAR)
        accounts.append(_account(engine, index, metrics.daily[index], days))
        more[spec.name] = _more(engine, index, metrics.daily[index], metrics.trades[index], days)
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
            "late_rows": int(clock.late_rows),
            "bad_rows": int(clock.bad_rows),
            "working_orders": run.working_orders,
            "accounts": more,
        },
    }


def _account(engine: Engine, index: int, daily: DailyEquity, days_per_year: int) -> dict[str, Any]:
    account = engine.state.accounts[index]
    denied = engine.state.denied[index * N_CODES : (index + 1) * N_CODES]
    equity = equity_now(engine, index)
    return {
        "name": engine.spec.accounts[index].name,
        "cash_micros": int(account.cash),
        "equity_micros": equity,
        "return": _ratio(equity - int(account.initial), int(account.initial)),
        "sharpe": sharpe(daily.returns(), days_per_year),
        "max_drawdown": _max_drawdown(engine, index),
        "fills": int(account.fills),
        "orders": int(account.orders),
        "denied": {Code(code).name: int(n) for code, n in enumerate(denied) if n},
        "fees_micros": int(account.fees),
    }


def _max_drawdown(engine: Engine, index: int) -> float:
    """The largest fall from a peak of equity at bar closes; the end of the tape counts, too."""
    account = engine.state.accounts[index]
    peak = int(account.peak)
    return max(float(account.max_drawdown), _ratio(peak - equity_now(engine, index), peak) or 0.0)


def _more(
    engine: Engine, index: int, daily: DailyEquity, trades: Trades, days_per_year: int
) -> dict[str, Any]:
    """What else traders look for.

    annual_return, volatility, sortino: see `daemon.metrics`. calmar: annual return / max_drawdown. trades: round trips
    that ended. win_rate: share of them that gained after fees. profit_factor: what those gained / what the losing ones
    lost. time_in_market: share of the equity samples at which it held something. turnover: money traded / mean daily
    equity. realized_micros: profit of what was sold, before fees.
    """
    account = engine.state.accounts[index]
    spec = engine.spec.accounts[index]
    returns = daily.returns()
    annual = annual_return(returns, days_per_year)
    drawdown = _max_drawdown(engine, index)
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
        "trading_state": TradingState(int(account.state)).name,
    }


def equity_now(engine: Engine, index: int) -> int:
    """An account's cash and holdings at the last prices, in money units."""
    state = engine.state
    equity = int(state.accounts[index].cash)
    for holding in state.holdings[state.holdings["account"] == index]:
        if holding.lots:
            instrument = state.instruments[holding.instrument]
            equity += round(float(instrument.price) * (int(holding.lots) * float(instrument.money_per_lot)))
    return equity


def _ratio(part: int, whole: int) -> float | None:
    value = part / whole if whole > 0 else None
    return value if value is None or math.isfinite(value) else None
