"""Blocks of a file become rows of numbers, and the rows that cannot are faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daemon.data.checks import Found
from daemon.data.errors import Fault, Reason, file_error
from daemon.data.feed import Source
from daemon.data.formats import BAR_FIELDS, TICK_FIELDS
from daemon.data.rawblocks import RawBlock, Reader, convert, is_text, to_floats
from daemon.data.times import Clock
from engine.records import DAY

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Rows:
    """Rows of one file that could be read."""

    lines: Sequence[int] | Array  # (n,) the line of each, from 1
    starts: Array  # (n,) int64 ns UTC: times of ticks, starts of bars
    columns: dict[str, Array]  # our name -> (n,) float64

    def without(self, bad: Sequence[int]) -> Rows:
        """The rows but those at these positions; where there are none nothing is copied."""
        if not bad:
            return self
        keep = np.ones(len(self.starts), bool)
        keep[list(bad)] = False
        return Rows(
            np.asarray(self.lines)[keep], self.starts[keep], {k: c[keep] for k, c in self.columns.items()}
        )


class FileRows:
    """The rows of one instrument in one file, as they stand there.

    seen: the symbols in the file, as long as none was the instrument's. clock: what reads its times.
    """

    def __init__(self, source: Source, reader: Reader) -> None:
        self.seen: dict[str, None] = {}
        self._source = source
        self._reader = reader
        layout = reader.layout
        self.clock = Clock(
            source.time_format or layout.time_format,
            source.timezone or layout.zone,
            source.bar_ns,
            # a day is dated by itself, also where shorter bars are stamped at their end
            source.stamp == "end" or (source.stamp == "auto" and layout.at_end and source.bar_ns < DAY),
        )
        self._fields = BAR_FIELDS if source.bar_ns else TICK_FIELDS
        self._found = False
        self._names = [source.name.upper(), *(symbol.upper() for _, symbol in source.renamed)]
        self._since = np.array([ts for ts, _ in source.renamed], np.int64)

    def blocks(self, block_rows: int) -> Iterator[tuple[Rows, list[Fault]]]:
        """About so many rows at a time, and what stands between them that could not be read."""
        for block in self._reader.blocks(block_rows):
            rows, faults = self._numbers(self._mine(block))
            yield rows, block.broken + faults

    def take_out(self, rows: Rows, found: Sequence[Found], faults: list[Fault]) -> Rows:
        """The rows without those that were found bad, which are added to the faults, with their place in the file."""
        label = self._reader.layout.label
        faults += [Fault(int(rows.lines[f.row]), label(f.field), f.reason, f.problem) for f in found]
        return rows.without([f.row for f in found])

    def _mine(self, block: RawBlock) -> RawBlock:
        # the rows of the instrument, where the file holds several
        symbols = block.columns.get("symbol")
        if symbols is None:
            return block
        upper = pc.utf8_upper(pc.utf8_trim_whitespace(symbols.cast(pa.string())))
        mask = pc.is_in(upper, pa.array(self._names))
        if self._reader.layout.suffixed:
            upper = pc.if_else(mask, upper, pc.replace_substring_regex(upper, r"\.[^.]*$", ""))
            mask = pc.is_in(upper, pa.array(self._names))
        mine = mask.to_numpy(zero_copy_only=False)
        self._found = self._found or bool(mine.any())
        if not self._found:
            self.seen.update(dict.fromkeys(s for s in pc.unique(symbols).to_pylist() if s))
        if mine.all() and len(self._names) == 1:
            return block
        columns = {k: c.filter(mask) for k, c in {**block.columns, "symbol": upper}.items()}
        return RawBlock(np.asarray(block.lines)[mine], columns, block.broken)

    def _numbers(self, block: RawBlock) -> tuple[Rows, list[Fault]]:
        faults: dict[int, Fault] = {}
        starts = self._times(block, faults)
        columns = {
            field: self._values(block, field, faults)
            if field in block.columns
            else np.zeros(len(starts), np.float64)  # a file without volume
            for field in self._fields
        }
        rows = Rows(block.lines, starts, columns)
        if len(self._names) > 1 and "symbol" in block.columns:
            # a symbol is this instrument's only while it is called so: before and after it may be another's
            called = np.array(self._names)[np.searchsorted(self._since, starts, "right")]
            symbols = np.array(block.columns["symbol"].to_pylist(), str)
            others = set(np.flatnonzero(called != symbols).tolist())
            others -= {row for row, fault in faults.items() if fault.reason == Reason.BAD_TIME}
            faults = {row: fault for row, fault in faults.items() if row not in others}
            return rows.without([*faults, *others]), list(faults.values())
        return rows.without(list(faults)), list(faults.values())

    def _values(self, block: RawBlock, field: str, faults: dict[int, Fault]) -> Array:
        divisor = self._reader.layout.divisor
        if divisor == 1 or field in ("volume", "size"):
            return self._column(block, field, to_floats, np.float64, "number", faults)
        wanted = f"whole number of {divisor:,} parts"
        return self._column(
            block, field, lambda c: c.cast(pa.int64()).to_numpy() / divisor, np.float64, wanted, faults
        )

    def _times(self, block: RawBlock, faults: dict[int, Fault]) -> Array:
        column = block.columns["time"]
        if len(column) and not self.clock.knows(column):
            raise file_error(
                self._reader.path,
                f"it is not certain how the time {column[0].as_py()!r} is written",
                'say it, as in `time_format: "%m/%d/%Y"`',
                int(block.lines[0]),
                self._reader.layout.label("time"),
            )
        return self._column(block, "time", self.clock.starts, np.int64, self.clock.wanted, faults)

    def _column(
        self,
        block: RawBlock,
        ours: str,
        how: Callable[[Any], Array],
        dtype: type,
        wanted: str,
        faults: dict[int, Fault],
    ) -> Array:
        # the column converted; what could not be is added to the faults, one a row
        column, label = block.columns[ours], self._reader.layout.label(ours)
        try:
            values, bad = convert(column, how, dtype)
        except pa.ArrowNotImplementedError as error:
            raise file_error(
                self._reader.path,
                f"a column of {column.type} is no {wanted}",
                "name another column in `columns`",
                field=label,
            ) from error
        reason = Reason.BAD_TIME if ours == "time" else Reason.BAD_NUMBER
        for row in bad:
            value = column[row].as_py()
            empty = value is None or (is_text(column) and not value.strip())
            problem = "it is empty" if empty else f"{value!r} is no {wanted}"
            faults.setdefault(row, Fault(int(block.lines[row]), label, reason, problem))
        return values
