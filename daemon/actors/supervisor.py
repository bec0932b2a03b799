"""Asynchronous actors of a live session: heard bars in, signals out, and back on their feet when they fall.

Nothing here is waited for by the engine. A bar that finds an actor's queue full pushes another out. An actor that raises,
hangs, or whose process ends is lost: that is an input on the tape, so that the orders of its listeners can be cancelled;
it starts again after a while that doubles, and hears its last bars first.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import structlog

from daemon.actors.answers import bar_of
from daemon.actors.errors import ActorError
from daemon.actors.hosts import Host, TaskHost
from daemon.actors.inside import Job
from daemon.actors.process import ProcessHost, resident_bytes
from daemon.actors.waiting import Waiting
from daemon.feeds.backoff import Backoff
from daemon.live.bars import last_bars
from daemon.live.messages import Notice

if TYPE_CHECKING:
    from daemon.config.actors import ActorConfig
    from daemon.feeds.clock import Clock
    from daemon.live.messages import Level
    from engine.engine import Engine
    from strategies.types import Bar

Submit: TypeAlias = Callable[[str, dict[str, Any]], Awaitable[None]]
MOST_UNSENT = 1000  # signals that may wait for the inbox
STEADY_S = 300.0  # having run so long, it has recovered: the next wait is short again
TELL_AGAIN_S = 60.0  # between two notices of the same trouble

log = structlog.get_logger()


@dataclass(frozen=True)
class ActorFacts:
    """How an actor is; counts are since the process began."""

    name: str
    state: str  # starting, ready, busy or lost
    why: str  # it is lost; else empty
    starts: int  # the first one, too
    lost: int  # times that it was
    heard: int  # bars it was asked about
    dropped: int  # bars that it had no time for
    depth: int  # bars that wait
    signals: int
    refused: int  # signals that could not be used
    unsent: int  # signals that were pushed out before the inbox took them
    blocked: int  # times that it held the event loop up
    pid: int | None  # of its own process, if it has one
    resident_bytes: int | None  # that this process holds


class _Outbox:
    """What waits for the inbox, in order. Signals are bounded, the oldest goes first; news of actors always stay."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, dict[str, Any], _Live]] = deque()
        self._signals = 0
        self._some = asyncio.Event()

    def put(self, kind: str, content: dict[str, Any], actor: _Live) -> None:
        if kind == "signal":
            if self._signals == MOST_UNSENT:
                oldest = next(message for message in self._waiting if message[0] == "signal")
                self._waiting.remove(oldest)
                oldest[2].unsent += 1
            else:
                self._signals += 1
        self._waiting.append((kind, content, actor))
        self._some.set()

    async def get(self) -> tuple[str, dict[str, Any], _Live]:
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        message = self._waiting.popleft()
        self._signals -= message[0] == "signal"
        return message


class _Live:
    """One actor, its bars, and what became of it."""

    def __init__(self, given: ActorConfig, job: Job, names: Sequence[str]) -> None:
        self.given = given
        self.job = job
        self.indices = np.array([names.index(name) for name in given.instruments])
        self.history = job.make().history
        self.recent: dict[str, deque[Bar]] = {name: deque(maxlen=self.history) for name in given.instruments}
        self.waiting = Waiting(given.queue, given.overflow == "conflate")
        self.host: Host | None = None
        self.state, self.why = "starting", ""
        self.starts = self.lost = self.heard = self.signals = self.refused = self.unsent = self.blocked = 0
        self.told = {"refused": -TELL_AGAIN_S, "blocked": -TELL_AGAIN_S}  # when, by the event loop's time

    def offer(self, bar: Bar) -> None:
        self.recent[bar.instrument].append(bar)
        self.waiting.put(bar)

    def warmup(self) -> list[Bar]:
        """All that it may remember, oldest first; what waited is among it, and waits no more."""
        self.waiting.clear()
        places = {name: k for k, name in enumerate(self.given.instruments)}
        bars = [bar for recent in self.recent.values() for bar in recent]
        return sorted(bars, key=lambda bar: (bar.end, places[bar.instrument]))

    def facts(self) -> ActorFacts:
        pid = self.host.pid if self.host else None
        return ActorFacts(
            self.given.name, self.state, self.why, self.starts, self.lost, self.heard, self.waiting.dropped,
            len(self.waiting), self.signals, self.refused, self.unsent, self.blocked,
            pid, None if pid is None else resident_bytes(pid),
        )  # fmt: skip


