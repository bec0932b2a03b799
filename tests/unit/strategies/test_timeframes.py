"""Several timeframes of one instrument, by the names under which the strategy asked for them."""

from __future__ import annotations

from typing import Any

import pytest

from engine.spec import InstrumentSpec
from strategies import Bar, Context, Strategy, StrategyError, StrategyLoadError
from strategies.actor import PythonActor
from strategies.loading import make_actor
from tests.builders import MINUTE, cut, join, make_bars, timer_at
from tests.unit.strategies.worlds import make_world

# closes 1 to 7; of two minutes 2, 4, 6, of three 3, 6
CLOSES = [(float(i), i + 0.5, i - 0.5, float(i)) for i in range(1, 8)]


class Several(Strategy):
    """Looks at bars of one, two and three minutes."""

    timeframes = ("3m", "2m")
    features = ("sma_2", "sma_2@2m", "close@180s", "holdings")
    history = 2

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.seen: list[Any] = []

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        closes = [
            ctx.bars(2, bar.instrument, timeframe=name)["close"].tolist() for name in (None, "2m", "3m")
        ]
        values = ctx.features(bar.instrument).tolist() if ctx.ready(bar.instrument) else None
        self.seen.append((bar.instrument, bar.close, *closes, values))

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


EXPECTED = [
    ("A", 1.0, [1.0], [], [], None),
    ("A", 2.0, [1.0, 2.0], [2.0], [], None),
    ("A", 3.0, [2.0, 3.0], [2.0], [3.0], None),
    ("A", 4.0, [3.0, 4.0], [2.0, 4.0], [3.0], [3.5, 3.0, 3.0, 0.0]),
    ("A", 5.0, [4.0, 5.0], [2.0, 4.0], [3.0], [4.5, 3.0, 3.0, 0.0]),
    ("A", 6.0, [5.0, 6.0], [4.0, 6.0], [3.0, 6.0], [5.5, 5.0, 6.0, 0.0]),
    ("A", 7.0, [6.0, 7.0], [4.0, 6.0], [3.0, 6.0], [6.5, 5.0, 6.0, 0.0]),
]
TAPE = join(make_bars(CLOSES), timer_at(7 * MINUTE))


def seen_by(actor: PythonActor) -> list[Any]:
    assert isinstance(actor.strategy, Several)
    return actor.strategy.seen


def test_bars_and_features_of_several_timeframes_are_those_by_hand() -> None:
    engine, actor = make_world(Several)
    engine.start()
    engine.process(TAPE)
    assert seen_by(actor) == EXPECTED


def test_each_instrument_has_its_own_bars_of_each_timeframe() -> None:
    engine, actor = make_world(Several, instruments=(InstrumentSpec("A"), InstrumentSpec("B")))
    doubled = [tuple(2.0 * price for price in bar) for bar in CLOSES]
    a, b = make_bars(CLOSES), make_bars(doubled, instrument=1)
    engine.start()
    for i in range(0, 28, 4):
        engine.process(join(cut(a, i, i + 4), cut(b, i, i + 4)))
    engine.process(timer_at(7 * MINUTE))
    of_b = [entry for entry in seen_by(actor) if entry[0] == "B"]
    assert of_b[5] == ("B", 12.0, [10.0, 12.0], [8.0, 12.0], [6.0, 12.0], [11.0, 10.0, 12.0, 0.0])
    assert [entry for entry in seen_by(actor) if entry[0] == "A"] == EXPECTED


def test_bars_of_several_timeframes_are_there_after_a_restart() -> None:
    first, _ = make_world(Several)
    first.start()
    first.process(cut(TAPE, 0, 14))
    second, restored = make_world(Several)
    second.start()
    second.restore(first.snapshot())
    second.process(cut(TAPE, 14, len(TAPE.price)))
    assert seen_by(restored) == EXPECTED


@pytest.mark.parametrize("name", ["1h", "1m", ["2m"]])
def test_timeframe_that_was_not_declared_is_refused_with_those_that_were(name: Any) -> None:
    class Asking(Several):
        def on_bar(self, ctx: Context, bar: Bar) -> None:
            ctx.bars(1, timeframe=name)

    engine, _ = make_world(Asking)
    engine.start()
    with pytest.raises(
        StrategyError, match=r"has no further timeframe .*; its `timeframes`: 3m, 2m"
    ) as caught:
        engine.process(TAPE)
    assert repr(name) in str(caught.value)


def test_feature_is_asked_for_as_it_was_written() -> None:
    class Asking(Several):
        def on_bar(self, ctx: Context, bar: Bar) -> None:
            ctx.feature("close@3m")  # written as 180s

    engine, _ = make_world(Asking)
    engine.start()
    with pytest.raises(
        StrategyError, match="no feature 'close@3m'; its `features`: sma_2, sma_2@2m, close@180s"
    ):
        engine.process(TAPE)


def test_actor_whose_spec_lacks_its_timeframes_does_not_start() -> None:
    engine, actor = make_world(Several)
    actor.timeframes = ("2m",)
    with pytest.raises(StrategyError, match=r"names 1 further timeframes and 4 features.*has 2 and 4"):
        engine.start()


@pytest.mark.parametrize(
    ("attribute", "given", "message"),
    [
        ("timeframes", "1h", r"`timeframes` is '1h'; write a tuple of texts, such as \('1h',\)"),
        ("features", "close", r"`features` is 'close'; write a tuple of texts, such as \('close',\)"),
        ("timeframes", (60,), r"`timeframes` is \(60,\); write a tuple of texts"),
        ("features", ("sma_2@",), "feature 'sma_2@'; behind the @ stands the timeframe of an indicator"),
        ("features", ("balance@1h",), "feature 'balance@1h'; behind the @ stands"),
        ("features", ("smb_2@1h",), "unknown feature 'smb_2'"),
    ],
)
def test_inputs_that_cannot_be_are_refused_when_the_strategy_is_made(
    attribute: str, given: Any, message: str
) -> None:
    cls = type("Wrong", (Strategy,), {attribute: given})
    with pytest.raises(StrategyLoadError, match=message):
        make_actor("s", cls)
