"""The deterministic half of a session: however the tape is cut, replayed, saved and loaded, it causes the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from daemon.live import rows
from daemon.live.core import Core
from daemon.live.errors import CoreError
from daemon.store.batch import Payload
from daemon.store.errors import StoreUseError
from engine.records import SECOND, EventKind, RowKind, Status, Ticks, TradingState
from strategies.errors import StrategyError
from tests.builders import cut as cut_ticks
from tests.service.taped import MINUTE, T0
from tests.unit.daemon.live import world
from tests.unit.daemon.live.world import CODE, fresh, prints, stands, taken, tape, told, with_limits, written


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("strategies"))


@pytest.fixture(autouse=True)
def module() -> Iterator[None]:
    """Each test may have a module of its own."""
    world.forget()
    yield
    world.forget()


@pytest.fixture(scope="module")
def whole(folder: Path) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A tape with payloads of each kind, and what it causes where each row of ours ends a batch."""
    core = fresh(folder)
    taped = tape(folder, core.seq + 1)
    caused = told(taken(core, taped))
    assert caused["fills"] > 20
    return taped, caused, stands(core)


def put(core: Core, kind: str, content: dict[str, Any], row: Any = rows.timer, later: int = 0) -> Any:
    """A row of ours with its payload, some ns after the last row; the batch."""
    return core.take(row(max(core.engine.now, T0) + later), [Payload(core.seq + 1, kind, content)])


def feed(core: Core, *prices: float, k: int = 0, every: int = 20 * SECOND) -> Any:
    """Prints of an instrument; the batch."""
    first = max(core.engine.now, T0)
    n = len(prices)
    ts = first + every * np.arange(1, n + 1)
    types = (np.int64, np.int64, np.int32, np.float64, np.float64, np.uint8)
    columns = (ts, ts, np.full(n, k), np.array(prices), np.full(n, 1e6), np.zeros(n))
    return core.take(Ticks(*(c.astype(t) for c, t in zip(columns, types, strict=True))))


# -- the same however it comes ----------------------------------------------------------------------------------------


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@drawn(cuts=st.lists(st.integers(0, 416), max_size=12))
def test_replay_cut_anywhere_causes_the_same(cuts: list[int], folder: Path, whole: Any) -> None:
    taped, caused, stood = whole
    core = fresh(folder)
    batches = [batch for piece in world.pieces(taped, cuts) for batch in core.replay(piece)]
    assert told(batches) == caused
    assert stands(core) == stood


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@drawn(cuts=st.lists(st.integers(0, 416), min_size=1, max_size=4), dice=st.randoms(use_true_random=False))
def test_core_saved_and_loaded_anywhere_goes_on_the_same(
    cuts: list[int], dice: random.Random, folder: Path, whole: Any
) -> None:
    taped, caused, stood = whole
    core, batches = fresh(folder), []
    for piece in world.pieces(taped, cuts):
        batches += list(core.replay(piece))
        saved = core.save()
        assert saved.seq == core.seq
        loaded = Core.load(saved.content)
        assert loaded.engine.state_hash() == saved.state_hash
        assert stands(loaded) == stands(core)
        if dice.random() < 0.7:
            core = loaded
    assert told(batches) == caused
    assert stands(core) == stood


def test_core_knows_the_corporate_actions_of_its_tape_and_the_end_of_its_history_when_loaded(
    folder: Path,
) -> None:
    core = fresh(folder)
    history = cut_ticks(prints(30), 0, 30)
    core.warm_up(history)
    end = int(history.ts_recv[-1])
    assert (core.history_until, core.actions) == (end, set())
    day = end + SECOND
    ticks = Ticks(
        np.array([day, day, day + 1]), np.full(3, day + SECOND), np.array([1, 0, 0], np.int32),
        np.array([4.0, 0.25, 100.0]), np.array([1.0, 0.0, 1.0]),
        np.array([RowKind.SPLIT, RowKind.DIVIDEND, RowKind.PRINT], np.uint8),
    )  # fmt: skip
    core.take(ticks)
    taken_ = {(1, int(RowKind.SPLIT), day), (0, int(RowKind.DIVIDEND), day)}
    for one in (core, Core.load(core.save().content)):
        assert (one.history_until, one.actions) == (end, taken_)


def test_replay_row_by_row_causes_the_same(folder: Path, whole: Any) -> None:
    taped, caused, stood = whole
    core = fresh(folder)
    batches = [batch for piece in world.pieces(taped, range(416)) for batch in core.replay(piece)]
    assert len(batches) == len(taped.ticks.price)
    assert told(batches) == caused
    assert stands(core) == stood


def test_replay_is_cut_behind_settings_only(folder: Path, whole: Any) -> None:
    taped = whole[0]
    batches = list(fresh(folder).replay(taped))
    assert [b.payloads[-1].kind for b in batches[:-1]] == ["settings", "settings"]
    assert [b.first for b in batches[1:]] == [b.last + 1 for b in batches[:-1]]
    for batch in batches:
        batch.check()


