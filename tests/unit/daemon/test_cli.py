"""Which error ends a command with which exit code."""

import pytest

from daemon.backtest import EmptyTapeError
from daemon.bus import ObserverError
from daemon.cli import exit_code
from daemon.config.errors import ConfigError
from daemon.data.errors import DataError
from daemon.folder import ResultFolderError
from engine.engine import EngineFault
from engine.spec import SpecError
from strategies.errors import StrategyError, StrategyLoadError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError([]), 2),
        (DataError("x"), 2),
        (SpecError("x"), 2),
        (StrategyLoadError("x"), 2),
        (ResultFolderError("x"), 2),
        (EmptyTapeError("x"), 2),
        (StrategyError("x"), 1),
        (ObserverError("x"), 1),
        (MemoryError(), 1),
        (OSError(28, "No space left on device"), 1),
        (EngineFault("x"), None),  # ours: with its traceback, which exits with 1
        (KeyError("x"), None),
    ],
)
def test_error_has_its_exit_code(error, code):
    assert exit_code(error) == code
