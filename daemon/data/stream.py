"""One source, from its files to rows of the tape: read, checked, cut to the window, and bars to their path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from daemon.calendars import inside, sessions
from daemon.data.checks import check_order, check_values
from daemon.data.errors import DataError, Fault, Reason, file_error, row_error
from daemon.data.feed import Source
from daemon.data.formats import BAR_FIELDS, TICK_FIELDS, no_symbol
from daemon.data.merge import cut
from daemon.data.rawblocks import Reader
from daemon.data.rows import Array, FileRows, Rows
from engine.bars import bar_path
from engine.records import Ticks

ROWS_OF_A_BAR = 4
SYMBOLS_SHOWN = 10
PLACES_SHOWN = 10


class Stream:
    """The rows of one source in time order; made for one pass.

    readers: its files in the order in which they are read. refused: reason -> rows set aside so far. refused_at:
    the first few places of each reason, FILE:LINE. outside_hours: good rows left out so far, because they lie outside of
    the sessions asked for.
    """

    def __init__(self, source: Source, readers: Sequence[Reader]) -> None:
        self.source = source
        self.readers = readers
        self.refused: Counter[str] = Counter()
        self.refused_at: dict[str, list[str]] = {}
        self.bars = 0
        self.outside_hours = 0
        self._finished = False
        self._last: int | None = None  # the start of the last good row
        self._seen: dict[str, None] = {}  # symbols of files in which none was ours
        self._may_be_newest_first = True
        self._instruments = np.zeros(0, np.int32)
        self._flags = np.zeros(0, np.uint8)

    @property
    def progress(self) -> float:
        """How much of its files was read, 0 to 1."""
        weight = sum(r.weight for r in self.readers)
        return 1.0 if self._finished or not weight else sum(r.done * r.weight for r in self.readers) / weight

    @property
    def total_rows_hint(self) -> int | None:
        """How many rows it will give at most, where its files say how many they have."""
        rows = [r.rows for r in self.readers if r.rows is not None]
        factor = ROWS_OF_A_BAR if self.source.bar_ns else 1
        return sum(rows) * factor if len(rows) == len(self.readers) else None

    def batches(self, batch_rows: int) -> Iterator[Ticks]:
        """The rows in batches of at most batch_rows. Raises DataError."""
        to_ticks = self._bars_to_ticks if self.source.bar_ns else self._prints
        block_rows = max(1, batch_rows // ROWS_OF_A_BAR) if self.source.bar_ns else batch_rows
        for starts, columns in self.columns(block_rows):
            yield from cut(to_ticks(starts, columns), batch_rows)

    def columns(self, block_rows: int) -> Iterator[tuple[Array, dict[str, Array]]]:
        """The rows as they are in the files: times of ticks or starts of bars, and their columns. Raises DataError."""
        start, end = self.source.start, self.source.end
        given = 0
        for rows in self._good_rows(block_rows):
            a = 0 if start is None else int(np.searchsorted(rows.starts, start))
            b = len(rows.starts) if end is None else int(np.searchsorted(rows.starts, end))
            starts, columns = self._in_hours(rows.starts[a:b], {k: c[a:b] for k, c in rows.columns.items()})
            if len(starts):
                given += len(starts)
                yield starts, columns
            if b < len(rows.starts):
                break  # times ascend: nothing after this is wanted
        self._finished = True
        if not given:
            raise self._nothing()

    def _in_hours(self, starts: Array, columns: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        if self.source.hours is None:
            return starts, columns
        keep = inside(sessions(self.source.hours, whole_days=False), starts)
        n = int(keep.sum())
        self.outside_hours += len(starts) - n
        if n == len(starts):
            return starts, columns  # nothing is copied
        return starts[keep], {k: c[keep] for k, c in columns.items()}

    # -- good rows --------------------------------------------------------------------------------------------------

    def _good_rows(self, block_rows: int) -> Iterator[Rows]:
        for reader in self.readers:
            file = FileRows(self.source, reader)
            for rows, faults in file.blocks(block_rows):
                rows = file.take_out(rows, check_values(rows.columns), faults)
                rows = file.take_out(rows, check_order(rows.starts, self._last, self.source.bar_ns), faults)
                if len(rows.starts):
                    self._last = int(rows.starts[-1])
                if faults:
                    faults.sort(reverse=reader.layout.newest_first)  # as the lines are read
                    self._refuse(self._wanted(faults, rows, reader), reader, block_rows)
                yield rows
            self._seen.update(file.seen)

    def _wanted(self, faults: list[Fault], rows: Rows, reader: Reader) -> list[Fault]:
        # a file is checked up to its first good row after the window, however it is cut into blocks
        end = self.source.end
        after = len(rows.starts) if end is None else int(np.searchsorted(rows.starts, end))
        if after == len(rows.starts):
            return faults
        line = rows.lines[after]
        return [f for f in faults if (f.line > line) == reader.layout.newest_first]

    def _refuse(self, faults: list[Fault], reader: Reader, block_rows: int) -> None:
        if any(f.reason == Reason.BACKWARD for f in faults) and self._may_be_newest_first:
            self._may_be_newest_first = False
            if self._newest_first(block_rows):
                first = faults[0]
                raise file_error(
                    reader.path, "the rows are newest first", "sort the file by time", first.line, first.field
                )
        if faults and not self.source.skip_bad_rows:
            raise row_error(reader.path, faults[0])
        for fault in faults:
            self.refused[str(fault.reason)] += 1
            if len(places := self.refused_at.setdefault(str(fault.reason), [])) < PLACES_SHOWN:
                places.append(f"{reader.path.name}:{fault.line}")

    def _newest_first(self, block_rows: int) -> bool:
        # whether the time never goes forward in all of the source
        n, last = 0, None
        for reader in self.readers:
            for rows, _ in FileRows(self.source, reader).blocks(block_rows):
                starts = rows.starts
                if len(starts):
                    if (last is not None and starts[0] > last) or np.any(starts[1:] > starts[:-1]):
                        return False
                    n, last = n + len(starts), int(starts[-1])
        return n > 2

    def _nothing(self) -> DataError:
        path = self.readers[0].path
        if self.outside_hours:
            return file_error(
                path,
                f"every row in the time asked for lies outside of the hours of {self.source.hours}",
                "check the file's `timezone` and the instrument's `calendar`, or write `hours: all`",
            )
        if self._last is not None:
            return file_error(path, "no row lies in the time asked for", "widen `start` and `end`")
        if self._seen:
            return no_symbol(self.source.name, list(self._seen)[:SYMBOLS_SHOWN], path)
        if self.refused:
            reasons = ", ".join(f"{n} x {reason}" for reason, n in self.refused.items())
            return file_error(path, f"every row was set aside ({reasons})", "correct the file")
        return file_error(path, "the file has no rows", "take another file")

    # -- rows to the tape -------------------------------------------------------------------------------------------

    def _bars_to_ticks(self, starts: Array, columns: dict[str, Array]) -> Ticks:
        self.bars += len(starts)
        o, h, low, c, v = (columns[field] for field in BAR_FIELDS)
        return bar_path(starts, self.source.bar_ns, o, h, low, c, v, self.source.instrument)

    def _prints(self, starts: Array, columns: dict[str, Array]) -> Ticks:
        n = len(starts)
        if n > len(self._flags):  # once, as a rule: the constant columns of all blocks are the same memory
            self._instruments = np.full(n, self.source.instrument, np.int32)
            self._flags = np.zeros(n, np.uint8)
        price, size = (columns[field] for field in TICK_FIELDS)
        return Ticks(starts, starts, self._instruments[:n], price, size, self._flags[:n])
