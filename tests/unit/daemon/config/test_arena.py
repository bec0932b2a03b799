from pathlib import Path

import pytest

from daemon.config.arena import BASELINES, ArenaConfig, load_arena
from daemon.config.errors import ConfigError
from daemon.config.loader import check, load
from daemon.config.spec import complete, engine_spec
from daemon.config.training import load_training
from strategies.rules import RULES
from tests.trained import DAY, store_model

YAML = """\
seed: 7
start: 2001-01-01
warmup: 60d
data:
  - {source: csv, path: aapl.csv, instrument: AAPL, bar: 1d}
  - {source: csv, path: msft.csv, instrument: MSFT, bar: 1d}
instruments: {AAPL: {}, MSFT: {}}
models: models
agents:
  - {use: "model:table@latest"}
  - {use: sma_cross, name: slow, params: {slow: 50}, instruments: [MSFT], timeframe: 2d, size: {units: 5}}
  - {use: buy_and_hold, name: bold, margin: {leverage: 2}, limits: {on_breach: resize}, size: {fraction: 1.5}}
"""


@pytest.fixture
def arena(folder: Path) -> Path:
    store_model(
        folder / "models",
        "table",
        ("rsi_14",),
        {"kind": "discrete", "size": {"fraction": 0.5}},
        timeframe_ns=5 * DAY,
    )
    path = folder / "battle.yaml"
    path.write_text(YAML)
    return path


def of(path: Path, *overrides: str) -> ArenaConfig:
    return load_arena(path, overrides).config


