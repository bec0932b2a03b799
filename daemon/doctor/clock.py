"""Whether the time is right: against itself, against a time server, and against the database's."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import NamedTuple

from daemon.doctor.findings import Finding, failed, ok, warning

_SAMPLE_S = 0.2
_STEP_S = 0.01  # by which wall and monotonic clock may differ over the sample
_OFF_S, _FAR_OFF_S = 0.5, 30.0  # behind or ahead of the database
_BUILT = 1_735_689_600.0  # 2025-01-01: no later clock has shown an earlier time since


class Clock(NamedTuple):
    """What was measured. step: seconds that the wall clock gained on the monotonic one meanwhile."""

    now: float  # seconds since 1970
    step: float
    synchronized: bool | None  # by a time server, as systemd says; None: it does not say


async def measure() -> Clock:
    """Look at the clocks of this machine."""
    wall, monotonic = time.time(), time.monotonic()
    await asyncio.sleep(_SAMPLE_S)
    step = (time.time() - wall) - (time.monotonic() - monotonic)
    return Clock(time.time(), step, await asyncio.to_thread(_synchronized))


def _synchronized() -> bool | None:
    program = shutil.which("timedatectl")
    if program is None:
        return None
    command = [program, "show", "--property=NTPSynchronized", "--value"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip())


def judge(found: Clock, database_ahead: float | None = None) -> Iterator[Finding]:
    """database_ahead: seconds that its server's clock is ahead of ours; None: it has none of its own."""
    if found.now < _BUILT:
        year = time.gmtime(found.now).tm_year
        yield failed(
            "clock", f"it shows the year {year}; set it, for instance with `timedatectl set-ntp true`"
        )
        return
    if abs(found.step) > _STEP_S:
        text = f"it was stepped by {found.step * 1000:+.0f} ms while it was looked at"
        yield warning("clock", f"{text}; let one program alone set it")
    if database_ahead is not None and abs(database_ahead) > _OFF_S:
        text = f"the database's is {abs(database_ahead):.1f} s {'ahead' if database_ahead > 0 else 'behind'}"
        hint = "one of the two is wrong: let a time server set both"
        yield (failed if abs(database_ahead) > _FAR_OFF_S else warning)("clock", f"{text}; {hint}")
    elif found.synchronized is False:
        yield warning("clock", "no time server sets it; run `timedatectl set-ntp true`, or install chrony")
    elif abs(found.step) <= _STEP_S:
        known = {True: "set by a time server", None: "steady"}[found.synchronized]
        beside = "" if database_ahead is None else f", {1000 * database_ahead:+.0f} ms to the database's"
        yield ok("clock", f"{known}{beside}")
