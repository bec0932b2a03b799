"""What feeds give becomes inputs, in the order in which the feeds are entered and their items come."""

from __future__ import annotations

import asyncio

import numpy as np

from daemon.bus import Bus
from daemon.feeds.items import Prints
from daemon.feeds.queued import QueuedFeed
from daemon.live.health import Health
from daemon.live.inbox import Inbox
from daemon.live.listening import Listening
from engine.records import NEVER, RowKind
from tests.unit.daemon.feeds.doubles import Script, settle
from tests.unit.daemon.live.test_inbox import HandClock, prints

SPLIT = Prints(
    np.array([5]), np.zeros(1, np.int32), np.array([4.0]), np.ones(1), np.full(1, RowKind.SPLIT, np.uint8)
)


class SlowFile(QueuedFeed):
    """Gives a split that is due, once its file is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read = asyncio.Event()

    async def __aenter__(self) -> SlowFile:
        await self.read.wait()
        return await super().__aenter__()

    async def _run(self) -> None:
        await self._put(SPLIT)


def test_split_that_is_due_comes_before_the_first_print_however_long_its_file_takes() -> None:
    async def run() -> list[int]:
        clock = HandClock()
        inbox, file, stream = Inbox(clock, 0), SlowFile(), Script(prints(25.0))
        stream.let()
        async with Bus() as bus, asyncio.TaskGroup() as tasks:
            listening = Listening([file, stream], inbox, clock, Health(), bus, ["A"])
            listening.begin(tasks)
            await settle()
            assert inbox.rows == 0  # the stream could give one, and is not entered
            file.read.set()
            await listening.ended.wait()
        return [int(flag) for entry in await inbox.take(NEVER) for flag in entry.ticks.flags]

    assert asyncio.run(asyncio.wait_for(run(), 10)) == [RowKind.SPLIT, RowKind.PRINT]
