"""The asynchronous event bus: what one side publishes, in batches, reaches every subscriber of its type.

A topic is a message's class. Each subscriber has its own bounded queue and its own task, and says what happens when it
is slower than the publisher: the publisher waits for it, or it gets the newest message only, or loses the oldest ones.
Lost messages are counted; depths and counts are there for whoever exports them.

A subscriber that raises is taken off the bus, and its error is kept: no observer can hold up or change what it
observes. Only a subscriber without which the run is worth nothing (the one that writes its results) is `required`: its
error reaches the publisher as ObserverError.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum
from types import TracebackType
from typing import Any, TypeVar

M = TypeVar("M")


class Overflow(Enum):
    """What happens to a message that finds the subscriber's queue full."""

    BLOCK = "block"  # the publisher waits: nothing is lost
    CONFLATE = "conflate"  # the queue holds one message, the newest
    DROP_OLDEST = "drop_oldest"


class ObserverError(Exception):
    """A required subscriber has failed; its own error is the cause."""


class Subscription:
    """One subscriber's place on the bus.

    name: as it appears in metrics and messages. delivered, dropped: messages so far. error: what it raised, or None.
    """

    def __init__(
        self,
        handler: Callable[[Any], Awaitable[None]],
        name: str,
        overflow: Overflow,
        bound: int,
        required: bool,
    ) -> None:
        if bound < 1:
            raise ValueError(f"subscriber {name!r}: a queue must hold at least one message, not {bound}")
        self.name = name
        self.overflow = overflow
        self.bound = 1 if overflow is Overflow.CONFLATE else bound
        self.required = required
        self.delivered = 0
        self.dropped = 0
        self.error: Exception | None = None
        self._handler = handler
        self._waiting: deque[Any] = deque()
        self._closed = False
        self._changed = asyncio.Condition()

    @property
    def depth(self) -> int:
        """Messages that wait."""
        return len(self._waiting)

    async def _offer(self, message: Any) -> None:
        async with self._changed:
            if self.overflow is Overflow.BLOCK:
                await self._changed.wait_for(lambda: len(self._waiting) < self.bound)
            if self.error:
                return
            if len(self._waiting) == self.bound:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(message)
            self._changed.notify_all()

    async def _run(self) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._closed or self._waiting)
                if not self._waiting:
                    return
                message = self._waiting.popleft()
                self._changed.notify_all()
            try:
                await self._handler(message)
            except Exception as error:  # noqa: BLE001  (whatever an observer raises is the observer's affair)
                async with self._changed:
                    self.error = error
                    self._waiting.clear()  # also lets a publisher go on that waits for room
                    self._changed.notify_all()
                return
            self.delivered += 1

    async def _close(self) -> None:
        async with self._changed:
            self._closed = True
            self._changed.notify_all()


class Bus:
    """Carries messages from publishers to subscribers; used as `async with Bus() as bus`.

    Leaving the block waits until every queue is empty; leaving it with an exception drops what waits.
    """

    def __init__(self) -> None:
        self.subscriptions: list[Subscription] = []
        self._topics: dict[type, list[Subscription]] = {}
        self._tasks = asyncio.TaskGroup()
        self._runners: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Bus:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for subscription, task in zip(self.subscriptions, self._runners, strict=True):
            if kind is None:
                await subscription._close()
            else:
                task.cancel()
        # The block's own exception is not the group's affair, which would wrap it into an ExceptionGroup.
        await self._tasks.__aexit__(None, None, None)
        if kind is None:
            self._raise_failure()

    def subscribe(
        self,
        topic: type[M],
        handler: Callable[[M], Awaitable[None]],
        *,
        name: str,
        overflow: Overflow,
        bound: int = 1,
        required: bool = False,
    ) -> Subscription:
        """Call `handler` with each message of exactly that class, one at a time, in order, from now on.

        bound: messages that may wait (CONFLATE: always one). required: its failure is the publisher's, too.
        """
        subscription = Subscription(handler, name, overflow, bound, required)
        self.subscriptions.append(subscription)
        same = self._topics.setdefault(topic, [])
        same.append(subscription)
        same.sort(key=lambda s: s.overflow is Overflow.BLOCK)  # nobody waits behind one that blocks
        self._runners.append(self._tasks.create_task(subscription._run(), name=f"bus:{name}"))
        return subscription

    async def publish(self, message: object) -> None:
        """Hand a message to all subscribers of its class; waits only for those that block.

        Raises ObserverError once a required subscriber has failed.
        """
        for subscription in self._topics.get(type(message), ()):
            await subscription._offer(message)
        # a publisher that never waits would starve its subscribers, and hide its own cancellation
        await asyncio.sleep(0)
        self._raise_failure()

    @property
    def failures(self) -> list[Subscription]:
        """The subscribers that raised, and get nothing any more."""
        return [s for s in self.subscriptions if s.error]

    def _raise_failure(self) -> None:
        for subscription in self.failures:
            if subscription.required:
                raise ObserverError(
                    f"{subscription.name} failed: {subscription.error}"
                ) from subscription.error
