from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.config.errors import ConfigError
from daemon.config.loader import check, load
from daemon.config.spec import complete, engine_spec
from engine.models import Network, QTable
from engine.policies import Policy
from engine.records import SizeKind
from strategies.models import Registry
from tests.trained import DAY, store_model

HOUR = 3600 * 10**9


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two versions of a table, of which the first is promoted, and a network that sells short."""
    folder = tmp_path / "models"
    actions = {"kind": "discrete", "size": {"units": 50.0}}
    first = store_model(folder, "table", ("rsi_14", "exposure"), actions, seed=1)
    store_model(folder, "table", ("rsi_14", "exposure"), actions, seed=2)
    Registry(folder).promote(first, force=True)
    target = {"kind": "target", "short": True, "threshold": 0.02, "size": {"fraction": 1.5}}
    store_model(folder, "net", ("log_return", "sma_20@2h"), target, timeframe_ns=HOUR)
    return folder


def versions(models: Path, name: str) -> list[str]:
    return [f"{name}@{version}" for version in Registry(models).versions(name)]


def given(models: Path, use: str, *, bar: str = "1d", account: Any = None, **strategy: Any) -> dict[str, Any]:
    """A backtest of one strategy, on data that nobody reads here."""
    data = {
        "source": "synthetic",
        "instrument": "AAPL",
        "bar": bar,
        "start": "2024-01-02",
        "days": 9,
    }
    trading = {"use": use, "instruments": ["AAPL"], **strategy}
    return {
        "name": "x",
        "models": models,
        "data": [data],
        "instruments": {"AAPL": {}},
        "accounts": [{"name": "a", "cash": 1000, **(account or {}), "strategies": [trading]}],
    }


def said(models: Path, use: str, **more: Any) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(given(models, use, **more))
    (problem,) = caught.value.problems
    return problem.key.removeprefix("accounts.0.strategies.0."), problem.message


MARGIN = {"margin": {"leverage": 2}}


def test_model_brings_its_bars_its_size_and_its_features(models: Path) -> None:
    config = load(given(models, "model:table")).config
    (strategy,) = config.accounts[0].strategies
    assert (strategy.name, strategy.timeframe, strategy.params) == ("table", DAY, {})
    assert strategy.size
    assert strategy.size.units == 50
    spec = engine_spec(config)[0]
    spec.check()
    (made,) = spec.strategies
    assert (made.policy, made.features, made.timeframe_ns) == (Policy.Q_TABLE, ("rsi_14", "exposure"), DAY)
    assert (made.size_kind, made.size_value, made.short, made.threshold) == (SizeKind.UNITS, 50.0, False, 0.0)
    assert isinstance(made.model, QTable)


def test_network_brings_what_it_may_do(models: Path) -> None:
    config = load(given(models, "model:net@latest", bar="1h", account=MARGIN)).config
    spec = engine_spec(config)[0]
    spec.check()
    (made,) = spec.strategies
    assert (made.policy, made.timeframe_ns, made.short, made.threshold) == (Policy.NETWORK, HOUR, True, 0.02)
    assert made.features == ("log_return", f"sma_20@{2 * HOUR}")
    assert (made.size_kind, made.size_value) == (SizeKind.FRACTION, 1.5)
    assert isinstance(made.model, Network)


def test_name_alone_is_the_promoted_version_and_the_complete_configuration_pins_it(
    models: Path, tmp_path: Path
) -> None:
    first, last = versions(models, "table")
    config = load(given(models, "model:table")).config
    assert config.accounts[0].strategies[0].use == f"model:{first}"
    assert load(given(models, "model:table@latest")).config.accounts[0].strategies[0].use == f"model:{last}"
    copy = tmp_path / "config.yaml"
    copy.write_text(complete(config))
    assert yaml.safe_load(copy.read_text())["models"] == str(models)
    Registry(models).promote(last, force=True)
    assert load(copy).config == config  # another one is promoted now, and this run repeats all the same
    assert load(given(models, "model:table")).config != config


def test_folder_of_models_is_the_current_one_where_none_is_named(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(models.parent)
    configuration = given(models, "model:table")
    del configuration["models"]
    assert load(configuration).config == load(given(models, "model:table")).config


def test_size_may_be_another_than_the_models(models: Path) -> None:
    (strategy,) = (
        load(given(models, "model:table", size={"fraction": 0.5}, name="half")).config.accounts[0].strategies
    )
    assert strategy.size
    assert (strategy.name, strategy.size.fraction, strategy.size.units) == ("half", 0.5, None)


@pytest.mark.parametrize(
    ("use", "more", "key", "message"),
    [
        ("model:tabel", {}, "use", "there is no model 'tabel' in "),
        ("model:table@ffff", {}, "use", "model table@ffff: there is no such version; there are table@"),
        ("model:net", {}, "use", "no version of model 'net' is promoted; write one of net@"),
        ("model:nix@latest", {}, "use", "there is no model 'nix'"),
        ("model:table", {"timeframe": "2d"}, "timeframe", "is 2d, and model:table@"),
        ("model:table", {"timeframe": "100 ticks"}, "timeframe", "is 100 ticks, and model:table@"),
        ("model:table", {"timeframe": "x"}, "timeframe", "'x' is no duration"),
        ("model:net@latest", {"account": MARGIN}, "timeframe", "1h is no multiple of the bars of AAPL, 1d"),
        ("model:table", {"params": {"a": 1}}, "params.a", "unknown key; there are none here, remove it"),
        ("model:table", {"features": ["rsi_14", "macd"]}, "features", "model table@"),
        ("model:table", {"history": 5}, "history", "is for classes of your own; model:table@"),
        ("model:table", {"size": {"units": 0.5}}, "size.units", "0.5 is no whole number of lots of AAPL"),
        ("model:net@latest", {"bar": "1h", "account": {"margin": {"leverage": 1}}}, "size.fraction", "is 1.5; it must be at most 1: the account's leverage"),
        ("model:net@latest", {"bar": "1h", "size": {"fraction": 1}}, "use", "model:net@"),
        ("model:net@latest", {"bar": "1h", "account": MARGIN, "size": {"units": 5}}, "size.units", "model:net@"),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_model_is_told_at_its_key(
    models: Path, use: str, more: dict[str, Any], key: str, message: str
) -> None:
    found = said(models, use, **more)
    assert found[0] == key
    assert found[1].startswith(message)


def test_short_model_in_a_cash_account_is_told_what_to_give_it(models: Path) -> None:
    _, message = said(models, "model:net@latest", bar="1h", size={"fraction": 1})
    assert message.endswith("sells short, which the cash account 'a' does not allow; give the account margin: {leverage: 1}")  # fmt: skip


def test_features_that_a_model_is_said_to_see_are_compared_with_its_own(models: Path) -> None:
    _, message = said(models, "model:table", features=["rsi_14", "macd"])
    assert "it needs exposure; it does not know macd" in message
    _, message = said(models, "model:table", features=["exposure", "rsi_14"])
    assert "its features are in the order rsi_14, exposure, not exposure, rsi_14" in message
    (strategy,) = (
        load(given(models, "model:table", features=["rsi_14", "exposure"])).config.accounts[0].strategies
    )
    assert strategy.features == ("rsi_14", "exposure")


def test_model_that_was_changed_is_refused(models: Path) -> None:
    first, _ = versions(models, "table")
    weights = models / "table" / first.partition("@")[2] / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    key, message = said(models, "model:table")
    assert key == "use"
    assert "was changed since it was written" in message


def test_strategy_of_another_kind_needs_its_timeframe(models: Path) -> None:
    assert said(models, "buy_and_hold", size={"units": 1}) == ("timeframe", "is missing; add it")


def test_check_names_the_version(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text(yaml.safe_dump({**given(models, "model:table"), "models": str(models)}))
    first, _ = versions(models, "table")
    assert check(path)[-1] == f"    table: model:{first}() on AAPL, 1d"


def test_random_is_a_class_that_comes_along(models: Path) -> None:
    config = load(given(models, "random", timeframe="1d", params={"bars": 5})).config
    (strategy,) = config.accounts[0].strategies
    assert (strategy.use, strategy.name) == ("strategies.random:Random", "random")
    assert strategy.params == {"bars": 5.0, "fraction": 0.95, "units": None}
    spec, actors = engine_spec(config)
    spec.check()
    assert list(actors) == ["a/random"]
