from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.config.errors import ConfigError
from daemon.config.learning import PpoParams, QLearningParams
from daemon.config.loader import check
from daemon.config.spec import complete
from daemon.config.training import TrainingConfig, load_training
from daemon.config.training_spec import engine_spec, markets, settings, task
from engine.records import SizeKind
from engine.spec import LimitsSpec, MarginSpec
from envs.ppo.settings import PPOSettings
from envs.qlearning.schedules import Schedule
from envs.qlearning.trainer import QSettings
from envs.task import CLASSIC_FEATURES, DEFAULT_FEATURES, Actions, Reward, RewardKind

DAY = 86_400 * 10**9
# the keys that the issue names, and no others
YAML = """\
data:
  - {source: csv, path: aapl.csv, instrument: AAPL, bar: 1d}
instruments:
  AAPL: {tick_size: 0.01, lot_size: 1, currency: USD, fees: {bps: 10}}
algorithm: qlearning
features: [rsi_14, exposure]
reward: log_return
actions: discrete
spans: {train: 0.6, validation: 0.2, test: 0.2}
steps: 1000
seed: 7
params: {gamma: 0.9}
"""
MARGIN = "account={margin: {leverage: 2}}"


@pytest.fixture
def training(folder: Path) -> Path:
    path = folder / "t.yaml"
    path.write_text(YAML)
    return path


def of(path: Path, *overrides: str) -> TrainingConfig:
    return load_training(path, overrides).config


