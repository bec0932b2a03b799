"""Formats that vendors have of their own: how each is known, and what in it is not as in a plain CSV file.

LEAN, Google Finance and recordings of Binance's stream are known by what they hold. What NinjaTrader and Alpha Vantage
write others write too, with other stamps: those are to be named.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daemon.data.csv_reader import BYTES_PER_ROW, MAX_BLOCK_BYTES, CsvReader, opened
from daemon.data.errors import DataError, Fault, Reason, file_error
from daemon.data.feed import Source
from daemon.data.formats import BAR_FIELDS, TICK_FIELDS, Layout, recognise, recognise_csv
from daemon.data.rawblocks import RawBlock, Reader, convert
from daemon.data.recording import RecordingReader
from engine.records import DAY, SECOND

HEAD_BYTES = 4096
NEW_YORK = "America/New_York"
DAY_MS = 86_400_000
_LEAN_DAY = r"\d{8} \d\d:\d\d(,[\d.]+){5}"
_LEAN_MEMBER = r"\d{8}_.*_(trade|quote)(_.*)?\.csv"
_NINJA_BAR = r"\d{8}( \d{6})?(;[\d.]+){5}"
_NINJA_TICK = r"\d{8} \d{6}(;[\d.]+){2}"


def open_csv(source: Source, path: Path) -> Reader:
    """The reader of a text file: that of `source.format`, or of the vendor whose format it is beyond doubt, or a plain one.

    Raises DataError as CsvReader does, and where the file is not what `format` says.
    """
    known = source.format or _format_of(path)
    if known == "binance":
        return RecordingReader(path, source.bar_ns > 0)
    reader = {
        None: PlainReader,
        "lean": LeanReader,
        "ninjatrader": NinjaTraderReader,
        "alphavantage": AlphaVantageReader,
        "google": GoogleReader,
    }
    return reader[known](source, path)


def _format_of(path: Path) -> str | None:
    with opened(path) as (file, _):
        member = Path(file.name).name
        head = file.read(HEAD_BYTES).decode("utf-8", "replace")
    first = head.partition("\n")[0].rstrip("\r")
    if re.match(r"\d{19} \{", first):
        return "binance"
    if re.search(r"^COLUMNS=DATE", head, re.MULTILINE):
        return "google"
    zipped = path.suffix == ".zip"
    if zipped and (re.fullmatch(_LEAN_MEMBER, member, re.IGNORECASE) or re.fullmatch(_LEAN_DAY, first)):
        return "lean"
    return None


class PlainReader(CsvReader):
    """A CSV file in nobody's format: its columns are known by their names."""

    def __init__(self, source: Source, path: Path) -> None:
        self.source = source
        super().__init__(path, source.bar_ns > 0, source.columns, source.name)

    def _recognise(self, head: list[list[str]]) -> Layout:
        line = self.delimiter.join(head[0])
        if not self.source.columns and re.fullmatch(f"{_NINJA_BAR}|{_NINJA_TICK}", line):
            raise file_error(
                self.path,
                "the file has no header; NinjaTrader writes such lines, and others do with other stamps",
                "write `format: ninjatrader`, or number the `columns` from 1 and say `stamp`",
                1,
            )
        return super()._recognise(head)

    def _by_position(self, *fields: str, n: int) -> Layout:
        # the layout of a file without header, of n columns of which these are the first
        given: Mapping[str, str] = {ours: str(i) for i, ours in enumerate(fields, 1)}
        return recognise([str(i + 1) for i in range(n)], self._bars, given, self.path, 0)

    def _not_as_named(self, wanted: str) -> DataError:
        return file_error(
            self.path, f"the first line is none of {wanted}", "correct `format`, or leave it out", 1
        )


class NinjaTraderReader(PlainReader):
    """NinjaTrader's text: semicolons, no header, bars stamped at their end.

    yyyyMMdd HHmmss;open;high;low;close;volume, for days without the time of day; trades are time;price;volume.
    """

    def _recognise(self, head: list[list[str]]) -> Layout:
        if not re.fullmatch(_NINJA_BAR if self._bars else _NINJA_TICK, self.delimiter.join(head[0])):
            raise self._not_as_named(f"NinjaTrader's {'bars' if self._bars else 'trades'}")
        fields = BAR_FIELDS if self._bars else TICK_FIELDS
        return replace(self._by_position("time", *fields, n=len(head[0])), at_end=True)


