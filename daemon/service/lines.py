"""Writing lines of a log to whoever reads them, or not: a pager that waits, a terminal that is held, a journal that hangs.

A plain write would wait for its reader, and with it all that the process does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
from typing import TextIO

PIECE = 4096  # bytes: where a pipe has room at all, it takes so many at once
PATIENCE_S = 0.1  # for a reader that is behind; one that lost lines is not waited for again until it reads


class LineHandler(logging.Handler):
    """Writes each record as a line; drops those for which there is no room, and tells how many they were."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lost = 0
        self._torn = False  # the last line lacks its end
        self._file: int | None = None
        with contextlib.suppress(OSError, ValueError, AttributeError):  # no file is behind it
            self._file = stream.fileno()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._write(self._before() + self.format(record) + "\n"):
                self._lost = 0
            else:
                self._lost += 1
        except Exception:  # noqa: BLE001  (as logging's own handlers: a log that fails must not fail the program)
            self.handleError(record)

    def _before(self) -> str:
        """What the next line must tell of those before it."""
        end = "\n" if self._torn else ""
        if not self._lost:
            return end
        told = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING"}
        text = f"{self._lost:,} lines were lost, for nobody read them"
        return end + self.format(logging.makeLogRecord({**told, "msg": text})) + "\n"

    def _write(self, text: str) -> bool:
        if self._file is None:
            self._stream.write(text)
            self._stream.flush()
            return True
        self._stream.flush()  # what others have written to it comes first
        data = memoryview(text.encode(errors="backslashreplace"))
        written = 0
        while written < len(data):
            _, ready, _ = select.select([], [self._file], [], 0.0 if self._lost else PATIENCE_S)
            if not ready:
                self._torn = self._torn if written == 0 else True
                return False
            written += os.write(self._file, data[written : written + PIECE])
        self._torn = False
        return True
