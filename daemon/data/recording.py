"""Recordings of Binance's websocket stream: a line is the time of receipt and the message, as it came."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from daemon.data.csv_reader import BYTES_PER_ROW, MAX_BLOCK_BYTES, opened
from daemon.data.errors import Fault, Reason, file_error
from daemon.data.formats import Layout
from daemon.data.rawblocks import RawBlock

MESSAGE_BYTES = 4 * BYTES_PER_ROW  # about; only block sizes depend on it
TRADE = b'"e":"trade"'
COLUMNS = {"time": "T", "price": "p", "size": "q", "symbol": "s"}  # ours -> the message's


class RecordingReader:
    """The trades of a recording (also .gz or .zip); books, quotes and all other messages are skipped.

    A trade's time is the venue's, `T`. The recorder's time is not used: history has one time for both.

    Raises DataError where the file cannot be read, and where bars are asked for.
    """

    def __init__(self, path: Path, bars: bool) -> None:
        self.path = path
        self.rows: int | None = None
        self.done = 0.0
        if bars:
            raise file_error(path, "the recording holds trades", "write `bar: tick`")
        with opened(path):
            self.weight = path.stat().st_size
        positions: dict[str, tuple[int, ...]] = {ours: (i,) for i, ours in enumerate(COLUMNS)}
        self.layout = Layout(tuple(COLUMNS.values()), positions, 0, time_format="ms")

    def blocks(self, block_rows: int) -> Iterator[RawBlock]:
        """The trades of some lines at a time, and the lines that are none of a recording."""
        line = 1
        with opened(self.path) as (file, raw):
            while messages := file.readlines(min(block_rows * MESSAGE_BYTES, MAX_BLOCK_BYTES)):
                yield self._trades(messages, line)
                line += len(messages)
                self.done = raw.tell() / max(self.weight, 1)
        self.done = 1.0

    def _trades(self, messages: list[bytes], first: int) -> RawBlock:
        lines: list[int] = []
        broken: list[Fault] = []
        values: dict[str, list[str]] = {ours: [] for ours in COLUMNS}
        for line, message in enumerate(messages, first):
            if TRADE not in message:
                if message.strip() and not message.endswith((b"}\n", b"}\r\n", b"}")):
                    broken.append(Fault(line, "", Reason.BROKEN_LINE, "the message is torn"))
                continue
            trade = _trade(message)
            if trade is None:
                broken.append(
                    Fault(line, "", Reason.BROKEN_LINE, "the message is torn, or no trade of Binance's")
                )
                continue
            lines.append(line)
            for ours, theirs in COLUMNS.items():
                values[ours].append(str(trade[theirs]))
        return RawBlock(lines, {ours: pa.array(texts, pa.string()) for ours, texts in values.items()}, broken)


def _trade(message: bytes) -> dict[str, Any] | None:
    # of a stream of its own, or of a combined one; what a value is worth shows itself where it becomes a number
    try:
        content = json.loads(message.partition(b" ")[2])
        trade = content.get("data", content)
        return trade if all(theirs in trade for theirs in COLUMNS.values()) else None
    except (ValueError, AttributeError, TypeError):  # not JSON, or JSON of another shape
        return None
