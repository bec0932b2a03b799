"""What systemd gives to a session, where it runs under a unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from daemon.doctor.findings import Finding, failed, ok, warning

_FOLDERS = {
    "STATE_DIRECTORY": "StateDirectory=papertape",
    "RUNTIME_DIRECTORY": "RuntimeDirectory=papertape",
    "CACHE_DIRECTORY": "CacheDirectory=papertape",
}
_OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", *_FOLDERS)
_SHORTEST_S = 5.0  # of a watchdog: a snapshot of a large state, or a slow strategy, takes a second


def systemd(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Nothing where there is no unit."""
    if "INVOCATION_ID" not in environ or not any(name in environ for name in _OURS):
        return
    found = [
        warning("systemd", f"the unit gives no {name}; add {setting}")
        for name, setting in _FOLDERS.items()
        if name not in environ
    ]
    address = environ.get("NOTIFY_SOCKET", "")
    if address.startswith("/") and not Path(address).exists():
        found.append(
            failed("systemd", f"NOTIFY_SOCKET is {address}, which is not there; remove what sets it")
        )
    elif address and not address.startswith(("/", "@")):
        found.append(
            failed("systemd", f"NOTIFY_SOCKET is {address!r}, which is no socket; remove what sets it")
        )
    if (interval := environ.get("WATCHDOG_USEC")) is not None:
        if not (interval.isascii() and interval.isdecimal() and int(interval) > 0):
            found.append(
                failed("systemd", f"WATCHDOG_USEC is {interval!r}, which is no number; remove what sets it")
            )
        elif int(interval) < _SHORTEST_S * 1e6:
            shown = f"{int(interval) / 1e6:g} s"
            found.append(warning("systemd", f"the watchdog bites after {shown}; write WatchdogSec=30s or so"))
    yield from found
    if not found:
        # ExecStartPre= is told of neither, unless NotifyAccess=all
        told = ", ".join(name for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC") if name in environ)
        yield ok("systemd", f"the unit gives its folders{f' and {told}' if told else ''}")
