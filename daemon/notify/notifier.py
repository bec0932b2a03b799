"""All targets of a session, on its bus."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from daemon import logs
from daemon.bus import Bus, Overflow
from daemon.config.notify import Notify, names
from daemon.feeds.clock import Clock
from daemon.live.messages import Committed, FeedStatus, Notice
from daemon.notify.secrets import read, variables
from daemon.notify.senders import sender
from daemon.notify.target import Figures, Target
from daemon.notify.telling import Teller, Told, fed, noticed

if TYPE_CHECKING:
    from engine.spec import EngineSpec

FLUSH_S = 5.0
WAITING = 1000  # messages of the bus that may wait for us; none does, for we wait for nothing


class Notifier:
    """Tells targets what is committed; used as `async with`, around the bus that it listens to.

    Leaving the block delivers what waits, for at most five seconds. session: what it is called in messages. Raises
    NotifyError where a secret of a target is not there.
    """

    def __init__(
        self,
        targets: Sequence[Notify],
        spec: EngineSpec,
        clock: Clock,
        *,
        session: str = "papertape",
        environ: Mapping[str, str] = os.environ,
        flush_s: float = FLUSH_S,
    ) -> None:
        self._teller = Teller(spec)
        self._clock = clock
        self._session = session
        self._environ = environ
        self._flush_s = flush_s
        self._targets = self._made(targets)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Notifier:
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end(self._targets, self._tasks)

    def subscribe(self, bus: Bus) -> None:
        """Listen to what a session says. Nothing there ever waits for us."""
        bus.subscribe(Committed, self._committed, name="notify", overflow=Overflow.DROP_OLDEST, bound=WAITING)
        bus.subscribe(
            Notice, self._noticed, name="notify:notices", overflow=Overflow.DROP_OLDEST, bound=WAITING
        )
        bus.subscribe(FeedStatus, self._fed, name="notify:feed", overflow=Overflow.DROP_OLDEST, bound=WAITING)

    def figures(self) -> list[Figures]:
        """What each target came to, for metrics; they are live."""
        return [target.figures for target in self._targets]

    async def replace(self, targets: Sequence[Notify]) -> None:
        """Tell these from now on; what waits for the others is delivered first, for at most five seconds.

        Raises NotifyError, and then all stays as it is.
        """
        before, tasks = self._targets, self._tasks
        self._targets = self._made(targets)
        self._start()
        await self._end(before, tasks)

    def _made(self, targets: Sequence[Notify]) -> list[Target]:
        for target in targets:
            for variable in variables(target):
                logs.hide(read(variable, self._environ))
        return [
            Target(target, name, sender(target, self._environ), self._session, self._clock, random.Random())
            for target, name in zip(targets, names(targets), strict=True)
        ]

    def _start(self) -> None:
        self._tasks = [
            asyncio.create_task(target.run(), name=f"notify:{target.figures.name}")
            for target in self._targets
        ]

    async def _end(self, targets: list[Target], tasks: list[asyncio.Task[None]]) -> None:
        for target in targets:
            target.end()
        if not tasks:
            return
        try:
            await asyncio.wait(tasks, timeout=self._flush_s)
        finally:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _committed(self, message: Committed) -> None:
        self._tell(self._teller.committed(message.batch))

    async def _noticed(self, message: Notice) -> None:
        self._tell(noticed(message))

    async def _fed(self, message: FeedStatus) -> None:
        self._tell(fed(message.status))

    def _tell(self, told: Iterable[Told]) -> None:
        for one in told:
            for target in self._targets:
                target.offer(one)
