"""The watchdog is fed by the engine's progress, and by nothing else."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest
from structlog.testing import capture_logs

from daemon.live.health import Health
from daemon.service.notify import ServiceManager
from daemon.service.watchdog import Watchdog, interval_s
from tests.unit.daemon.service.managers import Manager

FED = {"WATCHDOG": "1"}


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "17"}, 30.0),
        ({"WATCHDOG_USEC": "1500000"}, 1.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "18"}, None),  # it is our parent that is watched
        ({"WATCHDOG_USEC": "0", "WATCHDOG_PID": "17"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_interval_is_that_of_this_process(environment, seconds):
    assert interval_s(environment, pid=17) == seconds


def test_engine_that_makes_progress_feeds_it_and_one_that_is_stuck_does_not(tmp_path):
    now = 100.0
    health = Health(progress=100.0, seq=7)
    with Manager(tmp_path) as manager, ServiceManager(manager.address) as service, capture_logs() as logged:
        dog = Watchdog(service, health, 10.0, monotonic=lambda: now)
        now = 104.9  # within half of the interval
        assert dog.look()
        assert manager.messages() == [FED]
        now = 105.0
        assert not dog.look()
        now = 107.5
        assert not dog.look()
        assert FED not in manager.messages()
        assert [(line["log_level"], line["seq"], line["for_s"]) for line in logged] == [("error", 7, 5.0)]
        health.progress = 107.0  # it goes on before systemd has lost its patience
        assert dog.look()
        assert manager.messages() == [FED]
        assert logged[1]["event"] == "the engine goes on"


def test_it_is_fed_four_times_an_interval(tmp_path):
    async def run():
        health = Health(progress=time.monotonic())
        with Manager(tmp_path) as manager, ServiceManager(manager.address) as service:
            with (tmp_path / "stacks").open("w") as stream:
                task = asyncio.create_task(Watchdog(service, health, 4.0, stream=stream).run())
                await asyncio.sleep(1.5)  # at 0 and at 1 s
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            return manager.messages()

    assert asyncio.run(run()) == [FED, FED]


HUNG = """
import asyncio, sys, time
from daemon.live.health import Health
from daemon.service.notify import ServiceManager
from daemon.service.watchdog import Watchdog

def a_strategy_that_loops():
    while True:
        pass

async def main():
    health = Health(progress=time.monotonic())
    dog = Watchdog(ServiceManager.from_environment(), health, 1.0)
    task = asyncio.create_task(dog.run())
    await asyncio.sleep(0.1)
    print("loops", flush=True)
    a_strategy_that_loops()

asyncio.run(main())
"""


def test_loop_that_hangs_feeds_no_more_and_the_line_at_which_it_hangs_is_told(tmp_path):
    with Manager(tmp_path) as manager:
        process = subprocess.Popen(
            [sys.executable, "-c", HUNG],
            env={**os.environ, "NOTIFY_SOCKET": manager.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "loops\n"
            time.sleep(1.5)
            fed = manager.messages()
        finally:
            process.send_signal(signal.SIGABRT)  # as systemd does
            _, said = process.communicate()
    assert fed == [FED]
    assert "a_strategy_that_loops" in said
