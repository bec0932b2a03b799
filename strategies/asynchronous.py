"""The class that users write asynchronous actors on: forecasters, and whatever else is slower than the engine."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel

from strategies.errors import StrategyLoadError

if TYPE_CHECKING:
    import numpy as np

    from strategies.types import Bar, Signal

Answer: TypeAlias = "Signal | Iterable[Signal] | None"


class AsyncActor:
    """An actor beside the engine: it hears bars, takes its time, and answers with signals. It cannot trade itself.

    A complete one, in a file `drift.py` beside the configuration, which names it under `actors` as ``use: drift:Drift``::

        from pydantic import BaseModel, Field

        from strategies import AsyncActor, Bar, Signal


        class Drift(AsyncActor):
            history = 100

            class Params(BaseModel):
                share: float = Field(0.1, gt=0, le=1)

            async def on_start(self) -> None:
                self.mean = {}

            async def on_warmup(self, bars: list[Bar]) -> None:
                for bar in bars:
                    self.learn(bar)

            async def on_bar(self, bar: Bar) -> Signal:
                mean = self.learn(bar)
                return Signal(bar.instrument, value=bar.close / mean - 1)

            def learn(self, bar: Bar) -> float:
                mean = self.mean.get(bar.instrument, bar.close)
                self.mean[bar.instrument] = mean + self.params.share * (bar.close - mean)
                return self.mean[bar.instrument]

    A strategy that lists it under `signals` gets each signal in `on_signal`, and may order there. A signal is an input on
    the tape: a replay hears the same ones at the same place, without asking the actor again. So an actor has no state to
    be saved. Whenever it begins, also after a crash, a new instance gets `on_start`, then `on_warmup` with the last
    `history` bars of each instrument (none where there are none yet), then a bar at a time.

    As a task (``run: task``) it shares the event loop with the feed and the database: what computes for more than a few
    milliseconds at a time, or blocks (`time.sleep`, `requests`), belongs into a process of its own (``run: process``). The
    class is the same. An exception ends a backtest; live, the actor begins anew after a while.

    A backtest waits for each answer. It can be repeated only if the answers depend on the bars, `self.params` and
    `self.rng` alone.
    """

    class Params(BaseModel):
        """No parameters."""

    name: str  # these are there from `on_start` on
    instruments: tuple[str, ...]
    timeframe: int  # how long its bars last, ns
    rng: np.random.Generator  # its own: PCG64, seeded from the run's seed and the actor's name
    _emit: Callable[[Signal], None]

    def __init__(self, params: Any) -> None:
        """params: an instance of this class's Params."""
        self.params = params

    @property
    def history(self) -> int:
        """How many bars of each instrument `on_warmup` gets at most."""
        return 256

    async def on_start(self) -> None:
        """Begin."""

    async def on_warmup(self, bars: list[Bar]) -> None:
        """What had closed before it began, oldest first; it is not asked about these."""

    async def on_bar(self, bar: Bar) -> Answer:
        """A bar of one of its instruments closed: answer with a signal, several, or None."""

    async def on_stop(self) -> None:
        """End. What it emits now is not heard."""

    def emit(self, signal: Signal) -> None:
        """Give a signal before `on_bar` returns or, live, at any other time; a backtest hears answers to bars only."""
        self._emit(signal)


def check_methods(cls: type[AsyncActor]) -> None:
    """Raise StrategyLoadError for a method on_... that nobody calls, and for one that is not async."""
    known = [name for name in dir(AsyncActor) if name.startswith("on_")]
    for name in dir(cls):
        method = getattr(cls, name)
        if not name.startswith("on_") or not callable(method):
            continue
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
            raise StrategyLoadError(f"{cls.__qualname__}.{name} is never called; {hint}")
        if not inspect.iscoroutinefunction(method):
            what = "is an async generator" if inspect.isasyncgenfunction(method) else "is no async def"
            hint = (
                "return what it gives, or pass it to self.emit()"
                if "generator" in what
                else f"write async def {name}"
            )
            raise StrategyLoadError(f"{cls.__qualname__}.{name} {what}; {hint}")
