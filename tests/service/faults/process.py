"""`papertape run` as a process of its own, as its users have it: started, asked by HTTP, killed, started again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PAPERTAPE = Path(sys.executable).with_name("papertape")
PATIENCE_S = 60.0  # the first start compiles nothing: tests before have done so
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy stands before this machine


class Ended(Exception):
    """The process has ended; the text is its log."""


class Daemon:
    """One session's process; `start` makes another of the same state. folder: its state. environment: beside the tests' own."""

    def __init__(self, config: Path, folder: Path, port: int, **environment: str) -> None:
        self.folder = folder
        self.log = folder / "log"
        self._config = config
        self._url = f"http://127.0.0.1:{port}"
        self._environment = {
            **os.environ,
            "STATE_DIRECTORY": str(folder),
            "RUNTIME_DIRECTORY": str(folder),
            "FINNHUB_API_KEY": "loopback-key",
            "NO_PROXY": "127.0.0.1",
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    # -- its life -------------------------------------------------------------------------------------------------

    def start(self, prepare: Callable[[], None] | None = None, **environment: str) -> None:
        """Start it, and return at once. prepare: is called in the new process before it is papertape's."""
        assert self._process is None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [PAPERTAPE, "run", self._config],
                env={**self._environment, **environment},
                cwd=self.folder,
                stdout=log,
                stderr=log,
                preexec_fn=prepare,  # noqa: PLW1509 # no thread runs here
            )

    def kill(self) -> bool:
        """Kill it, as a machine does that loses its power; whether it still ran."""
        process = self._process
        assert process is not None
        process.kill()
        self._process = None
        return process.wait(20) == -signal.SIGKILL

    def stop(self, within_s: float = 40.0) -> int:
        """Tell it to end; its exit code."""
        self.send(signal.SIGTERM)
        return self.wait(within_s)

    def wait(self, within_s: float = PATIENCE_S) -> int:
        """Until it has ended by itself; its exit code."""
        process = self._process
        assert process is not None
        code = process.wait(within_s)
        self._process = None
        return code

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def end(self) -> None:
        """Leave nothing behind."""
        if self._process is not None:
            self.kill()

    # -- what it says ---------------------------------------------------------------------------------------------

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a GET; 0 and nothing where nobody answers."""
        try:
            with _DIRECT.open(self._url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> bool:
        """Whether /readyz says so."""
        return self.get("/readyz")[0] == 200

    def status(self) -> Any:
        """/status."""
        code, body = self.get("/status")
        assert code == 200, body
        return json.loads(body)

    def metrics(self) -> dict[str, float]:
        """/metrics: a series, with its labels as written -> its value; empty where nobody answers."""
        found = {}
        for line in self.get("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    def said(self, pattern: str) -> list[str]:
        """The lines of its log, of all starts, in which this is found."""
        return [line for line in self.log.read_text().splitlines() if re.search(pattern, line)]

    def until(self, condition: Callable[[], bool], what: str, within_s: float = PATIENCE_S) -> None:
        """Wait for something; raises Ended where it ends before, AssertionError where it takes too long."""
        deadline = time.monotonic() + within_s
        while not condition():
            if not self.running:
                raise Ended(self.tail())
            assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}\n{self.tail()}"
            time.sleep(0.01)

    def until_ready(self, within_s: float = PATIENCE_S) -> None:
        """Wait until it is ready."""
        self.until(self.ready, "it is ready", within_s)

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-6000:]


@contextmanager
def daemon(config: Path, folder: Path, port: int, **environment: str) -> Iterator[Daemon]:
    """A session's process that is not started yet; nothing of it runs behind the block."""
    found = Daemon(config, folder, port, **environment)
    try:
        yield found
    finally:
        found.end()
