"""The database goes away, or is full, while the session trades: it says so, and loses and doubles nothing."""

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service import postgres
from tests.service.faults.comparing import assert_same, contents
from tests.service.faults.conftest import Market
from tests.service.faults.process import Daemon, daemon
from tests.service.faults.world import PLAYED, write_config

ENOUGH = 2 << 20  # bytes: the tables fit, and some seconds


def reasons(process: Daemon) -> str:
    """Why it is not ready."""
    code, body = process.get("/readyz")
    return "" if code in (0, 200) else json.dumps(json.loads(body))


def until_told(process: Daemon, what: str) -> None:
    """Wait until it is not ready, because of this."""
    process.until(lambda: what in reasons(process), f"not ready: {what}", 20)


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT])
def test_postgresql_that_is_killed_or_restarted_under_load_loses_and_doubles_nothing(
    tmp_path: Path, server: postgres.Postgres, market: Market, how: signal.Signals
) -> None:
    url, port = server.emptied(), postgres.free_port()
    config = write_config(tmp_path / "c.yaml", market.tapes, port, feed=PLAYED)
    with daemon(config, tmp_path, port, PAPERTAPE_DATABASE=url) as process:
        process.start()
        process.until_ready()
        time.sleep(0.7)
        try:
            server.send(how)
            time.sleep(0.3)
        finally:
            server.stop()
        try:
            until_told(process, "the database cannot be written")
        finally:
            server.start()
        process.until_ready()
        assert process.wait() == 0, process.tail()
    assert len(process.said("the database cannot be written")) == 1
    assert len(process.said("the database is written again")) == 1
    assert_same(contents(url), market.expected)


def test_session_whose_backlog_is_full_decides_nothing_until_the_database_is_back(
    tmp_path: Path, server: postgres.Postgres, market: Market
) -> None:
    url, port = server.emptied(), postgres.free_port()
    journal = "{snapshot_every: 1s, backlog: 5m, backlog_rows: 8000}"
    config = write_config(tmp_path / "c.yaml", market.tapes, port, PLAYED, journal)
    with daemon(config, tmp_path, port, PAPERTAPE_DATABASE=url) as process:
        process.start()
        process.until_ready()
        server.stop()
        try:
            until_told(process, "nothing is decided")
            before = process.status()["seq"]
            time.sleep(1.0)
            assert process.status()["seq"] == before
        finally:
            server.start()
        process.until_ready()
        assert process.wait() == 0, process.tail()
    assert process.said("nothing is decided until the database is back")
    assert_same(contents(url), market.expected)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with little room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ENOUGH}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root mounts a small disk, and not in every container; run the tests as root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_session_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path, market: Market
) -> None:
    url, port = f"sqlite:///{small_disk}/papertape.db", postgres.free_port()
    config = write_config(tmp_path / "c.yaml", market.tapes, port, PLAYED)
    with daemon(config, tmp_path, port, PAPERTAPE_DATABASE=url) as process:
        process.start()
        until_told(process, "the disk is full")
        subprocess.run(["mount", "-o", "remount,size=100m", small_disk], check=True)
        process.until_ready()
        assert process.wait() == 0, process.tail()
    assert process.said("the database cannot be written.*the disk is full")
    assert_same(contents(url), market.expected)


def test_session_whose_file_may_not_grow_says_so_and_goes_on_when_it_may(
    tmp_path: Path, market: Market
) -> None:
    url, port = f"sqlite:///{tmp_path}/papertape.db", postgres.free_port()
    config = write_config(tmp_path / "c.yaml", market.tapes, port, PLAYED)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (ENOUGH // 2, resource.RLIM_INFINITY))

    with daemon(config, tmp_path, port, PAPERTAPE_DATABASE=url) as process:
        process.start(limit)
        until_told(process, "the database cannot be written")
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
        process.until_ready()
        assert process.wait() == 0, process.tail()
    assert process.said("the database is written again")
    assert_same(contents(url), market.expected)
