"""One instance of a user's actor, and the calls it gets: the same in the event loop and in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.actors.errors import SignalError
from daemon.actors.signals import answers, content

if TYPE_CHECKING:
    from daemon.config.actors import ActorConfig
    from strategies.asynchronous import AsyncActor
    from strategies.types import Bar, Signal


@dataclass(frozen=True)
class Job:
    """All that an instance is made of; JSON can say it."""

    name: str
    use: str
    params: dict[str, Any]
    instruments: tuple[str, ...]
    timeframe: int  # ns
    known: tuple[str, ...]  # all instruments of the session
    seed: int
    folder: str | None  # where modules are looked for

    @classmethod
    def of(cls, given: ActorConfig, known: Sequence[str], seed: int, folder: Path | None) -> Job:
        """The job of a configured actor."""
        return cls(
            given.name,
            given.use,
            given.params,
            given.instruments,
            given.timeframe,
            tuple(known),
            seed,
            None if folder is None else str(folder),
        )

    def plain(self) -> dict[str, Any]:
        """As JSON has it; Job(**...) is equal but for lists in place of tuples."""
        return asdict(self)

    def make(self) -> AsyncActor:
        """A new instance, not set up. Raises StrategyError."""
        from strategies.loading import make_async

        return make_async(self.use, self.params, Path(self.folder) if self.folder else None)


class Inside:
    """An instance, asked by whoever holds it. What it raises goes through."""

    def __init__(
        self, job: Job, say: Callable[[dict[str, Any]], None], refuse: Callable[[str], None]
    ) -> None:
        """say: takes each signal, checked, as the tape has it. refuse: hears why one cannot be used."""
        from strategies.actor import make_rng

        self._job = job
        self._say = say
        self._refuse = refuse
        self._newest = 0  # the end of the newest bar that it has heard
        self._actor = actor = job.make()
        actor.name = job.name
        actor.instruments = tuple(job.instruments)
        actor.timeframe = job.timeframe
        actor.rng = make_rng(job.seed, f"actor:{job.name}")
        actor._emit = self._emit

    async def start(self, warmup: Sequence[Bar]) -> None:
        """Let it begin; it hears what had closed before, where something has."""
        await self._actor.on_start()
        if warmup:
            self._newest = warmup[-1].end
            await self._actor.on_warmup(list(warmup))

    async def ask(self, bar: Bar) -> None:
        """Let it hear a bar; its answers are said before this returns."""
        self._newest = max(self._newest, bar.end)
        for signal in answers(await self._actor.on_bar(bar), self._job.name):
            self._emit(signal)

    async def stop(self) -> None:
        """Let it end."""
        self._say = self._refuse = _nothing
        await self._actor.on_stop()

    def _emit(self, signal: Signal) -> None:
        job = self._job
        try:
            if not self._newest:
                raise SignalError("it came before the first bar; there is no time yet that it could be of")
            said = content(signal, job.name, job.known, self._newest, job.timeframe)
        except SignalError as error:
            self._refuse(str(error))
        else:
            self._say(said)


def _nothing(_: Any) -> None:
    """Hear what an actor says that has ended."""
