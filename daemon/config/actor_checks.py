"""What has to fit together between asynchronous actors, the data that they hear of, and the strategies that hear them."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from daemon.config.checks import Finding, names, not_multiple
from daemon.config.uses import is_python

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config.agents import Strategy
    from daemon.config.models import BacktestConfig


def actors(config: BacktestConfig) -> Iterator[Finding]:
    """Actors have bars to hear, and strategies that list them can hear them."""
    yield from ((("actors", *keys), m) for keys, m in names("actor", config.actors))
    lengths = config.bars
    traded = {name for account in config.accounts for s in account.strategies for name in s.instruments}
    for a, given in enumerate(config.actors):
        for i, name in enumerate(given.instruments):
            at = ("actors", a, "instruments", i)
            bar = lengths.get(name, 0)
            if name not in config.instruments:
                known = ", ".join(config.instruments)
                yield at, f"nothing is known of {name!r}; the instruments are {known}"
            elif name not in traded:
                yield (
                    at,
                    f"no strategy trades {name!r}, so there are no bars of it; let one trade it, or remove it",
                )
            elif bar and given.timeframe % bar:
                yield ("actors", a, "timeframe"), not_multiple(name, bar, given.timeframe)
    known_actors = [given.name for given in config.actors]
    for k, account in enumerate(config.accounts):
        for s, strategy in enumerate(account.strategies):
            for keys, message in _listens(strategy, known_actors, config.strategy_folder):
                yield ("accounts", k, "strategies", s, *keys), message


def _listens(given: Strategy, known: list[str], folder: Path | None) -> Iterator[Finding]:
    """Whether a strategy can hear the actors that it lists."""
    for i, name in enumerate(given.signals):
        if name not in known:
            near = get_close_matches(name, known, 1)
            there = f"there are {', '.join(known)}" if known else "there are none; add it under actors"
            yield (
                ("signals", i),
                f"there is no actor {name!r}; {f'did you mean {near[0]!r}?' if near else there}",
            )
        elif name in given.signals[:i]:
            yield ("signals", i), f"{name!r} is given twice; remove one"
    if given.signals and is_python(given.use):
        from strategies.base import Strategy as Base
        from strategies.loading import load_strategy_class

        if load_strategy_class(given.use, folder).on_signal is Base.on_signal:
            what = f"{given.use} has no on_signal, and would not hear them"
            yield ("signals",), f"{what}; write def on_signal(self, ctx, signal), or remove this"
