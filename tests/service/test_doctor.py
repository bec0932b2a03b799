"""`papertape doctor` as it is used: exit codes, one line a check, and a PostgreSQL server's clock and rights."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.doctor import database as doctor
from daemon.store.migrating import upgrade
from tests.service.postgres import MISSING, Postgres, programs, running

REPLAY = Path(__file__).parents[2] / "configs" / "paper" / "replay.yaml"
CHECKS = [
    "configuration", "state folder", "control socket", "cache folder", "disk", "listen", "database", "clock", "feed",
    "compiled engine", "history",
]  # fmt: skip


def environment(folder: Path) -> dict[str, str]:
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("FINNHUB_", "PAPERTAPE_", "INVOCATION_"))
    }
    return clean | {"STATE_DIRECTORY": str(folder / "state")}


def run(folder: Path, *arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "daemon.cli", "doctor", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(folder) | environ,
        timeout=300,
    )


def test_doctor_has_a_line_for_each_check_and_ends_with_success(tmp_path: Path) -> None:
    done = run(tmp_path, REPLAY, "--set", "service.listen=null")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line[9:].partition(":")[0] for line in lines] == [c for c in CHECKS if c != "listen"]
    assert {line[:8].strip() for line in lines} <= {"ok", "warning"}
    assert list(tmp_path.iterdir()) == []  # nothing was made


def test_doctor_ends_with_failure_where_a_check_fails(tmp_path: Path) -> None:
    done = run(tmp_path, REPLAY, "--set", "service.listen=null", "--json", STATE_DIRECTORY="/proc/papertape")
    assert done.returncode == 1
    found: dict[str, Any] = json.loads(done.stdout)
    states = {f["check"]: f["state"] for f in found["findings"]}
    assert (states["state folder"], found["failed"] > 0) == ("failed", True)
    assert states["history"] == "ok"  # what can be looked at still is


def test_doctor_tells_all_that_is_wrong_with_a_configuration(tmp_path: Path) -> None:
    done = run(tmp_path, REPLAY, "--set", "feed.speed=0", "--set", "seed=x")
    assert done.returncode == 1
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()] == ["FAILED   configuration"] * 2
    assert "feed.speed: is 0; it must be more than 0" in done.stdout


def test_doctor_never_shows_the_token(tmp_path: Path) -> None:
    config = tmp_path / "live.yaml"
    config.write_text(
        "feed: {source: finnhub, url: 'ws://127.0.0.1:1'}\ninstruments: {AAPL: {}}\nservice: {listen: null}\n"
        "accounts: [{name: a, cash: 5, strategies: [{use: buy_and_hold, instruments: [AAPL], timeframe: 1m, size: {units: 1}}]}]\n"
    )
    for given, more in (("t0ken-of-mine", []), ("t0ken of mine", ["--json"])):
        done = run(tmp_path, config, *more, FINNHUB_API_KEY=given)
        assert "t0ken" not in done.stdout + done.stderr
        assert ("token" in done.stdout, done.returncode) == (True, 1)  # nobody listens there
    offline = run(tmp_path, config, "--offline", FINNHUB_API_KEY="t0ken")
    assert ("feed:" in offline.stdout, offline.returncode) == (False, 0)


def test_session_that_goes_on_is_told_from_one_that_cannot(tmp_path: Path) -> None:
    # a second of the crash, told to end; what it stands at is the database's to say
    plain = ["--set", "service.listen=null", "--set", "feed.speed=6048000"]
    with subprocess.Popen(
        [sys.executable, "-m", "daemon.cli", "run", str(REPLAY), *plain],
        env=environment(tmp_path), stderr=subprocess.PIPE, text=True,
    ) as begun:  # fmt: skip
        assert begun.stderr
        assert any(" running " in line for line in begun.stderr)
        time.sleep(1)
        begun.send_signal(signal.SIGTERM)
        begun.stderr.read()
    assert begun.returncode == 0
    with sqlite3.connect(tmp_path / "state" / "papertape.db") as connection:
        ((seq,),) = connection.execute("SELECT seq FROM sessions")
    assert told(run(tmp_path, REPLAY, *plain)) == {
        "session": f"replay goes on behind seq {seq:,}, as it was; 0 rows are replayed first",
        "history": "the session has it; nothing is missing",
    }
    other = told(run(tmp_path, REPLAY, *plain, "--set", "accounts.0.limits.max_order_notional=5"))
    assert other["session"].startswith(
        f"replay goes on behind seq {seq:,}, with another configuration, as a new epoch"
    )
    done = run(tmp_path, REPLAY, *plain, "--set", "accounts.0.cash=5")
    assert done.returncode == 1
    assert "give it another `session`, or change it back" in told(done)["session"]
    assert (
        told(run(tmp_path, REPLAY, *plain, "--set", "session=b"))["session"] == "b begins with the next start"
    )


def told(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What was said of the session, and of its history."""
    said = dict(line[9:].split(": ", 1) for line in done.stdout.splitlines())
    return {
        check: said[check]
        for check in ("session", "history")
        if check in said and "rows in" not in said[check]
    }


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    if programs() is None:
        pytest.skip(MISSING)
    with running() as started:
        yield started


def psql(url: str, *commands: str) -> str:
    """What the server's own client prints."""
    folder = programs()
    assert folder
    given = [part for command in commands for part in ("-c", command)]
    done = subprocess.run(
        [str(folder / "psql"), "-qtA", "-d", url, *given], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_server_is_written_to_its_clock_compared_and_it_stays_as_it_was(server: Postgres) -> None:
    url = server.emptied()
    for text in (
        "has no tables yet; the first start makes them",
        "has this program's tables, and can be written",
    ):
        looked = asyncio.run(doctor.database(url))
        assert looked.found.state == "ok"
        assert text in looked.found.text
        assert looked.ahead == pytest.approx(0.0, abs=0.5)  # it is this machine's
        asyncio.run(upgrade(url))
    assert psql(url, "SELECT count(*) FROM watchlists") == "0"
    assert psql(url, "SELECT to_regclass('papertape_doctor')") == ""  # null


def test_user_who_may_not_write_is_told(server: Postgres) -> None:
    url = server.emptied()
    asyncio.run(upgrade(url))
    psql(url, "DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN", "GRANT USAGE ON SCHEMA public TO reader", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")  # fmt: skip
    found = asyncio.run(doctor.database(url.replace("papertape@", "reader@"))).found
    assert found.state == "failed"
    assert "the user may not do that; grant it the rights on the database" in found.text
