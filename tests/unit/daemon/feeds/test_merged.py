"""Several feeds in time order, and for how long one waits for another."""

import asyncio
import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.feeds.items import Gap, Item, Prints, Quote, Status, StatusKind
from daemon.feeds.merged import Merged
from engine.records import Ticks
from tests.builders import join, make_ticks
from tests.unit.daemon.feeds.doubles import FakeClock, Script, settle


def prints(instrument: int, *times: int) -> Prints:
    """Rows at these times; their prices are their times, too."""
    n = len(times)
    return Prints(
        np.array(times, np.int64),
        np.full(n, instrument, np.int32),
        np.array(times, np.float64),
        np.ones(n),
        np.zeros(n, np.uint8),
    )


def flat(items: Sequence[Item]) -> list[tuple[int, int]]:
    """(time, instrument) of each row and quote, in the order in which they came."""
    out: list[tuple[int, int]] = []
    for item in items:
        if isinstance(item, Prints):
            out += zip(item.ts_event.tolist(), item.instrument.tolist(), strict=True)
        elif isinstance(item, Quote):
            out.append((item.ts_event, item.instrument))
    return out


def history(*times: int) -> Ticks:
    """Rows of instrument 9 that came in at these times, and happened long before; their prices are their times."""
    return make_ticks([(ts, float(ts)) for ts in times], 9)._replace(
        ts_event=np.zeros(len(times), np.int64), ts_recv=np.array(times, np.int64)
    )


def merge_all(*feeds: Sequence[Item], wait_s: float = math.inf) -> list[Item]:
    async def whole() -> list[Item]:
        scripts = [Script(*items) for items in feeds]
        for script in scripts:
            script.let(99)
        async with Merged(scripts, FakeClock(), wait_s) as merged:
            return [item async for item in merged]

    return asyncio.run(whole())


def test_rows_come_in_time_order_and_prints_are_cut_where_others_belong_between_them() -> None:
    items = merge_all([prints(0, 1, 4, 5, 9)._replace(received=7)], [prints(1, 2, 3), prints(1, 6)])
    assert flat(items) == [(1, 0), (2, 1), (3, 1), (4, 0), (5, 0), (6, 1), (9, 0)]
    assert [len(i.price) for i in items if isinstance(i, Prints)] == [1, 2, 2, 1, 1]
    assert [i.received for i in items if isinstance(i, Prints)] == [7, 0, 7, 0, 7]  # also where it is cut


def test_rows_that_bring_their_time_are_placed_by_it_and_keep_all_their_columns() -> None:
    items = merge_all([prints(0, 1, 4, 5, 9)], [history(2, 4, 7), history(9)])
    assert [(type(i).__name__, i.price.tolist()) for i in items if isinstance(i, Prints | Ticks)] == [
        ("Prints", [1.0]),
        ("Ticks", [2.0]),
        ("Prints", [4.0]),
        ("Ticks", [4.0]),
        ("Prints", [5.0]),
        ("Ticks", [7.0]),
        ("Prints", [9.0]),
        ("Ticks", [9.0]),
    ]
    rows = join(*(i for i in items if isinstance(i, Ticks)))
    for got, wanted in zip(rows, history(2, 4, 7, 9), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_at_equal_times_the_earlier_feed_comes_first() -> None:
    items = merge_all([prints(0, 1, 2, 2, 3)], [prints(1, 2, 3)], [prints(2, 2)])
    assert flat(items) == [(1, 0), (2, 0), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1)]


def test_own_order_of_a_feed_is_kept_where_its_times_go_back() -> None:
    # 3 after 7 counts as at 7
    items = merge_all([prints(0, 7, 3, 8)], [prints(1, 5, 7, 9)])
    assert flat(items) == [(5, 1), (7, 0), (3, 0), (7, 1), (8, 0), (9, 1)]


def test_feed_whose_own_times_go_back_from_item_to_item_overtakes_nothing() -> None:
    async def story() -> None:
        scripts = [Script(prints(0, 7), prints(0, 3, 8)), Script(prints(1, 5, 9))]
        for script in scripts:
            script.let(2)
        async with Merged(scripts, FakeClock()) as merged:
            items = [item async for item in merged]
        assert flat(items) == [(5, 1), (7, 0), (3, 0), (8, 0), (9, 1)]
        assert merged.counters.overtaken == 0

    asyncio.run(story())


def test_quotes_have_their_place_by_time_and_gaps_and_statuses_among_their_feeds_items() -> None:
    gap, status = Gap((0,), 5, None, "lost"), Status(StatusKind.DISCONNECTED, 5, "lost")
    items = merge_all([prints(0, 1, 5), status, gap, prints(0, 9)], [prints(1, 3), Quote(1, 6, 1.0)])
    assert flat(items) == [(1, 0), (3, 1), (5, 0), (6, 1), (9, 0)]
    places = [type(item).__name__ for item in items]
    assert places == ["Prints", "Prints", "Prints", "Status", "Gap", "Quote", "Prints"]