def test_payload_is_carried_out_behind_its_row_and_before_the_next(folder: Path) -> None:
    # a signal to buy at a limit 0.1 % below 100; the print behind it, in the same take, fills it
    core = fresh(folder)
    feed(core, 100.0)
    ts = core.engine.now
    ticks = rows.joined([rows.timer(ts), cut_ticks(prints(1), 0, 1)._replace(
        ts_event=np.array([ts + SECOND]), ts_recv=np.array([ts + SECOND]), price=np.array([99.0]),
        instrument=np.zeros(1, np.int32), size=np.full(1, 1e6), flags=np.zeros(1, np.uint8),
    )])  # fmt: skip
    batch = core.take(ticks, [Payload(core.seq + 1, "signal", world.signal(1.0))])
    events = batch.out.events
    assert [(int(e["kind"]), int(e["status"]), int(e["seq"])) for e in events] == [
        (EventKind.ORDER, Status.NEW, batch.first),
        (EventKind.FILL, Status.FILLED, batch.first),
    ]
    assert events["last_px"][-1] == 99.0


def test_rows_behind_settings_are_refused_where_other_models_decide(folder: Path) -> None:
    core = fresh(folder)
    feed(core, 100.0)
    made = world.settings(with_limits(folder, 150))
    ts = core.engine.now
    batch = core.take(rows.joined([rows.timer(ts)] * 2), [Payload(core.seq + 1, "settings", made)])
    assert batch.last - batch.first == 1  # of the same models: both
    core.content.models["desk/cross"] = "x@1:2"
    made = world.settings(with_limits(folder, 100))
    with pytest.raises(StoreUseError, match="another model decides"):
        core.take(rows.joined([rows.timer(ts)] * 2), [Payload(core.seq + 1, "settings", made)])


def test_bars_are_those_that_closed(folder: Path) -> None:
    core = fresh(folder)
    batch = feed(core, 100.0, 101.0, 99.0, 102.0, 103.0, every=15 * SECOND)
    # prints 15, 30, 45, 60 and 75 s into the minutes of T0; a bar closes 250 ms after its end, at the print of 75 s
    (bar,) = batch.bars
    assert [float(bar[n]) for n in ("open", "high", "low", "close")] == [100.0, 101.0, 99.0, 99.0]
    assert (int(bar["start"]), int(bar["end"]), int(bar["count"])) == (T0, T0 + MINUTE, 3)


# -- what is counted --------------------------------------------------------------------------------------------------


def test_rows_of_ours_are_no_rows_of_the_feed(folder: Path) -> None:
    core = fresh(folder)
    feed(core, 100.0, 101.0)
    put(core, "start", {})
    core.take(rows.timer(core.engine.now))
    core.take(rows.mark(core.engine.now, core.engine.now, 0, 99.0))  # asked for beside the feed
    assert (core.seq, core.feed_rows) == (5, 2)
    loaded = Core.load(core.save().content)
    assert (loaded.seq, loaded.feed_rows) == (5, 2)


def test_warm_up_counts_in_seq_and_not_in_the_feed_and_nobody_decides(folder: Path) -> None:
    core = Core.fresh(world.config(folder), T0 + 3600 * SECOND)
    history = prints(300)
    core.warm_up(history)
    assert (core.seq, core.feed_rows) == (300, 0)
    assert len(core.engine.take_events().events) == 0
    assert not core.engine.state.slots["lots"].any()


# -- payloads ---------------------------------------------------------------------------------------------------------


def test_command_is_carried_out_by_its_row(folder: Path) -> None:
    from engine.records import OperatorAction

    core = fresh(folder)
    feed(core, 100.0)
    content = {"portfolio": "desk", "action": "halt", "reason": "x", "who": "me"}
    batch = put(core, "command", content, lambda ts: rows.command(ts, 0, OperatorAction.HALT))
    assert core.engine.state.accounts[0].state == TradingState.HALTED
    assert batch.payloads[0].content == content


def test_signal_asks_only_those_that_listen_to_its_actor(folder: Path) -> None:
    core = fresh(folder)
    feed(core, 100.0)
    assert len(put(core, "signal", world.signal(1.0, actor="another")).out.events) == 0
    batch = put(core, "signal", world.signal(1.0))
    (event,) = batch.out.events
    assert (int(event["strategy"]), int(event["lots"])) == (1, 3)
    saved: Any = core.engine.actors["desk/listener"].save()
    assert saved["state"]["state"] == {"heard": 1}


