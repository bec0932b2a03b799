"""The loop of a session: it decides what came, never more than can be kept, and tells of committed facts only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.bus import Bus, Overflow
from daemon.config.service import JournalSettings
from daemon.live import deciding, inbox, rows
from daemon.live.core import Core
from daemon.live.deciding import Decider, plain_state
from daemon.live.health import Health
from daemon.live.inbox import Inbox
from daemon.live.journal import Decided
from daemon.live.messages import Committed, Notice
from daemon.store.batch import joined
from daemon.store.errors import StoreUseError
from engine.records import NEVER, SECOND, OperatorAction
from tests.builders import cut
from tests.service.taped import MINUTE, T0
from tests.unit.daemon.live import world
from tests.unit.daemon.live.test_inbox import HandClock
from tests.unit.daemon.live.world import CODE, fresh, prints, written


class FakeJournal:
    """Takes what is put; commits when it is told to."""

    def __init__(self) -> None:
        self.put_: list[Decided] = []
        self.done = 0
        self.full = False
        self.error: BaseException | None = None
        self.age_s = 0.0
        self.looks = 0
        self.decider: Decider | None = None
        self.refuse: Exception | None = None  # what who waits hears in place of a commit

    @property
    def rows(self) -> int:
        return sum(len(d.batch.ticks.price) for d in self.put_[self.done :])

    def waits(self, share: float) -> bool:
        return self.full

    def put(self, decided: Decided) -> None:
        self.put_.append(decided)

    async def changed(self, timeout_s: float) -> None:
        self.looks += 1
        await asyncio.sleep(0.001)

    def commit(self) -> None:
        """All that waits, as one transaction."""
        group, self.done = self.put_[self.done :], len(self.put_)
        for one in group:
            for future, seq in one.waiting:
                if self.refuse is None:
                    future.set_result(seq)
                else:
                    future.set_exception(self.refuse)
        assert self.decider is not None
        self.decider.committed(group, joined([one.batch for one in group]))


class Desk:
    """A decider with what it needs."""

    def __init__(self, core: Core, live: bool, every: str) -> None:
        self.clock = HandClock(T0)
        self.core = core
        core.start()
        self.inbox = Inbox(self.clock, T0)
        self.journal = FakeJournal()
        self.health = Health()
        settings = JournalSettings.model_validate({"snapshot_every": every})
        journal: Any = self.journal
        self.decider = Decider(core, self.inbox, journal, self.health, settings, self.clock, live)
        self.journal.decider = self.decider

    @property
    def batches(self) -> list[Any]:
        return [d.batch for d in self.journal.put_]

    async def until(self, true: Callable[[], bool]) -> None:
        for _ in range(2_000):
            if true():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("it did not come to that")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("strategies"))


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(inbox, "IDLE_S", 0.01)
    world.forget()
    yield
    world.forget()


def story(
    core: Core, steps: Callable[[Desk], Awaitable[None]], live: bool = False, every: str = "1h"
) -> Desk:
    async def run() -> Desk:
        desk = Desk(core, live, every)
        deciding_ = asyncio.create_task(desk.decider.decide())
        try:
            await steps(desk)
        finally:
            desk.decider.stop()
            desk.journal.full = False
            await asyncio.gather(deciding_, return_exceptions=True)
        return desk

    return asyncio.run(asyncio.wait_for(run(), 30))


def command(action: OperatorAction = OperatorAction.HALT) -> tuple[Any, str, dict[str, Any]]:
    content = {"portfolio": "desk", "action": action.name.lower(), "reason": "x", "who": "me"}
    return (lambda ts: rows.command(ts, 0, action)), "command", content


# -- deciding ---------------------------------------------------------------------------------------------------------


def test_what_came_is_decided_in_order_and_put_into_the_journal(folder: Path) -> None:
    async def steps(desk: Desk) -> None:
        await desk.inbox.put(prints(30))
        desk.inbox.post(rows.timer, "signal", world.signal(1.0))
        await desk.until(lambda: desk.core.seq == 31)

    desk = story(fresh(folder), steps)
    assert [(b.first, b.last) for b in desk.batches] == [(1, 31)]
    (payload,) = desk.batches[0].payloads
    assert (payload.seq, payload.kind) == (31, "signal")
    assert desk.health.seq == 31


def test_settings_end_a_batch(folder: Path) -> None:
    async def steps(desk: Desk) -> None:
        await desk.inbox.put(cut(prints(30), 0, 10))
        desk.inbox.post(rows.timer, "settings", world.settings(world.with_limits(folder, 150)))
        desk.inbox.post(rows.timer, "settings", world.settings(world.with_limits(folder, 160)))
        desk.inbox.post(rows.timer, "start", {})
        await desk.until(lambda: desk.core.seq == 13)

    desk = story(fresh(folder), steps)
    assert [(b.first, b.last) for b in desk.batches] == [(1, 11), (12, 12), (13, 13)]


def test_stop_decides_what_has_come_and_then_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "TAKEN", 3)

    async def steps(desk: Desk) -> None:
        for i in range(10):
            await desk.inbox.put(cut(prints(50), 5 * i, 5 * i + 5))
        desk.decider.stop()

    desk = story(fresh(folder), steps)
    assert desk.core.seq == 50
    assert len(desk.batches) == 10


def test_error_of_the_engine_is_raised(folder: Path) -> None:
    made = world.given(folder)
    made["accounts"][0]["cash"] = 5

    async def run() -> None:
        desk = Desk(fresh(folder), False, "1h")
        desk.inbox.post(rows.timer, "settings", world.settings(made))
        with pytest.raises(Exception, match="of another shape"):
            await desk.decider.decide()
        assert desk.journal.put_ == []  # nothing of it is kept

    asyncio.run(run())


def test_due_moments_happen_live_without_a_price(folder: Path) -> None:
    async def steps(desk: Desk) -> None:
        await desk.inbox.put(world_prints(desk, 100.0))
        await desk.until(lambda: desk.core.seq == 1)
        desk.clock.now = T0 + MINUTE + SECOND  # the bar was due 250 ms behind the minute
        await desk.until(lambda: desk.core.seq == 2)
        await asyncio.sleep(0.05)

    desk = story(fresh(folder), steps, live=True)
    (timer,) = desk.batches[1:]
    assert timer.ticks.ts_recv.tolist() == [T0 + MINUTE + SECOND]
    assert timer.ticks.flags.tolist() == [rows.OURS | 3]
    assert len(timer.bars) == 1
    assert desk.core.feed_rows == 1


def test_due_moments_of_a_replay_wait_for_its_rows(folder: Path) -> None:
    async def steps(desk: Desk) -> None:
        await desk.inbox.put(world_prints(desk, 100.0))
        await desk.until(lambda: desk.core.seq == 1)
        desk.clock.now = T0 + 10 * MINUTE
        await asyncio.sleep(0.05)

    assert story(fresh(folder), steps).core.seq == 1


def world_prints(desk: Desk, *prices: float) -> Any:
    from tests.unit.daemon.live.test_inbox import prints as frame

    return frame(*prices, ts=desk.clock.now)


# -- fail closed ------------------------------------------------------------------------------------------------------


def test_nothing_is_decided_while_too_much_waits_for_the_database(folder: Path) -> None:
    async def steps(desk: Desk) -> None:
        desk.journal.full = True
        await desk.inbox.put(cut(prints(10), 0, 5))
        await asyncio.sleep(0.1)
        before = desk.core.seq
        assert before <= 5  # it may have begun to take before
        await desk.inbox.put(cut(prints(10), 5, 10))
        await asyncio.sleep(0.1)
        assert desk.core.seq == before
        assert desk.health.backlog_full
        assert any("nothing is decided" in reason for reason in desk.health.reasons())
        stood = desk.health.progress
        await asyncio.sleep(0.05)
        assert desk.health.progress > stood  # waiting is not being stuck
        desk.journal.full = False
        await desk.until(lambda: desk.core.seq == 10)
        assert not desk.health.backlog_full

    story(fresh(folder), steps)


def test_error_of_the_journal_ends_the_deciding(folder: Path) -> None:
    async def run() -> None:
        desk = Desk(fresh(folder), False, "1h")
        desk.journal.error = StoreUseError("it makes no sense")
        with pytest.raises(StoreUseError, match="it makes no sense"):
            await desk.decider.decide()

    asyncio.run(run())


def test_error_of_the_journal_while_its_backlog_is_full_ends_the_deciding(folder: Path) -> None:
    async def run() -> None:
        desk = Desk(fresh(folder), False, "1h")
        desk.journal.full = True
        task = asyncio.create_task(desk.decider.decide())
        await desk.until(lambda: desk.journal.looks > 3)
        desk.journal.error = StoreUseError("it makes no sense")
        with pytest.raises(StoreUseError, match="it makes no sense"):
            await task

    asyncio.run(run())


# -- snapshots --------------------------------------------------------------------------------------------------------


def test_snapshots_come_as_often_as_is_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(deciding.time, "monotonic", lambda: now[0])
    desk = asyncio.run(ready(folder, "10s"))
    kept = []
    for second in range(0, 40, 3):
        now[0] = 1000.0 + second
        batch = taken(desk, 5)
        kept += [second] if batch.snapshot else []
        if batch.snapshot:
            assert batch.snapshot.seq == batch.last
            assert Core.load(batch.snapshot.content).engine.state_hash() == desk.core.engine.state_hash()
    # the first row at or behind 10 s, and 10 s from there
    assert kept == [12, 24, 36]


async def ready(folder: Path, every: str, core: Core | None = None) -> Desk:
    return Desk(core or fresh(folder), False, every)


def taken(desk: Desk, n: int, **given: Any) -> Any:
    """Some prints decided; the batch."""
    ticks = prints(n)
    later = max(desk.core.engine.now, T0) - T0
    ticks = ticks._replace(ts_event=ticks.ts_event + later, ts_recv=ticks.ts_recv + later)
    desk.decider.take([inbox.Entry(ticks, 0)], **given)
    return desk.batches[-1]


def test_snapshot_that_must_be_is_there(folder: Path) -> None:
    desk = asyncio.run(ready(folder, "1h"))
    assert taken(desk, 5).snapshot is None
    assert taken(desk, 5, snapshot=True).snapshot.seq == 10


def forgetful(folder: Path) -> Core:
    made = world.given(folder, actors=[])
    strategy = {"use": "mine:Forgetful", "name": "forgetful", "instruments": ["A"], "timeframe": "1m"}
    made["accounts"][0]["strategies"] = [strategy]
    return Core.fresh(world.load_paper(made).config, T0)


def test_strategies_without_state_have_no_snapshots_but_those_that_must_be(folder: Path) -> None:
    # from another they could not go on: their tape is replayed from the epoch's start
    desk = asyncio.run(ready(folder, "1ns", forgetful(folder)))
    assert all(taken(desk, 3).snapshot is None for _ in range(5))
    assert taken(desk, 3, snapshot=True).snapshot is not None


@pytest.mark.parametrize("state", ["return object()", "raise ValueError('not now')"])
def test_state_that_cannot_be_kept_ends_nothing(state: str, tmp_path: Path) -> None:
    core = fresh(written(tmp_path, CODE.replace('return {"heard": self.heard}', state)))
    desk = asyncio.run(ready(tmp_path, "1ns", core))
    assert taken(desk, 3).snapshot is None
    taken(desk, 3, snapshot=True)
    assert desk.core.seq == 6
    assert desk.core.lost == {}


# -- telling ----------------------------------------------------------------------------------------------------------


def test_nothing_is_told_before_it_is_committed(folder: Path) -> None:
    told: list[Any] = []

    async def steps(desk: Desk) -> None:
        async with Bus() as bus:
            for kind in (Committed, Notice):
                bus.subscribe(kind, heard, name=kind.__name__, overflow=Overflow.BLOCK, bound=100)
            telling = asyncio.create_task(desk.decider.tell(bus))
            before = desk.decider.accounts[0]
            done = desk.inbox.post(*command())
            await desk.inbox.put(prints(20))
            await desk.until(lambda: desk.core.seq == 21)
            await asyncio.sleep(0.02)
            assert told == []
            assert not done.done()
            assert desk.decider.accounts[0] == before
            assert (desk.health.seq, desk.health.committed_seq) == (21, 0)
            desk.journal.commit()
            assert await done >= 1
            await desk.decider.told()
            await desk.until(lambda: len(told) == 1)
            assert desk.health.committed_seq == 21
            assert plain_state(desk.decider.accounts, "desk") == "halted"
            telling.cancel()

    async def heard(message: Any) -> None:
        told.append(message)

    story(fresh(folder), steps)
    (message,) = told
    assert (message.batch.first, message.batch.last) == (1, 21)
    assert 0 < message.received_ns <= message.decided_ns <= message.committed_ns


def test_strategy_that_raises_is_told_of_behind_the_commit_of_its_row(folder: Path) -> None:
    made = world.given(folder)
    made["accounts"][0]["strategies"][1]["params"] = {"fail_at": 1}
    told: list[Any] = []

    async def heard(message: Any) -> None:
        told.append(message)

    async def steps(desk: Desk) -> None:
        async with Bus() as bus:
            for kind in (Committed, Notice):
                bus.subscribe(kind, heard, name=kind.__name__, overflow=Overflow.BLOCK, bound=100)
            telling = asyncio.create_task(desk.decider.tell(bus))
            await desk.inbox.put(prints(40))
            await desk.until(lambda: desk.core.seq == 40)
            assert told == []
            assert "desk/listener" in desk.health.lost
            desk.journal.commit()
            await desk.until(lambda: len(told) == 2)
            await desk.inbox.put(prints(41))
            await desk.until(lambda: desk.core.seq == 81)
            desk.journal.commit()
            await desk.until(lambda: len(told) == 3)
            telling.cancel()

    story(Core.fresh(world.load_paper(made).config, T0), steps)
    assert [type(m).__name__ for m in told] == ["Committed", "Notice", "Committed"]  # once
    notice = told[1]
    assert (notice.level, notice.kind) == ("error", "strategy")
    assert "desk/listener is out: " in notice.text
    assert "one too many" in notice.text


def test_accounts_are_looked_at_when_nothing_comes(folder: Path) -> None:
    async def steps(desk: Desk) -> None:
        await desk.inbox.put(prints(60))
        await desk.until(lambda: desk.core.seq == 60)
        desk.journal.commit()
        await desk.until(
            lambda: desk.decider.accounts[0]["orders"] > 0 or bool(desk.decider.accounts[0]["positions"])
        )

    story(fresh(folder), steps)


def test_answer_to_who_waits_is_the_place_of_what_he_entered(folder: Path) -> None:
    async def steps(desk: Desk) -> None:
        await desk.inbox.put(cut(prints(10), 0, 4))
        done = desk.inbox.post(*command())
        await desk.inbox.put(cut(prints(10), 4, 10))
        await desk.until(lambda: desk.core.seq == 11)
        desk.journal.commit()
        assert await done == 5

    story(fresh(folder), steps)


def test_last_print_is_that_of_a_print(folder: Path) -> None:
    async def steps(desk: Desk) -> None:
        await desk.inbox.put(world_prints(desk, 100.0))
        await desk.until(lambda: desk.core.seq == 1)
        at = desk.health.last_print
        assert at == T0
        desk.clock.now = T0 + SECOND
        desk.inbox.post(rows.timer)
        desk.inbox.post(lambda ts: rows.mark(ts, ts, 0, 99.0))
        await desk.until(lambda: desk.core.seq == 3)
        assert desk.health.last_print == at

    story(fresh(folder), steps)


def test_gaps_are_counted_and_those_that_are_open_known(folder: Path) -> None:
    gap = {"instruments": ["A", "B"], "since": T0, "why": "down"}

    async def steps(desk: Desk) -> None:
        desk.inbox.post(rows.timer, "gap", gap | {"until": None})
        await desk.until(lambda: desk.core.seq == 1)
        assert desk.health.gaps_open == {"A", "B"}
        assert desk.health.gaps == 2
        desk.inbox.post(rows.timer, "gap", gap | {"until": T0 + 1})
        await desk.until(lambda: desk.core.seq == 2)
        assert desk.health.gaps_open == set()
        assert desk.health.gaps == 2  # its end is no gap of its own

    story(fresh(folder), steps)


def test_backlog_is_known_in_rows_and_time(folder: Path) -> None:
    async def steps(desk: Desk) -> None:
        await desk.inbox.put(prints(7))
        await desk.until(lambda: desk.core.seq == 7)
        desk.journal.age_s = 2.0
        await desk.until(lambda: desk.health.backlog_since == T0 - 2 * SECOND)
        assert desk.health.backlog_rows == 7
        desk.journal.commit()
        assert (desk.health.backlog_rows, desk.health.backlog_since) == (0, None)

    story(fresh(folder), steps)


def test_state_of_no_portfolio_is_a_key_error(folder: Path) -> None:
    desk = asyncio.run(ready(folder, "1h"))
    assert plain_state(desk.decider.accounts, "desk/cross") == "active"
    with pytest.raises(KeyError):
        plain_state(desk.decider.accounts, "nobody")
    assert time.time_ns() < NEVER
