"""Engines and tapes for actors of tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from daemon.actors.answers import Answers
from daemon.config.actors import ActorConfig
from engine.engine import Engine
from engine.records import NO_TIME, RowKind, Ticks
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from strategies import Strategy
from strategies.loading import make_actor
from tests.builders import MINUTE, SECOND, cut
from tests.unit.daemon.actors.cast import HERE


def config(cls: str, name: str = "x", **given: Any) -> ActorConfig:
    """An actor of the cast, on minute bars of A unless said otherwise."""
    usual = {"name": name, "use": f"{HERE}:{cls}", "instruments": ["A"], "timeframe": "1m"}
    return ActorConfig.model_validate({**usual, **given})


def make_world(
    cls: type[Strategy],
    signals: Sequence[str] = ("x",),
    instruments: Sequence[str] = ("A",),
    grace_ns: int = 0,
    trade_from: int = NO_TIME,
    history: int = 4,
) -> tuple[Engine, Any]:
    """An engine in which one strategy trades all instruments on minute bars, and the strategy; started."""
    actor = make_actor("a/s", cls)
    actor.signals = tuple(signals)
    spec = EngineSpec(
        tuple(InstrumentSpec(name) for name in instruments),
        (AccountSpec("a", 1_000_000.0),),
        (StrategySpec("a/s", "a", tuple(instruments), MINUTE, wants=actor.wants, history=history),),
        grace_ns=grace_ns,
        trade_from=trade_from,
    )
    engine = Engine(spec, {"a/s": actor})
    engine.start()
    return engine, actor.strategy


def run(
    engine: Engine, configs: Sequence[ActorConfig], tape: Ticks, batch: int = 10**6, seed: int = 7
) -> np.ndarray[Any, Any]:
    """Put a tape through with these actors, in batches of so many rows; all events."""

    async def go() -> list[Any]:
        found = []
        async with Answers(engine, configs, seed) as answers:
            for i in range(0, len(tape.price), batch):
                async for _, out in answers.take(cut(tape, i, i + batch)):
                    found.append(out.events)
        return found

    return np.concatenate(asyncio.run(go()))


def prints(rows: Iterable[tuple[float, float, int, float]]) -> Ticks:
    """Rows (venue's time in s, ours in s, instrument, price) of one unit each."""
    given = list(rows)
    n = len(given)
    return Ticks(
        np.array([round(r[0] * SECOND) for r in given], np.int64),
        np.array([round(r[1] * SECOND) for r in given], np.int64),
        np.array([r[2] for r in given], np.int32),
        np.array([r[3] for r in given], np.float64),
        np.ones(n),
        np.full(n, RowKind.PRINT, np.uint8),
    )