class Supervisor:
    """Keeps the asynchronous actors of a session running; used as `async with`.

    `warm`, before it starts, gives them what closed before; `hear` offers them what closes. What they say goes through
    `submit` into the inbox: kind and content of a payload, `signal` or `actor`.
    """

    def __init__(
        self,
        configs: Sequence[ActorConfig],
        instruments: Sequence[str],
        submit: Submit,
        notice: Callable[[Notice], None],
        clock: Clock,
        rng: random.Random,
        *,
        seed: int = 0,
        folder: Path | None = None,
        lost: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """instruments: their names in the engine's order. notice: hears what an operator should know. rng: of back-offs.

        seed: the run's. folder: where the actors' modules are looked for. lost: those that are lost on the tape already,
        and why; they come back when they have begun. Raises StrategyError where a class cannot be made.
        """
        self._names = list(instruments)
        self._submit, self._notice, self._clock, self._rng = submit, notice, clock, rng
        self._actors = [
            _Live(given, Job.of(given, self._names, seed, folder), self._names) for given in configs
        ]
        for actor in self._actors:
            actor.why = lost.get(actor.given.name, "")
        self._outbox = _Outbox()
        self._tasks = asyncio.TaskGroup()
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Supervisor:
        await self._tasks.__aenter__()
        self._running = [
            self._tasks.create_task(self._send(), name="actors:outbox"),
            *(
                self._tasks.create_task(self._keep(actor), name=f"actor:{actor.given.name}")
                for actor in self._actors
            ),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._running:
            task.cancel()
        await self._tasks.__aexit__(None, None, None)

    def warm(self, engine: Engine) -> None:
        """Let each actor remember the bars that the engine keeps; before it starts."""
        for actor in self._actors:
            for row in last_bars(engine, actor.history, actor.given.timeframe, actor.indices):
                bar = bar_of(row, self._names)
                actor.recent[bar.instrument].append(bar)

    def hear(self, bars: np.ndarray[Any, Any]) -> None:
        """Offer bars that closed, (n,) CLOSED_BAR; never waits."""
        for actor in self._actors:
            mine = np.isin(bars["instrument"], actor.indices) & (bars["timeframe"] == actor.given.timeframe)
            for row in bars[mine]:
                actor.offer(bar_of(row, self._names))

    def facts(self) -> list[ActorFacts]:
        """How the actors are, in the configuration's order."""
        return [actor.facts() for actor in self._actors]

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            kind, content, _ = await self._outbox.get()
            await self._submit(kind, content)

    async def _keep(self, actor: _Live) -> None:
        backoff, loop = Backoff(self._rng), asyncio.get_running_loop()
        while True:
            begun = loop.time()
            try:
                await self._run(actor)
            except ActorError as error:
                self._lose(actor, error)
            if loop.time() - begun > STEADY_S:
                backoff.reset()
            await self._clock.sleep(backoff.next())

    async def _run(self, actor: _Live) -> None:
        actor.host = host = self._host(actor)
        actor.starts += 1
        try:
            await host.start(actor.warmup())
            self._find(actor)
            ended = asyncio.create_task(host.ended())
            try:
                while True:
                    actor.state = "ready"
                    bar = await _next(actor.waiting, ended)
                    actor.state = "busy"
                    actor.heard += 1
                    await host.ask(bar)
            finally:
                ended.cancel()
        finally:
            await host.stop()
            actor.host = None

    def _host(self, actor: _Live) -> Host:
        def say(content: dict[str, Any]) -> None:
            actor.signals += 1
            self._outbox.put("signal", content, actor)

        def refuse(why: str) -> None:
            actor.refused += 1
            self._trouble(actor, "refused", f"a signal of actor {actor.given.name!r} was refused: {why}")

        def blocked(seconds: float) -> None:
            actor.blocked += 1
            what = f"actor {actor.given.name!r} held the event loop up for {seconds:.1f} s"
            self._trouble(actor, "blocked", f"{what}; give it a process of its own: run: process")

        timeout_s = actor.given.timeout / 1e9
        if actor.given.run == "process":
            return ProcessHost(actor.job, timeout_s, say, refuse)
        return TaskHost(actor.job, timeout_s, say, refuse, blocked)

    def _lose(self, actor: _Live, error: ActorError) -> None:
        actor.lost += 1
        name, why = actor.given.name, str(error)
        if actor.why != why:
            self._tell("error", f"{why}; it starts again")
        if not actor.why:
            self._outbox.put("actor", {"actor": name, "event": "lost", "why": why}, actor)
        actor.state, actor.why = "lost", why
        log.error("actor lost", actor=name, why=why, trace=error.trace or None, times=actor.lost)

    def _find(self, actor: _Live) -> None:
        if actor.why:
            name, why = actor.given.name, actor.why
            self._outbox.put("actor", {"actor": name, "event": "back", "why": why}, actor)
            self._tell("info", f"actor {name!r} is back")
            log.info("actor back", actor=name, starts=actor.starts)
        actor.why = ""

    def _trouble(self, actor: _Live, what: str, text: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - actor.told[what] >= TELL_AGAIN_S:
            actor.told[what] = now
            self._tell("warning", text)
            log.warning(text, actor=actor.given.name)

    def _tell(self, level: Level, text: str) -> None:
        self._notice(Notice(level, "actor", text, self._clock.now_ns()))


async def _next(waiting: Waiting, ended: asyncio.Task[ActorError]) -> Bar:
    """The next bar to be heard. Raises ActorError where the actor ends before."""
    bar = asyncio.create_task(waiting.get())
    try:
        await asyncio.wait({bar, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not bar.done():
            bar.cancel()
    if ended.done():
        raise ended.result()
    return bar.result()
