"""History as a live feed: when its rows come, and that none is lost."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from daemon.feeds.errors import FeedError
from daemon.feeds.items import Item
from daemon.feeds.paced import Paced
from engine.records import SECOND, RowKind, Ticks
from tests.builders import cut, join, make_bars, make_ticks
from tests.unit.daemon.feeds.doubles import NOON, FakeClock, JumpClock, settle, until

LONG_AGO = 10**18  # the tape's time has nothing to do with ours


def tape(*seconds: float) -> Ticks:
    return make_ticks([(LONG_AGO + round(t * SECOND), 100.0 + i) for i, t in enumerate(seconds)])


def play(feed: Paced) -> list[Ticks]:
    async def whole() -> list[Item]:
        async with feed:
            return [item async for item in feed]

    items = asyncio.run(whole())
    return [item for item in items if isinstance(item, Ticks)]


def prices(items: list[Ticks]) -> list[list[float]]:
    return [item.price.tolist() for item in items]


def assert_rows(items: list[Ticks], expected: Ticks) -> None:
    for column, wanted in enumerate(expected):
        got = np.concatenate([item[column] for item in items])
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)


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
            assert prices([i for i in items if isinstance(i, Ticks)]) == [[100.0], [101.0], [102.0, 103.0]]
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
    assert_rows(items, rows)


def test_recorded_rows_keep_the_time_at_which_they_came_in_and_are_paced_by_it() -> None:
    rows = tape(0, 1, 1, 5)
    came = np.array([0, 2, 2, 6], np.int64) * SECOND + LONG_AGO
    recorded = rows._replace(ts_event=rows.ts_event[[0, 2, 1, 3]] - SECOND, ts_recv=came)
    clock = JumpClock()
    items = play(Paced([recorded], clock, 2.0))
    assert prices(items) == [[100.0], [101.0, 102.0], [103.0]]
    assert clock.slept == pytest.approx([1, 2], abs=1e-6)
    assert_rows(items, recorded)


@pytest.mark.parametrize("batch", [1, 7, 10_000])
@pytest.mark.parametrize("skip", [0, 1, 6, 7, 8, 4999, 9_999, 10_000])
def test_rows_that_a_session_has_are_passed_over_exactly_however_the_tape_is_cut(
    skip: int, batch: int
) -> None:
    rows = tape(*range(10_000))
    clock = JumpClock()
    feed = Paced([cut(rows, i, i + batch) for i in range(0, 10_000, batch)], clock, None, skip=skip)
    items = play(feed)
    if skip < 10_000:
        assert_rows(items, cut(rows, skip, 10_000))
    else:
        assert items == []
    assert feed.position == 10_000
    assert feed.counters.rows == 10_000 - skip


def test_first_row_behind_those_passed_over_comes_at_once_and_sets_the_pace() -> None:
    clock = JumpClock()
    assert prices(play(Paced([tape(0, 1000, 1003)], clock, 1.0, skip=1))) == [[101.0], [102.0]]
    assert clock.slept == pytest.approx([3], abs=1e-6)


def test_position_counts_what_was_passed_over_and_what_was_given_so_far() -> None:
    async def story() -> None:
        async with Paced([tape(*range(10))], FakeClock(), 1.0, skip=4) as feed:
            assert feed.position == 4
            await until(lambda: feed.depth == 1)
            assert feed.position == 5

    asyncio.run(story())


def test_tape_that_is_shorter_than_what_the_session_has_is_refused() -> None:
    with pytest.raises(FeedError, match=r"behind row 12 of its data, which have 10: they are not those"):
        play(Paced([tape(*range(4)), tape(*range(6))], JumpClock(), None, skip=12))


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


def test_skip_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="skip is -1, it is a number of rows"):
        Paced([], JumpClock(), skip=-1)
