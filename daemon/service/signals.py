"""Signals: SIGTERM and SIGINT ask a session to end in good order, SIGHUP to read its configuration anew."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

import structlog

log = structlog.get_logger()

INTERRUPTED = 130


class Signals:
    """Takes the process's signals in the block, in its main thread; afterwards they mean what they did before.

    drain: set once the session is to end: it takes no more from its feeds, and commits what it has. A SIGINT while it
    drains ends the process at once, also one that is held up by a strategy: what is committed stays, the next start
    recovers. reload: called in the event loop for a SIGHUP, unless it is ending; several at once may come as one.
    """

    def __init__(self, reload: Callable[[], object]) -> None:
        self.drain = asyncio.Event()
        self.why = ""  # it ends
        self._reload = reload
        self._ending = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        self._loop = asyncio.get_running_loop()
        # a signal that comes just before the loop begins to wait would else be seen when the loop wakes for another reason
        self._read, self._write = socket.socketpair()
        for end in (self._read, self._write):
            end.setblocking(False)
        self._loop.add_reader(self._read, self._read.recv, 4096)
        self._wakeup = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        for number, handler in (
            (signal.SIGTERM, self._end),
            (signal.SIGINT, self._end),
            (signal.SIGHUP, self._hang_up),
        ):
            # not the loop's add_signal_handler: that one waits until the loop turns, and a second SIGINT must not
            self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._loop.remove_reader(self._read)
        self._read.close()
        self._write.close()

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self._ending and number == signal.SIGINT:
            os._exit(INTERRUPTED)
        if not self._ending:
            self._ending = True
            self._loop.call_soon_threadsafe(self._begin_draining, signal.Signals(number).name)

    def _begin_draining(self, name: str) -> None:
        self.why = name
        log.info("stopping: what is decided is committed first; a second SIGINT quits at once", signal=name)
        self.drain.set()

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        if not self._ending:
            self._loop.call_soon_threadsafe(self._reload)
