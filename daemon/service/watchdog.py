"""The watchdog: systemd is told that the service works, but only while its engine does.

It runs in the engine's own event loop, so that what holds up the loop holds up this, too; and it looks at the engine's
progress, so that a loop that turns without the engine is noticed as well. Where systemd hears nothing for the unit's
WatchdogSec, it ends the process and starts it anew, and the start is recovery.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

import structlog

from daemon.live.health import Health
from daemon.service.notify import ServiceManager

log = structlog.get_logger()


def interval_s(environment: Mapping[str, str] = os.environ, pid: int | None = None) -> float | None:
    """Seconds within which systemd wants to hear of the process; None: it does not watch this one."""
    microseconds, of = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not microseconds.isascii() or not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    if of and of != str(os.getpid() if pid is None else pid):
        return None  # a worker process inherits what its parent was told
    return int(microseconds) / 1e6


class Watchdog:
    """Tells the manager four times an interval that the engine works, if it did within the last half of one.

    monotonic: seconds, of the clock that `Health.progress` is of. Where the event loop itself is held up for three
    quarters of an interval, what every thread is at goes to `stream`, so that the journal has the line that it hangs at.
    """

    def __init__(
        self,
        manager: ServiceManager,
        health: Health,
        interval_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        stream: TextIO | None = None,
    ) -> None:
        self.interval_s = interval_s
        self.stuck = False
        self._manager = manager
        self._health = health
        self._monotonic = monotonic
        self._stream = sys.stderr if stream is None else stream

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                self.look()
                # a thread that needs no interpreter: it also sees one that never gives way
                faulthandler.dump_traceback_later(self.interval_s * 0.75, file=self._stream)
                await asyncio.sleep(self.interval_s / 4)
        finally:
            faulthandler.cancel_dump_traceback_later()

    def look(self) -> bool:
        """Tell the manager that it works, if it does; whether it does."""
        health = self._health
        for_s = health.stuck_s(self._monotonic())
        was, self.stuck = self.stuck, for_s >= self.interval_s / 2
        if not self.stuck:
            self._manager.watchdog()
            if was:
                log.info("the engine goes on", seq=health.seq)
        elif not was:
            log.error(
                "the engine is stuck; the watchdog is not told that it works",
                seq=health.seq,
                for_s=round(for_s, 3),
                stage=str(health.stage),
                backlog_rows=health.backlog_rows,
                reasons=health.reasons(),
            )
            self._manager.status(f"stuck for {for_s:.0f} s at seq {health.seq:,}")
        return not self.stuck