def test_actor_that_is_lost_takes_the_orders_of_those_that_listen_with_it(folder: Path) -> None:
    core = fresh(folder)
    feed(core, 100.0)
    put(core, "signal", world.signal(1.0))
    slot = core.engine.operator_slot("desk", "A")
    by_hand = core.engine.submit(slot, 1, 5, 1, limit=50.0)  # type: ignore[arg-type] # a LIMIT to BUY
    batch = put(core, "actor", {"actor": "drift", "event": "lost", "why": "it hangs"})
    assert [int(e["status"]) for e in batch.out.events if e["order_id"] != by_hand] == [Status.CANCELED]
    assert [int(core.engine.state.orders[p].id) for p in core.engine.live_orders()] == [by_hand]
    assert core.lost == {"drift": "it hangs"}
    assert Core.load(core.save().content).lost == {"drift": "it hangs"}
    put(core, "actor", {"actor": "drift", "event": "back", "why": ""})
    assert core.lost == {}


def test_actor_that_is_lost_leaves_orders_where_its_policy_says_so(folder: Path) -> None:
    kept = [world.given(folder)["actors"][0] | {"on_crash": "keep"}]
    core = fresh(folder, actors=kept)
    feed(core, 100.0)
    put(core, "signal", world.signal(1.0))
    batch = put(core, "actor", {"actor": "drift", "event": "lost", "why": "it hangs"})
    assert len(batch.out.events) == 0
    assert core.lost == {"drift": "it hangs"}


def test_gap_is_open_until_its_end(folder: Path) -> None:
    core = fresh(folder)
    gap = {"instruments": ["B"], "since": T0 + 5, "why": "down"}
    batch = put(core, "gap", gap | {"until": None})
    assert [tuple(g) for g in batch.gaps] == [(1, T0 + 5, None, "down")]
    assert core.gaps == {"B": T0 + 5}
    assert Core.load(core.save().content).gaps == {"B": T0 + 5}
    batch = put(core, "gap", gap | {"until": T0 + 9})
    assert [tuple(g) for g in batch.gaps] == [(1, T0 + 5, T0 + 9, "down")]
    assert core.gaps == {}


def test_stop_ends_the_tape_only_where_it_says_so(folder: Path) -> None:
    core = fresh(folder)
    feed(core, 100.0)
    put(core, "stop", {"epoch": 1, "why": "SIGTERM"})
    assert [core.ended] == [False]
    put(core, "stop", {"epoch": 1, "why": "over", "end": True})
    assert [core.ended] == [True]
    assert Core.load(core.save().content).ended


def test_settings_change_what_follows_and_the_models_of_the_batch_are_those_before(folder: Path) -> None:
    core = fresh(folder)
    feed(core, 100.0, 99.0, 98.0, 99.0, every=60 * SECOND)
    before = core.content.hash
    put(core, "settings", world.settings(with_limits(folder, 7)))
    assert core.content.hash != before
    batch = feed(core, 103.0, 104.0, 105.0, every=60 * SECOND)
    crossing = batch.out.events[batch.out.events["strategy"] == 0]
    assert set(crossing["lots"].tolist()) == {7}


def test_settings_of_the_same_content_change_nothing_but_the_row(folder: Path) -> None:
    plain, changed = fresh(folder), fresh(folder)
    for core in (plain, changed):
        feed(core, 100.0, 101.0, 99.0, 102.0)
    put(plain, "start", {})
    put(changed, "settings", world.settings(world.given(folder)))
    for core in (plain, changed):
        feed(core, 100.0, 104.0, 109.0, 112.0)
    assert stands(plain) == stands(changed)


def test_settings_of_another_shape_are_refused_and_change_nothing(folder: Path) -> None:
    core = fresh(folder)
    feed(core, 100.0, 101.0)
    before = stands(core)
    made = world.given(folder)
    made["accounts"][0]["cash"] = 5
    with pytest.raises(CoreError, match="account 'desk' is of another shape; give it another `session`"):
        core.change(world.Content.of(world.load_paper(made).config))
    assert stands(core) == before


@pytest.mark.parametrize(
    ("changed", "anew"), [({}, False), ({"params": {"units": 9}}, True), ({"size": {"units": 5}}, False)]
)
def test_strategy_begins_anew_where_its_parameters_change_and_goes_on_else(
    changed: dict[str, Any], anew: bool, folder: Path
) -> None:
    core = fresh(folder)
    feed(core, 100.0)
    for _ in range(4):
        put(core, "signal", world.signal(1.0))
    made = world.given(folder)
    strategy = 0 if "size" in changed else 1
    made["accounts"][0]["strategies"][strategy] |= changed
    put(core, "settings", world.settings(made))
    saved: Any = core.engine.actors["desk/listener"].save()
    assert saved["state"]["state"] == {"heard": 0 if anew else 4}
    (event,) = put(core, "signal", world.signal(1.0)).out.events
    assert event["lots"] == (9 if "params" in changed else 3)


