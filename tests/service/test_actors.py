"""Actors in processes of their own: they answer as tasks do; when they hang, die or leak, the session goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from daemon.actors.errors import ActorError
from daemon.actors.hosts import ENDING_S
from daemon.backtest import run_backtest
from daemon.config.actors import ActorConfig
from tests.builders import MINUTE, join, make_bars, timer_at
from tests.service.faults.process import PAPERTAPE, daemon
from tests.service.postgres import free_port
from tests.unit.daemon.actors.cast import HERE, Buyer
from tests.unit.daemon.actors.stage import config, make_world, run
from tests.unit.daemon.actors.test_supervisor import Stage, bars

MIB = 1 << 20
REPOSITORY = Path(__file__).parents[2]
DAY = join(make_bars([(c, c + 1, c - 1, c + 0.5) for c in (10.0, 11.0, 12.0, 13.0)]), timer_at(4 * MINUTE))


def process(cls: str, name: str = "x", **given: Any) -> ActorConfig:
    return config(cls, name, run="process", **{"timeout": "20s", **given})


def odd(what: str, at: int = 0, **given: Any) -> ActorConfig:
    return process("Odd", params={"what": what, "at": at}, **given)


async def comes(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait for something; processes take their time on a busy machine."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come about"
        await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@asynccontextmanager
async def running(*configs: ActorConfig) -> AsyncIterator[Stage]:
    """A supervisor whose actors have all begun."""
    stage = Stage(configs)
    async with stage.supervisor:
        await comes(lambda: all(f.state == "ready" for f in stage.supervisor.facts()))
        yield stage


async def back(stage: Stage) -> None:
    """Let the time of a back-off pass, and wait until the actor has begun again."""
    await stage.clock.advance(2.5)
    await comes(lambda: stage.facts().state == "ready")


def test_actor_in_a_process_answers_a_backtest_as_a_task_does() -> None:
    events, heard = [], []
    for where in ("task", "process"):
        engine, buyer = make_world(Buyer)
        events.append(run(engine, [config("Echo", run=where), config("Several", "y")], DAY).tobytes())
        heard.append(buyer.heard)
    assert events[0] == events[1]
    assert len(heard[0]) == 4
    pids = [[s.data["pid"] for _, s in each] for each in heard]
    assert set(pids[0]) == {os.getpid()}
    assert len(set(pids[1])) == 1
    assert os.getpid() not in pids[1]
    assert not alive(pids[1][0])
    random_numbers = [[s.data["random"] for _, s in each] for each in heard]
    assert random_numbers[0] == random_numbers[1]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("raise", r"actor 'x' on the bar of A: ValueError: bad luck \(.*cast\.py:\d+\)"),
        ("nan", "its value is nan; it must be finite"),
        ("leave", "its process ended with status 5"),
        ("spin", "actor 'x' has not answered for 2 s"),
    ],
)
def test_actor_in_a_process_that_fails_ends_the_backtest_and_says_why(what: str, message: str) -> None:
    engine, _ = make_world(Buyer)
    with pytest.raises(ActorError, match=message):
        run(engine, [odd(what, timeout="2s")], DAY)


def test_process_that_hangs_is_killed_and_another_begins_where_it_stood() -> None:
    async def story() -> None:
        async with running(odd("spin", 1, timeout="2s")) as stage:
            pid = stage.facts().pid
            assert pid is not None
            stage.supervisor.hear(bars(1.0, 2.0))
            await comes(stage.news)
            assert (stage.values(), stage.news()) == ([1.0], [("x", "lost")])
            assert "has not answered for 2 s" in stage.facts().why
            await comes(lambda: not alive(pid))
            stage.supervisor.hear(bars(3.0, first=2))
            await back(stage)
            stage.supervisor.hear(
                bars(4.0, first=3)
            )  # its fourth bar: the first three were told at its start
            await comes(lambda: len(stage.values()) == 2)
            assert stage.values() == [1.0, 4.0]
            assert stage.news() == [("x", "lost"), ("x", "back")]

    asyncio.run(story())


def test_process_that_is_killed_while_nothing_is_asked_is_noticed() -> None:
    async def story() -> None:
        async with running(process("Echo")) as stage:
            stage.supervisor.hear(bars(1.0))
            await comes(stage.values)
            pid = stage.sent[0][1]["data"]["pid"]
            os.kill(pid, signal.SIGINT)  # of a terminal: the daemon's affair
            os.kill(pid, signal.SIGTERM)
            stage.supervisor.hear(bars(2.0, first=1))
            await comes(lambda: stage.values() == [1.0, 2.0])
            os.kill(pid, signal.SIGKILL)
            await comes(stage.news)
            assert "its process was ended by SIGKILL" in stage.facts().why
            await back(stage)
            stage.supervisor.hear(bars(3.0, first=2))
            await comes(lambda: len(stage.values()) == 3)
            assert stage.sent[-1][1]["data"]["pid"] != pid
            assert stage.sent[-1][1]["data"]["told"] == 2

    asyncio.run(story())


def test_process_that_stops_between_two_bars_is_noticed_by_its_silence() -> None:
    async def story() -> None:
        async with running(process("Echo", timeout="2s")) as stage:
            stage.supervisor.hear(bars(1.0))
            await comes(stage.values)
            pid = stage.sent[0][1]["data"]["pid"]
            os.kill(pid, signal.SIGSTOP)
            await comes(stage.news)
            assert "has given no sign of life for 2 s" in stage.facts().why
            await comes(lambda: not alive(pid))

    asyncio.run(story())


def test_memory_of_a_process_that_leaks_is_seen() -> None:
    async def story() -> None:
        async with running(process("Leak"), config("Echo", "y")) as stage:
            before = stage.facts("x").resident_bytes
            assert before is not None
            stage.supervisor.hear(bars(*(float(i) for i in range(6))))
            await comes(lambda: len(stage.values("x")) == 6)
            after = stage.facts("x").resident_bytes
            assert after is not None
            assert 48 * MIB <= after - before < 64 * MIB
            assert stage.facts("y").resident_bytes is None

    asyncio.run(story())


@pytest.mark.parametrize("stopped", [False, True])
def test_session_stops_in_time_while_a_process_hangs_and_leaves_none_behind(stopped: bool) -> None:
    async def story() -> None:
        async with asyncio.timeout(60):
            async with running(odd("spin")) as stage:
                pid = stage.facts().pid
                assert pid is not None
                stage.supervisor.hear(bars(1.0))
                await comes(lambda: stage.facts().state == "busy")
                if stopped:  # it cannot even see that its socket is closed
                    os.kill(pid, signal.SIGSTOP)
                begun = time.monotonic()
        assert time.monotonic() - begun < ENDING_S + 2
        assert not alive(pid)

    asyncio.run(story())


DAEMON = f"""
import asyncio, os, sys
from daemon.actors.inside import Job
from daemon.actors.process import ProcessHost
from strategies import Bar

