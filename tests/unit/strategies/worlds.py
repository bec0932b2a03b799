"""Engines around one strategy in Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from daemon.config.types import parse_duration
from engine.engine import Engine
from engine.records import NO_TIME
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, MarginSpec, StrategySpec
from strategies import Bar, Context, ContextError, Strategy, StrategyError
from strategies.actor import PythonActor
from strategies.loading import make_actor
from tests.builders import MINUTE, join, make_bars, timer_at


def make_world(
    cls: type[Strategy],
    params: dict[str, Any] | None = None,
    instruments: tuple[InstrumentSpec, ...] = (InstrumentSpec("A"),),
    cash: float = 1_000_000.0,
    seed: int = 7,
    trade_from: int = NO_TIME,
    margin: MarginSpec | None = None,
    scales: dict[str, int] | None = None,
) -> tuple[Engine, PythonActor]:
    """An engine in which strategy "s" of account "a" trades all instruments on minute bars; not started yet."""
    actor = make_actor("s", cls, params, seed)
    strategy = StrategySpec(
        "s",
        "a",
        tuple(i.name for i in instruments),
        MINUTE,
        tuple(_in_ns(feature) for feature in actor.features),
        wants=actor.wants,
        history=actor.history,
        also=tuple(parse_duration(timeframe) for timeframe in actor.timeframes),
    )
    account = AccountSpec("a", cash, instruments[0].currency, margin=margin)
    spec = EngineSpec(instruments, (account,), (strategy,), trade_from=trade_from, scales=scales or {})
    return Engine(spec, {"s": actor}), actor


def _in_ns(feature: str) -> str:
    base, at, timeframe = feature.partition("@")
    return f"{base}@{parse_duration(timeframe)}" if at else base


FOUR_BARS = [
    (10.0, 12.0, 9.0, 11.0),
    (11.0, 13.0, 10.0, 12.0),
    (12.0, 14.0, 11.0, 13.0),
    (13.0, 15.0, 12.0, 14.0),
]


def at_each_bar(
    look: Callable[[Context, Bar], Any],
    bars: Sequence[tuple[float, ...]] = FOUR_BARS,
    features: tuple[str, ...] = (),
    history: int = 256,
    **world: Any,
) -> list[Any]:
    """What `look` gives at each bar's close."""
    seen = []

    class Looking(Strategy):
        def on_bar(self, ctx: Context, bar: Bar) -> None:
            seen.append(look(ctx, bar))

    Looking.features = features  # type: ignore[assignment, method-assign]
    Looking.history = history  # type: ignore[assignment, method-assign]
    engine, _ = make_world(Looking, **world)
    engine.start()
    engine.process(join(make_bars(bars), timer_at(len(bars) * MINUTE)))
    return seen


def asked(question: Callable[[Context], Any], **world: Any) -> str:
    """The message of the ContextError that the question raises at the first bar."""
    with pytest.raises(StrategyError) as caught:
        at_each_bar(lambda ctx, bar: question(ctx), **world)
    assert isinstance(caught.value.__cause__, ContextError)
    return str(caught.value.__cause__)