def test_strategy_begins_anew_where_its_code_changed(tmp_path: Path) -> None:
    core = fresh(written(tmp_path))
    feed(core, 100.0)
    put(core, "signal", world.signal(1.0))
    written(tmp_path, CODE.replace("units: int = 3", "units: int = 4"))
    put(core, "settings", world.settings(world.given(tmp_path)))
    (event,) = put(core, "signal", world.signal(1.0)).out.events
    assert event["lots"] == 4
    saved: Any = core.engine.actors["desk/listener"].save()
    assert saved["state"]["state"] == {"heard": 1}


def test_strategy_that_was_out_is_in_again_with_other_parameters(folder: Path) -> None:
    made = world.given(folder)
    made["accounts"][0]["strategies"][1]["params"] = {"fail_at": 1}
    core = Core.fresh(world.load_paper(made).config, T0)
    feed(core, 100.0, 101.0, 102.0, 103.0, every=40 * SECOND)
    assert "one too many" in core.lost["desk/listener"]
    put(core, "settings", world.settings(world.given(folder)))
    assert core.lost == {}
    assert len(put(core, "signal", world.signal(1.0)).out.events) == 1


def test_strategy_that_raises_in_a_replay_is_lost_at_the_same_row(folder: Path) -> None:
    made = world.given(folder)
    made["accounts"][0]["strategies"][1]["params"] = {"fail_at": 9}
    config = world.load_paper(made).config
    one, other = Core.fresh(config, T0), Core.fresh(config, T0)
    ticks = prints(300)
    first = [one.take(cut_ticks(ticks, i, i + 7)) for i in range(0, 300, 7)]
    second = [other.take(cut_ticks(ticks, i, i + 50)) for i in range(0, 300, 50)]
    assert "one too many" in one.lost["desk/listener"]
    assert told(first) == told(second)
    assert stands(one) == stands(other)


def test_strategy_that_cannot_begin_with_its_new_parameters_is_out_and_the_session_goes_on(
    tmp_path: Path,
) -> None:
    code = CODE.replace("self.begun = True", "1 / (self.params.units - 8)")
    core = fresh(written(tmp_path, code))
    feed(core, 100.0)
    made = world.given(tmp_path)
    made["accounts"][0]["strategies"][1]["params"] = {"units": 8}
    put(core, "settings", world.settings(made))
    assert "ZeroDivisionError" in core.lost["desk/listener"]
    feed(core, 101.0, 102.0)


# -- saving -----------------------------------------------------------------------------------------------------------


def test_strategy_without_state_begins_anew_from_a_snapshot_which_says_so(folder: Path) -> None:
    strategies = [
        {"use": f"mine:{name}", "name": name.lower(), "instruments": ["A"], "timeframe": "1m"}
        for name in ("Forgetful",)
    ]
    made = world.given(folder, actors=[])
    made["accounts"][0]["strategies"] = strategies
    core = Core.fresh(world.load_paper(made).config, T0)
    assert not core.can_save
    feed(core, *[100.0 + k for k in range(8)], every=30 * SECOND)
    loaded = Core.load(core.save().content)
    assert not loaded.complete
    assert loaded.engine.state_hash() == core.engine.state_hash()
    strategy: Any = loaded.engine.actors["desk/forgetful"]
    assert strategy.actor.strategy.seen == 0
    feed(loaded, 100.0, 101.0, every=30 * SECOND)
    assert strategy.actor.strategy.seen == 1


def test_strategies_with_state_are_complete(folder: Path) -> None:
    core = fresh(folder)
    assert core.can_save
    assert Core.load(core.save().content).complete


def test_state_that_is_no_plain_value_cannot_be_saved_and_says_whose(tmp_path: Path) -> None:
    core = fresh(
        written(tmp_path, CODE.replace('return {"heard": self.heard}', 'return {"heard": object()}'))
    )
    with pytest.raises(CoreError, match="strategy 'desk/listener': its state_dict holds a object"):
        core.save()


def test_state_dict_that_raises_is_no_state_and_loses_nobody(tmp_path: Path) -> None:
    core = fresh(
        written(tmp_path, CODE.replace('return {"heard": self.heard}', "raise ValueError('not now')"))
    )
    feed(core, 100.0)
    assert not core.can_save
    loaded = Core.load(core.save().content)
    assert not loaded.complete
    assert core.lost == loaded.lost == {}


def test_snapshot_that_is_damaged_says_so(folder: Path) -> None:
    content = fresh(folder).save().content
    with pytest.raises(CoreError, match="the snapshot cannot be read"):
        Core.load(content[:-3])


def test_strategy_that_cannot_begin_at_all_is_an_error(tmp_path: Path) -> None:
    core = fresh(written(tmp_path, CODE.replace("self.begun = True", "1 / 0")))
    with pytest.raises(StrategyError, match="ZeroDivisionError"):
        core.start()
