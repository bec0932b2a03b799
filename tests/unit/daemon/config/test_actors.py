"""Asynchronous actors in a configuration: what is filled in, what is refused where, what the engine makes of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from daemon.config.describe import backtest as described
from daemon.config.errors import ConfigError
from daemon.config.loader import load
from daemon.config.models import BacktestConfig
from daemon.config.spec import complete, engine_spec
from strategies.actor import PythonActor

DAY = 86_400 * 10**9
MODULE = """
from pydantic import BaseModel, Field
from strategies import AsyncActor, Strategy

class Slow(AsyncActor):
    history = 50

    class Params(BaseModel):
        level: float = Field(1.0, gt=0)

    async def on_bar(self, bar):
        pass

class Follows(Strategy):
    history = 12

    def on_signal(self, ctx, signal):
        pass

class Deaf(Strategy):
    def on_bar(self, ctx, bar):
        pass
"""


@pytest.fixture
def module(file: Path) -> str:
    """The module's name, its own for each test: Python keeps modules by name."""
    name = re.sub(r"\W", "_", f"slow_{file.parent.name}")
    (file.parent / f"{name}.py").write_text(MODULE)
    return name


def given(module: str, cls: str = "Follows", signals: str = "[f]", **actor: Any) -> list[str]:
    """Overrides: one actor, and one strategy that listens to it."""
    keys = {"name": "f", "use": f"'{module}:Slow'", "instruments": "[AAPL]", "timeframe": "1d", **actor}
    entries = ", ".join(f"{key}: {value}" for key, value in keys.items())
    strategy = f"{{use: '{module}:{cls}', instruments: [AAPL], timeframe: 1d, signals: {signals}}}"
    return [f"actors=[{{{entries}}}]", f"accounts.0.strategies=[{strategy}]"]


def loaded(file: Path, overrides: list[str]) -> BacktestConfig:
    return load(file, overrides).config


def test_actor_has_defaults_and_the_complete_configuration_loads_to_the_same(file: Path, module: str) -> None:
    config = loaded(file, given(module))
    (actor,) = config.actors
    assert (actor.params, actor.run, actor.timeout, actor.delay) == ({"level": 1.0}, "task", 30 * 10**9, 0)
    assert (actor.queue, actor.overflow, actor.on_crash) == (16, "drop_oldest", "cancel")
    copy = file.parent / "copy.yaml"
    copy.write_text(complete(config))
    assert loaded(copy, []) == config
    assert "delay: 0s" in copy.read_text()


@pytest.mark.parametrize(
    ("overrides", "key", "message"),
    [
        ({"use": "'{}:Gone'"}, "actors.0.use", "there is no Gone in .*; its actors: Slow"),
        ({"use": "'{}:Follows'"}, "actors.0.use", "no subclass of strategies.AsyncActor"),
        ({"params": "{level: -1}"}, "actors.0.params.level", "is -1; it must be more than 0"),
        ({"params": "{width: 1}"}, "actors.0.params.width", "unknown key"),
        ({"instruments": "[]"}, "actors.0.instruments", "is empty; give at least one entry"),
        ({"instruments": "[AAPL, AAPL]"}, "actors.0.instruments", "'AAPL' is given twice"),
        ({"instruments": "[MSFT]"}, "actors.0.instruments.0", "nothing is known of 'MSFT'"),
        ({"timeframe": "36h"}, "actors.0.timeframe", "36h is no multiple of the bars of AAPL, 1d"),
        ({"timeframe": "100 ticks"}, "actors.0.timeframe", "is no duration"),
        ({"delay": "-1s"}, "actors.0.delay", "is no duration"),
        ({"queue": 0}, "actors.0.queue", "is 0; it must be at least 1"),
        ({"overflow": "block"}, "actors.0.overflow", "write one of 'drop_oldest' or 'conflate'"),
        ({"run": "thread"}, "actors.0.run", "write one of 'task' or 'process'"),
        (
            {"cls": "Deaf"},
            "accounts.0.strategies.0.signals",
            "Deaf has no on_signal, and would not hear them",
        ),
        ({"signals": "[g]"}, "accounts.0.strategies.0.signals.0", "there is no actor 'g'; there are f"),
        ({"signals": "[f, f]"}, "accounts.0.strategies.0.signals.1", "'f' is given twice"),
        (
            {"name": "trend", "signals": "[trand]"},
            "accounts.0.strategies.0.signals.0",
            "did you mean 'trend'?",
        ),
    ],
)
def test_what_does_not_fit_is_refused_at_its_place(
    file: Path, module: str, overrides: dict[str, Any], key: str, message: str
) -> None:
    filled = {
        k: v.replace("{}", module) if isinstance(v, str) and k == "use" else v for k, v in overrides.items()
    }
    with pytest.raises(ConfigError) as error:
        loaded(file, given(module, **filled))
    (problem,) = error.value.problems
    assert problem.key == key
    assert re.search(message, problem.message), problem.message


def test_actor_needs_a_strategy_that_trades_what_it_hears(file: Path, module: str) -> None:
    more = "instruments.MSFT={tick_size: 0.01}"
    data = (
        "data=[{source: csv, path: aapl.csv, instrument: AAPL, bar: 1d}, "
        f"{{source: csv, path: {file.parent}/msft.csv, instrument: MSFT, bar: 1d}}]"
    ).replace("path: aapl.csv", f"path: {file.parent}/aapl.csv")
    with pytest.raises(ConfigError, match=r"actors\.0\.instruments\.1: no strategy trades 'MSFT'"):
        loaded(file, [*given(module, instruments="[AAPL, MSFT]"), more, data])


def test_two_actors_of_one_name_are_refused(file: Path, module: str) -> None:
    one = f"{{name: f, use: '{module}:Slow', instruments: [AAPL], timeframe: 1d}}"
    with pytest.raises(ConfigError, match=r"actors\.1\.name: there is an actor named 'f' already"):
        loaded(file, [*given(module)[1:], f"actors=[{one}, {one}]"])


def test_rule_hears_no_signals(file: Path, module: str) -> None:
    with pytest.raises(ConfigError, match=r"signals: is for classes of your own; sma_cross chooses itself"):
        loaded(file, [*given(module)[:1], "accounts.0.strategies.0.signals=[f]"])


def test_engine_makes_the_bars_that_actors_hear_and_keeps_as_many_as_they_look_back(
    file: Path, module: str
) -> None:
    spec, actors = engine_spec(loaded(file, given(module, timeframe="7d")))
    (strategy,) = spec.strategies
    (actor,) = actors.values()
    assert isinstance(actor, PythonActor)
    assert (strategy.also, strategy.history) == ((7 * DAY,), 50)
    assert (actor.signals, actor.timeframes, actor.history) == (("f",), ("7d",), 12)
    spec, _ = engine_spec(loaded(file, given(module)))  # its own bars
    assert spec.strategies[0].also == ()
    spec, _ = engine_spec(loaded(file, [*given(module, timeframe="7d")[:1]]))  # a rule's bars
    assert (spec.strategies[0].also, spec.strategies[0].history) == ((7 * DAY,), 50)


def test_description_says_who_hears_what(file: Path, module: str) -> None:
    lines = "\n".join(described(loaded(file, given(module, run="process"))))
    assert f"actor f: {module}:Slow(level 1.0) in a process, hears AAPL, 1d" in lines
    assert f"Follows: {module}:Follows() on AAPL, 1d; hears f" in lines
