"""A feed of history: files of market data as batches of the tape.

This module is light: what reads files is loaded when a feed is opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.data.errors import DataError, file_error

if TYPE_CHECKING:
    from daemon.data.actions import Action
    from daemon.data.rawblocks import Reader
    from daemon.data.stream import Stream
    from daemon.data.synthetic import Recipe
    from engine.records import Ticks

DAY_NS = 86_400 * 10**9
MIN_BLOCK_ROWS = 4096  # of each source where there are many
SUFFIXES = {"csv": (".csv", ".csv.gz", ".zip"), "parquet": (".parquet",)}


@dataclass(frozen=True)
class Source:
    """One entry of `data:` in a configuration: the rows of one instrument."""

    kind: str  # "csv" | "parquet" | "catalog" | "sample" | "synthetic"
    path: (
        Path | None
    )  # a file, or a folder of files, which are read in the order of their names; none for the sample and synthetic tapes
    instrument: int  # the engine's index
    name: str  # selects the rows of files with a column of symbols
    bar_ns: int  # duration of a bar; 0: the rows are ticks
    stamp: str = (
        "auto"  # bars are stamped at their "start" | "end"; "auto": their start, as all known formats do
    )
    timezone: str | None = None  # of times that name none; None: that of the format, or UTC
    columns: Mapping[str, str] = field(default_factory=dict)  # our name of a column -> the file's
    time_format: str | None = None  # a pattern of strptime, or "s" | "ms" | "us" | "ns" since 1970
    start: int | None = None  # rows with start <= ts < end are given, ns UTC
    end: int | None = None
    skip_bad_rows: bool = False
    hours: str | None = (
        None  # rows outside of this calendar's sessions are left out; a bar counts by its start
    )
    format: str | None = None  # of a csv source: a vendor's, see `daemon.data.vendors`; None: recognised
    actions: Path | None = None  # the file of its corporate actions
    adjusted: str = "raw"  # what its prices are adjusted for already: "raw" | "splits" | "all"
    exchange_zone: str = (
        "UTC"  # where its days begin at midnight: an ex-date does, unless bars last whole days
    )
    renamed: tuple[
        tuple[int, str], ...
    ] = ()  # (from ns UTC, symbol): what it is called in its files later on
    recipe: Recipe | None = None  # of a synthetic tape


class Feed:
    """History in time order, batch by batch; made for one pass.

    Iterating gives `engine.records.Ticks`. A file is checked up to the last row that is used. Raises DataError at the
    first bad row, unless its source skips them.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        batch_rows: int,
        actions: Mapping[int, Sequence[Action]],
        inputs: Ticks | None = None,
    ) -> None:
        self.rows = 0
        self.first_ts: int | None = None
        self.last_ts: int | None = None
        self._streams = streams
        self._batch_rows = batch_rows
        self._actions = actions
        self._inputs = inputs
        self._begun = False

    @property
    def refused(self) -> dict[str, int]:
        """Reason -> rows set aside so far."""
        return dict(sum((s.refused for s in self._streams), Counter()))

    @property
    def outside_hours(self) -> int:
        """Good rows left out so far, because they lie outside of the sessions asked for."""
        return sum(s.outside_hours for s in self._streams)

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
        hints = [len(a) for a in self._actions.values()] + [s.total_rows_hint for s in self._streams]
        hints.append(0 if self._inputs is None else len(self._inputs.price))
        return None if None in hints else sum(h for h in hints if h is not None)

    def __iter__(self) -> Iterator[Ticks]:
        from daemon.data.merge import cut, merge

        if self._begun:
            raise RuntimeError("a feed is made for one pass; open another")
        self._begun = True
        block_rows = self._batch_rows
        if len(self._streams) > 1:
            block_rows = min(self._batch_rows, max(MIN_BLOCK_ROWS, self._batch_rows // len(self._streams)))
        tapes = list(self._tapes(block_rows))
        merged = tapes[0] if len(tapes) == 1 else merge(tapes)
        if self._inputs is not None:
            from daemon.data.inputs import enter

            merged = enter(merged, self._inputs)
        batches = (piece for ticks in merged for piece in cut(ticks, self._batch_rows))
        for ticks in batches:
            self.rows += len(ticks.price)
            if self.first_ts is None:
                self.first_ts = int(ticks.ts_event[0])
            self.last_ts = int(ticks.ts_event[-1])
            yield ticks

    def _tapes(self, block_rows: int) -> Iterator[Iterator[Ticks]]:
        # the streams, but those of an instrument with actions as one
        from daemon.data.action_rows import begin_of, play, rows_of
        from daemon.data.actions import later_symbols
        from daemon.data.merge import merge

        for instrument, group in groupby(self._streams, key=lambda s: s.source.instrument):
            streams = list(group)
            prices = [s.batches(block_rows) for s in streams]
            if instrument not in self._actions:
                yield from prices
                continue
            source = streams[0].source
            symbols = later_symbols(self._actions[instrument])
            bar_ns, zone, end = source.bar_ns, source.exchange_zone, source.end
            actions = [a for a in self._actions[instrument] if end is None or begin_of(a, bar_ns, zone) < end]
            rows = rows_of(actions, instrument, bar_ns, zone, symbols)
            yield play(prices[0] if len(prices) == 1 else merge(prices), actions, rows, source.name)


def actions_of(sources: Sequence[Source]) -> dict[int, list[Action]]:
    """Instrument -> its corporate actions, fitted to what its prices are adjusted for; none where no file tells of any.

    Raises DataError where a file is wrong, or an instrument has two.
    """
    found: dict[int, list[Action]] = {}
    given: dict[int, tuple[Path, str]] = {}
    for source in sources:
        path = source.actions
        if source.kind == "sample":
            from daemon.data.sample import sample_actions

            path = sample_actions(source.name)
        if path is None:
            continue
        from daemon.data.action_files import read_actions
        from daemon.data.actions import fitted

        before = given.setdefault(source.instrument, (path, source.adjusted))
        if before != (path, source.adjusted):
            raise file_error(
                path,
                f"{source.name} has actions already, of {before[0]} for prices adjusted {before[1]!r}",
                "give all its data the same `actions` and `adjusted`",
            )
        if source.instrument not in found:
            found[source.instrument] = fitted(read_actions(path, source.name), source.adjusted)
    return found


def open_feed(sources: Sequence[Source], batch_rows: int = 262_144, inputs: Ticks | None = None) -> Feed:
    """The sources as one feed, merged in time order, in batches of at most batch_rows.

    inputs: deposits, withdrawals and what operators do, rows in time order. At equal times come the highs and lows of
    bars, then closes, then corporate actions, then inputs, then prints and opens, then the order is by instrument.
    Raises DataError where a file is missing or its columns are not known.
    """
    from daemon.data.stream import Stream

    if not sources:
        raise DataError("there is no data; give at least one entry under `data`")
    if batch_rows < 1:
        raise ValueError(f"batch_rows is {batch_rows}, it must be positive")
    ordered = sorted(sources, key=lambda s: s.instrument)
    actions = actions_of(ordered)
    ordered = [_renamed(source, actions.get(source.instrument, ())) for source in ordered]
    return Feed([Stream(source, _readers(source)) for source in ordered], batch_rows, actions, inputs)


def _renamed(source: Source, actions: Sequence[Action]) -> Source:
    if not actions:
        return source
    from daemon.data.action_rows import begin_of

    times = ((begin_of(a, source.bar_ns, source.exchange_zone), a.symbol) for a in actions if a.symbol)
    return replace(source, renamed=tuple(times))


def open_stream(sources: Sequence[Source]) -> Stream:
    """The files of one instrument as one stream, one after the other: not merged. Raises DataError as `open_feed`."""
    from daemon.data.stream import Stream

    return Stream(sources[0], [reader for source in sources for reader in _readers(source)])


def _readers(source: Source) -> list[Reader]:
    bars = source.bar_ns > 0
    if source.kind == "synthetic":
        from daemon.data.synthetic import SyntheticReader

        if source.recipe is None:
            raise DataError(f"the synthetic source of {source.name} has no recipe; give its `recipe`")
        return [SyntheticReader(source.recipe)]
    if source.kind == "catalog":
        from daemon.catalog.store import Catalog
        from daemon.data.parquet_reader import ParquetReader

        if source.path is None:
            raise DataError(f"the catalog source of {source.name} has no folder; give its `path`")
        parts = Catalog(source.path).parts(source.name, source.bar_ns, source.start, source.end)
        return [ParquetReader(path, bars, {}) for path in parts]
    if source.kind == "parquet":
        from daemon.data.parquet_reader import ParquetReader

        return [ParquetReader(path, bars, source.columns) for path in _files(source)]
    if source.kind == "csv":
        from daemon.data.vendors import open_csv

        return [open_csv(source, path) for path in _files(source)]
    if source.kind == "sample":
        from daemon.data.csv_reader import CsvReader
        from daemon.data.sample import sample_instruments, sample_path

        if source.name not in sample_instruments():
            raise DataError(f"the sample has no {source.name}; it has {', '.join(sample_instruments())}")
        if source.bar_ns != DAY_NS:
            raise DataError(f"the sample of {source.name} is daily; write `bar: 1d`")
        return [CsvReader(sample_path(), bars, {}, source.name)]
    raise DataError(
        f"there is no source {source.kind!r}; there are csv, parquet, catalog, sample and synthetic"
    )


def _files(source: Source) -> list[Path]:
    if source.path is None:
        raise DataError(f"the {source.kind} source of {source.name} has no file; give its `path`")
    if not source.path.is_dir():
        return [source.path]
    suffixes = SUFFIXES[source.kind]
    found = sorted(
        p
        for p in source.path.iterdir()
        # LEAN keeps quotes beside trades
        if p.name.endswith(suffixes) and not p.name.startswith(".") and not p.name.endswith("_quote.zip")
    )
    if not found:
        raise file_error(source.path, f"the folder has no {' or '.join(suffixes)} file", "correct `path`")
    return found