class AlphaVantageReader(PlainReader):
    """Alpha Vantage's CSV: the newest row comes first, times are New York's and name no zone.

    Its files of 2019 stamp bars of minutes at their end, later ones at their start: `stamp` has to say it. The rows are
    read from the last to the first, block by block; a packed file is unpacked to a temporary one for that.
    """

    def _recognise(self, head: list[list[str]]) -> Layout:
        if 0 < self.source.bar_ns < DAY and self.source.stamp == "auto":
            raise file_error(
                self.path,
                "Alpha Vantage has stamped bars at their end and, later, at their start",
                "write `stamp: end` where the last bar of a day is of 16:00 (20:00), else `stamp: start`",
            )
        layout = recognise_csv(head, self._bars, self._mapping, self._name, self.path)
        times = [row[layout.columns["time"][0]] for row in head[1:] if len(row) == len(head[0])]
        return replace(layout, zone=NEW_YORK, newest_first=times == sorted(times, reverse=True))

    def blocks(self, block_rows: int) -> Iterator[RawBlock]:
        """The rows in the order of time, about so many at a time, and the lines that are none."""
        if not self.layout.newest_first:
            yield from super().blocks(block_rows)
            return
        size = min(block_rows * BYTES_PER_ROW, MAX_BLOCK_BYTES)
        with opened(self.path) as (file, raw), _seekable(file, raw) as text:
            ends = [(line, text.tell()) for line, _ in self._pieces(text, size)]
            begins = [self._header_bytes(text), *(end for _, end in ends)]
            for i in reversed(range(len(ends))):
                line, end = ends[i]
                text.seek(begins[i])
                data = text.read(end - begins[i])
                self.done = 1 - i / len(ends)
                yield _turned(self._split(data if data.endswith(b"\n") else data + b"\n", line))
        self.done = 1.0

    def _header_bytes(self, text: IO[bytes]) -> int:
        text.seek(0)
        return sum(len(text.readline()) for _ in range(self.layout.header_lines))


def timed(block: RawBlock, times: Any, good: np.ndarray[Any, Any], label: str, wanted: str) -> RawBlock:
    """The block with Arrow timestamps for its times, and without the rows whose time was no `wanted`.

    times: of n values; good: (n,) bool, which of them could be read.
    """
    if good.all():
        return RawBlock(block.lines, {**block.columns, "time": times}, block.broken)
    lines, texts = np.asarray(block.lines), block.columns["time"]
    faults = [
        Fault(int(lines[i]), label, Reason.BAD_TIME, f"{texts[i].as_py()!r} is no {wanted}")
        for i in np.flatnonzero(~good).tolist()
    ]
    mask = pa.array(good)
    columns = {ours: column.filter(mask) for ours, column in {**block.columns, "time": times}.items()}
    return RawBlock(lines[good], columns, block.broken + faults)


@contextmanager
def _seekable(file: IO[bytes], raw: IO[bytes]) -> Iterator[IO[bytes]]:
    # a packed file can be read backwards only by unpacking it again and again
    if file is raw:
        yield file
        return
    with tempfile.TemporaryFile() as unpacked:
        shutil.copyfileobj(file, unpacked)
        unpacked.seek(0)
        yield unpacked


def _turned(block: RawBlock) -> RawBlock:
    last_first = np.arange(len(block.lines))[::-1]
    columns = {ours: column.take(pa.array(last_first)) for ours, column in block.columns.items()}
    return RawBlock(np.asarray(block.lines)[last_first], columns, block.broken)


