"""Old tape leaves the database, but for what the next start needs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config.paper import load_paper
from daemon.live import tending
from daemon.live.core import Core
from tests.builders import cut
from tests.service.taped import T0
from tests.unit.daemon.live import world
from tests.unit.daemon.live.test_deciding import Desk
from tests.unit.daemon.live.test_operating import Office
from tests.unit.daemon.live.world import CODE, prints, written

RAISES = CODE.replace("self.seen += 1\n", "self.seen += 1\n        1 / (self.seen - 2)\n")


class Asked(Exception):
    """Retention was asked for, and ends at that."""


@pytest.fixture(autouse=True)
def module() -> Iterator[None]:
    world.forget()
    yield
    world.forget()


def kept_from(folder: Path, use: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Core, int | None]:
    """What retention is told to keep of an epoch that began at 17, behind 200 prints."""
    made = world.given(written(folder, RAISES), actors=[], retention={"tape": "3d"})
    made["accounts"][0]["strategies"][1] = {
        "use": use, "name": "second", "instruments": ["A"], "timeframe": "1m"
    }  # fmt: skip
    core = Core.fresh(load_paper(made).config, T0)

    def retain(url: str, name: str, keep: int, folder: Path, keep_from: int | None) -> None:
        assert (url, name) == ("sqlite:///x", "desk")
        raise Asked(keep_from)

    async def run() -> None:
        desk = Desk(core, False, "1h")
        core.take(cut(prints(200), 0, 200))
        office = Office(desk, made, folder)
        await tending.retain_tape(office.operating, desk.decider, "sqlite:///x", first_seq=17)

    monkeypatch.setattr(tending, "RETAIN_S", 0.0)
    monkeypatch.setattr(tending, "retain", retain)
    with pytest.raises(Asked) as raised:
        asyncio.run(asyncio.wait_for(run(), 10))
    return core, raised.value.args[0]


def test_tape_of_the_epoch_stays_while_a_strategy_without_state_dict_is_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a reload may bring it back, and the next start then replays the epoch from its first row
    core, keep_from = kept_from(tmp_path, "mine:Forgetful", monkeypatch)
    assert "ZeroDivisionError" in core.lost["desk/second"]
    assert core.can_save
    assert keep_from == 17


def test_tape_goes_where_each_strategy_has_a_state_dict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core, keep_from = kept_from(tmp_path, "mine:Listener", monkeypatch)
    assert core.lost == {}
    assert keep_from is None
