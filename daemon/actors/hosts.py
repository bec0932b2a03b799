"""Where an actor runs: as a task in the event loop. One that hangs is left, one that blocks the loop is told of."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from daemon.actors.errors import ActorError, ActorHungError
from daemon.actors.inside import Inside, Job
from daemon.actors.stepwise import stepwise
from strategies.errors import StrategyError
from strategies.types import Bar

STARTING_S = 60.0  # what a beginning may take at least: a model that is loaded
ENDING_S = 2.0  # what an end may take
BLOCKED_S = 0.1  # holding the event loop up for so long is told
Say = Callable[[dict[str, Any]], None]
Tell = Callable[[str], None]


class Host(Protocol):
    """An actor somewhere, from its start to its stop. What it says goes to `say`, in order, also before `ask` returns."""

    async def start(self, warmup: Sequence[Bar]) -> None:
        """Let it begin. Raises ActorError."""

    async def ask(self, bar: Bar) -> None:
        """Let it hear a bar, and wait until it has answered. Raises ActorError."""

    async def ended(self) -> ActorError:
        """Wait until it ends by itself, and why it did."""

    async def stop(self) -> None:
        """Let it end, or end it; also after an error."""

    @property
    def pid(self) -> int | None:
        """The process that is its own, if it has one."""


class TaskHost:
    """An actor in this event loop."""

    def __init__(
        self, job: Job, timeout_s: float, say: Say, refuse: Tell, blocked: Callable[[float], None]
    ) -> None:
        """blocked: hears of each stretch of at least BLOCKED_S, in seconds, in which the actor held the loop up."""
        self._job = job
        self._timeout_s = timeout_s
        self._say, self._refuse, self._blocked = say, refuse, blocked
        self._inside: Inside | None = None

    async def start(self, warmup: Sequence[Bar]) -> None:
        """Let it begin."""

        async def begin() -> None:
            self._inside = Inside(self._job, self._say, self._refuse)
            await self._inside.start(warmup)

        await self._within(max(self._timeout_s, STARTING_S), begin(), "when it began")

    async def ask(self, bar: Bar) -> None:
        """Let it hear a bar."""
        assert self._inside
        await self._within(self._timeout_s, self._inside.ask(bar), f"on the bar of {bar.instrument}")

    async def ended(self) -> ActorError:
        """Never: a task that is not asked anything does nothing."""
        await asyncio.get_running_loop().create_future()
        raise AssertionError  # not reached

    async def stop(self) -> None:
        """Let it end, for as long as that may take."""
        if self._inside:
            inside, self._inside = self._inside, None
            try:
                await self._within(ENDING_S, inside.stop(), "when it stopped")
            except ActorError as error:
                self._refuse(str(error))

    @property
    def pid(self) -> int | None:
        """None: it shares this process."""
        return None

    def _step(self, seconds: float) -> None:
        if seconds >= BLOCKED_S:
            self._blocked(seconds)

    async def _within(self, seconds: float, work: Coroutine[Any, Any, None], when: str) -> None:
        what = f"actor {self._job.name!r}"
        task = asyncio.create_task(_isolated(stepwise(work, self._step)), name=f"actor:{self._job.name}")
        try:
            await asyncio.wait({task}, timeout=seconds)
        finally:
            hung = not task.done()
            for _ in range(2):  # it may clean up, but not refuse to end
                if not task.done():
                    task.cancel()
                    await asyncio.wait({task}, timeout=ENDING_S)
            if task.done():
                work.close()  # where it was cancelled before its first step
        if hung:
            raise ActorHungError(f"{what} has not answered for {seconds:g} s {when}")
        if task.cancelled():
            raise ActorError(f"{what} cancelled itself {when}")
        if error := task.exception():
            raise crash(self._job.name, when, error)


async def _isolated(work: Any) -> None:
    try:
        await work
    except SystemExit as error:  # would end the event loop
        raise ActorError("it called sys.exit") from error


def crash(name: str, when: str, error: BaseException) -> ActorError:
    """What is to be said of an actor that raised."""
    if isinstance(error, StrategyError):
        return ActorError(f"actor {name!r} {when}: {error}")
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    trace = "".join(traceback.format_exception(error))
    return ActorError(f"actor {name!r} {when}: {type(error).__name__}: {error}{where}", trace)
