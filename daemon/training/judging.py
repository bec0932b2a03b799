"""What an agent does on a part of the history: a backtest of it, in memory, beside others if wanted.

An agent is a trained model, a rule that comes with Papertape, or `random`. Each has an account of its own in one engine,
over all instruments that there are data of, as in a backtest whose configuration has several accounts. The figures are
those that `papertape backtest` prints with `start` at the first and `end` at the last close of the span: decisions begin
with the first of these bars, rows before it fill the indicators, and what is held after the last bar counts at its close.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.backtest import BATCH_ROWS, timer_row
from daemon.calendars import ALWAYS
from daemon.calendars import days_per_year as of_calendar
from daemon.data.merge import cut
from daemon.metrics import Metrics
from daemon.summary import Run, summarise
from engine.engine import Actor, Engine
from engine.models import Model
from engine.records import BarKind, SizeKind, Ticks
from engine.spec import InstrumentSpec, StrategySpec
from strategies.loading import make_actor
from strategies.random import Random
from strategies.rules import RULES

if TYPE_CHECKING:
    from daemon.training.history import History
    from engine.engine import Events
    from envs.spans import TimeSpan

Array = np.ndarray[Any, Any]
RANDOM = "random"
_AGENT = "agent"
_of_calendar = cache(of_calendar)  # an evaluation asks for it again and again


@dataclass(frozen=True)
class Chance:
    """An agent that acts by the toss of a coin, as `use: random` does: one of the seed and of the agent's name."""

    seed: int = 0


Agent = Model | Chance | str


@dataclass(frozen=True, eq=False)
class Performance:
    """What an account came to, net of costs; a figure that is not defined is None.

    total_return, sharpe, max_drawdown: as in `daemon.summary`; the Sharpe ratio is a year's. fees: in currency. turnover: money
    traded / mean daily equity. time_in_market: share of the bars at whose close it held something. trades: round trips.
    days: (d,) int64, days since 1970 on which a bar closed. equity: (d,) float64, the last of each day, in currency.
    returns: (d - 1,) float64, simple, from day to day; empty where the account was ruined.
    """

    total_return: float | None
    sharpe: float | None
    max_drawdown: float
    fills: int
    orders: int
    denied: int
    trades: int
    fees: float
    turnover: float | None
    time_in_market: float | None
    days: Array
    equity: Array
    returns: Array

    def to_dict(self) -> dict[str, Any]:
        """Its figures as JSON has them, without the days."""
        return {
            "return": self.total_return,
            "sharpe": self.sharpe,
            "max_drawdown": self.max_drawdown,
            "fills": self.fills,
            "orders": self.orders,
            "denied": self.denied,
            "trades": self.trades,
            "fees": self.fees,
            "turnover": self.turnover,
            "time_in_market": self.time_in_market,
        }


def run_agent(
    history: History, when: TimeSpan, agent: Agent, *, cost: float = 1.0, delay_bars: int = 0, seed: int = 0
) -> Performance:
    """What one agent does in that time: a model, the name of a rule, or "random", which is the one of `seed`.

    Everything else is as in `run_agents`.
    """
    chosen = Chance(seed) if agent == RANDOM else agent
    return run_agents(history, when, {_AGENT: chosen}, cost=cost, delay_bars=delay_bars)[_AGENT]


def run_agents(
    history: History,
    when: TimeSpan,
    agents: Mapping[str, Agent],
    *,
    cost: float = 1.0,
    delay_bars: int = 0,
) -> dict[str, Performance]:
    """What each of the agents does in that time, by name, each with the task's account for itself.

    A model trades the task's size; a rule and chance do, too, but never with more than their own money. cost: fees and
    slippage times so much; interest and borrow fees stay. delay_bars: every order arrives so many bars' time later; where
    a market is shut for as long as that, as on a weekend between daily bars, the delay has passed when it opens.

    Raises ValueError for a rule that is not there, a negative cost or delay, or a delay where bars are not cut by time;
    SpecError where a model does not fit the task.
    """
    engine = _engine(history, when, agents, cost, delay_bars)
    metrics = Metrics([int(account.initial) for account in engine.state.accounts])

    def take(out: Events) -> None:
        metrics.add(out.events, out.equity)

    engine.start()
    for ticks in cut(rows_of(history, when), BATCH_ROWS):
        take(engine.process(ticks))
    # as a replay ends: a bar whose path has come whole is closed, though no row follows it
    take(engine.process(timer_row(engine.now + 1 + engine.spec.grace_ns)))
    take(engine.stop())
    days = days_per_year(history)
    run = Run("", "", "", 0, when.first_ns, when.last_ns, 0.0, 0, 0)
    summary = summarise(run, engine, metrics, dict.fromkeys(agents, days))
    return {
        name: _performance(summary["accounts"][k], summary["more"]["accounts"][name], metrics, k)
        for k, name in enumerate(agents)
    }


