"""The strategy that tosses a coin."""

from __future__ import annotations

import copy
import math
from itertools import groupby, pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from engine.spec import InstrumentSpec
from strategies import Bar, Context
from strategies.random import Random
from tests.builders import MINUTE, join, make_bars, timer_at
from tests.unit.strategies.worlds import make_world


def play(
    n: int, seed: int = 7, cash: float = 1000.0, names: str = "A", growth: float = 0.0, **params: Any
) -> tuple[list[float], Any]:
    """What it holds of the first instrument at each bar's close, before it decides, and its generator as it was."""
    held: list[float] = []

    class Watched(Random):
        def on_bar(self, ctx: Context, bar: Bar) -> None:
            if bar.instrument == names[0]:
                held.append(ctx.position(bar.instrument))
            super().on_bar(ctx, bar)

    engine, actor = make_world(
        Watched, params, tuple(InstrumentSpec(name) for name in names), cash=cash, seed=seed
    )
    rng = copy.deepcopy(actor._rng)
    engine.start()
    path = [(10.0 + growth * i,) * 4 for i in range(n)]
    tapes = [make_bars(path, instrument=k) for k in range(len(names))]
    engine.process(join(*tapes, timer_at(n * MINUTE)))
    return held, rng


def test_position_follows_its_own_generator() -> None:
    held, rng = play(300, bars=4, units=25.0)
    expected, position = [], 0.0
    for _ in range(300):
        expected.append(position)  # decided at the bar before, filled at this one's open
        toss, heads = rng.random(2)
        if toss < 0.25:
            position = 25.0 if heads < 0.5 else 0.0
    assert held == expected
    assert set(held) == {0.0, 25.0}


def test_it_is_long_half_of_the_time_and_changes_as_often_as_it_says() -> None:
    n, bars = 4000, 5
    held, _ = play(n, bars=bars, units=1.0)
    changes = sum(a != b for a, b in pairwise(held))
    p = 1 / (2 * bars)  # a toss each five bars, of which half change nothing
    assert abs(changes - n * p) < 4 * math.sqrt(n * p * (1 - p))
    # runs of ten bars in the mean: an autocorrelation of 1 - 2p, so a variance (1 - p) / p times that of single coins
    assert abs(sum(held) / n - 0.5) < 4 * math.sqrt(0.25 / n * (1 - p) / p)


def test_same_seed_tosses_the_same_and_another_does_not() -> None:
    first, again, other = (play(200, seed=seed, bars=3)[0] for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(("names", "held"), [("A", 50.0), ("AB", 25.0)])
def test_share_of_equity_is_split_over_the_instruments(names: str, held: float) -> None:
    # half of 1,000 at 10 is 50 units; of two instruments 25 each
    found, _ = play(100, names=names, bars=2, fraction=0.5)
    assert set(found) == {0.0, held}


def test_share_is_measured_at_the_entry_only() -> None:
    held, _ = play(60, growth=1.0, bars=2, fraction=0.5)
    runs = [list(same) for _, same in groupby(held)]
    assert len(runs) > 5
    # runs of nothing and runs of one quantity take turns; measured again, a rising price would sell some of it
    assert all((a[0] == 0.0) != (b[0] == 0.0) for a, b in pairwise(runs))


@pytest.mark.parametrize("params", [{"bars": 0.5}, {"fraction": 0}, {"units": -1}, {"unit": 1}])
def test_parameters_that_cannot_be_are_refused(params: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        make_world(Random, params)


def test_it_keeps_nothing_beside_its_generator() -> None:
    _, actor = make_world(Random)
    assert actor.strategy.state_dict() == {}
