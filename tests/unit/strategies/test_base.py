"""What a class overrides is what it is called for."""

import re
from textwrap import dedent

import pytest

from engine.records import Wants
from strategies import Strategy, StrategyLoadError
from strategies.base import wants_of
from tests.builders import MINUTE, make_bars
from tests.unit.strategies.worlds import make_world


def test_wants_of_the_base_class_are_none() -> None:
    assert wants_of(Strategy) == 0


def test_wants_are_those_of_the_overridden_methods_also_inherited_ones() -> None:
    class Parent(Strategy):
        def on_bar(self, ctx, bar): ...

    class Child(Parent):
        def on_fill(self, ctx, fill): ...
        def on_stop(self, ctx): ...

    assert wants_of(Parent) == Wants.BAR
    assert wants_of(Child) == Wants.BAR | Wants.FILL


@pytest.mark.parametrize("name", ["on_bar", "on_bars", "on_tick", "on_fill", "on_order", "on_timer"])
def test_each_callback_has_its_own_want(name: str) -> None:
    cls = type("One", (Strategy,), {name: lambda self, *a: None})
    assert wants_of(cls) == Wants[name.removeprefix("on_").upper()]


def test_misspelt_callback_is_refused_with_the_right_name() -> None:
    class Typo(Strategy):
        def on_bras(self, ctx, bar): ...

    with pytest.raises(StrategyLoadError, match=r"on_bras is never called; did you mean on_bars?"):
        wants_of(Typo)


def test_async_callback_is_refused() -> None:
    class Waiting(Strategy):
        async def on_bar(self, ctx, bar): ...  # type: ignore[override] # which is what is refused

    with pytest.raises(StrategyLoadError, match="on_bar is async"):
        wants_of(Waiting)


def test_example_in_the_docstring_buys_when_oversold_and_sells_when_overbought() -> None:
    source = re.search(
        r"example, ``params: .*?``::\n\n(.*?)\n\n    Parameters:", Strategy.__doc__ or "", re.DOTALL
    )
    assert source is not None
    names: dict[str, object] = {}
    exec(dedent(source[1]), names)  # the documentation's own code
    cls = names["BuyTheDip"]
    assert isinstance(cls, type)
    assert issubclass(cls, Strategy)

    engine, actor = make_world(cls, {"oversold": 25, "quantity": 50})
    engine.start()
    falling = [(100.0 - i, 100.0 - i, 99.0 - i, 99.0 - i) for i in range(20)]  # RSI 0
    engine.process(make_bars(falling))
    assert engine.state.slots[0].lots == 50
    assert actor.strategy.state_dict() == {"fills": 1}
    rising = [(80.0 + i, 81.0 + i, 80.0 + i, 81.0 + i) for i in range(40)]  # RSI near 100
    engine.process(make_bars(rising, first=20 * MINUTE))
    assert engine.state.slots[0].lots == 0
    assert actor.strategy.state_dict() == {"fills": 2}
