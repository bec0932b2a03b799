"""Engines around one strategy in Python."""

from __future__ import annotations

from typing import Any

from engine.engine import Engine
from engine.records import NO_TIME
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from strategies import Strategy
from strategies.actor import PythonActor
from strategies.loading import make_actor
from tests.builders import MINUTE


def make_world(
    cls: type[Strategy],
    params: dict[str, Any] | None = None,
    instruments: tuple[InstrumentSpec, ...] = (InstrumentSpec("A"),),
    cash: float = 1_000_000.0,
    seed: int = 7,
    trade_from: int = NO_TIME,
) -> tuple[Engine, PythonActor]:
    """An engine in which strategy "s" of account "a" trades all instruments on minute bars; not started yet."""
    actor = make_actor("s", cls, params, seed)
    strategy = StrategySpec(
        "s",
        "a",
        tuple(i.name for i in instruments),
        MINUTE,
        actor.features,
        wants=actor.wants,
        history=actor.history,
    )
    spec = EngineSpec(instruments, (AccountSpec("a", cash),), (strategy,), trade_from=trade_from)
    return Engine(spec, {"s": actor}), actor
