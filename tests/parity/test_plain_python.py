"""The engine as plain Python, and compiled with every index checked, does what the compiled engine does, bit by bit."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np
import pytest

from tests.parity.scenarios import SEEDS, outcomes

ROOT = Path(__file__).parents[2]


class Other:
    """The scenarios in a process of their own, begun at once and waited for when asked."""

    def __init__(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.parity.scenarios"],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def outcomes(self) -> list[list[str]]:
        out, errors = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, errors
        found: list[list[str]] = json.loads(out)
        return found


def stop(other: Other) -> None:
    if other.process.poll() is None:
        other.process.kill()
    other.process.communicate()


@pytest.fixture(scope="module")
def compiled() -> list[list[str]]:
    return outcomes()


@pytest.fixture(scope="module")
def plain() -> Iterator[Other]:
    other = Other(NUMBA_DISABLE_JIT="1")
    yield other
    stop(other)


@pytest.fixture(scope="module")
def checked(pytestconfig: pytest.Config) -> Iterator[Other]:
    # compiling takes half a minute: what it gave is kept for as long as the sources and the compiler are the same
    key = hashlib.sha256(f"{numba.__version__} {np.__version__}".encode())
    for path in sorted((ROOT / "engine").glob("*.py")):
        key.update(path.read_bytes())
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir(f"checked-engine-{key.hexdigest()[:16]}")
    other = Other(NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(folder))
    yield other
    stop(other)


def same(mine: list[list[str]], theirs: list[list[str]]) -> None:
    assert len(mine) == len(theirs) == len(SEEDS) + 1
    different = [i for i, (a, b) in enumerate(zip(mine, theirs, strict=True)) if a != b]
    assert different == [], f"scenarios that differ; the last, {len(SEEDS)}, is the one of the indicators"


def test_plain_python_gives_the_same_state_and_events_without_a_warning(
    checked: Other, plain: Other, compiled: list[list[str]]
) -> None:
    # `checked` is asked for only that it may compile meanwhile
    same(plain.outcomes(), compiled)


def test_engine_with_checked_indices_finds_none_out_of_bounds_and_gives_the_same(
    checked: Other, compiled: list[list[str]]
) -> None:
    same(checked.outcomes(), compiled)
