"""The engine that a drill is held with: that of the configuration, after a stretch of its tape in which nobody traded.

The strategies are there, with their limits, but silent: it is the drill that orders in their name, and what others did
beside it would change what must come of it. What operators do on the tape is left out, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from daemon.backtest import EmptyTapeError, timer_row
from daemon.data.merge import cut
from daemon.drill.desk import rows
from engine.build import worth
from engine.engine import Engine
from engine.ledger import MONEY_LIMIT
from engine.records import DAY, SECOND
from engine.spec import EngineSpec, StrategySpec

if TYPE_CHECKING:
    from daemon.config.models import BacktestConfig
    from engine.snapshot import Snapshot

_ROWS = 4096  # a batch: after each it is seen whether the tape has been long enough
_LOTS = 10_000  # an account is given what so many of the smallest orders are worth: shares of it are then fine enough


@dataclass(frozen=True)
class Warm:
    """An engine after its stretch of tape, and the states that checks begin from."""

    engine: Engine
    base: Snapshot  # all that could be warmed up is; each instrument has just printed
    fresh: Snapshot  # at the same time, but nothing has printed yet
    rows: int  # of the tape


def drill_spec(config: BacktestConfig) -> EngineSpec:
    """The engine of a configuration, with silent strategies. Raises what `engine_spec` does."""
    from daemon.config.spec import engine_spec

    spec, _ = engine_spec(config)
    silent = (StrategySpec(s.name, s.account, s.instruments, DAY, limits=s.limits) for s in spec.strategies)
    return replace(spec, strategies=tuple(silent), reasons=("drill",))


def warm_up(config: BacktestConfig, spec: EngineSpec) -> Warm:
    """Replay the configuration's tape until trading begins and the scenarios are full, or to its end.

    Raises DataError, and EmptyTapeError where the tape has no rows.
    """
    engine = Engine(spec)
    new = engine.snapshot()
    taken = _replay(config, engine)
    # a new day begins: its losses are those of the checks
    start = (engine.now // DAY + 1) * DAY + SECOND
    prices = [
        (k, float(i.price)) for k, i in enumerate(engine.state.instruments) if i.price > 0 and not i.delisted
    ]
    engine.process(timer_row(start))
    if prices:
        engine.process(rows(*((start, k, price) for k, price in prices)))
    money = _fund(engine)
    base = engine.snapshot()
    engine.restore(new)
    engine.process(timer_row(start))
    for account, amount in money.items():
        engine.deposit(account, amount)
    fresh = engine.snapshot()
    return Warm(engine, base, fresh, taken)


def _replay(config: BacktestConfig, engine: Engine) -> int:
    """Put the tape through the engine for as long as it must; how many rows that took."""
    from daemon.config.deposits import payments
    from daemon.config.spec import sources
    from daemon.data.feed import open_feed

    taken = 0
    for batch in open_feed(sources(config), _ROWS, payments(config)):
        for ticks in cut(batch, _ROWS):
            engine.process(ticks)
            taken += len(ticks.price)
        if _is_warm(engine):
            break
    if taken == 0:
        raise EmptyTapeError("the data has no rows in the time that the configuration asks for")
    return taken


def _is_warm(engine: Engine) -> bool:
    """Whether trading has begun, all instruments have a price, and their scenarios are as many as there can be."""
    s = engine.state
    histories = np.asarray(s.histories["rows"])
    full = len(s.risk) == 0 or bool((histories >= s.risk[0].window).all())
    return engine.now >= engine.spec.trade_from and bool((s.instruments["price"] > 0.0).all()) and full


def _fund(engine: Engine) -> dict[str, int]:
    """Pay each account in what it lacks for the smallest orders to be a small part of it; the amounts, in money units."""
    s = engine.state
    paid = {}
    for a, account in enumerate(engine.spec.accounts):
        least = max(
            (
                _LOTS * worth(s.instruments[k], max(i.min_lots, 1), float(s.instruments[k].price))
                for k, i in enumerate(engine.spec.instruments)
                if i.currency == account.currency
            ),
            default=0.0,
        )
        lacks = round(least) - int(s.accounts[a].cash)
        if 0 < lacks < MONEY_LIMIT // 8:
            engine.deposit(account.name, lacks)
            paid[account.name] = lacks
    return paid
