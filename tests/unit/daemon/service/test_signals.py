"""Signals sent to a real process that drains for as long as it is let."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

PROGRAM = """
import asyncio, sys
from daemon.service.signals import Signals

def say(text):
    print(text, flush=True)

async def main():
    with Signals(lambda: say("reload")) as signals:
        say("runs")
        await signals.drain.wait()
        say("drains for " + signals.why)
        if "forever" in sys.argv:
            await asyncio.sleep(60)
        if "loops" in sys.argv:
            while True:
                pass
        await asyncio.sleep(0.3)
    say("ended")

asyncio.run(main())
"""


@contextmanager
def running(*arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    try:
        assert said(process) == "runs"
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process):
    for line in process.stdout:
        if not line.startswith("20"):  # no line of the log
            return line.strip()
    return None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_term_and_int_drain_and_end_in_good_order(number):
    with running() as process:
        process.send_signal(number)
        assert said(process) == f"drains for {number.name}"
        assert said(process) == "ended"
        assert process.wait(10) == 0


@pytest.mark.parametrize("how", ["forever", "loops"])
def test_second_int_quits_at_once_also_where_it_is_held_up(how):
    with running(how) as process:
        process.send_signal(signal.SIGINT)
        assert said(process) == "drains for SIGINT"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert said(process) is None


def test_second_term_goes_on_draining():
    with running() as process:
        process.send_signal(signal.SIGTERM)
        assert said(process) == "drains for SIGTERM"
        process.send_signal(signal.SIGTERM)
        assert said(process) == "ended"
        assert process.wait(10) == 0


def test_hangup_reloads_each_time_and_not_while_draining():
    with running("forever") as process:
        for _ in range(2):
            process.send_signal(signal.SIGHUP)
            assert said(process) == "reload"
        process.send_signal(signal.SIGTERM)
        assert said(process) == "drains for SIGTERM"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert said(process) is None


def test_signals_mean_what_they_did_once_the_block_is_left():
    import asyncio

    from daemon.service.signals import Signals

    def mine(*_):
        pass

    before = signal.signal(signal.SIGHUP, mine)
    try:

        async def run():
            with Signals(lambda: None):
                assert signal.getsignal(signal.SIGHUP) is not mine

        asyncio.run(run())
        assert signal.getsignal(signal.SIGHUP) is mine
    finally:
        signal.signal(signal.SIGHUP, before)
