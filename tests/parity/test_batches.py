"""How the tape is cut into batches changes nothing: not the state, not one event, not what an actor hears."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.records import (
    NONE,
    SECOND,
    Call,
    Code,
    EventKind,
    OrderType,
    Side,
    Status,
    TimeInForce,
    Wants,
)
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from tests.builders import MINUTE, cut, fills, make_engine, make_ticks, order
from tests.parity.scenarios import SEEDS
from tests.properties.chaos import Chaos
from tests.properties.drawing import random_world, worlds
from tests.properties.worlds import World, run


def any_cut_is_as_good(world: World, dice: random.Random) -> None:
    whole = run(world)
    whole.same_as(run(world, range(world.rows)))
    whole.same_as(run(world, dice.sample(range(world.rows), min(4, world.rows))))


@settings(max_examples=120)
@given(worlds(), st.randoms(use_true_random=False))
def test_batches_of_any_world_cut_anyhow_give_the_same_events_and_state(
    world: World, dice: random.Random
) -> None:
    any_cut_is_as_good(world, dice)


@settings(max_examples=40)
@given(worlds(live=True), st.randoms(use_true_random=False))
def test_batches_of_a_live_tape_cut_anyhow_give_the_same_events_and_state(
    world: World, dice: random.Random
) -> None:
    any_cut_is_as_good(world, dice)


@pytest.mark.soak
@settings(max_examples=5_000)
@given(worlds(minutes=30), st.randoms(use_true_random=False))
def test_batches_of_any_long_world_cut_anyhow_give_the_same_events_and_state(
    world: World, dice: random.Random
) -> None:
    any_cut_is_as_good(world, dice)


@settings(max_examples=40)
@given(worlds())
def test_empty_batches_between_the_others_change_nothing(world: World) -> None:
    def nothing(engine: Engine, *_: Any) -> None:
        assert len(engine.process(cut(world.tape, 0, 0)).events) == 0

    run(world, range(world.rows)).same_as(run(world, range(world.rows), nothing))


@settings(max_examples=40)
@given(worlds())
def test_asking_for_the_hash_and_a_snapshot_changes_nothing(world: World) -> None:
    def look(engine: Engine, *_: Any) -> None:
        assert engine.state_hash() == engine.state_hash()
        engine.snapshot()

    run(world, range(world.rows)).same_as(run(world, range(world.rows), look))


def test_worlds_reach_every_kind_of_event_that_a_test_of_them_relies_on() -> None:
    kinds, statuses, filled, calls, codes, flags = (set[Any]() for _ in range(6))
    for seed in SEEDS:
        trace = run(random_world(random.Random(seed)))
        for e in trace.events():
            kinds.add(int(e["kind"]))
            codes.add(int(e["code"]))
            if e["kind"] in (EventKind.ORDER, EventKind.FILL):
                statuses.add(int(e["status"]))
            if e["kind"] == EventKind.FILL:
                filled.add((OrderType(e["type"]), TimeInForce(e["tif"])))
                flags |= {n for n in ("post_only", "reduce_only", "parent", "maker") if e[n]}
                flags |= {"short"} if e["position"] < 0 else set()
        calls |= {heard[0] for each in trace.heard.values() for heard in each}
    assert kinds == set(EventKind)
    assert statuses == set(Status)
    # what makes a number that is none is refused before; few worlds have days enough to reject a model
    assert codes | {Code.MODEL} == set(Code) - {Code.NOT_FINITE}
    assert calls == set(Call)
    assert flags == {"post_only", "reduce_only", "parent", "maker", "short"}
    assert {type_ for type_, _ in filled} == set(OrderType)
    assert {tif for _, tif in filled} == set(TimeInForce)


def test_pools_and_outboxes_that_grow_in_mid_batch_change_nothing() -> None:
    class Many:
        """Gives a hundred orders at each bar, and as many cancels at the next."""

        wants = int(Wants.BAR | Wants.ORDER | Wants.FILL)

        def __init__(self) -> None:
            self.told = 0
            self.ids: list[int] = []

        def start(self, engine: Engine, strategy: int) -> None:
            self.engine = engine

        def bar(self, slot: int) -> None:
            for i in self.ids[::2]:
                self.engine.cancel(i)
            self.ids = [
                self.engine.submit(slot, Side.BUY, 1, OrderType.LIMIT, limit=50.0 + i % 60)
                for i in range(100)
            ]

        def fill(self, event: int) -> None:
            self.told += 1
            assert self.engine.state.events[event].kind == EventKind.FILL

        def order(self, event: int) -> None:
            self.told += 1
            assert self.engine.state.events[event].kind == EventKind.ORDER

        def __getattr__(self, _: str) -> Any:
            return lambda *_: None

    def outcome(step: int) -> tuple[str, bytes, int]:
        spec = EngineSpec(
            (InstrumentSpec("A"),),
            (AccountSpec("a", 1e6),),
            (StrategySpec("s", "a", ("A",), MINUTE, ("close", "balance"), wants=Many.wants),),
        )
        actor = Many()
        engine = Engine(spec, {"s": actor})
        engine.start()
        ticks = make_ticks(
            [(m * MINUTE + s * 20 * SECOND, 100.0 + 7 * (m % 5) - s) for m in range(80) for s in range(3)]
        )
        parts = [engine.process(cut(ticks, i, i + step)).events for i in range(0, len(ticks.price), step)]
        events = np.concatenate(parts)
        events["observation"] = events["observation"] != NONE  # it counts from the batch's first
        assert actor.told == len(events) > 10_000
        return engine.state_hash(), events.tobytes(), len(engine.state.orders)

    hash_1, events_1, places_1 = outcome(1)
    hash_n, events_n, places_n = outcome(10_000)
    assert (hash_1, events_1) == (hash_n, events_n)
    assert max(places_1, places_n) > 1_000  # it did grow


def test_rows_skipped_in_one_stretch_and_row_by_row_sum_the_same_volume() -> None:
    # sums of float64 depend on their order: 0.1 three times, then 1e16, is not 1e16 and then 0.1 three times
    ticks = make_ticks(
        [(i, 10.0 + i % 3, size) for i, size in enumerate((0.1, 0.1, 0.1, 1e15, 0.3, 7e-9) * 20)]
    )
    one, all_ = make_engine(), make_engine()
    for i in range(len(ticks.price)):
        one.process(cut(ticks, i, i + 1))
    all_.process(ticks)
    assert float(one.state.series[0].volume) == float(all_.state.series[0].volume) != 0.0
    assert one.state_hash() == all_.state_hash()


def test_hash_differs_where_a_single_fill_differs() -> None:
    def outcome(lots: int) -> tuple[str, int]:
        engine = make_engine()
        engine.process(make_ticks([(0, 10.0)]))
        order(engine, Side.BUY, lots)
        return engine.state_hash(), len(fills(engine.process(make_ticks([(1, 10.0)]))))

    assert outcome(1) == outcome(1)
    assert outcome(1)[0] != outcome(2)[0]


def test_chaos_is_heard_in_the_order_of_the_row() -> None:
    # an actor that wants everything, on one instrument: at a row, fills come before its tick, bars before both
    heard: list[tuple[int, ...]] = []
    for seed in range(60):
        world = random_world(random.Random(seed), live=False)
        trace = run(world)
        for each in trace.heard.values():
            assert [h[1] for h in each] == sorted(h[1] for h in each), "time never goes back"
            heard += each
    assert heard
    assert Chaos(0, 1).save() == 1
