"""A strategy that is saved and restored goes on as if nothing had happened."""

from __future__ import annotations

from typing import Any

import pytest

from engine.engine import SnapshotError
from engine.records import SECOND
from strategies import Bar, Context, Fill, Strategy, StrategyError
from strategies.actor import make_rng
from tests.builders import MINUTE, cut, make_ticks
from tests.unit.strategies.worlds import make_world

ROWS = 400
TAPE = make_ticks([(i * 7 * SECOND, 10.0 + (i * 31 % 17) * 0.25) for i in range(ROWS)])


class Dice(Strategy):
    """Trades by chance and by what it remembers; places orders of several kinds and a timer."""

    features = ("sma_3",)

    class Params(Strategy.Params):
        most: int = 50

    def on_start(self, ctx: Context) -> None:
        self.seen: list[float] = []
        self.fills = 0
        ctx.set_timer(1, 45 * SECOND, every=130 * SECOND)

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        self.seen.append(bar.close)
        draw = int(ctx.rng.integers(1, self.params.most))
        if ctx.rng.random() < 0.5:
            ctx.target("A", draw + len(self.seen) % 3 + self.fills % 5)
        elif (
            ctx.position() < 60 and ctx.ready()
        ):  # looks at every part of the engine that a snapshot replaces
            level = 0.5 * (ctx.feature("sma_3") + ctx.bars(2)["low"].min()) - len(ctx.orders()) * 0.1
            wanted = min(level, ctx.price()) * (1.0 if ctx.account.equity > ctx.account.cash + 300 else 0.95)
            ctx.buy("A", draw + ctx.now // MINUTE % 2, limit=round(wanted, 2))

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        self.fills += 1

    def on_timer(self, ctx: Context, timer_id: int) -> None:
        ctx.cancel_all()
        ctx.target("A", 0)

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen, "fills": self.fills}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]
        self.fills = state["fills"]


def test_run_restored_at_any_row_equals_the_uninterrupted_one() -> None:
    whole, actor = make_world(Dice)
    whole.start()
    expected = whole.process(TAPE).events
    assert (expected["kind"] == 1).sum() > 20
    for row in (0, 1, 50, 51, 52, 333, ROWS):
        first, _ = make_world(Dice)
        first.start()
        first.process(cut(TAPE, 0, row))
        snapshot = first.snapshot()
        first.process(cut(TAPE, row, ROWS))  # what the first does later must not reach into the snapshot
        second, restored = make_world(Dice)
        second.start()
        second.restore(snapshot)
        second.take_events()
        rest = second.process(cut(TAPE, row, ROWS)).events
        assert second.state_hash() == whole.state_hash(), row
        assert restored.save() == actor.save()
        fields = [n for n in rest.dtype.names or () if n != "observation"]
        assert (rest[fields] == expected[len(expected) - len(rest) :][fields]).all()


def test_strategy_without_a_state_is_not_restored() -> None:
    class Forgetful(Strategy):
        def on_bar(self, ctx: Context, bar: Bar) -> None: ...

    engine, actor = make_world(Forgetful)
    engine.start()
    assert actor.save() is None
    with pytest.raises(SnapshotError, match="no saved state for s"):
        engine.restore(engine.snapshot())


def test_restoring_an_engine_that_was_not_started_says_so() -> None:
    engine, _ = make_world(Dice)
    engine.start()
    snapshot = engine.snapshot()
    fresh, _ = make_world(Dice)
    with pytest.raises(StrategyError, match="start the engine before you restore it"):
        fresh.restore(snapshot)


def test_random_numbers_depend_on_seed_and_name_only() -> None:
    def draws(seed: int, name: str) -> list[int]:
        return make_rng(seed, name).integers(0, 1_000_000, 4).tolist()

    assert draws(7, "a") == draws(7, "a")
    assert draws(7, "a") != draws(8, "a")
    assert draws(7, "a") != draws(7, "b")


def test_another_seed_gives_another_run() -> None:
    hashes = []
    for seed in (1, 1, 2):
        engine, _ = make_world(Dice, seed=seed)
        engine.start()
        engine.process(TAPE)
        hashes.append(engine.state_hash())
    assert hashes[0] == hashes[1] != hashes[2]
