"""A session is opened: begun, or taken up where it was left, however it was left."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.backtest import open_tape
from daemon.config.paper import load_paper
from daemon.live import recovery, rows
from daemon.live.core import Core
from daemon.live.errors import CoreError, SessionError
from daemon.live.health import Health, Stage
from daemon.live.recovery import Opened, alone, open_session
from daemon.store.batch import Payload
from daemon.store.migrating import upgrade
from daemon.store.store import Store
from daemon.verify.replaying import verify
from daemon.verify.showing import lines, to_dict
from engine.records import DAY, SECOND, TradingState
from tests.builders import cut
from tests.parity.test_live import rule
from tests.service.taped import T0
from tests.unit.daemon.live import world
from tests.unit.daemon.live.world import CODE, prints, stands, written

Steps = Callable[["Database"], Awaitable[None]]


class Database:
    """An empty database, and a session that is opened, fed and left."""

    def __init__(self, store: Store, file: Path) -> None:
        self.store, self.file = store, file
        self.health = Health()
        self.told = 0

    async def open(self, made: dict[str, Any], now: int = T0) -> Opened:
        def tell() -> None:
            self.told += 1

        return await open_session(self.store, load_paper(made).config, now, self.health, tell)

    async def feed(self, opened: Opened, n: int, each: int = 10, snapshot: int | None = None) -> None:
        """The next n prints, committed `each` at a time; a snapshot behind that batch, counted from 0."""
        ticks, begun = prints(1_000), opened.core.feed_rows
        for k, at in enumerate(range(begun, begun + n, each)):
            batch = opened.core.take(cut(ticks, at, min(at + each, begun + n)))
            batch = replace(batch, snapshot=opened.core.save()) if k == snapshot else batch
            await self.store.commit(opened.session.id, batch)

    async def enter(self, opened: Opened, kind: str, content: dict[str, Any], snapshot: bool = False) -> None:
        """A row of ours, committed."""
        core = opened.core
        batch = core.take(rows.timer(max(core.engine.now, T0)), [Payload(core.seq + 1, kind, content)])
        batch = replace(batch, snapshot=core.save()) if snapshot else batch
        await self.store.commit(opened.session.id, batch)

    async def begin(self, opened: Opened) -> None:
        """What a start enters: its row, and new settings."""
        await self.enter(opened, "start", {"epoch": opened.epoch, "why": "test", "version": "0"})
        if (content := opened.settings) is not None:
            await self.enter(opened, "settings", {"config": content.text, **content.described()})

    async def stop(self, opened: Opened) -> None:
        """A stop in good order."""
        await self.enter(
            opened, "stop", {"epoch": opened.epoch, "why": "SIGTERM", "version": "0"}, snapshot=True
        )

    def sql(self, text: str) -> list[Any]:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            return connection.execute(text).fetchall()


@pytest.fixture(autouse=True)
def module() -> Iterator[None]:
    world.forget()
    yield
    world.forget()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path)


def story(folder: Path, steps: Steps) -> None:
    async def run() -> None:
        file = folder / "test.db"
        await upgrade(f"sqlite:///{file}")
        async with await Store.open(f"sqlite:///{file}") as store:
            await steps(Database(store, file))

    asyncio.run(asyncio.wait_for(run(), 60))


def forgetful(folder: Path) -> dict[str, Any]:
    """A strategy that has no state_dict, beside the rule."""
    made = world.given(folder, actors=[])
    strategy = {"use": "mine:Forgetful", "name": "forgetful", "instruments": ["A"], "timeframe": "1m"}
    made["accounts"][0]["strategies"][1] = strategy
    return made


def reference(made: dict[str, Any], n: int) -> Core:
    """A core that took these prints without a stop; its rows are those of the feed."""
    core = Core.fresh(load_paper(made).config, T0)
    core.take(cut(prints(1_000), 0, n))
    return core


def books(core: Core) -> list[bytes]:
    s = core.engine.state
    return [
        s.slots.tobytes(),
        s.holdings.tobytes(),
        s.accounts.tobytes(),
        s.bars.tobytes(),
        s.features.tobytes(),
    ]


# -- the same configuration -------------------------------------------------------------------------------------------


def test_new_session_begins_with_its_first_epoch_and_snapshot(folder: Path) -> None:
    async def steps(db: Database) -> None:
        opened = await db.open(world.given(folder))
        assert (opened.epoch, opened.recovered, opened.settings, opened.warm_rows) == (1, False, None, 0)
        assert (opened.first_seq, opened.core.seq) == (1, 0)
        (epoch,) = await db.store.epochs(opened.session.id)
        assert epoch.config_hash == opened.core.content.hash
        assert epoch.config == opened.core.content.text
        saved = await db.store.snapshot(opened.session.id)
        assert saved is not None
        assert (saved.seq, saved.state_hash) == (0, opened.core.engine.state_hash())
        assert await db.store.cash(opened.session.id) == {0: 100_000 * 10**6}

    story(folder, steps)


@pytest.mark.parametrize("snapshot", [None, 0, 7, 19])
def test_session_that_was_killed_is_what_it_was_at_its_last_commit(
    snapshot: int | None, folder: Path
) -> None:
    async def steps(db: Database) -> None:
        first = await db.open(world.given(folder))
        await db.begin(first)
        await db.enter(first, "signal", world.signal(1.0))
        await db.feed(first, 200, snapshot=snapshot)
        first.core.take(cut(prints(1_000), 200, 260))  # decided, and not committed
        again = await db.open(world.given(folder))
        assert (again.epoch, again.recovered, again.settings) == (1, True, None)
        assert again.core.seq == 202
        assert again.core.feed_rows == 200
        assert db.health.stage is Stage.RECOVERING
        assert db.health.seq == (202 if snapshot != 19 else 0)  # nothing was left to replay
        # and goes on as if nothing had been
        other = await db.open(world.given(folder))
        other.core.take(cut(prints(1_000), 200, 260))
        assert stands(other.core) == stands(first.core)

    story(folder, steps)


def test_session_that_was_stopped_goes_on_in_its_epoch(folder: Path) -> None:
    async def steps(db: Database) -> None:
        first = await db.open(world.given(folder))
        await db.begin(first)
        await db.feed(first, 100)
        await db.stop(first)
        again = await db.open(world.given(folder))
        assert (again.epoch, again.settings, again.first_seq) == (1, None, 1)
        assert stands(again.core) == stands(first.core)

    story(folder, steps)


def test_strategies_without_state_are_as_their_tape_made_them(folder: Path) -> None:
    async def steps(db: Database) -> None:
        made = forgetful(folder)
        first = await db.open(made)
        await db.begin(first)
        await db.feed(first, 130)
        await db.stop(first)
        for killed in (False, True):
            again = await db.open(made)
            assert again.epoch == 1
            strategy: Any = again.core.engine.actors["desk/forgetful"]
            before: Any = first.core.engine.actors["desk/forgetful"]
            assert strategy.actor.strategy.seen == before.actor.strategy.seen > 3
            assert stands(again.core) == stands(first.core)
            first = again
            await db.feed(first, 50)
            if not killed:
                await db.stop(first)
        assert books(first.core) == books(reference(made, 230))

    story(folder, steps)


def test_session_that_has_ended_is_opened_as_ended(folder: Path) -> None:
    async def steps(db: Database) -> None:
        first = await db.open(world.given(folder))
        await db.enter(first, "stop", {"epoch": 1, "why": "over", "version": "0", "end": True}, snapshot=True)
        made = world.with_limits(folder, 7)
        again = await db.open(made)
        assert again.core.ended
        assert again.epoch == 1
        assert len(await db.store.epochs(again.session.id)) == 1

    story(folder, steps)


# -- another ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clean", [True, False])
def test_changed_settings_begin_an_epoch_and_hold_from_their_row_on(clean: bool, folder: Path) -> None:
    async def steps(db: Database) -> None:
        first = await db.open(world.given(folder))
        await db.begin(first)
        await db.feed(first, 100)
        if clean:
            await db.stop(first)
        seq = first.core.seq
        made = world.with_limits(folder, 7)
        again = await db.open(made)
        assert again.epoch == 2
        assert again.first_seq == seq + 2  # behind the stop of the first epoch
        assert again.settings is not None
        assert again.core.content.hash == first.core.content.hash  # until they are entered
        old, new = await db.store.epochs(again.session.id)
        assert (old.last_seq, new.first_seq) == (seq + 1, seq + 2)
        assert new.config_hash == again.settings.hash
        await db.begin(again)
        await db.feed(again, 100)
        lots = {lots for (lots,) in db.sql(f"select lots from orders where seq > {seq} and strategy = 0")}
        assert 7 in lots
        assert lots <= {7, 93, 100}  # from the 100 that were held down to 7, or to nothing
        # that is no change any more
        third = await db.open(made)
        assert (third.epoch, third.settings) == (2, None)
        assert stands(third.core) == stands(again.core)

    story(folder, steps)


def test_start_that_died_before_it_entered_its_settings_does_so_the_next_time(folder: Path) -> None:
    async def steps(db: Database) -> None:
        first = await db.open(world.given(folder))
        await db.feed(first, 20)
        made = world.with_limits(folder, 7)
        second = await db.open(made)
        third = await db.open(made)
        assert second.settings is not None
        assert third.settings is not None
        await db.begin(third)
        assert (await db.open(made)).settings is None

    story(folder, steps)


def test_settings_that_a_reload_entered_are_no_change_at_the_next_start(folder: Path) -> None:
    async def steps(db: Database) -> None:
        first = await db.open(world.given(folder))
        made = world.with_limits(folder, 7)
        await db.feed(first, 50)
        await db.enter(first, "settings", world.settings(made))
        await db.feed(first, 50)
        again = await db.open(made)
        assert (again.epoch, again.settings) == (1, None)
        assert stands(again.core) == stands(first.core)
        back = await db.open(world.given(folder))
        assert back.settings is not None
        assert back.epoch == 2

    story(folder, steps)


def test_another_build_begins_an_epoch_without_settings(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps(db: Database) -> None:
        first = await db.open(world.given(folder))
        await db.feed(first, 50)
        with monkeypatch.context() as patched:
            patched.setattr(recovery.compiled, "key", lambda: "another")
            again = await db.open(world.given(folder))
            assert (again.epoch, again.settings) == (2, None)
            assert again.core.seq == first.core.seq + 1
            assert [e.build for e in await db.store.epochs(again.session.id)][1] == "another"
            assert (await db.open(world.given(folder))).epoch == 2

    story(folder, steps)


def test_strategies_without_state_begin_anew_with_an_epoch_and_are_replayed_from_there(folder: Path) -> None:
    async def steps(db: Database) -> None:
        made = forgetful(folder)
        first = await db.open(made)
        await db.feed(first, 60)
        made["accounts"][0]["strategies"][0]["size"] = {"units": 7}
        again = await db.open(made)
        strategy: Any = again.core.engine.actors["desk/forgetful"]
        assert strategy.actor.strategy.seen == 0
        await db.begin(again)
        await db.feed(again, 60)
        third = await db.open(made)
        assert third.epoch == 2
        assert stands(third.core) == stands(again.core)
        mine: Any = third.core.engine.actors["desk/forgetful"]
        assert mine.actor.strategy.seen == strategy.actor.strategy.seen > 0

    story(folder, steps)


def test_strategy_whose_code_changed_begins_an_epoch_and_anew(folder: Path) -> None:
    async def steps(db: Database) -> None:
        first = await db.open(world.given(folder))
        await db.enter(first, "signal", world.signal(1.0))
        await db.stop(first)
        written(folder, CODE.replace("units: int = 3", "units: int = 4"))
        again = await db.open(world.given(folder))
        assert again.epoch == 2
        assert again.settings is not None
        await db.begin(again)
        saved: Any = again.core.engine.actors["desk/listener"].save()
        assert saved["state"]["state"] == {"heard": 0}
        assert (await db.open(world.given(folder))).settings is None

    story(folder, steps)


def test_no_time_passes_in_the_epoch_before_a_new_one(folder: Path) -> None:
    # a split of the days between is of the new epoch: it lies behind the time of the last row
    async def steps(db: Database) -> None:
        first = await db.open(world.given(folder))
        await db.feed(first, 50)
        last = first.core.engine.now
        later = T0 + 3 * DAY
        again = await db.open(world.with_limits(folder, 7), now=later)
        assert again.epoch == 2
        assert again.core.engine.now == last
        (stop,) = [t async for t in db.store.inputs(again.session.id, 50)]
        assert [p.kind for p in stop.payloads] == ["stop"]
        assert stop.ticks.ts_recv.tolist() == [last]
        old, new = await db.store.epochs(again.session.id)
        assert (old.ended, new.started) == (later, later)

    story(folder, steps)


@pytest.mark.parametrize("back", [False, True])
def test_start_that_was_killed_between_two_epochs_is_gone_on_from(
    back: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    async def killed(*_: Any) -> int:
        raise Killed

    async def steps(db: Database) -> None:
        first = await db.open(world.given(folder))
        await db.feed(first, 50)
        made = world.with_limits(folder, 7)
        with monkeypatch.context() as patched:
            patched.setattr(Store, "begin_epoch", killed)
            with pytest.raises(Killed):
                await db.open(made)
        (ended,) = await db.store.epochs(first.session.id)
        assert (ended.ended is None, ended.last_seq) == (False, 51)
        made = world.given(folder) if back else made  # the former: its epoch is over all the same
        again = await db.open(made)
        assert (again.epoch, again.first_seq, again.core.seq) == (2, 52, 51)
        assert again.settings is None if back else again.settings is not None
        await db.begin(again)
        await db.feed(again, 50)
        third = await db.open(made)
        assert (third.epoch, third.settings) == (2, None)
        assert stands(third.core) == stands(again.core)
        assert [e.first_seq for e in await db.store.epochs(first.session.id)] == [1, 52]

    story(folder, steps)


def test_session_without_inputs_is_verified_as_one_in_which_nothing_is_to_compare(folder: Path) -> None:
    async def steps(db: Database) -> None:
        opened = await db.open(world.given(folder))
        found = await verify(db.store, opened.session, build=recovery.compiled.key())
        assert found.failure is None
        assert (found.epochs, found.rows, found.states) == (0, 0, 0)
        assert lines(found)[0].startswith("desk: 0 epochs, 0 inputs replayed")
        assert to_dict(found)["state_hash"] is None

    story(folder, steps)


# -- what cannot go on ------------------------------------------------------------------------------------------------


def test_another_shape_is_refused_and_nothing_is_begun(folder: Path) -> None:
    async def steps(db: Database) -> None:
        first = await db.open(world.given(folder))
        await db.feed(first, 20)
        made = world.given(folder)
        made["accounts"][0]["cash"] = 5
        for _ in range(2):
            with pytest.raises(
                CoreError, match="account 'desk' is of another shape; give it another `session`"
            ):
                await db.open(made)
        assert len(await db.store.epochs(first.session.id)) == 1
        assert (await db.open(world.given(folder))).core.seq == 20

    story(folder, steps)


def test_snapshot_that_is_damaged_is_noticed(folder: Path) -> None:
    async def steps(db: Database) -> None:
        first = await db.open(world.given(folder))
        await db.feed(first, 20, snapshot=1)
        db.sql("update snapshots set state_hash = 'x' where seq = 20")
        with pytest.raises(
            SessionError, match="the snapshot of session 'desk' at seq 20 is damaged; restore a copy"
        ):
            await db.open(world.given(folder))

    story(folder, steps)


def test_session_without_a_snapshot_says_so(folder: Path) -> None:
    async def steps(db: Database) -> None:
        await db.feed(await db.open(world.given(folder)), 20)
        db.sql("delete from snapshots")
        with pytest.raises(SessionError, match="'desk' has no snapshot; restore a copy"):
            await db.open(world.given(folder))

    story(folder, steps)


def test_session_whose_first_start_came_to_nothing_begins_anew_from_the_history_of_now(folder: Path) -> None:
    async def steps(db: Database) -> None:
        first = await db.open(world.given(folder))
        again = await db.open(world.given(folder))
        assert not again.recovered
        assert again.core.seq == first.core.seq
        (session,) = await db.store.sessions()
        assert session.id == again.session.id
        assert len(await db.store.epochs(session.id)) == 1
        assert sum((await db.store.cash(session.id)).values()) == sum(
            int(a.initial) for a in again.core.engine.state.accounts
        )

    story(folder, steps)


def test_ledger_that_differs_is_noticed_with_both_amounts(folder: Path) -> None:
    async def steps(db: Database) -> None:
        first = await db.open(world.given(folder))
        await db.feed(first, 200)
        cash = int(first.core.engine.state.accounts[0].cash) / 10**6
        db.sql("update postings set amount = amount + 1000000 where number = 1")
        with pytest.raises(SessionError, match="papertape verify desk") as raised:
            await db.open(world.given(folder))
        assert f"has {cash:,.2f} USD after the replay, but {cash + 1:,.2f} by the ledger" in str(raised.value)

    story(folder, steps)


def test_state_of_an_account_survives(folder: Path) -> None:
    async def steps(db: Database) -> None:
        first = await db.open(world.given(folder))
        await db.feed(first, 50)
        first.core.engine.set_trading_state("desk", TradingState.HALTED)
        first.core.engine.take_events()
        await db.stop(first)
        again = await db.open(world.given(folder))
        assert again.core.engine.state.accounts[0].state == TradingState.HALTED

    story(folder, steps)


def test_session_is_held_by_one_process(tmp_path: Path) -> None:
    lock = tmp_path / "deep" / "desk.lock"
    with alone(lock), pytest.raises(SessionError, match="another process runs this session"), alone(lock):
        raise AssertionError("it was let in")
    with alone(lock):  # and may be taken again
        pass


def test_warm_up_lies_before_the_session(tmp_path: Path) -> None:
    # 2005 begins on row 252 of what is read: daily bars of Apple from 90 days before it on, as their paths
    made = rule(tmp_path) | {"feed": {"source": "replay", "speed": None}, "session": "desk"}
    ticks = next(iter(open_tape(load_paper(made).config)))
    before = int((ticks.ts_recv < 1_104_537_600 * SECOND).sum())

    async def steps(db: Database) -> None:
        opened = await db.open(made)
        assert opened.warm_rows == before > 100
        assert opened.core.seq == before
        assert opened.first_seq == before + 1
        assert opened.core.feed_rows == 0
        assert db.told > 0

    story(tmp_path, steps)


@pytest.mark.parametrize("changed", [{"warmup": "400d"}, {"start": "2006-01-01"}])
def test_replay_that_would_go_on_with_other_rows_is_refused_before_an_epoch_begins(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    made = rule(tmp_path) | {"feed": {"source": "replay", "speed": None}, "session": "desk"}

    async def steps(db: Database) -> None:
        opened = await db.open(made)
        whole = next(iter(open_tape(load_paper(made).config)))
        await db.store.commit(
            opened.session.id, opened.core.take(cut(whole, opened.warm_rows, opened.warm_rows + 40))
        )
        seq = opened.core.seq
        with pytest.raises(
            SessionError, match="with other rows than it began with: `data`, `start`, `warmup`"
        ):
            await db.open(made | changed)
        assert len(await db.store.epochs(opened.session.id)) == 1
        session = await db.store.session("desk")
        assert session is not None
        assert session.seq == seq  # nor a row
        longer = await db.open(made | {"end": "2010-01-01"})  # which may grow
        assert (longer.epoch, longer.core.feed_rows) == (2, 40)

    story(tmp_path, steps)