async def main():
    params = {{"what": "spin", "at": 0}}
    job = Job("x", "{HERE}:Odd", params, ("A",), 1, ("A",), 0, None)
    host = ProcessHost(job, 60.0, print, print)
    await host.start([])
    asking = asyncio.create_task(host.ask(Bar(0, 1, 1.0, 1.0, 1.0, 1.0, 1.0, 1, "A")))
    await asyncio.sleep(0.5)  # it is busy by then
    sys.stdout.write(str(host.pid))
    sys.stdout.flush()
    os._exit(0)

asyncio.run(main())
"""


def test_process_ends_when_the_daemon_is_gone_though_it_is_busy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DAEMON],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    pid = int(done.stdout)
    asyncio.run(comes(lambda: not alive(pid), 20))


def test_backtest_of_the_example_is_the_same_however_it_is_cut_and_wherever_the_actor_runs() -> None:
    given = REPOSITORY / "configs" / "backtest" / "async-forecaster.yaml"
    hashes, fills = set(), []
    for batch_rows, where in ((7, "task"), (100_000, "task"), (100_000, "process")):
        short = ["warmup=90d", "end=2003-05-01", f"actors.0.run={where}"]
        result = run_backtest(given, short, batch_rows=batch_rows)
        hashes.add(result.summary["result_hash"])
        fills.append(len(result.fills))
    assert len(hashes) == 1
    assert fills[0] >= 2


SESSION = f"""\
name: desk
start: 2003-01-02
end: 2004-12-01
warmup: 60d
feed: {{source: replay, speed: 2000000}}
data: [{{source: sample, instrument: MSFT}}]
actors:
  - {{name: x, use: "{HERE}:Echo", instruments: [MSFT], timeframe: 1d, run: process}}
  - {{name: y, use: "{HERE}:Odd", params: {{what: die, at: 50}}, instruments: [MSFT], timeframe: 1d, run: process}}
accounts:
  - name: desk
    cash: 100000
    strategies: [{{use: "{HERE}:Buyer", instruments: [MSFT], timeframe: 1d, signals: [x, y]}}]
service: {{listen: "127.0.0.1:%d", log_format: plain}}
"""


def rows_of(database: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(database) as connection:
        return connection.execute(query).fetchall()


def test_session_that_is_killed_goes_on_with_its_actors_and_can_be_verified(tmp_path: Path) -> None:
    port, database = free_port(), tmp_path / "papertape.db"
    config = tmp_path / "desk.yaml"
    config.write_text(SESSION % port)
    forecasts = lambda: rows_of(database, "select count(*) from forecasts")[0][0]  # noqa: E731
    with daemon(config, tmp_path, port, PYTHONPATH=str(REPOSITORY)) as process:
        process.start()
        process.until_ready()
        process.until(lambda: forecasts() > 5 and process.said("actor lost") != [], "signals, and a loss")
        process.kill()
        before = forecasts()
        process.start()
        process.until(lambda: forecasts() > before + 5, "signals of actors that began anew")
        assert process.stop() == 0, process.tail()
    orders = rows_of(database, "select count(*) from orders")[0][0]
    assert orders == forecasts()  # one to each
    assert "SIGKILL" in process.said("actor lost")[0]
    verified = subprocess.run(
        [PAPERTAPE, "verify", "desk", "--url", f"sqlite:///{database}"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert f"{orders} orders" in verified.stdout
