"""`source: synthetic` in a configuration: its defaults, what it refuses, and what the feed is given."""

from pathlib import Path
from typing import Any

import pytest

from daemon.config.errors import ConfigError
from daemon.config.loader import check, load
from daemon.config.spec import complete, sources
from daemon.config.synthetic import SyntheticData
from engine.records import DAY

ENTRY = {"source": "synthetic", "instrument": "SYN", "bar": "1m", "start": "2024-01-02", "days": 20}
TWO = [{"drift": 0.1, "volatility": 0.1, "days": 20}, {"volatility": 0.4, "days": 5}]
ABSENT = object()


def configuration(**entry: Any) -> dict[str, Any]:
    strategy = {"use": "buy_and_hold", "instruments": ["SYN"], "timeframe": "1d", "size": {"units": 10}}
    return {
        "name": "made-up",
        "seed": 7,
        "data": [{key: value for key, value in {**ENTRY, **entry}.items() if value is not ABSENT}],
        "instruments": {"SYN": {"tick_size": 0.05, "lot_size": 10, "calendar": "24/7"}},
        "accounts": [{"name": "a", "cash": 100_000, "strategies": [strategy]}],
    }


def given(**entry: Any) -> SyntheticData:
    (data,) = load(configuration(**entry)).config.data
    assert isinstance(data, SyntheticData)
    return data


def test_model_is_filled_with_its_own_defaults() -> None:
    gbm, ou = given(), given(model="ou", price=50)
    assert (gbm.model, gbm.drift, gbm.volatility, gbm.mean, gbm.half_life) == ("gbm", 0.0, 0.2, None, None)
    assert (ou.drift, ou.volatility, ou.mean, ou.half_life) == (None, 0.2, 50.0, 10.0)
    regimes = given(model="regimes", regimes=TWO)
    assert (regimes.drift, regimes.volatility) == (None, None)
    assert regimes.regimes
    assert [r.volatility for r in regimes.regimes] == [0.1, 0.4]


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"model": "ou", "mean": 90, "jumps": {"per_year": 10, "mean": -0.02, "deviation": 0.03}},
        {"model": "regimes", "regimes": TWO, "bar": "tick", "days": ABSENT, "end": "2024-02-01"},
    ],
)
def test_complete_configuration_loads_to_the_same(tmp_path: Path, entry: dict[str, Any]) -> None:
    config = load(configuration(**entry)).config
    copy = tmp_path / "config.yaml"
    copy.write_text(complete(config))
    assert load(copy).config == config


def test_feed_is_given_the_rules_of_the_instrument_and_the_seed_of_the_run() -> None:
    config = load({**configuration(), "start": "2024-01-05", "warmup": "1d", "end": "2024-01-08"}).config
    (source,) = sources(config)
    assert (source.kind, source.path, source.name, source.bar_ns) == ("synthetic", None, "SYN", 60 * 10**9)
    assert source.start is not None
    assert source.end == source.start + 4 * DAY
    made = source.recipe
    assert made is not None
    assert (made.seed, made.tick_size, made.lot_size, made.calendar) == (7, 0.05, 10.0, "24/7")
    assert made.given == config.data[0]
    (own,) = sources(load(configuration(seed=0)).config)
    assert own.recipe is not None
    assert own.recipe.seed == 0


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"days": ABSENT}, "days: is missing; say how many sessions there are, or give end"),
        ({"end": "2024-03-01"}, "days: is given beside end; remove one of the two"),
        (
            {"days": ABSENT, "end": "2024-01-02"},
            "end: is not after start, 2024-01-02 00:00; choose a later end",
        ),
        ({"model": "ou", "drift": 0.1}, "drift: is not for model ou; remove it, or choose model gbm"),
        (
            {"model": "regimes", "regimes": TWO, "volatility": 0.1},
            "volatility: is not for model regimes; remove it, or choose model gbm or ou",
        ),
        ({"half_life": 3}, "half_life: is not for model gbm; remove it, or choose model ou"),
        ({"regimes": TWO}, "regimes: is not for model gbm; remove it, or choose model regimes"),
        ({"model": "regimes"}, "regimes: is missing; model regimes needs it"),
        (
            {"model": "regimes", "regimes": TWO[:1]},
            "regimes: has 1 of at least two regimes; add another, or choose model gbm",
        ),
        (
            {"model": "regimes", "regimes": [TWO[0], {**TWO[1], "next": [1]}]},
            "regimes.1.next: has 1 weights for 2 regimes; give one for each, its own 0",
        ),
        (
            {"model": "regimes", "regimes": [TWO[0], {**TWO[1], "next": [1, 2]}]},
            "regimes.1.next: leads to the regime itself; make its own weight 0, and `days` longer",
        ),
        (
            {"model": "regimes", "regimes": [TWO[0], {**TWO[1], "next": [0, 0]}]},
            "regimes.1.next: leads nowhere; make one of its weights positive",
        ),
        (
            {"bar": "7m"},
            "bar: 7m does not divide a day; write tick, 1m, 1h, 1d or the like, and ask for longer bars",
        ),
        (
            {"bar": "1d", "volume": {"shape": "u"}},
            "volume.shape: is of a session's hours, which daily bars do not show; remove it",
        ),
        ({"price": 0.01}, "price: 0.01 is below one tick of 0.05; choose a smaller tick_size"),
        ({"model": "ou", "mean": 0.01}, "mean: 0.01 is below one tick of 0.05; choose a smaller tick_size"),
        (
            {"bar": "tick", "volume": {"daily": 100_000}},
            "volume.daily: 100000 in 20000 prints is less than a lot of 10 each; raise it, or lower ticks_per_day",
        ),
        ({"model": "abm"}, "model: is 'abm'; write one of 'gbm', 'ou' or 'regimes'"),
        ({"jumps": {"per_yaer": 3}}, "jumps.per_yaer: unknown key; did you mean 'per_year'?"),
        ({"volatilty": 0.3}, "volatilty: unknown key; did you mean 'volatility'?"),
        ({"volatility": -0.1}, "volatility: is -0.1; it must be at least 0"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_their_key(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(configuration(**entry))
    texts = [f"{p.key}: {p.message}" for p in refused.value.problems]
    assert any(text.startswith(f"data.0.{message}") for text in texts), texts


def test_sizes_of_bars_are_judged_where_the_prints_are_said() -> None:
    given(volume={"daily": 100_000})  # how many there are depends on the calendar
    with pytest.raises(ConfigError, match=r"data\.0\.volume\.daily: 100000 in 20000 prints"):
        given(volume={"daily": 100_000}, ticks_per_day=20_000)


def test_check_says_that_the_prices_are_made_up(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(complete(load(configuration()).config))
    assert "  data: SYN, synthetic, made up; trades around the clock" in check(file)
