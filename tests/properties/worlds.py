"""A whole run as plain data, and how to run it: a specification, a tape, actors, an operator who interferes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.engine import Actor, Engine, Events
from engine.records import NONE, SECOND, Ticks
from engine.spec import EngineSpec
from tests.builders import cut
from tests.properties.chaos import Chaos, Dice, act

BEGIN = 1_704_239_760 * SECOND  # 2024-01-02T23:56:00Z: a day ends four minutes into each tape


@dataclass(frozen=True)
class World:
    """A whole run, apart from the cuts of its tape."""

    spec: EngineSpec
    tape: Ticks
    wishes: dict[int, list[tuple[Any, ...]]]  # what an operator does before that row
    seeds: dict[str, tuple[int, int]]  # actors by strategy: what they want, and their seed

    @property
    def rows(self) -> int:
        return len(self.tape.price)


@dataclass
class Trace:
    """All that a run gave, whatever its cuts: events whose `observation` counts over the whole run."""

    parts: list[Events] = field(default_factory=list)
    hash: str = ""
    heard: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)

    def events(self) -> np.ndarray[Any, Any]:
        out, offset = [], 0
        for part in self.parts:
            events = part.events.copy()
            events["observation"][events["observation"] != NONE] += offset
            offset += len(part.observations)
            out.append(events)
        return np.concatenate(out)

    def same_as(self, other: Trace) -> None:
        """Fail with the first difference in sight."""
        mine, theirs = self.events(), other.events()
        for a, b in zip(mine, theirs, strict=False):
            if a.tobytes() != b.tobytes():
                fields = [n for n in a.dtype.names if a[n].tobytes() != b[n].tobytes()]
                raise AssertionError(f"events differ in {fields}:\n{a}\n{b}")
        assert len(mine) == len(theirs), f"{len(mine)} events and {len(theirs)}"
        for name in ("observations", "equity", "grades"):
            one, two = (np.concatenate([getattr(p, name) for p in t.parts]) for t in (self, other))
            assert one.tobytes() == two.tobytes(), f"{name} differ"
        assert self.heard == other.heard
        assert self.hash == other.hash, "all events are the same, the states are not"


def make(world: World) -> Engine:
    """A new engine of that world, with new actors that have started."""
    actors: dict[str, Actor] = {
        name: Chaos(*given, BEGIN + 90 * SECOND) for name, given in world.seeds.items()
    }
    engine = Engine(world.spec, actors)
    engine.start()
    return engine


def wish(engine: Engine, what: tuple[Any, ...]) -> None:
    """Carry out what the operator wants."""
    kind, name = what[:2]
    if kind == "act":
        act(engine, engine.operator_slot(name, what[2]), Dice(what[3]), -1)
    elif kind == "flatten":
        engine.flatten(name)
    elif kind == "disconnect":
        engine.disconnect(name)
    elif kind == "deposit":
        engine.deposit(name, what[2])
    else:
        engine.set_trading_state(name, what[2])


def go_on(
    world: World,
    engine: Engine,
    first: int,
    cuts: Iterable[int] = (),
    each: Callable[[Engine, Events, int, int], None] | None = None,
) -> Trace:
    """Run the world from row `first` on, the wishes before it included; `each` sees every batch."""
    trace = Trace()
    stops = sorted({first, world.rows, *(c for c in (*cuts, *world.wishes) if first < c < world.rows)})
    for at, end in zip(stops, [*stops[1:], world.rows], strict=True):
        for what in world.wishes.get(at, ()):
            wish(engine, what)
        part = engine.process(cut(world.tape, at, end))
        trace.parts.append(part)
        if each:
            each(engine, part, at, end)
    trace.parts.append(engine.stop())
    trace.hash = engine.state_hash()
    trace.heard = {name: actor.heard for name, actor in engine.actors.items() if isinstance(actor, Chaos)}
    return trace


def run(
    world: World,
    cuts: Iterable[int] = (),
    each: Callable[[Engine, Events, int, int], None] | None = None,
) -> Trace:
    """Run the whole world."""
    return go_on(world, make(world), 0, cuts, each)