def said(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_arena(path, overrides)
    return str(caught.value).replace(f"{path.parent}/", "").split("\n")


def test_baselines_are_the_rules_and_random() -> None:
    assert set(BASELINES) == {*RULES, "random"}


def test_each_agent_and_baseline_has_an_account_of_its_own(arena: Path) -> None:
    config = of(arena, "cash=5000", "limits.drawdown=0.5")
    backtest = config.backtest
    assert (config.name, backtest.name, backtest.seed) == ("battle", "battle", 7)
    assert [a.name for a in backtest.accounts] == ["table", "slow", "bold", *BASELINES]
    assert {a.cash for a in backtest.accounts} == {5000.0}
    table, slow, bold, *others = backtest.accounts
    assert [a.margin.leverage if a.margin else None for a in backtest.accounts] == [None, None, 2.0] + [
        None
    ] * 5
    # what an agent says of its limits takes the place of what the arena says
    drawdowns = [a.limits.drawdown for a in (table, slow, bold, *others)]
    assert [d and d.limit for d in drawdowns] == [0.5, 0.5, None] + [0.5] * 5
    assert bold.limits.on_breach == "resize"
    (strategy,) = table.strategies
    assert (strategy.instruments, strategy.timeframe) == (("AAPL", "MSFT"), 5 * DAY)
    assert strategy.size
    assert strategy.size.fraction == 0.5
    (strategy,) = slow.strategies
    assert (strategy.instruments, strategy.timeframe) == (("MSFT",), 2 * DAY)
    assert strategy.params == {"fast": 10, "slow": 50}
    for account in others:
        (strategy,) = account.strategies
        assert (strategy.name, strategy.instruments, strategy.timeframe) == (
            account.name,
            ("AAPL", "MSFT"),
            DAY,
        )
    spec, actors = engine_spec(backtest)
    spec.check()
    assert list(actors) == ["random/random"]


def test_baselines_are_as_large_as_the_arena_says(arena: Path) -> None:
    backtest = of(arena, "size={units: 3}", "timeframe=2d").backtest
    hold, random = (
        next(a for a in backtest.accounts if a.name == n).strategies[0] for n in ("buy_and_hold", "random")
    )
    assert hold.size
    assert (hold.size.units, hold.timeframe) == (3.0, 2 * DAY)
    assert random.params["units"] == 3.0


def test_arena_without_baselines_is_its_agents(arena: Path) -> None:
    assert [a.name for a in of(arena, "baselines=[]").backtest.accounts] == ["table", "slow", "bold"]
    assert [a.name for a in of(arena, "baselines=[random]").backtest.accounts] == [
        "table",
        "slow",
        "bold",
        "random",
    ]


def test_baseline_whose_name_an_agent_has_is_numbered(arena: Path) -> None:
    accounts = of(arena, "agents.1.name=momentum").backtest.accounts
    assert [a.name for a in accounts][-2:] == ["momentum-2", "rsi_reversion"]


def test_complete_configuration_loads_to_the_equal_one(arena: Path, tmp_path: Path) -> None:
    config = of(arena, "baselines=[momentum]", "margin={leverage: 3}")
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "config.yaml"
    copy.write_text(complete(config))
    assert of(copy) == config
    assert of(copy).backtest == config.backtest
    # and the backtest that it is repeats by itself
    copy.write_text(complete(config.backtest))
    assert load(copy).config == config.backtest


@pytest.mark.parametrize(
    ("overrides", "messages"),
    [
        (["agents=[]"], ["--set agents=[]: agents: is empty; give at least one entry"]),
        (["agents=5"], ["--set agents=5: agents: is 5; write a list, such as [a, b]"]),
        (["agents.0=5"], ["--set agents.0=5: agents.0: is 5; write keys and values, such as {key: value}"]),
        (["agents.1.name=bold"], ["battle.yaml:12: agents.2.name: there is an agent named 'bold' already; choose another name"]),
        (["agents.1.use=sma_cros"], ["--set agents.1.use=sma_cros: agents.1.use: 'sma_cros' is no rule; did you mean 'sma_cross'?"]),
        (["agents.0.use=model:tabel@latest"], ["--set agents.0.use=model:tabel@latest: agents.0.use: there is no model 'tabel'"]),
        (["agents.1.params.slov=3"], ["--set agents.1.params.slov=3: agents.1.params.slov: unknown key; did you mean 'slow'?"]),
        (["agents.1.marign={}"], ["--set agents.1.marign={}: agents.1.marign: unknown key; did you mean 'margin'?"]),
        (["agents.1.instruments=[IBM]"], ["--set agents.1.instruments=[IBM]: agents.1.instruments.0: there are no data of 'IBM'; the data are of AAPL, MSFT"]),
        (["agents.1.timeframe=1h"], ["--set agents.1.timeframe=1h: agents.1.timeframe: 1h is no multiple of the bars of MSFT, 1d"]),
        (["agents.2.margin=null"], ["battle.yaml:12: agents.2.size.fraction: is 1.5; it must be at most 1: a margin account"]),
        (["timeframe=1h", "agents.2.timeframe=1d"], ["--set timeframe=1h: timeframe: 1h is no multiple of the bars of AAPL, 1d", "--set timeframe=1h: timeframe: 1h is no multiple of the bars of MSFT, 1d"]),
        (["size={fraction: 1.5}"], ["--set size={fraction: 1.5}: size.fraction: is 1.5; it must be at most 1"]),
        (["cash=9.1e9"], ["--set cash=9.1e9: cash: is more than money is exact for"]),
        (["baselines=[momentun]"], ["--set baselines=[momentun]: baselines.0: is 'momentun'; write one of 'buy_and_hold', 'random'"]),
        (["currency=EUR"], [
            "battle.yaml:10: agents.0.instruments.0: AAPL is in USD, account 'table' in EUR",
            "battle.yaml:10: agents.0.instruments.1: MSFT is in USD, account 'table' in EUR",
            "battle.yaml:11: agents.1.instruments.0: MSFT is in USD, account 'slow' in EUR",
            "battle.yaml:12: agents.2.instruments.0: AAPL is in USD, account 'bold' in EUR",
            "battle.yaml:12: agents.2.instruments.1: MSFT is in USD, account 'bold' in EUR",
        ]),
        (["data.0.instrument=APPL"], ["--set data.0.instrument=APPL: data.0.instrument: nothing is known of 'APPL'"]),
        (["data.1.bar=1h"], ["battle.yaml:1: timeframe: is missing; the data have 1h and 1d: say how long a bar is"]),
        (["end=2001-01-01"], ["--set end=2001-01-01: end: is not after start"]),
        (["cahs=1"], ["--set cahs=1: cahs: unknown key; did you mean 'cash'?"]),
    ],
)  # fmt: skip
def test_error_names_place_and_key_of_the_arena(
    arena: Path, overrides: list[str], messages: list[str]
) -> None:
    for line, message in zip(said(arena, *overrides), messages, strict=True):
        assert line.startswith(message)


def test_file_of_another_command_is_told_so(arena: Path, file: Path) -> None:
    for wrong, path, command, other in (
        (load, arena, "arena", "backtest"),
        (load_training, arena, "arena", "train"),
        (load_arena, file, "backtest", "arena"),
    ):
        with pytest.raises(ConfigError) as caught:
            wrong(path)
        (problem,) = caught.value.problems
        assert problem.message.startswith(
            f"is a configuration for papertape {command}, not for papertape {other}"
        )


def test_check_says_who_would_trade(arena: Path) -> None:
    lines = check(arena, ["baselines=[buy_and_hold]", "agents.0.use=momentum"])
    assert [line.strip() for line in lines[3:]] == [
        "account momentum: 100,000.00 USD",
        "momentum: momentum(lookback 20, threshold 0.0) on AAPL, MSFT, 1d",
        "account slow: 100,000.00 USD",
        "slow: sma_cross(fast 10, slow 50) on MSFT, 2d",
        "account bold: 100,000.00 USD, leverage 2, maintenance 25%",
        "limits: on_breach resize",
        "bold: buy_and_hold() on AAPL, MSFT, 1d",
        "account buy_and_hold: 100,000.00 USD",
        "buy_and_hold: buy_and_hold() on AAPL, MSFT, 1d",
    ]
