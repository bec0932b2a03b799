"""One target: what waits for it, and the task that delivers it, message by message."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

import structlog

from daemon.config.notify import Notify
from daemon.feeds.backoff import Backoff
from daemon.feeds.clock import Clock
from daemon.notify.digest import Digest, Message
from daemon.notify.errors import Undelivered
from daemon.notify.senders import Sender
from daemon.notify.telling import Told

ATTEMPTS = 5  # for one message, over about a quarter of a minute
LONGEST_WISH_S = 300.0  # of a Retry-After that is kept
_LEVELLED = ("notices", "feed")
_LEVELS = ("info", "warning", "error")

log = structlog.get_logger()


@dataclass
class Figures:
    """Of one target. sent: messages. failed: attempts. dropped: things of messages that were given up. waiting: things."""

    name: str
    sent: int = 0
    failed: int = 0
    dropped: int = 0
    waiting: int = 0


class Target:
    """Delivers what it is offered, as far as its configuration wants it.

    A message is tried five times; what cannot be delivered is dropped, counted and logged. What happens meanwhile
    waits for the next message.
    """

    def __init__(
        self, config: Notify, name: str, sender: Sender, session: str, clock: Clock, rng: random.Random
    ) -> None:
        self.figures = Figures(name)
        self._config = config
        self._sender = sender
        self._session = session
        self._clock = clock
        self._rng = rng
        self._digest = Digest()
        self._in_hand: Message | None = None
        self._something = asyncio.Event()
        self._ending = asyncio.Event()

    def offer(self, told: Told) -> None:
        """Put it into the next message, where it is wanted. Never waits."""
        config = self._config
        if told.event not in config.events:
            return
        if told.account and config.accounts and told.account not in config.accounts:
            return
        if told.event in _LEVELLED and not self._important(told):
            return
        self._digest.add(told)
        self._count_waiting()
        self._something.set()

    def _important(self, told: Told) -> bool:
        (line,) = told.first(1)
        return line.level is None or _LEVELS.index(line.level) >= _LEVELS.index(self._config.level)

    def end(self) -> None:
        """Deliver what waits, without pausing before it, and finish."""
        self._ending.set()
        self._something.set()

    async def run(self) -> None:
        """Deliver until `end`; cancelled, what is not delivered is dropped."""
        try:
            while True:
                await self._something.wait()
                if self._digest.total:
                    self._in_hand = self._digest.take(self._session, self._clock.now_ns())
                    await self._deliver(self._in_hand)
                    self._in_hand = None
                    self._count_waiting()
                    if not self._ending.is_set():
                        await self._pause(self._config.every / 1e9)
                elif self._ending.is_set():
                    return
                if not self._ending.is_set() and not self._digest.total:
                    self._something.clear()
        except asyncio.CancelledError:
            self._drop_all("there was no time left")
            raise
        finally:
            await self._sender.close()

    async def _deliver(self, message: Message) -> None:
        backoff = Backoff(self._rng)
        why = ""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._sender.send(message)
            except Undelivered as error:
                why, final, after_s = str(error), error.final, error.after_s
            except Exception as error:  # noqa: BLE001  (a target's fault shall neither end it nor reach another)
                why, final, after_s = f"{type(error).__name__} while sending", True, 0.0
            else:
                self.figures.sent += 1
                return
            self.figures.failed += 1
            if final or attempt == ATTEMPTS:
                break
            if attempt == 1:
                log.warning("notification delayed", target=self.figures.name, why=why)
            await self._pause(max(backoff.next(), min(after_s, LONGEST_WISH_S)))
        self._drop(message.total, message.subject, why)

    async def _pause(self, seconds: float) -> None:
        """Wait for so long by the clock, or until the end; after it for a second at most."""
        if self._ending.is_set():
            await self._clock.sleep(min(seconds, 1.0))
            return
        waits = {
            asyncio.ensure_future(self._clock.sleep(seconds)),
            asyncio.ensure_future(self._ending.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _drop_all(self, why: str) -> None:
        if self._in_hand is not None:
            self._drop(self._in_hand.total, self._in_hand.subject, why)
        if self._digest.total:
            rest = self._digest.take(self._session, self._clock.now_ns())
            self._drop(rest.total, rest.subject, why)

    def _drop(self, count: int, subject: str, why: str) -> None:
        self.figures.dropped += count
        log.error("notification dropped", target=self.figures.name, what=subject, why=why)

    def _count_waiting(self) -> None:
        self.figures.waiting = self._digest.total + (self._in_hand.total if self._in_hand is not None else 0)
