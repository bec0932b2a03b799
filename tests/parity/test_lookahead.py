"""Nothing that is decided or filled before a row depends on that row, or on any after it."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine, Events
from engine.features import FeatureSpec, parse_feature
from engine.policies import Policy
from engine.records import SizeKind, Ticks
from tests.builders import MINUTE, cut, join, make_bars, make_engine, timer_at
from tests.properties.drawing import FEATURES, worlds
from tests.properties.worlds import World, make, run, wish


def garbage(ticks: Ticks, dice: random.Random, keep_times: bool) -> Ticks:
    """Rows of the same length, at the same times or not, that have nothing else in common with the given ones."""
    n = len(ticks.price)
    shift = 0 if keep_times else dice.randint(1, 10 * MINUTE)
    return Ticks(
        ticks.ts_event + shift,
        ticks.ts_recv + shift,
        np.array([dice.randint(-1, 3) for _ in range(n)], np.int32),
        np.array([dice.choice((1e9, 1e-9, -5.0, np.nan, np.inf, 3.0)) for _ in range(n)], np.float64),
        np.array([dice.choice((0.0, 1e12, np.nan, -1.0)) for _ in range(n)], np.float64),
        np.array([dice.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)) for _ in range(n)], np.uint8),
    )


def past_stays(world: World, row: int, dice: random.Random) -> None:
    changed = World(
        world.spec,
        join(cut(world.tape, 0, row), garbage(cut(world.tape, row, world.rows), dice, dice.random() < 0.5)),
        world.wishes,
        world.seeds,
    )
    samples = grades = 0

    def count(_: Engine, part: Events, _first: int, end: int) -> None:
        nonlocal samples, grades
        samples += len(part.equity) if end <= row else 0
        grades += len(part.grades) if end <= row else 0

    run(world, [row], count)
    told = []
    for trace in (run(world), run(changed)):  # with the rows that come in sight, in the same batch
        events = trace.events()
        equity, graded = (np.concatenate([getattr(p, n) for p in trace.parts]) for n in ("equity", "grades"))
        before = events[events["seq"] < row], equity[:samples], graded[:grades]
        told.append([column.tobytes() for column in before])
    assert told[0] == told[1]


@settings(max_examples=120)
@given(worlds(), st.floats(0, 1), st.randoms(use_true_random=False))
def test_events_before_a_row_do_not_change_when_the_rows_after_it_are_garbage(
    world: World, where: float, dice: random.Random
) -> None:
    past_stays(world, int(where * world.rows), dice)


@pytest.mark.soak
@settings(max_examples=5_000)
@given(worlds(minutes=30), st.floats(0, 1), st.randoms(use_true_random=False))
def test_events_before_a_row_of_a_long_world_do_not_change_when_the_rows_after_it_are_garbage(
    world: World, where: float, dice: random.Random
) -> None:
    past_stays(world, int(where * world.rows), dice)


@settings(max_examples=60)
@given(worlds(live=False), st.floats(0, 1), st.randoms(use_true_random=False))
def test_what_a_rows_time_brings_about_does_not_depend_on_its_price(
    world: World, where: float, dice: random.Random
) -> None:
    # bars that the row closes by its time alone, and all that follows from them, come before the row itself:
    # a row without a price, at the same time, must bring about the same
    row = int(where * (world.rows - 1))
    engines: list[Engine] = []
    told = []
    for last in (timer_at(int(world.tape.ts_recv[row])), garbage(cut(world.tape, row, row + 1), dice, True)):
        engine = make(world)
        engines.append(engine)
        for i in range(row):
            for what in world.wishes.get(i, ()):
                wish(engine, what)
            engine.process(cut(world.tape, i, i + 1))
        told.append(engine.process(last).events)
    alone, with_price = told
    assert with_price[: len(alone)].tobytes() == alone.tobytes()


SERIES_FEATURES = tuple(f for f in FEATURES if isinstance(parse_feature(f), FeatureSpec))


def test_features_at_a_bar_do_not_change_when_later_bars_do() -> None:
    rng = np.random.default_rng(3)

    def bars(n: int, seed: int) -> list[tuple[float, ...]]:
        price = 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, (n, 4)), axis=0))
        volume = np.random.default_rng(seed).uniform(1, 9, n)
        return [(p[0], p.max(), p.min(), p[3], v) for p, v in zip(price, volume, strict=True)]

    same, other = bars(30, 1), bars(10, 2)
    row = int(rng.integers(10, 29))
    values = []
    for rest in (same[row:], other):
        engine = make_engine(features=SERIES_FEATURES)
        engine.process(make_bars(same[:row]))
        engine.process(timer_at(row * MINUTE))
        values.append(engine.state.features["value"].tobytes())
        engine.process(make_bars(rest, first=row * MINUTE))
        assert engine.state.features["value"].tobytes() != values[0]
    assert values[0] == values[1]


def test_decision_on_a_bars_close_is_filled_at_the_next_bars_open_and_never_earlier() -> None:
    # the second bar closes above the first: momentum goes long, and pays the third bar's open
    engine = make_engine(policy=Policy.MOMENTUM, features=("return_1",), size=10)
    assert engine.spec.strategies[0].size_kind == SizeKind.UNITS
    events = engine.process(
        make_bars([(10, 12, 9, 11), (11, 13, 10, 12), (20, 30, 19, 25), (26, 27, 25, 26)])
    )
    fill = events.events[events.events["kind"] == 1]
    assert fill["last_px"].tolist() == [20.0]
    assert fill["order_seq"].tolist() == [8]  # two bars of four rows had been taken
    assert fill["seq"].tolist() == [8]  # the ninth row, counted from 0
    assert fill["submitted"].tolist() == [2 * MINUTE]
