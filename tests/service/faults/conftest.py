"""What all of these tests need: compiled code, and a session that nobody disturbs, to compare with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemon.compiled import prepare
from engine.kernel import kernel
from tests.service.faults.comparing import contents
from tests.service.faults.world import untouched, write_tape

ROWS = 120_000  # of the tape: six seconds of it as it is played


@dataclass(frozen=True)
class Market:
    """A tape, in a folder, and what a session does on it."""

    tapes: Path
    expected: dict[str, Any]


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """The engine is compiled before a process is measured, or killed while it starts."""
    prepare()
    kernel()


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory, compiled: None) -> Market:
    """One for all tests that do not change it."""
    folder = tmp_path_factory.mktemp("market")
    write_tape(folder, ROWS, seed=5)
    expected = contents(untouched(folder / "untouched", folder))
    assert len(expected["fills"]) > 50
    return Market(folder, expected)
