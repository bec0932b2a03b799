"""A session that is killed again and again ends as one that nobody touched: orders, fills, ledger, state."""

import random
import time
from pathlib import Path

import pytest

from tests.service.faults.comparing import assert_same, contents, starts, verify
from tests.service.faults.process import daemon
from tests.service.faults.world import PLAYED, untouched, write_config, write_tape
from tests.service.postgres import free_port

FED = 'papertape_tape_rows_total{origin="feed"}'


def killed(folder: Path, tapes: Path, url: str, kills: int, seed: int) -> None:
    """Run a session to its end, killing it at so many random moments: while it starts, recovers, and trades."""
    folder.mkdir()
    rng, port = random.Random(seed), free_port()
    config = write_config(folder / "c.yaml", tapes, port, feed=PLAYED, journal="{snapshot_every: 300ms}")
    with daemon(config, folder, port, PAPERTAPE_DATABASE=url) as process:
        for _ in range(kills):
            process.start()
            if rng.random() < 0.25:
                time.sleep(rng.uniform(0.5, 2.5))
            else:
                process.until(lambda: process.metrics().get(FED, 0.0) > 0, "rows are committed")
                time.sleep(rng.uniform(0.0, 0.5))
            assert process.kill(), f"it had ended before it was killed\n{process.tail()}"
        process.start()
        assert process.wait(600) == 0, process.tail()


def check(tmp_path: Path, url: str, kills: int, rows: int, seed: int) -> None:
    write_tape(tmp_path, rows, seed)
    expected = contents(untouched(tmp_path / "untouched", tmp_path))
    killed(tmp_path / "killed", tmp_path, url, kills, seed)
    assert kills / 2 < starts(url) <= kills + 1
    assert_same(contents(url), expected)
    verify(url)
    assert len(expected["fills"]) > rows / 2000  # it was worth it


def test_session_killed_at_ten_moments_ends_as_one_that_was_not(tmp_path: Path) -> None:
    check(tmp_path, f"sqlite:///{tmp_path}/killed/papertape.db", kills=10, rows=300_000, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_session_killed_at_two_hundred_moments_ends_as_one_that_was_not(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/killed/papertape.db"
    if database == "postgresql":
        url = request.getfixturevalue("server").emptied()
    check(tmp_path, url, kills=200, rows=4_000_000, seed=2)
