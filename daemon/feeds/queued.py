"""What all feeds have in common: a task that fills a bounded queue, which the reader empties.

    async with FinnhubStream(...) as feed:
        async for item in feed: ...

The task lives as long as the block. A reader that is slow makes the feed wait, and in the end the outside: nothing is
dropped, and memory is bounded.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

from daemon.feeds.items import Item

F = TypeVar("F", bound="QueuedFeed")

BOUND = 64  # items that wait for the reader


class QueuedFeed(ABC):
    """A feed by what it puts; made for one pass by one reader.

    What `_run` raises reaches the reader after the items before it, or whoever leaves the block without reading that far.
    """

    def __init__(self, bound: int = BOUND) -> None:
        if bound < 1:
            raise ValueError(f"bound is {bound}, a feed's queue holds at least one item")
        self._queue: asyncio.Queue[Item | None] = asyncio.Queue(bound)
        self._task: asyncio.Task[None] | None = None
        self._raised = False

    @abstractmethod
    async def _run(self) -> None:
        """Put items until there are no more."""

    async def _put(self, item: Item) -> None:
        await self._queue.put(item)

    def counts(self) -> dict[str, int]:
        """What it has counted since its start, by names that no other feed of a session has."""
        return {}

    @property
    def depth(self) -> int:
        """Items that wait for the reader."""
        return self._queue.qsize()

    async def __aenter__(self: F) -> F:
        if self._task is not None:
            raise RuntimeError("a feed is made for one pass; make another")
        self._task = asyncio.create_task(self._run(), name=type(self).__name__)
        self._task.add_done_callback(self._wake)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled() and (own := self._task.exception()):
            if kind is None and not self._raised:
                raise own

    def __aiter__(self: F) -> F:
        return self

    async def __anext__(self) -> Item:
        if self._task is None:
            raise RuntimeError("a feed is read within its `async with` block")
        if not (self._queue.empty() and self._task.done()):
            item = await self._queue.get()
            if item is not None:
                return item
        self._raised = True
        if not self._task.cancelled():
            self._task.result()  # raises what the task did
        raise StopAsyncIteration

    def _wake(self, _: asyncio.Task[None]) -> None:
        if not self._queue.full():  # else the reader does not wait, and will find the task done
            self._queue.put_nowait(None)
