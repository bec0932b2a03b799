"""What asynchronous actors mean to the engine: it makes the bars that they hear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from daemon.config.types import format_duration

if TYPE_CHECKING:
    from daemon.config.models import BacktestConfig
    from engine.engine import Actor
    from engine.spec import StrategySpec


def heard(
    strategies: Sequence[StrategySpec], python: Mapping[str, Actor], config: BacktestConfig
) -> tuple[StrategySpec, ...]:
    """The strategies, which look at the bars that actors hear, too, and so far back that all can be read.

    Only an instrument that a strategy trades has bars: actor_checks.py. Raises StrategyError where an actor's own code does.
    """
    from strategies.loading import make_async

    specs = list(strategies)
    for given in config.actors:
        history = make_async(given.use, given.params, config.strategy_folder).history
        for name in given.instruments:
            k = next(i for i, spec in enumerate(specs) if name in spec.instruments)
            specs[k] = _looking(specs[k], given.timeframe, history, python)
    return tuple(specs)


def _looking(spec: StrategySpec, timeframe: int, history: int, python: Mapping[str, Actor]) -> StrategySpec:
    spec = replace(spec, history=max(spec.history, history))
    if timeframe in (spec.timeframe_ns, *spec.also):
        return spec
    if actor := python.get(spec.name):
        from strategies.actor import PythonActor

        assert isinstance(actor, PythonActor)
        actor.timeframes = (*actor.timeframes, format_duration(timeframe))
    return replace(spec, also=(*spec.also, timeframe))
