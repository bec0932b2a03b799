"""The journal: what was decided is written in order, in groups, tried again while the database is away, and only then told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from daemon.config.service import JournalSettings
from daemon.live import journal as module
from daemon.live.errors import LiveError
from daemon.live.journal import Decided, Journal
from daemon.store.batch import Batch, Saved
from daemon.store.errors import StoreError, StoreUnavailable, StoreUseError
from tests.builders import cut, make_engine, make_ticks


class FakeStore:
    """Keeps what is committed; does as it is told first."""

    def __init__(self) -> None:
        self.kept: list[Batch] = []
        self.refuse: list[BaseException] = []  # for the next commits, one each
        self.tries = 0
        self.gate: asyncio.Event | None = None
        self.slow_s = 0.0
        self.opening: BaseException | None = None
        self.closed = False

    async def open(self, url: str, patience_s: float) -> FakeStore:
        if self.opening is not None:
            raise self.opening
        return self

    async def __aenter__(self) -> FakeStore:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed = True

    async def commit(self, session: int, batch: Batch) -> None:
        assert session == 7
        self.tries += 1
        await asyncio.sleep(self.slow_s)
        if self.refuse:
            raise self.refuse.pop(0)
        self.kept.append(batch)

    @property
    def rows(self) -> list[tuple[int, int]]:
        """(first, last) of each transaction."""
        return [(b.first, b.last) for b in self.kept]


class Desk:
    """A journal with its store, batches for it, and what it told."""

    def __init__(self, journal: Journal, store: FakeStore, told: list[str | None]) -> None:
        self.journal, self.store = journal, store
        self.engine = make_engine()
        self.heard: list[tuple[int, int]] = []  # of committed
        self.groups: list[int] = []
        self.told = told

    def batch(self, n: int = 1, models: tuple[str | None, ...] = (None,), snapshot: bool = False) -> Batch:
        first = int(self.engine.state.clock[0].seq) + 1
        ticks = make_ticks([(first + i, 10.0) for i in range(n)])
        out = self.engine.process(cut(ticks, 0, n))
        made = Batch(first, ticks, out, np.array(self.engine.state.slots), models)
        return replace(made, snapshot=Saved(made.last, "h", b"x")) if snapshot else made

    def put(self, *args: Any, **given: Any) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda f: f.cancelled() or f.exception())  # as those of the inbox
        batch = self.batch(*args, **given)
        self.journal.put(Decided(batch, 0, 0, [(future, batch.last)]))
        return future


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    made = FakeStore()
    monkeypatch.setattr(module, "Store", made)
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(module, "LONGEST_WAIT_S", 0.04)
    return made


def story(
    store: FakeStore, steps: Callable[[Desk], Awaitable[None]], settings: JournalSettings | None = None
) -> Desk:
    desks: list[Desk] = []
    told: list[str | None] = []

    async def run() -> None:
        def committed(group: list[Decided], batch: Batch) -> None:
            desks[0].heard.append((batch.first, batch.last))
            desks[0].groups.append(len(group))

        journal = Journal("sqlite:///x", 7, settings or JournalSettings(), committed, told.append)
        desks.append(Desk(journal, store, told))
        async with journal:
            await steps(desks[0])

    asyncio.run(asyncio.wait_for(run(), 30))
    return desks[0]


def test_what_was_put_is_committed_and_then_told_in_order(store: FakeStore) -> None:
    async def steps(desk: Desk) -> None:
        futures = [desk.put(3), desk.put(2), desk.put(1)]
        assert desk.journal.rows == 6
        assert await asyncio.gather(*futures) == [3, 5, 6]
        assert desk.journal.rows == 0

    desk = story(store, steps)
    assert [seq for first, last in store.rows for seq in range(first, last + 1)] == [1, 2, 3, 4, 5, 6]
    assert desk.heard == store.rows
    assert sum(desk.groups) == 3
    assert store.closed


def test_what_waits_while_one_is_written_becomes_one_transaction(store: FakeStore) -> None:
    async def steps(desk: Desk) -> None:
        store.slow_s = 0.1
        first = desk.put(2)
        await asyncio.sleep(0.05)  # it is being written
        rest = [desk.put(1) for _ in range(50)]
        await asyncio.gather(first, *rest)

    desk = story(store, steps)
    assert store.rows == [(1, 2), (3, 52)]
    assert desk.groups == [1, 50]


def test_transaction_has_a_most_of_rows(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 4)

    async def steps(desk: Desk) -> None:
        await asyncio.gather(*[desk.put(3) for _ in range(4)])

    story(store, steps)
    assert store.rows == [(1, 6), (7, 12)]  # one goes over, then it is enough


def test_snapshot_ends_a_transaction(store: FakeStore) -> None:
    async def steps(desk: Desk) -> None:
        await asyncio.gather(desk.put(1), desk.put(2, snapshot=True), desk.put(1), desk.put(1))

    story(store, steps)
    assert store.rows == [(1, 3), (4, 5)]
    assert [b.snapshot.seq if b.snapshot else None for b in store.kept] == [3, None]


def test_other_models_begin_a_transaction(store: FakeStore) -> None:
    async def steps(desk: Desk) -> None:
        await asyncio.gather(*[desk.put(1, models=m) for m in (("a",), ("a",), ("b",), ("b",), (None,))])

    story(store, steps)
    assert store.rows == [(1, 2), (3, 4), (5, 5)]
    assert [list(b.models) for b in store.kept] == [["a"], ["b"], [None]]


def test_database_that_is_away_is_tried_again_and_nothing_is_lost_or_told_before(store: FakeStore) -> None:
    async def steps(desk: Desk) -> None:
        store.refuse = [StoreUnavailable("gone fishing") for _ in range(4)]
        first = desk.put(2)
        await asyncio.sleep(0.05)
        assert not first.done()
        assert desk.heard == []
        second = desk.put(1)
        assert [await first, await second] == [2, 3]
        await asyncio.sleep(0)

    desk = story(store, steps)
    assert store.rows == [(1, 2), (3, 3)]
    assert store.tries == 6
    assert [text for text in desk.told if text] == ["gone fishing"] * 4
    assert desk.told[-1] is None


def test_tries_are_further_and_further_apart_up_to_a_most(store: FakeStore) -> None:
    async def steps(desk: Desk) -> None:
        store.refuse = [StoreUnavailable("away") for _ in range(6)]
        start = time.monotonic()
        await desk.put(1)
        # 10, 20, 40, 40, 40, 40 ms
        assert 0.18 < time.monotonic() - start < 2.0

    story(store, steps)


def test_backlog_is_measured_in_rows(store: FakeStore) -> None:
    async def steps(desk: Desk) -> None:
        store.slow_s = 0.1
        desk.put(9)
        assert not desk.journal.waits(1.0)
        assert desk.journal.waits(0.9)
        desk.put(1)
        assert desk.journal.waits(1.0)
        assert await desk.journal.drain(5.0)
        assert not desk.journal.waits(0.01)

    story(store, steps, JournalSettings(backlog_rows=10))


def test_backlog_is_measured_in_time_from_the_oldest(store: FakeStore) -> None:
    async def steps(desk: Desk) -> None:
        store.slow_s = 0.15
        assert desk.journal.age_s == 0.0
        desk.put(1)
        await asyncio.sleep(0.06)
        desk.put(1)
        assert 0.05 < desk.journal.age_s < 0.15
        assert desk.journal.waits(1.0)
        assert not desk.journal.waits(100.0)
        assert await desk.journal.drain(5.0)
        assert desk.journal.age_s == 0.0

    story(store, steps, JournalSettings.model_validate({"backlog": "50ms"}))


def test_change_is_waited_for_no_longer_than_asked(store: FakeStore) -> None:
    async def steps(desk: Desk) -> None:
        start = time.monotonic()
        await desk.journal.changed(0.05)
        assert 0.04 < time.monotonic() - start < 1.0
        desk.put(1)
        start = time.monotonic()
        await desk.journal.changed(20.0)
        assert time.monotonic() - start < 5.0
        assert desk.journal.rows == 0

    story(store, steps)


def test_drain_says_whether_all_is_written(store: FakeStore) -> None:
    async def steps(desk: Desk) -> None:
        assert await desk.journal.drain(0.0)
        store.refuse = [StoreUnavailable("away") for _ in range(10_000)]
        desk.put(1)
        start = time.monotonic()
        assert not await desk.journal.drain(0.1)
        assert time.monotonic() - start < 2.0
        store.refuse = []
        assert await desk.journal.drain(10.0)

    story(store, steps)


def test_error_that_is_no_absence_ends_the_journal_and_is_kept(store: FakeStore) -> None:
    async def steps(desk: Desk) -> None:
        store.refuse = [StoreUseError("it makes no sense")]
        future = desk.put(2)
        await desk.journal.changed(5.0)
        assert isinstance(desk.journal.error, StoreUseError)
        assert not await desk.journal.drain(5.0)
        assert desk.journal.rows == 2
        with pytest.raises(StoreUseError, match="it makes no sense"):
            await asyncio.wait_for(future, 5)  # whoever waits hears that it never will be

    desk = story(store, steps)
    assert desk.heard == []


def test_who_waits_for_what_is_dropped_at_the_end_hears_that_it_never_will_be(store: FakeStore) -> None:
    futures: list[asyncio.Future[int]] = []

    async def steps(desk: Desk) -> None:
        store.refuse = [StoreUnavailable("away") for _ in range(10_000)]
        futures.append(desk.put(1))
        await desk.journal.drain(0.05)

    desk = story(store, steps)
    assert desk.heard == []
    with pytest.raises(LiveError, match="the session ended before it was written"):
        futures[0].result()


def test_database_that_cannot_be_opened_is_an_error_at_once(store: FakeStore) -> None:
    async def steps(_: Desk) -> None:
        raise AssertionError("it opened")

    store.opening = StoreError("too new")
    with pytest.raises(StoreError, match="too new"):
        story(store, steps)


def test_journal_that_is_left_writes_no_more(store: FakeStore) -> None:
    async def steps(desk: Desk) -> None:
        store.slow_s = 5.0
        desk.put(1)
        await asyncio.sleep(0.05)

    start = time.monotonic()
    story(store, steps)
    assert time.monotonic() - start < 3.0
    assert store.kept == []


def test_future_that_nobody_wants_any_more_is_left_alone(store: FakeStore) -> None:
    async def steps(desk: Desk) -> None:
        given_up, other = desk.put(1), desk.put(1)
        given_up.cancel()
        assert await other == 2

    story(store, steps)
