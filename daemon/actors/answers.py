"""Asynchronous actors in a backtest: the runner waits for their answers, and enters them where they belong.

The tape is cut where a bar closes that an actor hears. There a timer row closes it, the actors are asked, and each answer
enters as a row of its own, so long after as its actor's delay says: before the tape's own rows of that time. So a
strategy that orders on an answer without delay gets the fills of one that decides on the bar itself, and how the tape
came in batches changes nothing.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.actors.delivering import deliver
from daemon.actors.errors import ActorError
from daemon.actors.hosts import Host, TaskHost
from daemon.actors.inside import Job
from daemon.actors.process import ProcessHost
from daemon.live.bars import closed_bars, counts, last_bars, next_close
from daemon.live.rows import timer
from engine.build import no_ticks
from engine.records import NEVER, NO_TIME, BarKind, Ticks
from strategies.actor import PythonActor
from strategies.types import Bar

if TYPE_CHECKING:
    from daemon.config.actors import ActorConfig
    from engine.engine import Engine, Events

Array = np.ndarray[Any, Any]
Taken = tuple[Ticks, "Events"]


def bar_of(row: Any, names: Sequence[str]) -> Bar:
    """A row of CLOSED_BAR as actors hear it; names: of the instruments, in the engine's order."""
    values = row.item()
    return Bar(*values[3:], names[values[1]])  # type: ignore[call-arg] # a tuple as long as the fields


class _Heard:
    """One actor: what it hears, and what it has said to the bars of this moment."""

    def __init__(self, given: ActorConfig, engine: Engine, seed: int, folder: Path | None) -> None:
        self.given = given
        self.names = [i.name for i in engine.spec.instruments]
        self.instruments = np.array([engine.instrument_index[name] for name in given.instruments])
        self._said: list[dict[str, Any]] = []
        self._refused = ""
        self._asking = False
        job = Job.of(given, self.names, seed, folder)
        self.history = job.make().history
        timeout_s = given.timeout / 1e9
        self.host: Host = (
            ProcessHost(job, timeout_s, self._say, self._refuse)
            if given.run == "process"
            else TaskHost(job, timeout_s, self._say, self._refuse, lambda seconds: None)
        )

    async def start(self, warmup: Array) -> None:
        """Let it begin; it hears what closed before."""
        await self.host.start([bar_of(row, self.names) for row in warmup])
        self._check()

    async def ask(self, closed: Array) -> list[dict[str, Any]]:
        """What it answers to those of the bars that it hears. Raises ActorError."""
        mine = closed[
            np.isin(closed["instrument"], self.instruments) & (closed["timeframe"] == self.given.timeframe)
        ]
        self._asking = True
        for row in mine:
            await self.host.ask(bar_of(row, self.names))
            self._check()
        self._asking = False
        said, self._said = self._said, []
        return said

    def _check(self) -> None:
        if self._refused:
            raise ActorError(f"actor {self.given.name!r} gave a signal that cannot be used: {self._refused}")

    def _say(self, content: dict[str, Any]) -> None:
        if not self._asking:
            self._refused = (
                "it was not asked; a backtest hears answers to bars only, so that it can be repeated"
            )
        self._said.append(content)

    def _refuse(self, why: str) -> None:
        self._refused = self._refused or why


class Answers:
    """The asynchronous actors of a backtest; used as `async with`. What they raise ends the backtest, as ActorError."""

    def __init__(
        self, engine: Engine, configs: Sequence[ActorConfig], seed: int = 0, folder: Path | None = None
    ) -> None:
        """seed: the run's. folder: where the actors' modules are looked for."""
        self._engine = engine
        self._actors = [_Heard(given, engine, seed, folder) for given in configs]
        asked = [engine.actors.get(spec.name) for spec in engine.spec.strategies]
        self._listeners = {
            given.name: [a for a in asked if isinstance(a, PythonActor) and given.name in a.signals]
            for given in configs
        }
        series = engine.state.series.view(np.ndarray)
        mine = np.zeros(len(series), bool)
        for actor in self._actors:
            mine |= np.isin(series["instrument"], actor.instruments) & (
                series["timeframe"] == actor.given.timeframe
            )
        self._series = np.flatnonzero(mine & (series["kind"] == BarKind.TIME))
        self._waiting: list[tuple[int, int, dict[str, Any]]] = []  # when, which, what: a heap
        self._said = 0
        self._begun = False

    async def __aenter__(self) -> Answers:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(actor.host.stop() for actor in self._actors))

    async def take(self, ticks: Ticks) -> AsyncIterator[Taken]:
        """Put a batch through the engine, and answers between its rows: in pieces, each with what it caused."""
        n, i = len(ticks.price), 0
        while i < n:
            at = self._next(int(ticks.ts_recv[i]))
            end = i + int(np.searchsorted(ticks.ts_recv[i:], at))
            if end > i:
                piece = Ticks(*(column[i:end] for column in ticks))
                yield piece, self._engine.process(piece)
                i = end
            elif not self._begun:
                async for taken in self._begin():
                    yield taken
            else:
                async for taken in self._moment(at):
                    yield taken

    def _next(self, ts: int) -> int:
        """When something is to be done between two rows, if the next comes at ts; in a history its own time is the same."""
        trade_from = self._engine.spec.trade_from
        if not self._begun:
            return trade_from if ts < trade_from else NO_TIME
        waiting = self._waiting[0][0] if self._waiting else NEVER
        return min(waiting, next_close(self._engine, ts, self._series))

    async def _begin(self) -> AsyncIterator[Taken]:
        """The first row comes at which strategies decide: what closes before warms actors up."""
        engine = self._engine
        before = engine.spec.trade_from - 1
        if NO_TIME < engine.now < before:
            row = timer(before)
            yield row, engine.process(row)
        warmups = [last_bars(engine, a.history, a.given.timeframe, a.instruments) for a in self._actors]
        begun = zip(self._actors, warmups, strict=True)
        for failed in await asyncio.gather(*(a.start(bars) for a, bars in begun), return_exceptions=True):
            if failed is not None:
                raise failed
        self._begun = True

    async def _moment(self, at: int) -> AsyncIterator[Taken]:
        """Bars close, are heard and answered; what is to enter now does."""
        engine = self._engine
        since = counts(engine)
        row = timer(at)
        yield row, engine.process(row)
        closed = closed_bars(engine, since)
        if len(closed):
            answered = await asyncio.gather(
                *(actor.ask(closed) for actor in self._actors), return_exceptions=True
            )
            for actor, said in zip(self._actors, answered, strict=True):
                if isinstance(said, BaseException):
                    raise said
                for content in said:
                    heapq.heappush(self._waiting, (at + actor.given.delay, self._said, content))
                    self._said += 1
        for content in self._due(at):
            row = timer(at)
            yield row, engine.process(row)
            yield no_ticks(), deliver(engine, self._listeners[content["actor"]], content)

    def _due(self, at: int) -> Iterator[dict[str, Any]]:
        while self._waiting and self._waiting[0][0] <= at:
            yield heapq.heappop(self._waiting)[2]