@settings(max_examples=60)
@given(
    st.lists(
        st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=6), max_size=5), min_size=1, max_size=4
    ),
    st.integers(0, 10),
)
def test_merge_that_waits_is_a_stable_sort_however_the_feeds_are_cut_and_come(
    feeds: list[list[list[int]]], seed: int
) -> None:
    # By other means: all rows sorted by (running latest time of their feed, feed), which is stable.
    rows = []
    for i, batches in enumerate(feeds):
        latest = 0
        for ts in (t for batch in batches for t in batch):
            latest = max(latest, ts)
            rows.append((latest, i, ts))
    expected = [(ts, i) for _, i, ts in sorted(rows, key=lambda row: row[:2])]

    async def whole() -> list[Item]:
        scripts = [Script(*(prints(i, *batch) for batch in batches)) for i, batches in enumerate(feeds)]
        moves = [script for script, batches in zip(scripts, feeds, strict=True) for _ in batches]
        random.Random(seed).shuffle(moves)
        items = []

        async def read(merged: Merged) -> None:
            async for item in merged:
                items.append(item)  # noqa: PERF401 # a comprehension would keep nothing where the reading is cut off

        async with Merged(scripts, FakeClock()) as merged:
            reader = asyncio.create_task(read(merged))
            for script in moves:
                script.let()
                await asyncio.sleep(0)
            await reader
        return items

    assert flat(asyncio.run(whole())) == expected


def test_item_waits_for_a_feed_that_is_silent_for_as_long_as_was_said_and_no_longer() -> None:
    async def story() -> None:
        clock = FakeClock()
        slow, fast = Script(prints(0, 5)), Script(prints(1, 10), prints(1, 20))
        got: list[Item] = []
        async with Merged([slow, fast], clock, wait_s=2.0) as merged:

            async def read() -> None:
                async for item in merged:
                    got.append(item)  # noqa: PERF401 # a comprehension would keep nothing where the reading is cut off

            reader = asyncio.create_task(read())
            fast.let()
            await clock.advance(1.9)
            assert got == []
            await clock.advance(0.2)
            assert flat(got) == [(10, 1)]
            slow.let()  # too late: passed on behind
            await settle()
            fast.let()
            await reader
        assert flat(got) == [(10, 1), (5, 0), (20, 1)]
        assert merged.counters.overtaken == 1
        assert merged.counters.items == 3

    asyncio.run(story())


def test_item_that_comes_in_time_takes_its_place() -> None:
    async def story() -> None:
        clock = FakeClock()
        slow, fast = Script(prints(0, 5)), Script(prints(1, 10))
        async with Merged([slow, fast], clock, wait_s=2.0) as merged:
            fast.let()
            await clock.advance(1.9)
            slow.let()
            got = [item async for item in merged]
        assert flat(got) == [(5, 0), (10, 1)]
        assert merged.counters.overtaken == 0

    asyncio.run(story())


def test_without_any_wait_items_come_as_they_arrive() -> None:
    async def story() -> None:
        clock = FakeClock()
        a, b = Script(prints(0, 5)), Script(prints(1, 10), prints(1, 11))
        async with Merged([a, b], clock, wait_s=0.0) as merged:
            b.let()
            first = await anext(merged)
            a.let()
            second = await anext(merged)
            assert flat([first, second]) == [(10, 1), (5, 0)]
            assert clock.now_ns() == FakeClock().now_ns()

    asyncio.run(story())


def test_gap_and_status_wait_for_nothing() -> None:
    async def story() -> None:
        gap = Gap((1,), 3, None, "lost")
        silent, broken = Script(), Script(gap, prints(1, 10))
        silent.items = (prints(0, 1),)
        async with Merged([silent, broken], FakeClock()) as merged:
            broken.let()
            assert await anext(merged) == gap

    asyncio.run(story())


def test_error_of_one_feed_ends_all_and_reaches_the_reader() -> None:
    async def story() -> None:
        good, bad = Script(prints(0, 1), prints(0, 2)), Script(ValueError("broken"))
        try:
            async with Merged([good, bad], FakeClock()) as merged:
                good.let()
                bad.let()
                async for _ in merged:
                    pass
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(story())


def test_leaving_early_leaves_no_task_behind() -> None:
    async def story() -> None:
        async with Merged([Script(prints(0, 1)), Script(prints(1, 1))], FakeClock(), 5.0) as merged:
            await settle()
            assert merged.depth == 0
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(story())


@pytest.mark.parametrize("wait_s", [-1.0, float("nan")])
def test_wait_that_is_none_is_refused(wait_s: float) -> None:
    with pytest.raises(ValueError, match="number of seconds, 0 or more"):
        Merged([], FakeClock(), wait_s)


def test_merge_of_no_feeds_ends_at_once() -> None:
    assert merge_all() == []
