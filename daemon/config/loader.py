"""Configurations of backtests, and what any configuration would run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daemon.config.models import BacktestConfig
from daemon.config.reading import Loaded, Source, kind_of_file, read

__all__ = ["Loaded", "check", "load"]


def load(source: Source, overrides: Sequence[str] = ()) -> Loaded[BacktestConfig]:
    """The configuration of a backtest, of a YAML file or a dict, with overrides; raises as `read` does."""
    return read(BacktestConfig, source, overrides)


def check(source: str | Path, overrides: Sequence[str] = ()) -> list[str]:
    """What a configuration of any kind would run, line by line, for a person to read; the engine's own checks are made too.

    Raises ConfigError, and StrategyError where a strategy of the user's fails when it is made.
    """
    from daemon.config.kinds import described, engine_of

    config = read(kind_of_file(source, overrides), source, overrides).config
    engine_of(config).check()
    return [f"{source}: {config.name} is a complete configuration", *described(config)]