def said(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_training(path, overrides)
    return str(caught.value).replace(f"{path.parent}/", "").split("\n")


def test_configuration_of_the_issue_is_taken_as_it_stands(training: Path) -> None:
    loaded = load_training(training)
    config = loaded.config
    assert (loaded.path, loaded.text) == (training, YAML)
    assert (config.name, config.seed, config.algorithm) == ("t", 7, "qlearning")  # named after its file
    assert (config.features, config.timeframe) == (("rsi_14", "exposure"), DAY)
    assert (config.reward.kind, config.actions.kind, config.actions.size.fraction) == (
        "log_return",
        "discrete",
        0.95,
    )
    assert (config.steps, config.episodes, config.spans.embargo) == (1000, None, None)
    assert isinstance(config.settings, QLearningParams)
    assert (config.settings.gamma, config.settings.double) == (0.9, True)
    assert config.account.cash == 100_000
    assert config.models == Path.cwd() / "models"


def test_complete_configuration_loads_to_the_equal_one(training: Path, tmp_path: Path) -> None:
    overrides = [
        "name=mine",
        "actions={kind: target, size: {fraction: 1.5}, short: true, threshold: 0.05}",
        "account={cash: 5000, margin: {leverage: 2}, limits: {drawdown: 0.3}}",
        "algorithm=ppo",
        "params={learning_rate: 0.001, net_arch: [16]}",
        "reward={kind: profit, risk: 1e-5}",
        "features=classic",
        "models=elsewhere",
        "spans={walk_forward: {folds: 3}}",
    ]
    config = of(training, *overrides)
    copy = tmp_path / "config.yaml"
    copy.write_text(complete(config))
    assert of(copy) == config
    written = yaml.safe_load(copy.read_text())
    assert written["name"] == "mine"
    assert written["models"] == str(Path.cwd() / "elsewhere")
    assert written["params"]["learning_rate"] == {
        "start": 0.001,
        "end": 0.001,
        "share": 1.0,
        "kind": "linear",
    }
    assert written["params"]["batch_size"] == 4096
    assert written["features"] == list(CLASSIC_FEATURES)


def test_dict_is_as_good_as_a_file(training: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(training.parent)
    given = {"name": "t", **yaml.safe_load(YAML)}
    assert load_training(given).config == of(training)
    assert load_training(yaml.safe_load(YAML)).config.name == "training"


def test_sets_of_features_are_those_of_the_environment(training: Path) -> None:
    assert of(training, "features=default").features == DEFAULT_FEATURES
    assert of(training, "features=classic").features == CLASSIC_FEATURES
    text = YAML.replace("features: [rsi_14, exposure]\n", "")
    training.write_text(text)
    assert of(training).features == DEFAULT_FEATURES


def test_timeframe_is_that_of_the_data_where_none_is_named(training: Path) -> None:
    assert of(training, "data.0.bar=5m").timeframe == 300 * 10**9
    assert of(training, "data.0.bar=5m", "timeframe=1h").timeframe == 3600 * 10**9
    assert of(training, "data.0.bar=tick", "timeframe=1h").timeframe == 3600 * 10**9


TWO = (
    "data=[{source: sample, instrument: AAPL}, {source: csv, path: DIR/msft.csv, instrument: MSFT, bar: 1h}]"
)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["algorithm=qlearnin"], "--set algorithm=qlearnin: algorithm: is 'qlearnin'; write one of 'qlearning' or 'ppo'"),
        (["reward=profitt"], "--set reward=profitt: reward.kind: is 'profitt'; write one of 'profit', 'log_return' or"),
        (["reward.drawdown_penalty=1"], "--set reward.drawdown_penalty=1: reward: is a single value, without keys"),
        (["reward={kind: profit, drawdown: 1}"], "--set reward={kind: profit, drawdown: 1}: reward.drawdown: unknown key; did you mean 'drawdown_penalty'?"),
        (["reward={kind: profit, volatility_target: 1}"], "--set reward={kind: profit, volatility_target: 1}: reward.volatility_penalty: is missing; a volatility_target"),
        (["features=defalt"], "--set features=defalt: features: is 'defalt'; write default, classic, or a list"),
        (["features=[]"], "--set features=[]: features: is empty; an agent sees at least one"),
        (["features.1=rsi_14"], "--set features.1=rsi_14: features.1: 'rsi_14' is given twice"),
        (["features.1=rsj_14"], "--set features.1=rsj_14: features.1: unknown feature 'rsj_14'"),
        (["features.0=sma_20@1h"], "--set features.0=sma_20@1h: features.0: 1h is no multiple of the bars of AAPL, 1d"),
        (["timeframe=1h"], "--set timeframe=1h: timeframe: 1h is no multiple of the bars of AAPL, 1d"),
        (["data.0.bar=tick"], "t.yaml:1: timeframe: is missing; the data are trades: say how long a bar is"),
        ([TWO, "instruments={}"], "t.yaml:1: timeframe: is missing; the data have 1h and 1d: say"),
        (["spans={train: 0.7}"], "--set spans={train: 0.7}: spans: add up to 1.1: train 0.7, validation 0.2 and test 0.2"),
        (["spans.test=0"], "--set spans.test=0: spans.test: is 0; it must be more than 0"),
        (["spans={walk_forward: {folds: 1}}"], "--set spans={walk_forward: {folds: 1}}: spans.walk_forward.folds: is 1; it must be at least 2"),
        (["episodes=5"], "--set episodes=5: episodes: is given beside steps; remove one of the two"),
        (["steps=null"], "--set steps=null: steps: is missing; say how long it trains"),
        (["params.gama=1"], "--set params.gama=1: params.gama: unknown key; did you mean 'gamma'?"),
        (["params.gamma=1.1"], "--set params.gamma=1.1: params.gamma: is 1.1; it must be at most 1"),
        (["params.epsilon={start: 1}"], "--set params.epsilon={start: 1}: params.epsilon.end: is missing; add it"),
        (["params.epsilon={start: 1, end: 0, kind: exponential}"], "--set params.epsilon={start: 1, end: 0, kind: exponential}: params.epsilon: is exponential, which reaches no 0"),
        (["params.edges={rsi_15: [1]}"], "--set params.edges={rsi_15: [1]}: params.edges.rsi_15: is none of the features; did you mean 'rsi_14'?"),
        (["params.bins_of={volume: 2}"], "--set params.bins_of={volume: 2}: params.bins_of.volume: is none of the features; there are rsi_14, exposure"),
        (["params.edges={rsi_14: [30, 30]}"], "--set params.edges={rsi_14: [30, 30]}: params.edges.rsi_14: do not ascend"),
        (["params.learning_rate={start: 1.5, end: 1}"], "--set params.learning_rate={start: 1.5, end: 1}: params.learning_rate.start: is 1.5; it must be at most 1"),
        (["params.edges={rsi_14: [70, 30]}"], "--set params.edges={rsi_14: [70, 30]}: params.edges.rsi_14: do not ascend"),
        (["algorithm=ppo", "params={bins: 3}"], "--set params={bins: 3}: params.bins: unknown key; there are evaluate_every"),
        (["algorithm=ppo", "params={n_lanes: 10, n_steps: 10}"], "--set params={n_lanes: 10, n_steps: 10}: params.batch_size: 4096 is more than an update has, n_lanes x n_steps = 100"),
        (["actions=target"], "--set actions=target: actions.kind: is 'target', and a table has discrete actions"),
        (["actions={kind: discrete, threshold: 0.1}"], "--set actions={kind: discrete, threshold: 0.1}: actions.threshold: is for targets"),
        (["algorithm=ppo", "actions={kind: target, size: {units: 5}}"], "--set actions={kind: target, size: {units: 5}}: actions.size.units: is for discrete actions"),
        (["actions={kind: discrete, size: {units: 0.5}}"], "--set actions={kind: discrete, size: {units: 0.5}}: actions.size.units: 0.5 is no whole number of lots of AAPL"),
        (["actions={kind: discrete, size: {fraction: 1.5}}"], "--set actions={kind: discrete, size: {fraction: 1.5}}: actions.size.fraction: is 1.5; it must be at most 1: a margin account"),
        (["actions={kind: discrete, size: {fraction: 2.5}}", MARGIN], "--set actions={kind: discrete, size: {fraction: 2.5}}: actions.size.fraction: is 2.5; it must be at most 2: the account's leverage"),
        (["actions={kind: discrete, short: true}"], "--set actions={kind: discrete, short: true}: actions.short: is for margin accounts"),
        (["account.cash=9.1e9"], "--set account.cash=9.1e9: account.cash: is more than money is exact for"),
        (["account.currency=EUR"], "t.yaml:2: data.0.instrument: AAPL is in USD, the account in EUR"),
        (["data.0.instrument=APPL"], "--set data.0.instrument=APPL: data.0.instrument: nothing is known of 'APPL'"),
        (["start=2002-01-01", "end=2001-01-01"], "--set end=2001-01-01: end: is not after start"),
        (["name=" + "x" * 65], f"--set name={'x' * 65}: name: '{'x' * 65}' is too long for the name of a model"),
        (["accounts=[]"], "--set accounts=[]: accounts: unknown key; did you mean 'account'?"),
    ],
)  # fmt: skip
def test_error_names_place_and_key_and_says_what_to_do(
    training: Path, overrides: list[str], message: str
) -> None:
    (line,) = said(training, *(o.replace("DIR", str(training.parent)) for o in overrides))
    assert line.startswith(message)


