"""History as a live feed: when its rows come, and that none is lost."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from daemon.feeds.items import Item, Prints
from daemon.feeds.paced import Paced
from engine.records import SECOND, RowKind, Ticks
from tests.builders import cut, join, make_bars, make_ticks
from tests.unit.daemon.feeds.doubles import NOON, FakeClock, JumpClock, settle, until

LONG_AGO = 10**18  # the tape's time has nothing to do with ours


def tape(*seconds: float) -> Ticks:
    return make_ticks([(LONG_AGO + round(t * SECOND), 100.0 + i) for i, t in enumerate(seconds)])


def play(feed: Paced) -> list[Prints]:
    async def whole() -> list[Item]:
        async with feed:
            return [item async for item in feed]

    items = asyncio.run(whole())
    return [item for item in items if isinstance(item, Prints)]


def prices(items: list[Prints]) -> list[list[float]]:
    return [item.price.tolist() for item in items]


@pytest.mark.parametrize(
    ("speed", "waits"), [(1.0, [10, 0.5, 100]), (10.0, [1, 0.05, 10]), (0.5, [20, 1, 200])]
)
def test_row_comes_when_its_time_has_come_at_its_speed(speed: float, waits: list[float]) -> None:
    clock = JumpClock()
    items = play(Paced([tape(0, 10, 10.5, 110.5)], clock, speed))
    assert prices(items) == [[100.0], [101.0], [102.0], [103.0]]
    assert clock.slept == pytest.approx(waits, abs=1e-6)


def test_pace_goes_on_from_batch_to_batch_and_does_not_drift() -> None:
    clock = JumpClock()
    rows = tape(*np.arange(0, 100, 0.1))
    feed = Paced([cut(rows, i, i + 7) for i in range(0, 1000, 7)], clock, 3.0)
    assert sum(len(item.price) for item in play(feed)) == 1000
    assert (clock.now_ns() - NOON) / SECOND == pytest.approx(99.9 / 3, abs=1e-6)
    assert feed.counters.rows == 1000


def test_rows_of_one_time_come_together() -> None:
    items = play(Paced([tape(0, 1, 1, 1, 2)], JumpClock(), 1.0))
    assert prices(items) == [[100.0], [101.0, 102.0, 103.0], [104.0]]


def test_reader_that_was_slow_gets_the_rows_whose_time_has_come_in_one_item() -> None:
    async def story() -> None:
        clock = FakeClock()
        async with Paced([tape(0, 1, 2, 3, 4, 60)], clock, 1.0, bound=1) as feed:
            await until(lambda: feed.depth == 1)
            await clock.advance(3.5)  # the second row waits for room
            assert feed.counters.rows == 1
            items = [await anext(feed)]
            await settle()
            items.append(await anext(feed))
            await settle()
            items.append(await anext(feed))
            assert prices([i for i in items if isinstance(i, Prints)]) == [[100.0], [101.0], [102.0, 103.0]]
            assert feed.counters.behind_ns == 1.5 * SECOND  # row 2 of its 2 s at 3.5 s

    asyncio.run(story())


def test_without_a_pace_nothing_is_waited_for_and_all_columns_are_the_tapes() -> None:
    clock = JumpClock()
    rows = join(
        make_ticks([(5, 1.5, 2.0, 3, RowKind.SPLIT)]),
        make_bars([(1, 2, 0.5, 1.5)] * 3000, first=10, instrument=2),
    )
    items = play(Paced([rows], clock, None))
    assert clock.slept == []
    assert [len(item.price) for item in items] == [4096, 4096, 3809]
    assert sum(len(item.price) for item in items) == len(rows.price) == 12_001
    for column, (name, expected) in enumerate(zip(Ticks._fields, rows, strict=True)):
        if name != "ts_recv":
            got = np.concatenate([item[column - (column > 1)] for item in items])
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got, expected)


def test_error_of_the_tape_reaches_the_reader_after_the_rows_before_it() -> None:
    def broken() -> Iterator[Ticks]:
        yield tape(0, 1)
        raise ValueError("line 7")

    got: list[Item] = []

    async def story() -> None:
        async with Paced(broken(), JumpClock(), 1.0) as feed:
            async for item in feed:
                got.append(item)  # noqa: PERF401 # a comprehension would keep nothing where the reading is cut off

    with pytest.raises(ValueError, match="line 7"):
        asyncio.run(story())
    assert len(got) == 2


def test_empty_tape_gives_nothing() -> None:
    assert play(Paced([], JumpClock())) == []


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="is none; give a positive number"):
        Paced([], JumpClock(), speed)
