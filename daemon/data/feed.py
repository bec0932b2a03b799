"""A feed of history: files of market data as batches of the tape.

This module is light: what reads files is loaded when a feed is opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.data.errors import DataError, file_error

if TYPE_CHECKING:
    from daemon.data.rawblocks import Reader
    from daemon.data.stream import Stream
    from engine.records import Ticks

DAY_NS = 86_400 * 10**9
MIN_BLOCK_ROWS = 4096  # of each source where there are many
SUFFIXES = {"csv": (".csv", ".csv.gz"), "parquet": (".parquet",)}


@dataclass(frozen=True)
class Source:
    """One entry of `data:` in a configuration: the rows of one instrument."""

    kind: str  # "csv" | "parquet" | "sample"
    path: (
        Path | None
    )  # a file, or a folder of files, which are read in the order of their names; none for the sample
    instrument: int  # the engine's index
    name: str  # selects the rows of files with a column of symbols
    bar_ns: int  # duration of a bar; 0: the rows are ticks
    stamp: str = (
        "auto"  # bars are stamped at their "start" | "end"; "auto": their start, as all known formats do
    )
    timezone: str = "UTC"  # of times that name none
    columns: Mapping[str, str] = field(default_factory=dict)  # our name of a column -> the file's
    time_format: str | None = None  # a pattern of strptime, or "s" | "ms" | "us" | "ns" since 1970
    start: int | None = None  # rows with start <= ts < end are given, ns UTC
    end: int | None = None
    skip_bad_rows: bool = False


class Feed:
    """History in time order, batch by batch; made for one pass.

    Iterating gives `engine.records.Ticks`. A file is checked up to the last row that is used. Raises DataError at the
    first bad row, unless its source skips them.
    """

    def __init__(self, streams: Sequence[Stream], batch_rows: int) -> None:
        self.rows = 0
        self.first_ts: int | None = None
        self.last_ts: int | None = None
        self._streams = streams
        self._batch_rows = batch_rows
        self._begun = False

    @property
    def refused(self) -> dict[str, int]:
        """Reason -> rows set aside so far."""
        return dict(sum((s.refused for s in self._streams), Counter()))

    @property
    def bars(self) -> int:
        """Bars played so far; each is four rows."""
        return sum(s.bars for s in self._streams)

    @property
    def progress(self) -> float:
        """How much of the files was read, 0 to 1."""
        return sum(s.progress for s in self._streams) / len(self._streams)

    @property
    def total_rows_hint(self) -> int | None:
        """How many rows there are at most; None where a file does not say how many it has."""
        hints = [s.total_rows_hint for s in self._streams]
        return None if None in hints else sum(h for h in hints if h is not None)

    def __iter__(self) -> Iterator[Ticks]:
        from daemon.data.merge import cut, merge

        if self._begun:
            raise RuntimeError("a feed is made for one pass; open another")
        self._begun = True
        if len(self._streams) == 1:
            batches = self._streams[0].batches(self._batch_rows)
        else:
            block_rows = min(self._batch_rows, max(MIN_BLOCK_ROWS, self._batch_rows // len(self._streams)))
            merged = merge([s.batches(block_rows) for s in self._streams])
            batches = (piece for ticks in merged for piece in cut(ticks, self._batch_rows))
        for ticks in batches:
            self.rows += len(ticks.price)
            if self.first_ts is None:
                self.first_ts = int(ticks.ts_event[0])
            self.last_ts = int(ticks.ts_event[-1])
            yield ticks


def open_feed(sources: Sequence[Source], batch_rows: int = 262_144) -> Feed:
    """The sources as one feed, merged in time order, in batches of at most batch_rows.

    At equal times come the highs and lows of bars, then closes, then prints and opens, then the order is by
    instrument. Raises DataError where a file is missing or its columns are not known.
    """
    from daemon.data.stream import Stream

    if not sources:
        raise DataError("there is no data; give at least one entry under `data`")
    if batch_rows < 1:
        raise ValueError(f"batch_rows is {batch_rows}, it must be positive")
    ordered = sorted(sources, key=lambda s: s.instrument)
    return Feed([Stream(source, _readers(source)) for source in ordered], batch_rows)


def _readers(source: Source) -> list[Reader]:
    bars = source.bar_ns > 0
    if source.kind == "parquet":
        from daemon.data.parquet_reader import ParquetReader

        return [ParquetReader(path, bars, source.columns) for path in _files(source)]
    from daemon.data.csv_reader import CsvReader

    if source.kind == "csv":
        return [CsvReader(path, bars, source.columns, source.name) for path in _files(source)]
    if source.kind == "sample":
        from daemon.data.sample import sample_instruments, sample_path

        if source.name not in sample_instruments():
            raise DataError(f"the sample has no {source.name}; it has {', '.join(sample_instruments())}")
        if source.bar_ns != DAY_NS:
            raise DataError(f"the sample of {source.name} is daily; write `bar: 1d`")
        return [CsvReader(sample_path(), bars, {}, source.name)]
    raise DataError(f"there is no source {source.kind!r}; there are csv, parquet and sample")


def _files(source: Source) -> list[Path]:
    if source.path is None:
        raise DataError(f"the {source.kind} source of {source.name} has no file; give its `path`")
    if not source.path.is_dir():
        return [source.path]
    suffixes = SUFFIXES[source.kind]
    found = sorted(
        p for p in source.path.iterdir() if p.name.endswith(suffixes) and not p.name.startswith(".")
    )
    if not found:
        raise file_error(source.path, f"the folder has no {' or '.join(suffixes)} file", "correct `path`")
    return found
