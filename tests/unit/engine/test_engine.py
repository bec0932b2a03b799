"""The engine's Python interface, used as it should not be."""

from typing import Any

import numpy as np
import pytest

from engine.engine import Engine, EngineError, SnapshotError
from engine.policies import Policy
from engine.records import NEVER, NONE, SECOND, Code, RowKind, Side, Ticks, TradingState, Wants
from engine.snapshot import Snapshot
from engine.spec import SpecError
from tests.builders import MINUTE, join, make_engine, make_ticks, order, read, timer_at
from tests.stories.desk import at, make_world, opened


class Nobody:
    """An actor that does nothing, but what a test gives it to do at a bar."""

    def __init__(self, wants: int = int(Wants.BAR), saved: Any = "state") -> None:
        self.wants = wants
        self.saved = saved
        self.loaded: Any = None
        self.asked: list[str] = []
        self.at_bar: Any = lambda engine: None

    def start(self, engine: Engine, strategy: int) -> None:
        self.engine = engine

    def bar(self, slot: int) -> None:
        self.asked.append("bar")
        self.at_bar(self.engine)

    def bars(self, _: int) -> None:
        self.asked.append("bars")

    def tick(self, slot: int) -> None:
        self.asked.append("tick")

    def fill(self, event: int) -> None:
        self.asked.append("fill")

    def order(self, event: int) -> None:
        self.asked.append("order")

    def action(self, event: int) -> None:
        self.asked.append("action")

    def timer(self, timer_id: int) -> None:
        self.asked.append("timer")

    def stop(self) -> None:
        self.asked.append("stop")

    def save(self) -> Any:
        return self.saved

    def load(self, state: Any) -> None:
        self.loaded = state


def with_actor(actor: Nobody, **strategy: Any) -> Engine:
    engine = Engine(make_world(strategy={"wants": actor.wants} | strategy).spec, {"s": actor})
    engine.start()
    return engine


def test_actor_of_a_strategy_that_is_not_there_is_refused() -> None:
    with pytest.raises(EngineError, match="ghost"):
        Engine(make_engine().spec, {"ghost": Nobody()})


def test_actor_of_a_compiled_strategy_is_refused() -> None:
    spec = make_engine(policy=Policy.BUY_AND_HOLD, features=("close",)).spec
    with pytest.raises(EngineError, match="'s'"):
        Engine(spec, {"s": Nobody()})


def test_process_from_inside_an_actor_is_refused() -> None:
    actor = Nobody()
    engine = with_actor(actor)
    actor.at_bar = lambda e: e.process(make_ticks([(9 * MINUTE, 1.0)]))
    with pytest.raises(EngineError, match="inside an actor"):
        engine.process(make_ticks([(0, 100.0), (MINUTE, 100.0)]))


def test_error_of_an_actor_comes_through() -> None:
    actor = Nobody()
    engine = with_actor(actor)

    def fail(_: Engine) -> None:
        raise ZeroDivisionError("mine")

    actor.at_bar = fail
    with pytest.raises(ZeroDivisionError, match="mine"):
        engine.process(make_ticks([(0, 100.0), (MINUTE, 100.0)]))


def test_actor_hears_what_it_wants_and_nothing_else() -> None:
    everything = sum(Wants)
    for wants in (everything, int(Wants.BAR), int(Wants.TICK | Wants.FILL)):
        actor = Nobody(wants)
        engine = with_actor(actor)
        engine.set_timer(0, 1, at=MINUTE + 1)
        engine.process(make_ticks([(0, 100.0)]))
        order(engine, Side.BUY, 1)
        engine.process(make_ticks([(1, 100.0), (MINUTE, 100.0), (MINUTE + 5, 100.0)]))
        engine.process(make_ticks([(MINUTE + 6, 2.0, 1.0, 0, RowKind.SPLIT)]))
        heard = {"timer", *(w.name.lower() for w in Wants if w & wants)}
        assert set(actor.asked) == heard


