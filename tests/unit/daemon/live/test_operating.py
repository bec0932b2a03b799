"""What an operator can do: it is an input, answered behind its commit; a reload takes on what can be, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.config.errors import ConfigError
from daemon.config.paper import PaperConfig, load_paper
from daemon.live import inbox
from daemon.live.controls import ControlError
from daemon.live.errors import LiveError
from daemon.live.operating import Operating
from daemon.store.errors import StoreUseError
from engine.records import TradingState
from tests.service.taped import T0
from tests.unit.daemon.live import world
from tests.unit.daemon.live.test_deciding import Desk, taken
from tests.unit.daemon.live.world import CODE, written


class Office:
    """Controls of a session whose journal commits whatever it gets, soon."""

    def __init__(self, desk: Desk, made: dict[str, Any], folder: Path) -> None:
        self.desk = desk
        self.file: dict[str, Any] | Exception = made
        self.changed: list[PaperConfig] = []

        async def changed(config: PaperConfig) -> None:
            self.changed.append(config)

        def reread() -> PaperConfig:
            if isinstance(self.file, Exception):
                raise self.file
            return load_paper(self.file).config

        self.operating = Operating(
            desk.decider, load_paper(made).config, 3, T0, "sqlite:///x", reread, changed
        )

    async def commits(self) -> None:
        while True:
            await asyncio.sleep(0.002)
            if self.desk.journal.rows:
                self.desk.journal.commit()

    @property
    def payloads(self) -> list[tuple[str, Any]]:
        return [(p.kind, p.content) for b in self.desk.batches for p in b.payloads]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path)


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(inbox, "IDLE_S", 0.01)
    world.forget()
    yield
    world.forget()


def story(folder: Path, steps: Callable[[Office], Awaitable[None]]) -> None:
    async def run() -> None:
        desk = Desk(world.fresh(folder), False, "1h")
        office = Office(desk, world.given(folder), folder)
        tasks = [asyncio.create_task(desk.decider.decide()), asyncio.create_task(office.commits())]
        try:
            taken(desk, 40)
            await steps(office)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(asyncio.wait_for(run(), 30))


# -- operating --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "state"),
    [("halt", "halted"), ("reduce_only", "reduce_only"), ("reset", "active"), ("flatten", "halted")],
)
def test_action_is_an_input_and_answered_with_what_came_of_it(action: str, state: str, folder: Path) -> None:
    async def steps(office: Office) -> None:
        answer = await office.operating.operate("desk", action, "looked into it", "me")
        assert answer == {"seq": 41, "portfolio": "desk", "state": state}
        assert office.payloads == [
            ("command", {"portfolio": "desk", "action": action, "reason": "looked into it", "who": "me"})
        ]
        assert office.desk.health.committed_seq == 41

    story(folder, steps)


def test_strategy_can_be_halted_beside_its_account(folder: Path) -> None:
    async def steps(office: Office) -> None:
        answer = await office.operating.operate("desk/cross", "halt", "x", "me")
        assert answer["state"] == "halted"
        state = office.desk.core.engine.state
        assert state.strategies["state"][:2].tolist() == [TradingState.HALTED, TradingState.ACTIVE]
        assert state.accounts[0].state == TradingState.ACTIVE

    story(folder, steps)


def test_portfolio_that_is_none_is_refused_with_those_there_are(folder: Path) -> None:
    async def steps(office: Office) -> None:
        with pytest.raises(
            ControlError, match="there is no 'dask'; there are desk, desk/cross, desk/listener"
        ):
            await office.operating.operate("dask", "halt", "x", "me")
        assert office.payloads == []

    story(folder, steps)


def test_action_that_is_none_is_refused_with_those_there_are(folder: Path) -> None:
    async def steps(office: Office) -> None:
        with pytest.raises(
            ControlError, match="no action 'stop'; there are reset, reduce_only, halt, flatten"
        ):
            await office.operating.operate("desk", "stop", "x", "me")
        assert office.payloads == []

    story(folder, steps)


def test_two_at_once_are_both_answered(folder: Path) -> None:
    async def steps(office: Office) -> None:
        operate = office.operating.operate
        answers = await asyncio.gather(
            operate("desk", "halt", "x", "me"), operate("desk/cross", "halt", "x", "you")
        )
        assert [a["seq"] for a in answers] == [41, 42]

    story(folder, steps)


@pytest.mark.parametrize(
    "error", [LiveError("the session ended before it was written"), StoreUseError("it makes no sense")]
)
def test_action_that_never_reaches_the_database_is_an_error_of_the_operators(
    error: Exception, folder: Path
) -> None:
    async def steps(office: Office) -> None:
        office.desk.journal.refuse = error
        with pytest.raises(ControlError, match=f"it was not written: {error}"):
            await office.operating.operate("desk", "halt", "x", "me")
        made = world.given(folder)
        made["accounts"][0]["limits"]["max_position"] = 7
        office.file = made
        with pytest.raises(ControlError, match="it was not written"):
            await office.operating.reload()

    story(folder, steps)


# -- reloading --------------------------------------------------------------------------------------------------------


def test_reload_of_the_same_changes_nothing(folder: Path) -> None:
    async def steps(office: Office) -> None:
        assert await office.operating.reload() == {"changed": [], "needs_restart": [], "needs_session": None}
        assert office.payloads == []
        assert office.changed == []

    story(folder, steps)


def test_reload_of_limits_is_an_input(folder: Path) -> None:
    async def steps(office: Office) -> None:
        made = world.given(folder)
        made["accounts"][0]["limits"]["max_position"] = 7
        office.file = made
        answer = await office.operating.reload()
        assert answer == {
            "changed": ["accounts.desk.limits.max_position"],
            "needs_restart": [],
            "needs_session": None,
        }
        ((kind, content),) = office.payloads
        assert kind == "settings"
        assert content["hash"] == office.desk.core.content.hash
        assert office.desk.core.engine.state.accounts[0].max_position == 7
        assert [c.accounts[0].limits.max_position for c in office.changed] == [7]
        assert office.operating.config.accounts[0].limits.max_position == 7
        assert await office.operating.reload() == {"changed": [], "needs_restart": [], "needs_session": None}

    story(folder, steps)


def test_reload_of_what_needs_a_restart_changes_nothing_at_all(folder: Path) -> None:
    async def steps(office: Office) -> None:
        made = world.given(folder)
        made["accounts"][0]["limits"]["max_position"] = 7
        made["accounts"][0]["cash"] = 5
        office.file = made
        answer = await office.operating.reload()
        assert answer["changed"] == []
        assert answer["needs_restart"] == ["accounts.desk.cash"]
        assert "account 'desk' is of another shape; give it another `session`" in answer["needs_session"]
        assert office.payloads == []
        assert office.changed == []
        assert office.desk.core.engine.state.accounts[0].max_position == 5_000

    story(folder, steps)


def test_reload_of_what_is_not_the_engines_is_no_change_of_what_decides(folder: Path) -> None:
    async def steps(office: Office) -> None:
        office.file = world.given(folder, service={"log_level": "debug"})
        answer = await office.operating.reload()
        assert answer == {"changed": ["service.log_level"], "needs_restart": [], "needs_session": None}
        assert [c.service.log_level for c in office.changed] == ["debug"]

    story(folder, steps)


def test_reload_of_a_file_that_is_wrong_changes_nothing(folder: Path) -> None:
    async def steps(office: Office) -> None:
        office.file = world.given(folder, seeds=3)
        with pytest.raises(ConfigError, match="seeds"):
            await office.operating.reload()
        office.file = FileNotFoundError("desk.yaml")
        with pytest.raises(FileNotFoundError):
            await office.operating.reload()
        assert office.payloads == []
        assert office.changed == []

    story(folder, steps)


def test_strategy_that_cannot_begin_with_its_new_parameters_is_out_and_the_session_goes_on(
    tmp_path: Path,
) -> None:
    written(tmp_path, CODE.replace("self.begun = True", "1 / (self.params.units - 8)"))

    async def steps(office: Office) -> None:
        made = world.given(tmp_path)
        made["accounts"][0]["strategies"][1]["params"] = {"units": 8}
        office.file = made
        await office.operating.reload()
        assert "ZeroDivisionError" in office.desk.core.lost["desk/listener"]
        assert (await office.operating.operate("desk", "halt", "x", "me"))["state"] == "halted"

    story(tmp_path, steps)


def test_two_reloads_at_once_are_in_turn(folder: Path) -> None:
    async def steps(office: Office) -> None:
        desk, reload = office.desk, office.operating.reload
        made = world.given(folder)
        made["accounts"][0]["limits"]["max_position"] = 7
        desk.journal.full = True  # nothing is decided
        await desk.until(lambda: desk.journal.looks > 0)
        office.file = made
        first = asyncio.create_task(reload())
        await asyncio.sleep(0)
        office.file = world.given(folder)  # changed back
        second = asyncio.create_task(reload())
        await desk.until(lambda: desk.inbox.rows > 0)
        desk.journal.full = False
        key = "accounts.desk.limits.max_position"
        assert [(await one)["changed"] for one in (first, second)] == [[key], [key]]
        assert desk.core.engine.state.accounts[0].max_position == 5_000
        assert office.operating.config.accounts[0].limits.max_position == 5_000
        assert [c.accounts[0].limits.max_position for c in office.changed] == [7, 5_000]

    story(folder, steps)


def test_reload_that_raises_lets_the_next_one_in(folder: Path) -> None:
    async def steps(office: Office) -> None:
        office.file = FileNotFoundError("desk.yaml")
        with pytest.raises(FileNotFoundError):
            await office.operating.reload()
        office.file = world.given(folder, service={"log_level": "debug"})
        assert (await office.operating.reload())["changed"] == ["service.log_level"]

    story(folder, steps)


# -- status -----------------------------------------------------------------------------------------------------------


def test_status_tells_of_what_is_committed(folder: Path) -> None:
    async def steps(office: Office) -> None:
        await office.operating.operate("desk", "halt", "x", "me")
        status = office.operating.status()
        assert (status["session"], status["epoch"], status["seq"], status["committed_seq"]) == (
            "desk",
            3,
            41,
            41,
        )
        assert status["started"] == "2023-11-14T22:14:00Z"
        assert status["database"] == {"url": "sqlite:///x", "error": None, "backlog_rows": 0}
        (account,) = status["accounts"]
        assert (account["name"], account["currency"], account["state"]) == ("desk", "USD", "halted")
        held = sum(p["value"] for p in account["positions"])
        assert account["equity"] == pytest.approx(account["cash"] + held, abs=1e-6)
        assert [s["name"] for s in account["strategies"]] == ["desk/cross", "desk/listener"]
        assert not status["ready"]  # nobody said that it runs

    story(folder, steps)


def test_status_says_why_something_does_not_trade(folder: Path) -> None:
    async def steps(office: Office) -> None:
        assert office.operating.status()["halted"] == {}
        office.operating.halted["desk"] = "since noon: desk is halted, by me: looked into it"
        assert office.operating.status()["halted"] == {
            "desk": "since noon: desk is halted, by me: looked into it"
        }

    story(folder, steps)
