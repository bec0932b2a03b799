"""The inbox: one order, one time that never goes back, bounds for feeds and none for our own rows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from daemon.feeds.items import Prints
from daemon.live import inbox as module
from daemon.live import rows
from daemon.live.inbox import Inbox
from engine.records import NEVER, SECOND, RowKind, Ticks
from tests.builders import make_ticks


class HandClock:
    """A clock that stands where it was put."""

    def __init__(self, now: int = 0) -> None:
        self.now = now

    def now_ns(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps by it")


def prints(*prices: float, ts: int = 0, received: int = 0) -> Prints:
    n = len(prices)
    return Prints(
        np.full(n, ts, np.int64), np.zeros(n, np.int32), np.array(prices), np.ones(n), np.zeros(n, np.uint8), received
    )  # fmt: skip


def story(steps: Callable[[Inbox, HandClock], Any], last: int = 0, **given: Any) -> Any:
    async def told() -> Any:
        clock = HandClock(given.pop("now", 0))
        return await steps(Inbox(clock, last, **given), clock)

    return asyncio.run(asyncio.wait_for(told(), 10))


def prices(entries: list[Any]) -> list[float]:
    return [float(p) for e in entries for p in e.ticks.price]


def times(entries: list[Any]) -> list[int]:
    return [int(t) for e in entries for t in e.ticks.ts_recv]


# -- order and time ---------------------------------------------------------------------------------------------------


def test_what_is_put_comes_out_in_order_with_what_it_carries() -> None:
    async def steps(inbox: Inbox, _: HandClock) -> None:
        await inbox.put(prints(1.0, 2.0))
        inbox.post(rows.timer, "signal", {"x": 1})
        await inbox.put(prints(3.0))
        entries = await inbox.take(NEVER)
        assert prices(entries) == [1.0, 2.0, 0.0, 3.0]
        assert [(e.kind, e.content) for e in entries] == [(None, None), ("signal", {"x": 1}), (None, None)]
        assert (inbox.rows, inbox.taken) == (0, 4)

    story(steps)


def test_print_has_the_time_at_which_it_came_in_and_keeps_the_venues() -> None:
    async def steps(inbox: Inbox, clock: HandClock) -> None:
        clock.now = 70
        await inbox.put(prints(1.0, 2.0, ts=30))
        (entry,) = await inbox.take(NEVER)
        assert entry.ticks.ts_event.tolist() == [30, 30]
        assert entry.ticks.ts_recv.tolist() == [70, 70]
        assert entry.ticks.ts_recv.dtype == np.int64

    story(steps)


def test_time_never_goes_back_whatever_the_clock_does() -> None:
    async def steps(inbox: Inbox, clock: HandClock) -> None:
        clock.now = 100
        await inbox.put(prints(1.0))
        clock.now = 40
        await inbox.put(prints(2.0))
        inbox.post(rows.timer)
        assert inbox.now() == 100
        await inbox.put(make_ticks([(50, 3.0), (90, 4.0), (130, 5.0)]))
        clock.now = 120
        inbox.post(rows.timer)
        assert times(await inbox.take(NEVER)) == [100, 100, 100, 100, 100, 130, 130]
        assert inbox.last == 130

    story(steps)


def test_time_begins_where_the_session_stood() -> None:
    async def steps(inbox: Inbox, _: HandClock) -> None:
        await inbox.put(prints(1.0))
        inbox.post(rows.timer)
        assert times(await inbox.take(NEVER)) == [5_000, 5_000]

    story(steps, last=5_000, now=100)


def test_rows_that_bring_their_own_time_keep_it() -> None:
    async def steps(inbox: Inbox, _: HandClock) -> None:
        ticks = make_ticks([(50, 3.0), (90, 4.0)])
        await inbox.put(ticks)
        (entry,) = await inbox.take(NEVER)
        assert entry.ticks is ticks

    story(steps, now=10**18)


def test_frame_that_says_when_it_came_is_measured_from_then() -> None:
    async def steps(inbox: Inbox, _: HandClock) -> None:
        before = time.monotonic_ns()
        await inbox.put(prints(1.0, received=7))
        await inbox.put(prints(1.0))
        inbox.post(rows.timer)
        entries = await inbox.take(NEVER)
        assert entries[0].received == 7
        assert all(before <= e.received <= time.monotonic_ns() for e in entries[1:])

    story(steps)


def test_row_of_ours_is_made_for_the_time_that_it_gets() -> None:
    async def steps(inbox: Inbox, _: HandClock) -> None:
        inbox.post(lambda ts: rows.mark(ts - 5, ts, 2, 99.0))
        (entry,) = await inbox.take(NEVER)
        assert [c.tolist() for c in entry.ticks] == [
            [65],
            [70],
            [2],
            [99.0],
            [0.0],
            [RowKind.MARK | rows.OURS],
        ]

    story(steps, now=70)


# -- room -------------------------------------------------------------------------------------------------------------


def test_feed_waits_while_too_much_waits_and_our_own_rows_do_not() -> None:
    async def steps(inbox: Inbox, _: HandClock) -> None:
        await inbox.put(prints(*range(1, 6)))  # 5 of 4: what begins may go over
        waiting = asyncio.create_task(inbox.put(prints(6.0)))
        for _again in range(3):
            inbox.post(rows.timer)
        await asyncio.sleep(0.02)
        assert not waiting.done()
        assert inbox.rows == 8
        assert len(prices(await inbox.take(NEVER))) == 8
        await asyncio.wait_for(waiting, 1)
        assert prices(await inbox.take(NEVER)) == [6.0]

    story(steps, most_rows=4)


def test_reader_takes_so_much_at_once_and_the_rest_at_its_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TAKEN", 3)

    async def steps(inbox: Inbox, _: HandClock) -> None:
        for price in (1.0, 2.0):
            await inbox.put(prints(price, price))
        await inbox.put(prints(3.0))
        assert prices(await inbox.take(NEVER)) == [1.0, 1.0, 2.0, 2.0]
        assert inbox.rows == 1
        assert prices(await inbox.take(NEVER)) == [3.0]

    story(steps)


def test_entry_larger_than_a_turn_comes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TAKEN", 2)

    async def steps(inbox: Inbox, _: HandClock) -> None:
        await inbox.put(prints(*range(1, 8)))
        assert len(prices(await inbox.take(NEVER))) == 7

    story(steps)


# -- waiting ----------------------------------------------------------------------------------------------------------


def took(start: float) -> float:
    return time.monotonic() - start


def test_reader_that_waits_hears_at_once_of_what_comes() -> None:
    async def steps(inbox: Inbox, _: HandClock) -> None:
        reading = asyncio.create_task(inbox.take(NEVER))
        await asyncio.sleep(0.01)
        start = time.monotonic()
        await inbox.put(prints(1.0))
        assert prices(await reading) == [1.0]
        assert took(start) < 0.2

    story(steps)


def test_reader_has_nothing_when_nothing_came_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.05)

    async def steps(inbox: Inbox, _: HandClock) -> None:
        start = time.monotonic()
        assert await inbox.take(NEVER) == []
        assert 0.04 < took(start) < 0.4

    story(steps)


def test_reader_has_nothing_when_what_is_due_is_due() -> None:
    async def steps(inbox: Inbox, clock: HandClock) -> None:
        clock.now = SECOND
        start = time.monotonic()
        assert await inbox.take(SECOND + 30_000_000) == []
        assert 0.02 < took(start) < 0.3
        start = time.monotonic()
        assert await inbox.take(SECOND - 1) == []  # it was due before
        assert took(start) < 0.2

    story(steps)


def test_reader_can_be_woken() -> None:
    async def steps(inbox: Inbox, _: HandClock) -> None:
        inbox.wake()  # nobody waits: nothing happens
        reading = asyncio.create_task(inbox.take(NEVER))
        await asyncio.sleep(0.01)
        start = time.monotonic()
        inbox.wake()
        inbox.wake()
        assert await reading == []
        assert took(start) < 0.2

    story(steps)


def test_reader_that_is_cancelled_loses_nothing() -> None:
    async def steps(inbox: Inbox, _: HandClock) -> None:
        reading = asyncio.create_task(inbox.take(NEVER))
        await asyncio.sleep(0.01)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await inbox.put(prints(1.0))
        assert prices(await inbox.take(NEVER)) == [1.0]

    story(steps)


def test_nobody_need_wait_for_what_became_of_a_row_of_ours() -> None:
    # an error that nobody asks for is no warning of the loop; warnings are errors here
    async def steps(inbox: Inbox, _: HandClock) -> None:
        inbox.post(rows.timer).set_exception(ValueError("lost"))
        inbox.post(rows.timer).cancel()

    story(steps)


def test_columns_are_a_batch_that_an_engine_takes() -> None:
    from tests.builders import make_engine

    async def steps(inbox: Inbox, _: HandClock) -> Ticks:
        await inbox.put(prints(1.0, 2.0))
        return (await inbox.take(NEVER))[0].ticks

    engine = make_engine()
    engine.process(story(steps, now=5))
    assert engine.state.instruments[0].price == 2.0