def test_actor_that_wants_other_calls_than_its_specification_says_is_refused() -> None:
    with pytest.raises(EngineError, match=r"'s'.*wants=1, its actor 4"):
        with_actor(Nobody(int(Wants.TICK)), wants=int(Wants.BAR))


@pytest.mark.parametrize("slot", [-1, 2, 1_000_000])
def test_order_in_a_slot_that_is_not_there_is_refused(slot: int) -> None:
    engine = opened(100.0)  # slots: the strategy's and the operator's
    with pytest.raises(EngineError, match="slot"):
        order(engine, Side.BUY, 1, slot=slot)


@pytest.mark.parametrize("slot", [-1, 2])
def test_aim_in_a_slot_that_is_not_there_is_refused(slot: int) -> None:
    with pytest.raises(EngineError, match="slot"):
        opened(100.0).aim(slot, 1)


def test_names_that_are_not_there() -> None:
    engine = opened(100.0)
    for call in (
        lambda: engine.operator_slot("b", "A"),
        lambda: engine.operator_slot("a", "B"),
        lambda: engine.flatten("b"),
        lambda: engine.set_trading_state("b", TradingState.HALTED),
    ):
        with pytest.raises(KeyError):
            call()


def test_quantity_that_is_no_whole_number_of_lots() -> None:
    engine = make_engine(lot_size=0.1)
    assert engine.lots(0, 0.3) == 3  # in floats 0.3 / 0.1 is 2.9999999999999996
    with pytest.raises(SpecError, match="no whole number"):
        engine.lots(0, 0.25)


def test_events_are_copies_and_given_once() -> None:
    engine = opened(100.0)
    order(engine, Side.BUY, 1)
    first = engine.take_events()
    assert len(first.events) == 1
    assert len(engine.take_events().events) == 0
    order(engine, Side.BUY, 2)
    engine.take_events()
    assert read(first)[0]["lots"] == 1


def test_events_of_orders_by_hand_come_with_the_next_batch_where_nobody_took_them() -> None:
    engine = opened(100.0)
    order(engine, Side.BUY, 1)
    assert len(engine.process(make_ticks([(1, 100.0)])).events) == 2


def test_empty_batch_does_nothing() -> None:
    engine = opened(100.0)
    before = engine.state_hash()
    assert len(engine.process(Ticks(*(c[:0] for c in make_ticks([(0, 1.0)])))).events) == 0
    assert engine.state_hash() == before


# -- timers ------------------------------------------------------------------------------------------------------------


def test_timers_say_when_they_are_due() -> None:
    engine = with_actor(Nobody())
    assert engine.next_due() == NEVER
    engine.set_timer(0, 1, at=at(50))
    engine.set_timer(0, 2, at=at(40))
    assert engine.next_due() == at(40)
    engine.set_timer(0, 2, at=at(60))  # replaces it
    assert engine.next_due() == at(50)
    engine.cancel_timer(0, 1)
    engine.cancel_timer(0, 9)  # there is none
    assert engine.next_due() == at(60)
    engine.cancel_timer(0, 2)
    assert engine.next_due() == NEVER


def test_many_timers() -> None:
    actor = Nobody()
    engine = with_actor(actor)
    for k in range(100):
        engine.set_timer(0, k, at=SECOND)
    engine.process(timer_at(SECOND))
    assert actor.asked == ["timer"] * 100
    assert engine.next_due() == NEVER


# -- snapshots ---------------------------------------------------------------------------------------------------------

TAPE = make_ticks([(k * 20 * SECOND, 100.0 + k % 5, 10.0) for k in range(60)])


def rested(engine: Engine) -> Engine:
    engine.process(make_ticks([(0, 100.0)]))
    for k in range(100):  # more than the first pool holds
        order(engine, Side.BUY, 1 + k, limit=99.0 - k % 10)
    order(engine, Side.BUY, 1_000)
    return engine


def test_restored_engine_goes_on_as_if_it_had_never_stopped() -> None:
    one = rested(make_engine(participation=0.1))
    snapshot = one.snapshot()
    one.process(TAPE)
    other = make_engine(participation=0.1)
    other.restore(snapshot)
    other.process(TAPE)
    assert other.state_hash() == one.state_hash()
    assert other.state.slots[0].lots > 0


