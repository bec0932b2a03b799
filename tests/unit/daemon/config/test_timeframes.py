"""What closes a bar: lengths of time, amounts of trading, and features of other bars."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from daemon.config.errors import ConfigError
from daemon.config.loader import load
from daemon.config.spec import complete, engine_spec
from daemon.config.timeframes import CUTS, Cut, format_timeframe, in_ns, parse_timeframe
from engine.build import build
from engine.records import BarKind
from strategies.errors import StrategyLoadError

HOUR = 3_600_000_000_000


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1h", HOUR),
        ("1000 ticks", Cut("ticks", 1000.0)),
        ("50000 volume", Cut("volume", 50_000.0)),
        ("0.5 volume", Cut("volume", 0.5)),
        ("1e6  value", Cut("value", 1_000_000.0)),
    ],
)
def test_timeframe_is_a_duration_or_an_amount(text: str, meant: int | Cut) -> None:
    assert parse_timeframe(text) == meant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1000000 dollars", "is written 1000000 value: currency traded"),
        ("1e6 USD", "is written 1e6 value"),
        ("1000 tick", "is written 1000 ticks: trades"),
        ("1000_ticks", "is written 1000 ticks"),
        ("1000ticks", "is written 1000 ticks"),
        ("500 shares", "is written 500 volume: units traded"),
        ("1.5 ticks", "no whole number of trades"),
        ("0 volume", "out of range"),
        ("1e15 volume", "out of range"),
        ("-5 volume", "or an amount: 1000 ticks, 50000 volume, 1000000 value"),
        ("ticks", "or an amount: 1000 ticks"),
        ("1 day", "no duration"),
        (1000, "no duration"),
        (None, "no duration"),
    ],
)
def test_timeframe_that_is_none_is_refused_and_says_how_it_is_written(text: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_timeframe(text)


@given(st.sampled_from(CUTS), st.floats(1e-9, 9e14) | st.integers(1, 10**14).map(float))
def test_timeframe_is_written_as_it_is_read(kind: str, size: float) -> None:
    made = Cut(kind, float(round(size) or 1) if kind == "ticks" else size)
    assert parse_timeframe(format_timeframe(made)) == made


@pytest.mark.parametrize(
    ("text", "kind", "size"),
    [
        ("1000 ticks", BarKind.TICKS, 1000),
        ("50000 volume", BarKind.VOLUME, 50_000),
        ("2.5e6 value", BarKind.VALUE, 2.5e6),
    ],
)
def test_bars_cut_by_trading_reach_the_engine_and_the_complete_configuration(
    file: Path, text: str, kind: BarKind, size: float
) -> None:
    config = load(file, ["data.0.bar=tick", f"accounts.0.strategies.0.timeframe={text}"]).config
    (strategy,) = engine_spec(config)[0].strategies
    assert (strategy.bar_kind, strategy.bar_size, strategy.timeframe_ns) == (kind, size, 0)
    copy = file.with_name("copy.yaml")
    copy.write_text(complete(config))
    assert load(copy).config == config


def test_feature_of_other_bars_is_named_by_their_length_in_ns() -> None:
    assert in_ns("sma_20@1h") == "sma_20@3600000000000"
    assert in_ns("sma_20") == "sma_20"


def test_further_timeframes_reach_the_engine_in_ns_and_the_class_as_they_are_written(python: Path) -> None:
    at = "accounts.0.strategies.0"
    given = [
        "data.0.bar=1m",
        f"{at}.timeframe=5m",
        f"{at}.timeframes=[60m, 1d]",
        f"{at}.features=[sma_5, sma_3@60m, sma_3@1h, rsi_14@1d]",
        f"{at}.cancel_on_disconnect=false",
    ]
    config = load(python, given).config
    spec, actors = engine_spec(config)
    (strategy,) = spec.strategies
    (actor,) = actors.values()
    assert strategy.also == (HOUR, 24 * HOUR)
    assert strategy.features == ("sma_5", "close", f"sma_3@{HOUR}", f"sma_3@{HOUR}", f"rsi_14@{24 * HOUR}")
    assert not strategy.cancel_on_disconnect
    assert actor.timeframes == ("60m", "1d")  # type: ignore[attr-defined] # of the PythonActor that it is
    assert actor.features == ("sma_5", "close", "sma_3@60m", "sma_3@1h", "rsi_14@1d")  # type: ignore[attr-defined] # of the PythonActor that it is
    assert sorted(build(spec).series["timeframe"]) == [HOUR // 12, HOUR, 24 * HOUR]
    assert yaml.safe_load(complete(config))["accounts"][0]["strategies"][0]["timeframes"] == ["60m", "1d"]


@pytest.mark.parametrize("asked", ['timeframes = ("90m",)', 'features = ("sma_5@90m",)'])
def test_timeframe_of_a_class_that_its_data_cannot_make_is_told(python: Path, asked: str) -> None:
    (module,) = python.parent.glob("mine_*.py")
    module.write_text(module.read_text().replace('features = ("sma_5", "close")', asked))
    config = load(python, ["data.0.bar=1h", "accounts.0.strategies.0.timeframe=1h"]).config
    with pytest.raises(
        StrategyLoadError, match=r"'sma/Mine': 90m is no multiple of the bars of AAPL, 1h; .*its class asks"
    ):
        engine_spec(config)


def test_timeframe_that_is_written_wrongly_is_told_at_its_line(file: Path) -> None:
    file.write_text(file.read_text().replace("timeframe: 1d", "timeframe: 1000000 dollars"))
    with pytest.raises(
        ConfigError,
        match=r"a\.yaml:12: accounts\.0\.strategies\.0\.timeframe: '1000000 dollars' is written 1000000 value",
    ):
        load(file)
