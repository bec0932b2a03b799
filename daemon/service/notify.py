"""What a service tells systemd of itself: the protocol of sd_notify(3), a datagram of lines to $NOTIFY_SOCKET."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from types import TracebackType

import structlog

log = structlog.get_logger()

_WAIT_S = 1.0  # for room in the manager's queue, where a message must not be lost


class ServiceManager:
    """Who started this process and waits to hear of it; without an address nobody does, and nothing is sent.

    address: a path, or @name of the abstract namespace. What cannot be sent is logged once; nothing is raised for it,
    for a session trades no worse because nobody hears how it is.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = address or None
        self._socket: socket.socket | None = None
        self._complained = False
        if address and address[0] in "/@":
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        elif address:
            self._complain("it is neither a path nor a name of the abstract namespace")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ServiceManager:
        """The one that $NOTIFY_SOCKET means."""
        return cls(environment.get("NOTIFY_SOCKET"))

    def __enter__(self) -> ServiceManager:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ready(self, status: str) -> None:
        """It has started, or has reloaded."""
        self._send({"READY": "1", "STATUS": status})

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send({"STATUS": text}, wait=False)

    def reloading(self) -> None:
        """It reads its configuration anew, until `ready` says that it has."""
        now = (
            time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        )  # systemd tells by it which reload this is of
        self._send({"RELOADING": "1", "MONOTONIC_USEC": str(now)})

    def stopping(self, status: str) -> None:
        """It ends by itself or as asked."""
        self._send({"STOPPING": "1", "STATUS": status})

    def watchdog(self) -> None:
        """It works; see Watchdog."""
        self._send({"WATCHDOG": "1"}, wait=False)

    def extend(self, seconds: float, status: str) -> None:
        """Starting, reloading or stopping takes that much longer, from now on, whatever the unit's timeout says."""
        self._send({"EXTEND_TIMEOUT_USEC": str(round(seconds * 1e6)), "STATUS": status})

    def _send(self, facts: Mapping[str, str], wait: bool = True) -> None:
        if self._socket is None or self.address is None:
            return
        # a line is a fact: text of several lines would be several
        lines = (f"{name}={' '.join(value.split())}" for name, value in facts.items())
        name = self.address
        try:
            self._socket.settimeout(_WAIT_S if wait else 0.0)
            self._socket.sendto("\n".join(lines).encode(), "\0" + name[1:] if name[0] == "@" else name)
        except OSError as error:  # nobody reads it, or not fast enough
            self._complain(error.strerror or str(error))
        else:
            self._complained = False

    def _complain(self, why: str) -> None:
        if not self._complained:
            self._complained = True
            with contextlib.suppress(OSError):
                log.warning("the service manager cannot be told how it is", address=self.address, why=why)