def test_file_that_could_be_of_any_command_is_judged_as_a_training(training: Path) -> None:
    training.write_text("data: [{source: sample, instrument: AAPL}]\n")
    assert said(training) == ["t.yaml:1: algorithm: is missing; add it"]


def test_file_whose_name_is_none_is_told_so(training: Path) -> None:
    odd = training.with_name("my agent.yaml")
    training.rename(odd)
    (line,) = said(odd)
    assert line.startswith("my agent.yaml:1: name: 'my agent' is no name for a file")


def test_every_key_reaches_the_task(training: Path) -> None:
    config = of(
        training,
        "algorithm=ppo",
        "features=[sma_20@2d, exposure]",
        "account={cash: 5000, margin: {leverage: 2, debit_rate: 0.06}, limits: {on_breach: resize}}",
        "actions={kind: target, size: {fraction: 1.5}, short: true, threshold: 0.05}",
        "reward={kind: differential_sharpe, drawdown_penalty: 1, cost_penalty: 2, volatility_target: 0.03,"
        " volatility_penalty: 4, risk: -5, eta: 0.6, scale: 7}",
        "episode_bars=250",
        "ruin=0.25",
        "timeframe=2d",
    )
    made = task(config)
    assert (made.account.cash, made.account.currency) == (5000.0, "USD")
    assert made.account.margin == MarginSpec(2.0, 0.25, 0.0, 0.06, 0.0)
    assert made.account.limits == LimitsSpec(resize=True)
    assert (made.timeframe_ns, made.episode_bars, made.ruin) == (2 * DAY, 250, 0.25)
    assert made.features == (f"sma_20@{2 * DAY}", "exposure")
    assert made.actions == Actions(
        target=True, short=True, size_kind=SizeKind.FRACTION, size=1.5, threshold=0.05
    )
    assert made.reward == Reward(RewardKind.DIFFERENTIAL_SHARPE, 1, 2, 0.03, 4, -5, 0.6, 7)


