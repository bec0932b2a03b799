"""Folders and their room, the control socket, and the port: what a session has of this machine."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from daemon.config.paper import PaperConfig
from daemon.config.paper_places import control_socket, state_folder
from daemon.config.service import parse_listen
from daemon.doctor.findings import Finding, failed, ok, warning

ROW_BYTES = 41  # of a row of the tape in the database: docs/store.md
BUSY = 20_000  # rows a second: fifty symbols on a hectic day
LITTLE, TOO_LITTLE = 1 << 30, 128 << 20  # bytes
_SOCKET_PATH = 107  # bytes that the kernel has for a Unix socket's path


def folders(config: PaperConfig) -> Iterator[Finding]:
    """Whether the state, the control socket and the compiled engine can be kept where they go."""
    from daemon.compiled import cache_root

    yield _writable("state folder", state_folder(), "set STATE_DIRECTORY, or start it in a folder of yours")
    control = control_socket(config)
    if len(os.fsencode(control)) > _SOCKET_PATH:
        text = (
            f"its path is longer than the {_SOCKET_PATH} bytes that a socket's may have; name a shorter one"
        )
        yield failed("control socket", f"{control}: {text} as service.control")
    else:
        yield _writable("control socket", control.parent, "name another place as service.control")
    # without a cache it only starts more slowly
    found = _writable("cache folder", cache_root(), "set XDG_CACHE_HOME, or CacheDirectory= of the unit")
    yield found._replace(state="warning") if found.state == "failed" else found


def _writable(check: str, folder: Path, remedy: str) -> Finding:
    here = folder
    while not here.exists() and here != here.parent:
        here = here.parent
    try:
        tempfile.TemporaryFile(dir=here).close()  # permissions alone do not say it
    except OSError as error:
        return failed(check, f"{here} cannot be written ({error.strerror}); {remedy}")
    return ok(check, f"{folder} can be written" if here == folder else f"{folder} can be made at the start")


def room(config: PaperConfig, free: int | None = None) -> Iterator[Finding]:
    """How long the disk lasts. free: bytes; None: of the state folder's disk."""
    here = state_folder()
    while not here.exists() and here != here.parent:
        here = here.parent
    if free is None:
        free = shutil.disk_usage(here).free
    days = free / (BUSY * ROW_BYTES * 86_400)
    lasts = f"{days:.1f} days" if days < 100 else f"{days:,.0f} days"
    text = f"{free / 2**30:,.1f} GiB free at {here}: the tape of {lasts} at {BUSY:,} prints a second"
    if free < TOO_LITTLE:
        yield failed("disk", f"{text}; make room: a session stops deciding when it cannot write")
    elif free < LITTLE:
        yield warning("disk", f"{text}; make room, or let retention.tape move old tape elsewhere")
    else:
        yield ok("disk", text)


def runs_already(config: PaperConfig) -> bool:
    """Whether somebody answers at the control socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(os.fspath(control_socket(config)))
        except OSError:  # nobody, nothing, or a path that is none: said elsewhere
            return False
    return True


def port(config: PaperConfig) -> Iterator[Finding]:
    """Whether the port of health and metrics is free; that of a session that runs is its own."""
    if runs_already(config):
        yield ok("listen", f"the session runs, and answers at {control_socket(config)}")
        return
    if config.service.listen is None:
        return
    host, number = parse_listen(config.service.listen)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        hint = "does another session use it? choose another one as service.listen, or null"
        yield failed("listen", f"{config.service.listen} cannot be used ({error.strerror}); {hint}")
    else:
        yield ok("listen", f"{config.service.listen} is free")
