"""The kinds of configurations, by the command that runs each; what holds for any of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from daemon.config import describe, describe_paper
from daemon.config.arena import ArenaConfig
from daemon.config.market import Market
from daemon.config.models import BacktestConfig
from daemon.config.paper import PaperConfig
from daemon.config.training import TrainingConfig

if TYPE_CHECKING:
    from engine.spec import EngineSpec

COMMANDS: dict[type[Market], str] = {
    BacktestConfig: "backtest",
    PaperConfig: "run",
    TrainingConfig: "train",
    ArenaConfig: "arena",
}
KINDS = {command: kind for kind, command in COMMANDS.items()}


def described(config: Market) -> Iterator[str]:
    """What it would run, in lines for a person. Raises DataError where a file of corporate actions is wrong."""
    if isinstance(config, TrainingConfig):
        return describe.training(config)
    if isinstance(config, PaperConfig):
        return describe_paper.paper(config)
    return describe.backtest(_as_backtest(config))


def engine_of(config: Market) -> EngineSpec:
    """The engine that it would make, for its own checks; of a training one that of its first episode."""
    if isinstance(config, TrainingConfig):
        from daemon.config.training_spec import engine_spec as of_training

        return of_training(config)
    from daemon.config.spec import engine_spec

    return engine_spec(_as_backtest(config))[0]


def _as_backtest(config: Market) -> BacktestConfig:
    if isinstance(config, ArenaConfig):
        return config.backtest
    assert isinstance(config, BacktestConfig)
    return config
