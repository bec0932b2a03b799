"""A strategy that raises is out, with its working orders; the engine and all others go on, and a replay loses it at the same row."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.live.guarded import Guarded
from engine.engine import Engine
from engine.records import RowKind, Side, Status, Wants
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from strategies.errors import StrategyError
from tests.builders import MINUTE, make_ticks, read
from tests.stories.desk import at, put, row, wait

WANTS = sum(Wants)
CALLS = ("bar", "bars", "tick", "fill", "order", "timer", "action")


class Scripted:
    """Notes what it is asked; raises where it is told to."""

    wants = WANTS

    def __init__(self, name: str, fails: str = "", error: type[Exception] = StrategyError) -> None:
        self.name, self.fails, self.error = name, fails, error
        self.heard: list[str] = []
        self.loaded: list[Any] = []
        self.state: Any = {"n": 1}
        self.armed = True

    def start(self, engine: Engine, strategy: int) -> None:
        self.engine, self.strategy = engine, strategy
        engine.set_timer(strategy, 1, at(90))
        self._hear("start")

    def _hear(self, call: str) -> None:
        self.heard.append(call)
        if call == self.fails and self.armed:
            raise self.error(f"strategy {self.name!r}: {call} went wrong")

    def bar(self, _: int) -> None:
        self._hear("bar")

    def bars(self, _: int) -> None:
        self._hear("bars")

    def tick(self, _: int) -> None:
        self._hear("tick")

    def fill(self, _: int) -> None:
        self._hear("fill")

    def order(self, _: int) -> None:
        self._hear("order")

    def timer(self, _: int) -> None:
        self._hear("timer")

    def action(self, _: int) -> None:
        self._hear("action")

    def signal(self, _: Any) -> None:
        self._hear("signal")

    def stop(self) -> None:
        self._hear("stop")

    def save(self) -> Any:
        return self.state

    def rebind(self) -> None:
        self.heard.append("rebind")

    def load(self, state: Any) -> None:
        self.loaded.append(state)


def desk(
    fails: str, keeps: bool = False, error: type[Exception] = StrategyError, new: bool = False
) -> tuple[Engine, Guarded, Guarded]:
    """Two strategies in one account, each with an order that rests; the first fails at that question."""
    first, second = Scripted("bad", fails, error), Scripted("good")
    guarded = Guarded("bad", first, new), Guarded("good", second, new)
    spec = EngineSpec(
        (InstrumentSpec("A"),),
        (AccountSpec("a", 100_000.0),),
        tuple(
            StrategySpec(name, "a", ("A",), MINUTE, wants=WANTS, cancel_on_disconnect=not keeps) for name in ("bad", "good")
        ),
    )  # fmt: skip
    engine = Engine(spec, {"bad": guarded[0], "good": guarded[1]})
    engine.start()
    return engine, *guarded


def live(engine: Engine) -> list[int]:
    """The strategies of the working orders."""
    return [int(engine.state.slots[engine.state.orders[p].slot].strategy) for p in engine.live_orders()]


def ask_all(engine: Engine) -> None:
    """A price, resting orders of both, a split, fills, closes of bars, a timer."""
    bad = engine.actors["bad"]
    assert isinstance(bad, Guarded)
    assert isinstance(bad.actor, Scripted)
    bad.actor.armed = False
    row(engine, 100.0, seconds=1)
    for slot in (0, 1):
        put(engine, Side.BUY, 1, slot=slot, limit=50.0)
    bad.actor.armed = True
    for slot in (0, 1):
        put(engine, Side.BUY, 1, slot=slot)
    row(engine, 100.0, seconds=2)
    row(engine, 2.0, 1.0, RowKind.SPLIT, seconds=3)
    row(engine, 50.0, seconds=61)  # at 25 the orders that rest would fill, since the split
    wait(engine, 200)


@pytest.mark.parametrize("call", CALLS)
def test_strategy_that_raises_is_out_and_its_orders_go_while_the_other_goes_on(call: str) -> None:
    engine, bad, good = desk(call)
    ask_all(engine)
    assert bad.lost == f"strategy 'bad': {call} went wrong"
    assert good.lost is None
    assert live(engine) == [1]
    mine, theirs = bad.actor, good.actor
    assert isinstance(mine, Scripted)
    assert isinstance(theirs, Scripted)
    assert mine.heard[-1] == call  # it is asked no more
    assert set(CALLS) <= set(theirs.heard)


@pytest.mark.parametrize("call", CALLS)
def test_strategy_that_is_lost_keeps_its_orders_where_its_spec_says_so(call: str) -> None:
    engine, bad, _ = desk(call, keeps=True)
    ask_all(engine)
    assert bad.lost
    assert 0 in live(engine)


def test_position_of_a_strategy_that_is_lost_stays() -> None:
    engine, bad, _ = desk("timer")
    ask_all(engine)
    assert bad.lost
    assert engine.state.slots[0].lots == 2  # one, split two for one


def test_what_it_did_at_the_row_before_it_raised_stays_done() -> None:
    class Hasty(Scripted):
        def tick(self, slot: int) -> None:
            self.engine.submit(slot, Side.BUY, 7)
            super().tick(slot)

    hasty = Guarded("bad", Hasty("bad", "tick"))
    spec = EngineSpec(
        (InstrumentSpec("A"),),
        (AccountSpec("a", 1e5),),
        (StrategySpec("bad", "a", ("A",), MINUTE, wants=WANTS),),
    )
    engine = Engine(spec, {"bad": hasty})
    engine.start()
    events = read(engine.process(make_ticks([(at(1), 100.0)])))
    assert [(e["lots"], e["status"]) for e in events] == [(7, Status.NEW), (7, Status.CANCELED)]


def test_signal_and_stop_may_raise_too() -> None:
    for call in ("signal", "stop"):
        engine, bad, good = desk(call)
        row(engine, 100.0)
        engine.ask(lambda bad=bad: bad.signal(None))  # type: ignore[misc] # mypy takes the default for an argument
        engine.stop()
        assert bad.lost == f"strategy 'bad': {call} went wrong"
        assert isinstance(good.actor, Scripted)
        assert good.actor.heard[-1] == "stop"


def test_strategy_that_cannot_begin_is_an_error_of_the_configuration() -> None:
    with pytest.raises(StrategyError, match="start went wrong"):
        desk("start", new=True)


def test_strategy_that_cannot_begin_in_a_session_that_goes_on_is_out() -> None:
    engine, bad, good = desk("start")
    assert bad.lost == "strategy 'bad': start went wrong"
    row(engine, 100.0)
    assert good.lost is None


def test_error_that_is_no_strategys_is_not_hidden() -> None:
    # a fault of the engine, or of ours, must not pass for one of the strategy
    engine, _, _ = desk("tick", error=ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        row(engine, 100.0)


def test_strategy_lost_stays_lost_over_save_and_load() -> None:
    engine, bad, good = desk("fill")
    ask_all(engine)
    other_engine, other_bad, other_good = desk("")
    other_engine.restore(engine.snapshot())
    assert other_bad.lost == bad.lost
    assert other_good.lost is None
    assert isinstance(other_bad.actor, Scripted)
    assert isinstance(other_good.actor, Scripted)
    assert other_bad.actor.loaded == []
    assert other_good.actor.loaded == [{"n": 1}]
    wait(other_engine, 300)
    row(other_engine, 50.0)
    assert other_bad.actor.heard == ["start"]
    assert "tick" in other_good.actor.heard
    assert good.keeps_state


def test_strategy_without_state_is_saved_as_such_and_begins_as_it_is() -> None:
    engine, bad, _ = desk("")
    assert isinstance(bad.actor, Scripted)
    bad.actor.state = None
    assert not bad.keeps_state
    snapshot = engine.snapshot()
    assert snapshot.actors["bad"] == {"lost": None, "state": None}
    other_engine, other, _ = desk("")
    other_engine.restore(snapshot)
    assert isinstance(other.actor, Scripted)
    assert other.actor.loaded == []
    assert other.actor.heard == ["start", "rebind"]


def test_strategy_that_is_lost_needs_no_state() -> None:
    engine, bad, _ = desk("tick")
    assert isinstance(bad.actor, Scripted)
    bad.actor.state = None
    row(engine, 100.0)
    assert bad.keeps_state
    assert bad.save() == {"lost": bad.lost, "state": None}


def test_timer_of_a_strategy_that_is_lost_asks_nobody() -> None:
    engine, bad, good = desk("tick")
    row(engine, 100.0)
    wait(engine, 91)
    assert isinstance(bad.actor, Scripted)
    assert isinstance(good.actor, Scripted)
    assert "timer" not in bad.actor.heard
    assert "timer" in good.actor.heard