def test_units_and_shorter_words_reach_the_task(training: Path) -> None:
    made = task(of(training, "actions={kind: discrete, size: {units: 100}}", "reward=profit"))
    assert made.actions == Actions(size_kind=SizeKind.UNITS, size=100.0)
    assert made.reward == Reward(RewardKind.PROFIT)
    assert (made.episode_bars, made.account.margin) == (0, None)


def test_market_of_each_instrument_has_its_rules(training: Path) -> None:
    config = of(
        training,
        "data=[{source: sample, instrument: MSFT}, {source: sample, instrument: AAPL}]",
        "instruments.MSFT={fees: {bps: 3}, calendar: XNAS}",
        "execution.slippage_bps=2",
    )
    found = markets(config)
    assert list(found) == ["MSFT", "AAPL"]
    assert [m.instrument.taker_bps for m in found.values()] == [3.0, 10.0]
    assert [m.instrument.slippage_value for m in found.values()] == [2.0, 2.0]
    spec = engine_spec(config)
    spec.check()
    assert [i.name for i in spec.instruments] == ["MSFT"]
    assert spec.strategies[0].features == ("rsi_14", "exposure")


def test_algorithms_have_their_own_settings(training: Path) -> None:
    settings: Any = of(training, "algorithm=ppo", "params={net_arch: [8, 4], activation: relu}").settings
    assert isinstance(settings, PpoParams)
    assert (settings.net_arch, settings.activation, settings.epochs) == ((8, 4), "relu", 10)
    settings = of(
        training, "params={learning_rate: 0.5, edges: {rsi_14: [30, 70]}, bins_of: {rsi_14: 4}}"
    ).settings
    assert (settings.learning_rate.start, settings.learning_rate.end) == (0.5, 0.5)
    assert (settings.edges, settings.bins_of) == ({"rsi_14": (30.0, 70.0)}, {"rsi_14": 4})


def test_trainers_are_told_their_own_defaults_where_nothing_is_said(training: Path) -> None:
    assert settings(of(training, "algorithm=ppo", "params={}")) == PPOSettings()
    assert settings(of(training, "params={}")) == QSettings()


def test_every_parameter_reaches_its_trainer(training: Path) -> None:
    given = (
        "{learning_rate: {start: 0.5, end: 0.25, share: 0.75, kind: exponential}, n_lanes: 8, n_steps: 4, batch_size: 16,"
        " epochs: 3, gamma: 0.5, gae_lambda: 0.25, clip_range: 0.125, ent_coef: 1, vf_coef: 2, max_grad_norm: 3,"
        " net_arch: [5], activation: relu, evaluate_every: 6, patience: 7}"
    )
    assert settings(of(training, "algorithm=ppo", f"params={given}")) == PPOSettings(
        Schedule(0.5, 0.25, 0.75, "exponential"),
        *(8, 4, 16, 3, 0.5, 0.25, 0.125, 1.0, 2.0, 3.0, (5,), "relu", 6, 7),
    )
    given = (
        "{gamma: 0.5, learning_rate: 0.25, epsilon: {start: 1, end: 0}, double: false, n_step: 2, visit_power: 0.75,"
        " evaluate_every: 3, patience: 4}"
    )
    assert settings(of(training, f"params={given}")) == QSettings(
        0.5, Schedule(0.25, 0.25), Schedule(1.0, 0.0), False, 2, 0.75, 3, 4
    )


def test_check_says_what_would_be_learned(training: Path) -> None:
    assert check(training, ["reward={kind: profit, risk: 2}", "models=/m"]) == [
        f"{training}: t is a complete configuration",
        f"  data: AAPL, csv, {training.parent}/aapl.csv; days of XNYS",
        "  account: 100,000.00 USD",
        "  sees: rsi_14, exposure; bars of 1d",
        "  does: sell, hold or buy, long or flat, 0.95 of equity",
        "  earns: profit, risk 2",
        "  learns: qlearning, 1,000 steps, seed 7",
        "  spans: train 60%, validation 20%, test 20%",
        "  becomes: t in /m",
    ]