class LeanReader(PlainReader):
    """LEAN's files of US equities: no header, prices in ten-thousandths, New York times, bars stamped at their start.

    Of days and hours: yyyyMMdd HH:mm,open,high,low,close,volume. Of minutes and seconds: milliseconds since midnight of
    the day that the file's name begins with. Trades: milliseconds, price, size, exchange, condition, suspicious (0 or
    1, read all the same). Prices of crypto and currencies, which are decimal, are refused.
    """

    def _recognise(self, head: list[list[str]]) -> Layout:
        first = [field.strip() for field in head[0]]
        days = re.fullmatch(_LEAN_DAY, ",".join(first))
        self.midnight = None if days else _midnight(self.member) or _midnight(self.path.name)
        if "quote" in self.member.lower() or not (days or first[0].isdigit()) or len(first) != 6:
            raise self._not_as_named("LEAN's trades or bars of trades")
        if not days and self.midnight is None:
            raise file_error(
                self.path,
                "no day stands in the file's name",
                "name it as LEAN does: 20140605_aapl_minute_trade.csv",
            )
        trades = not days and not re.fullmatch(r"[\d.]+", first[3])
        if trades == self._bars:
            raise file_error(
                self.path,
                f"the file holds {'trades' if trades else 'bars'}",
                "write `bar: tick`" if trades else "write how long they last as `bar`, such as 1m",
            )
        layout = self._by_position("time", *(TICK_FIELDS if trades else BAR_FIELDS), n=6)
        return replace(layout, zone=NEW_YORK, time_format="%Y%m%d %H:%M" if days else None, divisor=10_000)

    def blocks(self, block_rows: int) -> Iterator[RawBlock]:
        """The rows, about so many at a time, and the lines that are none."""
        for block in super().blocks(block_rows):
            if self.midnight is not None:
                ms, bad = convert(block.columns["time"], self._wall_clock, np.int64)
                good = np.ones(len(ms), bool)
                good[bad] = False
                local = pa.array(ms, pa.int64()).cast(pa.timestamp("ms"))
                block = timed(
                    block, local, good, self.layout.label("time"), "number of milliseconds in a day"
                )
            yield block

    def _wall_clock(self, column: Any) -> np.ndarray[Any, Any]:
        ms = column.cast(pa.int64()).to_numpy()
        if len(ms) and not 0 <= int(ms.min()) <= int(ms.max()) < DAY_MS:
            raise ValueError("a time of another day")
        assert self.midnight is not None
        return np.asarray(ms + self.midnight)


def _midnight(name: str) -> int | None:
    # milliseconds since 1970 of the day in a name, in whatever zone
    found = re.search(r"(?<!\d)((19|20)\d{6})_", name)
    if not found:
        return None
    try:
        return int(datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=UTC).timestamp()) * 1000
    except ValueError:
        return None


class GoogleReader(PlainReader):
    """Google Finance's answer: lines of KEY=VALUE, then rows whose first column is `a` and Unix seconds, or so many bars later.

    Bars are stamped at their end. TIMEZONE_OFFSET, which may come again between rows, says nothing about Unix seconds.
    """

    head_lines = 24

    def _recognise(self, head: list[list[str]]) -> Layout:
        lines = [",".join(fields) for fields in head]
        data = next((i for i, line in enumerate(lines) if re.match(r"a\d+,", line)), None)
        keys = dict(line.split("=", 1) for line in lines[:data] if "=" in line)
        names = keys.get("COLUMNS", "").split(",")
        if data is None or names[0] != "DATE" or not keys.get("INTERVAL", "").isdigit():
            raise self._not_as_named("Google Finance's answers, with COLUMNS and INTERVAL")
        self.interval = int(keys["INTERVAL"])
        self.delimiter = ","
        if self.source.bar_ns != self.interval * SECOND:
            raise file_error(
                self.path,
                f"the file's bars last {self.interval} s",
                f"write `bar: {self.interval}s`",
                field="INTERVAL",
            )
        return replace(recognise(names, True, self._mapping, self.path, data), at_end=True)

    def blocks(self, block_rows: int) -> Iterator[RawBlock]:
        """The rows, about so many at a time, and the lines that are none."""
        self._base: int | None = None
        for block in super().blocks(block_rows):
            seconds, good = self._seconds(block.columns["time"])
            column = pa.array(seconds, pa.int64()).cast(pa.timestamp("s", "UTC"))
            wanted = "time: `a` and Unix seconds, or a number of bars after such a row"
            yield timed(block, column, good, self.layout.label("time"), wanted)

    def _seconds(self, column: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        # (n,) int64 since 1970, and (n,) bool: which could be read; a row without a good `a` above it could not
        based = pc.starts_with(column, "a").to_numpy(zero_copy_only=False)
        digits = pc.replace_substring_regex(column, "^a", "")
        numbers, bad = convert(digits, lambda c: np.asarray(c.cast(pa.int64()).to_numpy()), np.int64)
        good = np.ones(len(numbers), bool)
        good[bad] = False
        row = np.maximum.accumulate(np.where(based, np.arange(len(based)), -1))  # where the last `a` was
        base = np.where(row >= 0, numbers[row], self._base or 0)
        known = np.where(row >= 0, good[row], self._base is not None)
        if len(row) and row[-1] >= 0:
            self._base = int(numbers[row[-1]]) if good[row[-1]] else None
        return np.where(based, numbers, base + numbers * self.interval), good & known

    def _split(self, data: bytes, first: int) -> RawBlock:
        return super()._split(re.sub(rb"(?m)^TIMEZONE_OFFSET=.*$", b"", data), first)
