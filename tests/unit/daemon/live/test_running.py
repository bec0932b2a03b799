"""What a start puts onto the tape, what a reload may not half do, and a stop that ends though the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.config.paper import load_paper
from daemon.live import inbox, rows, running
from daemon.live.deciding import _groups
from daemon.live.health import Health, Stage
from daemon.live.recovery import Opened
from daemon.live.running import Running
from daemon.notify.errors import NotifyError
from daemon.service.notify import ServiceManager
from daemon.store.batch import Payload
from daemon.store.errors import StoreUnavailable
from engine.records import NEVER, SECOND
from tests.service.taped import T0
from tests.unit.daemon.live import world
from tests.unit.daemon.live.test_inbox import HandClock
from tests.unit.daemon.live.test_recovery import Database
from tests.unit.daemon.live.test_recovery import story as stories
from tests.unit.daemon.live.world import written

NOW = T0 + 3600 * SECOND
Steps = Callable[["Office"], Awaitable[None]]


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("FINNHUB_API_KEY", "x")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(inbox, "IDLE_S", 0.01)
    monkeypatch.setattr(running, "clock_of", lambda *_: HandClock(NOW))
    world.forget()
    yield
    world.forget()


class Office:
    """A database, and what runs on it."""

    def __init__(self, db: Database, folder: Path) -> None:
        self.db = db
        self.file = world.given(folder, actors=[])
        self.file["accounts"][0]["strategies"][1].pop("signals")

    def running(self, opened: Opened) -> Running:
        """Nothing of it has begun; its clock stands at NOW."""
        config = load_paper(self.file).config
        manager = ServiceManager(None)
        return Running(
            config, opened, Health(), f"sqlite:///{self.db.file}", "x", manager,
            lambda: load_paper(self.file).config,
        )  # fmt: skip

    async def begin(self, opened: Opened) -> None:
        """What a start enters, decided and committed."""
        running_ = self.running(opened)
        running_._begin()
        for group in _groups(await running_.inbox.take(NEVER)):
            seq, payloads = opened.core.seq, []
            for entry in group:
                seq += len(entry.ticks.price)
                if entry.kind is not None:
                    payloads.append(Payload(seq, entry.kind, entry.content))
            batch = opened.core.take(rows.joined([e.ticks for e in group]), payloads)
            await self.db.store.commit(opened.session.id, batch)

    async def gaps(self, opened: Opened) -> list[tuple[int, int, int | None, str]]:
        found = await self.db.store.find("gaps", session=opened.session.id)
        return [(g["instrument"], g["since"], g["until"], g["why"]) for g in found]


def story(folder: Path, steps: Steps) -> None:
    async def run(db: Database) -> None:
        await steps(Office(db, folder))

    stories(written(folder), run)


def test_gap_of_a_new_epoch_begins_at_the_last_row_before_it(tmp_path: Path) -> None:
    async def steps(office: Office) -> None:
        first = await office.db.open(office.file)
        await office.db.feed(first, 50)
        last = first.core.engine.now
        office.file = office.file | {"service": {"log_level": "debug"}}
        again = await office.db.open(office.file, now=NOW)
        assert again.epoch == 2
        await office.begin(again)
        found = await office.gaps(again)
        assert found == [(k, last, NOW, "the daemon was not running") for k in (0, 1)]

    story(tmp_path, steps)


def test_gap_that_was_open_when_the_daemon_stopped_is_closed_at_the_next_start(tmp_path: Path) -> None:
    async def steps(office: Office) -> None:
        first = await office.db.open(office.file)
        await office.db.feed(first, 50)
        since = first.core.engine.now - SECOND
        gap = {"instruments": ["B"], "since": since, "until": None, "why": "the stream was lost"}
        await office.db.enter(first, "gap", gap)
        again = await office.db.open(office.file)
        assert again.core.gaps == {"B": since}
        await office.begin(again)
        assert again.core.gaps == {}
        found = await office.gaps(again)
        assert {until for _, _, until, _ in found} == {NOW}
        assert [(k, s) for k, s, _, _ in found if s == since] == [(1, since)]
        assert len(found) == 3  # that, and one of each instrument for the time without a daemon

    story(tmp_path, steps)


def test_reload_whose_secret_is_missing_changes_nothing_on_the_tape(tmp_path: Path) -> None:
    async def steps(office: Office) -> None:
        running_ = office.running(await office.db.open(office.file))
        before = running_.operating.config
        changed = world.with_limits(tmp_path, 150, actors=[])
        changed["accounts"][0]["strategies"][1].pop("signals")
        office.file = changed | {"notify": [{"target": "telegram", "chat": "12345"}]}
        with pytest.raises(NotifyError, match="TELEGRAM_TOKEN"):
            await asyncio.wait_for(running_.operating.reload(), 5)
        assert running_.inbox.rows == 0
        assert running_.operating.config is before

    story(tmp_path, steps)


def test_stop_ends_though_the_database_is_away_and_the_backlog_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps(office: Office) -> None:
        running_ = office.running(await office.db.open(office.file))
        journal: Any = running_.journal
        looked = asyncio.Event()

        async def changed(_: float) -> None:
            looked.set()
            await asyncio.sleep(0.001)

        journal.rows, journal.waits, journal.changed = 7, lambda _: True, changed
        signals: Any = SimpleNamespace(drain=asyncio.Event(), why="SIGTERM")
        running_._begin()  # rows that wait to be decided
        async with asyncio.TaskGroup() as tasks:
            deciding = tasks.create_task(running_.decider.decide())
            ending = asyncio.create_task(running_._until_end(tasks, signals, deciding))
            await looked.wait()
            signals.drain.set()
            with pytest.raises(StoreUnavailable, match="did not take 7 rows that are decided"):
                await asyncio.wait_for(ending, 5)
            deciding.cancel()
        assert running_.health.stage is Stage.STOPPING
        assert running_.inbox.rows > 0

    monkeypatch.setattr(running, "DRAIN_S", 0.02)
    story(tmp_path, steps)
