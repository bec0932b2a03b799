"""Asynchronous actors as users write them: what a class may have, and how strategies hear their signals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from engine.records import OrderType, Side
from strategies import AsyncActor, Bar, Context, Signal, Strategy, StrategyError, StrategyLoadError
from strategies.asynchronous import check_methods
from strategies.base import wants_of
from strategies.loading import load_async_class, load_strategy_class, make_async
from tests.builders import MINUTE, fills, join, make_bars, timer_at
from tests.unit.strategies.worlds import FOUR_BARS, make_world

SIGNAL = Signal("A", 0.25, low=0.2, high=0.3, until=7, data={"k": 1}, ts=5, actor="x")


class Good(AsyncActor):
    class Params(BaseModel):
        n: int = 3

    async def on_bar(self, bar: Bar) -> None:
        return None


def method(name: str, function: Any) -> type[AsyncActor]:
    return type("Mine", (AsyncActor,), {name: function})


async def _generator(self: Any, bar: Any) -> Any:
    yield 1


@pytest.mark.parametrize(
    ("name", "function", "message"),
    [
        ("on_bars", Good.on_bar, "Mine.on_bars is never called; did you mean on_bar?"),
        ("on_signal", Good.on_bar, r"Mine\.on_signal is never called; there are: on_bar, on_start"),
        ("on_bar", lambda self, bar: None, r"Mine\.on_bar is no async def; write async def on_bar"),
        ("on_bar", _generator, r"is an async generator; return what it gives, or pass it to self\.emit"),
    ],
)
def test_method_that_would_not_be_called_as_it_is_meant_is_refused(
    name: str, function: Any, message: str
) -> None:
    with pytest.raises(StrategyLoadError, match=message):
        check_methods(method(name, function))


def test_actor_is_made_with_valid_parameters_of_its_class() -> None:
    assert make_async(Good).params.n == 3
    assert make_async(Good, {"n": 4}).params.n == 4
    with pytest.raises(ValidationError, match="extra"):
        make_async(Good, {"m": 4})


@pytest.mark.parametrize("history", [-1, 100_001, 2.5, None])
def test_history_that_cannot_be_kept_is_refused(history: Any) -> None:
    cls = type("Mine", (Good,), {"history": history})
    with pytest.raises(StrategyLoadError, match="actor Mine: a history of"):
        make_async(cls)


def test_constructor_that_raises_is_told_with_its_class() -> None:
    def fails(self: Any, params: Any) -> None:
        raise OSError("no file")

    with pytest.raises(StrategyError, match="actor Mine, when made: OSError: no file"):
        make_async(type("Mine", (Good,), {"__init__": fails}))


def test_strategies_and_actors_are_not_taken_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "both_kinds.py").write_text(
        "from strategies import AsyncActor, Strategy\n"
        "class S(Strategy): ...\n"
        "class F(AsyncActor):\n    async def on_bar(self, bar): ...\n"
    )
    assert load_async_class("both_kinds:F").__name__ == "F"
    assert load_strategy_class("both_kinds:S").__name__ == "S"
    with pytest.raises(
        StrategyLoadError, match=r"no subclass of strategies.AsyncActor; write class S\(Async"
    ):
        load_async_class("both_kinds:S")
    with pytest.raises(StrategyLoadError, match=r"no subclass of strategies.Strategy; write class F\(Strat"):
        load_strategy_class("both_kinds:F")
    with pytest.raises(StrategyLoadError, match=r"there is no G in .*; its actors: F"):
        load_async_class("both_kinds:G")


class Hearing(Strategy):
    def on_start(self, ctx: Context) -> None:
        self.heard: list[Any] = []

    def on_signal(self, ctx: Context, signal: Signal) -> None:
        self.heard.append((ctx.now, signal))
        ctx.buy("A", 100 * signal.value)
        self.heard.append(("orders", len(ctx.orders("A"))))

    def on_order(self, ctx: Context, order: Any) -> None:
        self.heard.append((order.type, order.side, order.quantity))


def test_strategy_orders_on_a_signal_and_hears_of_its_order_after_it() -> None:
    engine, actor = make_world(Hearing)
    engine.start()
    engine.process(make_bars(FOUR_BARS[:2]))
    out = engine.ask(lambda: actor.signal(SIGNAL))
    assert actor.strategy.heard == [  # type: ignore[attr-defined]
        (2 * MINUTE - 1, SIGNAL),
        ("orders", 1),
        (OrderType.MARKET, Side.BUY, 25.0),
    ]
    assert fills(out) == []
    # the next row is the open of the third bar, at 12
    out = engine.process(join(make_bars(FOUR_BARS[2:], first=2 * MINUTE), timer_at(4 * MINUTE)))
    assert fills(out) == [(1, Side.BUY, 25, 12.0)]


def test_hearing_signals_is_nothing_that_the_engine_asks_for() -> None:
    assert wants_of(Hearing) == wants_of(type("Other", (Strategy,), {"on_order": Hearing.on_order}))


def test_strategy_that_raises_on_a_signal_is_named_with_its_place() -> None:
    class Bad(Strategy):
        def on_signal(self, ctx: Context, signal: Signal) -> None:
            raise KeyError("k")

    engine, actor = make_world(Bad)
    engine.start()
    engine.process(make_bars(FOUR_BARS[:1]))
    with pytest.raises(
        StrategyError, match=r"strategy 's', on_signal at 1970-01-01T00:00:59.* on A: KeyError"
    ):
        engine.ask(lambda: actor.signal(SIGNAL))
