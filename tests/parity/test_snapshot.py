"""A snapshot at any row, restored elsewhere, goes on as if nothing had happened."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine, EngineError, SnapshotError
from engine.records import NEVER, OrderType, Side, Wants
from engine.spec import StrategySpec
from tests.builders import MINUTE, cut, make_engine, make_ticks
from tests.properties.chaos import Chaos
from tests.properties.drawing import worlds
from tests.properties.worlds import Trace, World, go_on, make, run, wish


def actor_of(engine: Engine, name: str) -> Chaos:
    actor = engine.actors[name]
    assert isinstance(actor, Chaos)
    return actor


def go_on_elsewhere(world: World, row: int, after_wishes: bool) -> None:
    whole = run(world, [row])
    first = make(world)
    begun = Trace()
    if row:
        before = World(world.spec, world.tape._replace(**{n: c[:row] for n, c in world.tape._asdict().items()}),
                       {r: w for r, w in world.wishes.items() if r < row}, world.seeds)  # fmt: skip
        begun = go_on(before, first, 0)
    rest = world
    if after_wishes:
        for what in world.wishes.get(row, ()):
            wish(first, what)
        rest = World(world.spec, world.tape, {r: w for r, w in world.wishes.items() if r != row}, world.seeds)
    snapshot = pickle.loads(pickle.dumps(first.snapshot()))
    told = first.take_events()
    second = make(world)
    second.restore(snapshot)
    assert second.state_hash() == first.state_hash()
    ended = go_on(rest, second, row)

    whole_events = whole.events()
    joined = Trace([*begun.parts, told, *ended.parts], ended.hash).events()
    for events in (whole_events, joined):
        events["observation"] = 0  # their places are compared with the observations, below
    assert joined.tobytes() == whole_events.tobytes()
    for name in ("observations", "equity", "grades"):
        mine = [getattr(p, name) for p in (*begun.parts, told, *ended.parts)]
        assert (
            np.concatenate(mine).tobytes()
            == np.concatenate([getattr(p, name) for p in whole.parts]).tobytes()
        )
    assert ended.hash == whole.hash
    assert {n: actor_of(first, n).heard + calls for n, calls in ended.heard.items()} == whole.heard


@settings(max_examples=120)
@given(worlds(), st.floats(0, 1), st.booleans())
def test_snapshot_at_any_row_restored_into_a_new_engine_goes_on_the_same(
    world: World, where: float, after_wishes: bool
) -> None:
    rows = [int(where * world.rows), *world.wishes]  # an operator's wish leaves questions to actors behind
    go_on_elsewhere(world, rows[int(where * 999) % len(rows)], after_wishes)


@pytest.mark.soak
@settings(max_examples=5_000)
@given(worlds(minutes=30), st.floats(0, 1), st.booleans())
def test_snapshot_at_any_row_of_a_long_world_goes_on_the_same(
    world: World, where: float, after_wishes: bool
) -> None:
    go_on_elsewhere(world, int(where * world.rows), after_wishes)


def test_snapshot_is_a_copy_that_the_running_engine_does_not_touch() -> None:
    engine = make_engine()
    engine.process(make_ticks([(0, 10.0)]))
    snapshot = engine.snapshot()
    before = pickle.dumps(snapshot)
    engine.submit(0, Side.BUY, 5)
    engine.process(make_ticks([(1, 11.0), (2 * MINUTE, 12.0)]))
    assert pickle.dumps(snapshot) == before


def test_snapshot_restored_twice_gives_two_engines_that_share_nothing() -> None:
    first = make_engine()
    first.process(make_ticks([(0, 10.0)]))
    snapshot = first.snapshot()
    engines = [make_engine(), make_engine()]
    for engine in engines:
        engine.restore(snapshot)
    engines[0].submit(0, Side.BUY, 5)
    engines[0].process(make_ticks([(1, 11.0)]))
    assert engines[1].state_hash() == first.state_hash() != engines[0].state_hash()


def test_snapshot_with_a_grown_pool_goes_into_an_engine_with_a_small_one() -> None:
    big, small = make_engine(), make_engine()
    big.process(make_ticks([(0, 10.0)]))
    for _ in range(500):
        big.submit(0, Side.BUY, 1, OrderType.LIMIT, limit=9.0)
    small.restore(big.snapshot())
    after = make_ticks([(1, 8.0)])
    big.take_events()
    assert small.process(after).events.tobytes() == big.process(after).events.tobytes()
    assert small.state_hash() == big.state_hash()


def test_restore_drops_what_the_engine_had_not_yet_told() -> None:
    one, other = make_engine(), make_engine()
    for engine in (one, other):
        engine.process(make_ticks([(0, 10.0)]))
    snapshot = one.snapshot()
    other.submit(0, Side.BUY, 5)
    other.snapshot()  # moves the event out of the outbox
    other.submit(0, Side.BUY, 6)
    other.restore(snapshot)
    assert len(other.take_events().events) == 0


def test_restore_of_another_engines_snapshot_is_refused_and_changes_nothing() -> None:
    engine = make_engine(features=("sma_3",))
    engine.process(make_ticks([(0, 10.0)]))
    before = engine.state_hash()
    with pytest.raises(SnapshotError, match="another"):
        engine.restore(make_engine(features=("sma_3", "sma_4")).snapshot())
    assert engine.state_hash() == before


def test_restore_without_an_actors_state_says_whose_and_changes_nothing() -> None:
    class Forgetful:
        wants = 0

        def start(self, engine: Engine, strategy: int) -> None:
            pass

        def save(self) -> None:
            return None

        bar = bars = tick = fill = order = timer = action = stop = load = start

    spec = make_engine().spec
    engine = Engine(spec, {"s": Forgetful()})  # type: ignore[dict-item] # an Actor as far as the engine asks it
    engine.process(make_ticks([(0, 10.0)]))
    before = engine.state_hash()
    with pytest.raises(SnapshotError, match="s: give the strategy state_dict"):
        engine.restore(engine.snapshot())
    assert engine.state_hash() == before


def test_order_by_hand_before_a_snapshot_is_told_to_its_strategy_once_there_or_here() -> None:
    # a wish between two batches may leave a question to an actor behind: a snapshot must not lose or garble it
    heard: list[list[tuple[int, ...]]] = []
    world = World(
        replace(
            make_engine().spec, strategies=(StrategySpec("s", "a", ("A",), MINUTE, wants=int(Wants.ORDER)),)
        ),
        make_ticks([(0, 10.0), (1, 10.0)]),
        {},
        {"s": (int(Wants.ORDER), 1)},
    )
    for moved in (False, True):
        engine = make(world)
        engine.process(cut(world.tape, 0, 1))
        engine.submit(0, Side.BUY, 5, OrderType.LIMIT, limit=9.0)
        if moved:
            snapshot, other = engine.snapshot(), make(world)
            other.restore(snapshot)
            other.process(cut(world.tape, 1, 2))
            heard.append(actor_of(engine, "s").heard + actor_of(other, "s").heard)
        else:
            engine.process(cut(world.tape, 1, 2))
            heard.append(actor_of(engine, "s").heard)
    assert heard[0] == heard[1] != []


def test_timers_survive_a_snapshot() -> None:
    engine, other = make_engine(), make_engine()
    engine.set_timer(0, 7, 5 * MINUTE, MINUTE)
    engine.set_timer(0, 8, 6 * MINUTE)
    engine.cancel_timer(0, 8)
    other.restore(engine.snapshot())
    assert other.next_due() == engine.next_due() == 5 * MINUTE
    other.cancel_timer(0, 7)
    assert other.next_due() == NEVER


def test_process_from_inside_an_actor_is_refused() -> None:
    class Greedy:
        wants = int(Wants.TICK)

        def start(self, engine: Engine, strategy: int) -> None:
            self.engine = engine

        def tick(self, slot: int) -> None:
            self.engine.process(make_ticks([(1, 10.0)]))

        bar = bars = fill = order = timer = action = tick

    spec = make_engine().spec
    spec = replace(spec, strategies=(replace(spec.strategies[0], wants=Greedy.wants),))
    engine = Engine(spec, {"s": Greedy()})  # type: ignore[dict-item] # an Actor as far as the engine asks it
    engine.start()
    with pytest.raises(EngineError, match="from inside an actor"):
        engine.process(make_ticks([(0, 10.0)]))