def test_snapshot_is_a_copy() -> None:
    engine = rested(make_engine())
    snapshot = engine.snapshot()
    before = snapshot.arrays["slots"].tobytes()
    engine.process(TAPE)
    assert snapshot.arrays["slots"].tobytes() == before


def test_snapshot_of_another_engine_is_refused_and_nothing_is_changed() -> None:
    engine = rested(make_engine())
    before = engine.state_hash()
    for other in (
        make_world(instruments=("A", "B")),
        make_world(accounts=("a", "b")),
        make_world(strategies=(("s", "a"), ("t", "a"))),
        make_engine(features=("sma_20",)),
        make_engine(tick_size=0.05),  # of the same shape, but other rules
        make_engine(cash=5.0),
    ):
        with pytest.raises(SnapshotError):
            engine.restore(other.snapshot())
        assert engine.state_hash() == before


def test_snapshot_that_lacks_a_part_is_refused() -> None:
    engine = rested(make_engine())
    arrays = dict(engine.snapshot().arrays)
    del arrays["slots"]
    with pytest.raises(SnapshotError, match="slots"):
        engine.restore(Snapshot(arrays, {}, engine.snapshot().spec))


def test_actor_takes_its_state_back_and_one_that_saved_none_is_refused() -> None:
    actor, fresh = Nobody(saved={"n": 1}), Nobody()
    snapshot = with_actor(actor).snapshot()
    with_actor(fresh).restore(snapshot)
    assert fresh.loaded == {"n": 1}
    snapshot = with_actor(Nobody(saved=None)).snapshot()
    with pytest.raises(SnapshotError, match="s: give the strategy state_dict"):
        with_actor(Nobody()).restore(snapshot)


# -- the hash ----------------------------------------------------------------------------------------------------------


def test_hash_changes_nothing() -> None:
    engine = rested(make_engine())
    before = [a.tobytes() for a in engine.state]
    engine.state_hash()
    assert [a.tobytes() for a in engine.state] == before


def test_hash_is_of_the_live_state_only() -> None:
    one, other = opened(100.0), opened(100.0)
    for k in range(200):  # grows the pool and leaves nothing
        engine_id = order(one, Side.BUY, 1, limit=1.0)
        one.cancel(engine_id)
        other.cancel(order(other, Side.BUY, 1, limit=1.0))
        if k % 7 == 0:
            one.take_events()
    assert len(one.live_orders()) == 0
    assert one.state_hash() == other.state_hash()


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.process(make_ticks([(1, 100.0)])),
        lambda e: e.process(make_ticks([(0, 100.5)])),
        lambda e: order(e, Side.BUY, 1),
        lambda e: order(e, Side.SELL, 1),  # denied, but counted
        lambda e: e.set_trading_state("a", TradingState.REDUCE_ONLY),
        lambda e: e.set_timer(0, 1, at=SECOND),
    ],
)
def test_hash_tells_what_differs(change: Any) -> None:
    engine = opened(100.0)
    before = engine.state_hash()
    change(engine)
    assert engine.state_hash() != before


def test_batches_of_one_row_are_as_good_as_one_batch() -> None:
    one, other = rested(make_engine(participation=0.1)), rested(make_engine(participation=0.1))
    whole = one.process(TAPE)
    parts = [other.process(Ticks(*(c[i : i + 1].copy() for c in TAPE))) for i in range(len(TAPE.price))]
    assert one.state_hash() == other.state_hash()
    assert whole.events.tobytes() == np.concatenate([p.events for p in parts]).tobytes()


def test_columns_join() -> None:
    joined = join(make_ticks([(1, 2.0)]), timer_at(3))
    assert joined.ts_recv.tolist() == [1, 3]


def test_events_without_an_observation_say_so() -> None:
    engine = opened(100.0)
    order(engine, Side.BUY, 1)
    [event] = read(engine.take_events())
    assert (event["observation"], event["code"]) == (NONE, Code.NONE)
