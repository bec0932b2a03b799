"""Every file under configs/ loads, checks, and would build an engine; and it says what it shows."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.catalog.store import Catalog
from daemon.config.arena import load_arena
from daemon.config.errors import ConfigError
from daemon.config.kinds import COMMANDS, engine_of
from daemon.config.loader import check
from daemon.config.reading import kind_of_file, read
from daemon.config.spec import complete
from daemon.config.training import load_training
from daemon.config.training_spec import markets, task
from engine.build import build
from tests.hours import put_hours
from tests.trained import store_model

FOLDER = Path(__file__).parents[2] / "configs"
FILES = sorted(FOLDER.rglob("*.yaml"))
FOLDER_OF = {command: "paper" if command == "run" else command for command in COMMANDS.values()}
PERSONALITIES = ("conservative", "aggressive", "momentum", "mean-reversion")


@pytest.fixture
def overrides(tmp_path: Path) -> dict[str, list[str]]:
    """What a file needs that the repository does not have: market data, trained models. No data are read here."""
    ticks = tmp_path / "ticks.parquet"
    ticks.touch()
    models = tmp_path / "models"
    for name in PERSONALITIES:
        config = load_training(FOLDER / "train" / f"{name}.yaml").config
        actions = config.actions.model_dump(exclude_none=True)
        store_model(models, name, config.features, actions, timeframe_ns=config.timeframe)
    traded = ("AAPL", "MSFT", "TSLA", "BTC-USD")
    for name in traded:
        put_hours(Catalog(tmp_path / "catalog"), name)
    return {
        "ticks-to-minutes.yaml": [f"data.0.path={ticks}"],
        "battle.yaml": [f"models={models}"],
        "finnhub.yaml": [f"data.{k}.path={tmp_path / 'catalog'}" for k in range(len(traded))],
    }


def test_the_configurations_that_were_promised_are_there() -> None:
    assert {f.name for f in FILES} >= {
        "one-asset-rule.yaml",
        "four-assets-three-accounts.yaml",
        "ticks-to-minutes.yaml",
        "risk-limits.yaml",
        "qlearning-aapl.yaml",
        "ppo-aapl.yaml",
        *(f"{name}.yaml" for name in PERSONALITIES),
        "battle.yaml",
        "replay.yaml",
        "finnhub.yaml",
    }


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_configuration_loads_checks_and_builds(
    file: Path, overrides: dict[str, list[str]], tmp_path: Path
) -> None:
    given = overrides.get(file.name, [])
    kind = kind_of_file(file)
    assert FOLDER_OF[COMMANDS[kind]] == file.parent.name
    config = read(kind, file, given).config
    assert config.name == file.stem
    assert check(file, given)
    build(engine_of(config))
    copy = tmp_path / "config.yaml"
    copy.write_text(complete(config))
    assert read(kind, copy).config == config


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_configuration_begins_by_saying_what_it_shows_and_how_to_run_it(file: Path) -> None:
    comment = []
    for line in file.read_text().splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    assert len(comment[0]) > 40
    (command,) = (c for c, folder in FOLDER_OF.items() if folder == file.parent.name)
    assert f"papertape {command} configs/{file.relative_to(FOLDER)}" in "\n".join(comment)


def test_personalities_differ_in_what_they_see_earn_and_may_do() -> None:
    tasks = {name: task(load_training(FOLDER / "train" / f"{name}.yaml").config) for name in PERSONALITIES}
    assert tasks["conservative"].reward.drawdown_penalty > 0
    assert tasks["conservative"].reward.volatility_target > 0
    aggressive = tasks["aggressive"]
    assert aggressive.account.margin
    assert (aggressive.account.margin.leverage, aggressive.actions.short) == (2.0, True)
    assert aggressive.reward.risk > 0
    assert {"return_60", "sma_gap_50"} <= set(tasks["momentum"].features)
    assert {"rsi_14", "rsi_2"} <= set(tasks["mean-reversion"].features)


def test_personalities_meet_on_one_tape_after_what_they_were_trained_on(
    overrides: dict[str, list[str]],
) -> None:
    arena = load_arena(FOLDER / "arena" / "battle.yaml", overrides["battle.yaml"]).config
    for name in PERSONALITIES:
        trained = load_training(FOLDER / "train" / f"{name}.yaml").config
        assert (trained.data, trained.instruments, trained.execution) == (
            arena.data,
            arena.instruments,
            arena.execution,
        )
        assert list(markets(trained)) == list(arena.traded)
        # the test span is the last fifth of the time, and the sample ends with February 2013
        assert trained.start
        whole = datetime(2013, 3, 1, tzinfo=UTC) - trained.start
        assert arena.start
        assert arena.start > trained.start + (1 - trained.spans.test) * whole
    names = [account.name for account in arena.backtest.accounts]
    assert names[:4] == ["conservative", "aggressive", "momentum-agent", "mean-reversion"]
    assert len(names) == 9


def test_arena_before_any_training_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"agents\.0\.use: there is no model 'conservative'"):
        load_arena(FOLDER / "arena" / "battle.yaml", [f"models={tmp_path}"])
