"""A real PostgreSQL server of its own: another user, another port, another folder; nothing of it stays."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MISSING = "PostgreSQL is not installed; on Debian: apt-get install postgresql"


def programs() -> Path | None:
    """The folder of the newest server's programs, or None where there is none."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    if newest := max(versions, key=lambda path: int(path.parts[-3]), default=None):
        return newest.parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Postgres:
    """The server. Its files are as good as memory: fsync is off, which a crash of the server alone survives."""

    def __init__(self, folder: Path, fsync: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self._fsync = "on" if fsync else "off"
        self._server: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:  # the server refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._run("initdb", "-D", str(folder / "data"), "-U", "papertape", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")  # fmt: skip

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "fsync": self._fsync,
            "shared_buffers": "64MB",
            "log_statement": "none",
        }
        command = [self._program("postgres"), "-D", str(self.folder / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **self._as)
        deadline = time.monotonic() + 60
        while True:
            try:
                self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port))
                return
            except subprocess.CalledProcessError:
                if time.monotonic() > deadline or self._server.poll() is not None:
                    log_text = (self.folder / "log").read_text()
                    raise RuntimeError(f"PostgreSQL does not start:\n{log_text}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """End it at once, without a last checkpoint: what is committed is in its log."""
        self.send(signal.SIGQUIT)
        if self._server is not None:
            self._server.wait(30)
            self._server = None

    def send(self, number: signal.Signals) -> None:
        """Send the server a signal: to its own process, whose children follow it but for SIGSTOP."""
        if self._server is not None:
            self._server.send_signal(number)

    def emptied(self) -> str:
        """The address of its database, in which there is nothing."""
        # one is enough: each has a thousand files, which take longer to remove than the tests to run
        address = f"postgresql://papertape@127.0.0.1:{self.port}/postgres"
        self._run(
            "psql", "-q", "-d", address, "-c", "DROP SCHEMA public CASCADE", "-c", "CREATE SCHEMA public"
        )
        return address

    def _program(self, name: str) -> str:
        folder = programs()
        assert folder is not None
        return str(folder / name)

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run([self._program(name), *arguments], check=True, capture_output=True, cwd=self.folder, **self._as)  # fmt: skip


@contextmanager
def running(fsync: bool = False) -> Iterator[Postgres]:
    """A server that runs, until the end of the block."""
    # not below pytest's folder: that is root's alone
    folder = Path(tempfile.mkdtemp(prefix="papertape-postgres-"))
    try:
        server = Postgres(folder, fsync)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