def rows_of(history: History, when: TimeSpan) -> Ticks:
    """All rows before the last close of the span: nothing that comes at it or later is known then."""
    end = int(np.searchsorted(history.rows.ts_event, when.last_ns, side="left"))
    return Ticks(*(column[:end] for column in history.rows))


def days_per_year(history: History) -> int:
    """How many trading days make a year: those of the traded instrument that has the most."""
    traded = {tape.name for tape in history.tapes}
    keys = {i.calendar for i in history.market.instruments if i.name in traded}
    return max(_of_calendar(key.partition("/")[0] or ALWAYS) for key in keys)


def _engine(
    history: History, when: TimeSpan, agents: Mapping[str, Agent], cost: float, delay_bars: int
) -> Engine:
    if cost < 0.0 or delay_bars < 0:
        raise ValueError(f"costs times {cost:g} and {delay_bars} bars of delay; neither can be negative")
    if delay_bars and history.task.bar_kind != BarKind.TIME:
        raise ValueError("a delay in bars is one in time, and these bars are not cut by time; leave it 0")
    actors: dict[str, Actor] = {}
    strategies = []
    for name, agent in agents.items():
        strategy = _strategy(history, name, agent)
        if isinstance(agent, Chance):
            actor = make_actor(strategy.name, Random, _random_params(strategy), agent.seed)
            # what it buys is its own matter, not the engine's
            strategy = replace(strategy, wants=actor.wants, history=actor.history, size_value=0.0)
            actors[strategy.name] = actor
        strategies.append(strategy)
    delay_ns = delay_bars * history.task.timeframe_ns
    spec = replace(
        history.market,
        instruments=tuple(_executed(i, cost, delay_ns) for i in history.market.instruments),
        accounts=tuple(replace(history.task.account, name=name) for name in agents),
        strategies=tuple(strategies),
        trade_from=when.first_ns,
    )
    return Engine(spec, actors)


def _executed(instrument: InstrumentSpec, cost: float, delay_ns: int) -> InstrumentSpec:
    costs = ("taker_bps", "maker_bps", "fee_per_unit", "fee_min", "slippage_value")
    scaled = {name: getattr(instrument, name) * cost for name in costs}
    return replace(instrument, latency_ns=instrument.latency_ns + delay_ns, **scaled)


def _strategy(history: History, name: str, agent: Agent) -> StrategySpec:
    task = history.task
    traded = tuple(tape.name for tape in history.tapes)
    model = agent if not isinstance(agent, str | Chance) else None
    made: StrategySpec = replace(
        task.strategy(traded[0], task.features if model else (), model),
        name=f"{name}/{_AGENT}",
        account=name,
        instruments=traded,
    )
    if model is not None:
        return made
    by_share = made.size_kind == SizeKind.FRACTION
    plain = replace(
        made,
        short=False,
        threshold=0.0,
        size_value=min(made.size_value, 1.0) if by_share else made.size_value,
    )
    if not isinstance(agent, str):
        return plain
    if agent not in RULES:
        raise ValueError(f"there is no agent {agent!r}; there are {', '.join(RULES)}, {RANDOM} and models")
    rule = RULES[agent]
    params = rule.Params()
    return replace(
        plain, policy=rule.policy, features=rule.features(params), params=rule.policy_params(params)
    )


def _random_params(strategy: StrategySpec) -> dict[str, float]:
    return {"fraction" if strategy.size_kind == SizeKind.FRACTION else "units": strategy.size_value}


def _performance(figures: dict[str, Any], more: dict[str, Any], metrics: Metrics, k: int) -> Performance:
    daily = metrics.daily[k]
    return Performance(
        total_return=figures["return"],
        sharpe=figures["sharpe"],
        max_drawdown=figures["max_drawdown"],
        fills=figures["fills"],
        orders=figures["orders"],
        denied=sum(figures["denied"].values()),
        trades=more["trades"],
        fees=figures["fees_micros"] / more["units_per_currency"],
        turnover=more["turnover"],
        time_in_market=more["time_in_market"],
        days=np.array(daily.days, np.int64),
        equity=np.array(daily.equity, np.float64) / more["units_per_currency"],
        returns=daily.returns(),
    )
