"""Runs of the engine as the batches that a live session would commit."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

import numpy as np

from daemon.store.batch import Batch
from engine.engine import Engine
from engine.records import Ticks
from tests.builders import cut
from tests.properties.drawing import random_world
from tests.properties.worlds import World, make, wish


def world_of(seed: int) -> World:
    """A world drawn from that seed, whose rows without a price say so by a price of 0."""
    world = random_world(random.Random(seed))
    clean = {
        name: np.nan_to_num(getattr(world.tape, name), nan=0.0, posinf=0.0, neginf=0.0)
        for name in ("price", "size")
    }
    return dataclasses.replace(world, tape=world.tape._replace(**clean))


def recorded(world: World, cuts: Sequence[int]) -> tuple[Engine, list[Batch]]:
    """The engine at the end of the world, and the batches of its tape, cut there."""
    engine = make(world)
    stops = sorted({0, *(c for c in (*cuts, *world.wishes) if 0 < c < world.rows)})
    batches = []
    for at, end in zip(stops, [*stops[1:], world.rows], strict=True):
        for what in world.wishes.get(at, ()):
            wish(engine, what)
        ticks = cut(world.tape, at, end)
        out = engine.process(ticks)
        batches.append(Batch(at + 1, Ticks(*(c.copy() for c in ticks)), out, np.array(engine.state.slots)))
    return engine, batches
