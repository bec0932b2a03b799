"""The files of a series: consecutive rows of one partition each, cut by nothing but the rows themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from daemon.catalog.layout import Columns, by_period, fields_of, hash_of, join, period_folder, rows
from daemon.catalog.manifest import Part, sync_folder
from daemon.data.errors import DataError, file_error

PART_ROWS = 1 << 20  # what is held in memory while writing
GROUP_ROWS = 1 << 17  # reading begins at such a step
BLOCK_ROWS = 1 << 16
TIME = pa.timestamp("ns", "UTC")


def schema(bar_ns: int) -> Any:
    """The Arrow schema of a series' files."""
    fields = [pa.field(name, pa.float64(), nullable=False) for name in fields_of(bar_ns)]
    return pa.schema([pa.field("ts", TIME, nullable=False), *fields])


def to_batch(columns: Columns, bar_ns: int) -> Any:
    """The columns as an Arrow record batch; nothing is copied."""
    arrays = [pa.array(columns["ts"]).cast(TIME), *(pa.array(columns[f]) for f in fields_of(bar_ns))]
    return pa.record_batch(arrays, schema=schema(bar_ns))


def to_columns(batch: Any) -> Columns:
    """An Arrow record batch as columns; nothing is copied."""
    columns = {name: batch.column(name).to_numpy() for name in batch.schema.names if name != "ts"}
    return {"ts": batch.column("ts").cast(pa.int64()).to_numpy(), **columns}


class PartWriter:
    """Writes rows that come in time order as parts under temporary names; `publish` gives them their own.

    known: the parts that are there already; one with the same rows in the same place is not written again.
    """

    def __init__(self, folder: Path, bar_ns: int, known: Mapping[str, Part]) -> None:
        self.parts: list[Part] = []
        self._folder = folder
        self._bar_ns = bar_ns
        self._known = known
        self._period: int | None = None
        self._number = 0  # of the next part in its partition
        self._waiting: list[Columns] = []
        self._n = 0
        self._temporary: dict[Path, Path] = {}  # where it lies -> where it belongs

    def add(self, columns: Columns) -> None:
        """Take rows that follow those before."""
        for number, piece in by_period(columns, self._bar_ns):
            if number != self._period:
                self._flush()
                self._period, self._number = number, 0
            self._waiting.append(piece)
            self._n += len(piece["ts"])
            while self._n >= PART_ROWS:
                self._flush(PART_ROWS)

    def finish(self) -> None:
        """Write what waits."""
        self._flush()

    def publish(self) -> None:
        """Give all parts the names under which they are looked for."""
        folders = {self._folder}
        for temporary, path in self._temporary.items():
            temporary.replace(path)
            folders.update(p for p in path.parents if p.is_relative_to(self._folder))
        for folder in folders:
            sync_folder(folder)
        self._temporary = {}

    def discard(self) -> None:
        """Remove what was not published."""
        for temporary in self._temporary:
            temporary.unlink(missing_ok=True)

    def _flush(self, at_most: int | None = None) -> None:
        if not self._n:
            return
        assert self._period is not None
        waiting = join(self._waiting)
        n = self._n if at_most is None else at_most
        piece = rows(waiting, 0, n)
        self._waiting, self._n = ([rows(waiting, n, self._n)], self._n - n) if n < self._n else ([], 0)
        digest = hash_of(piece)
        name = f"{period_folder(self._period, self._bar_ns)}/part-{self._number:04d}-{digest[:12]}.parquet"
        self._number += 1
        part = Part(file=name, rows=n, first=int(piece["ts"][0]), last=int(piece["ts"][-1]), hash=digest)
        self.parts.append(part)
        if self._known.get(name) != part or not (self._folder / name).is_file():
            self._write(piece, self._folder / name)

    def _write(self, piece: Columns, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._temporary[temporary] = path
        with temporary.open("wb") as file:
            parquet.write_table(
                pa.Table.from_batches([to_batch(piece, self._bar_ns)]),
                file,
                row_group_size=GROUP_ROWS,
                compression="zstd",
                use_dictionary=list(fields_of(self._bar_ns)),  # prices repeat, times do not
            )
            file.flush()
            os.fsync(file.fileno())


def check_part(folder: Path, part: Part, bar_ns: int) -> None:
    """Raise DataError where a part is missing, or is not what the manifest says as far as its footer shows."""
    with _open(folder, part) as file:
        if not file.schema_arrow.equals(schema(bar_ns)):
            raise _differs(folder, part, f"its columns are {', '.join(file.schema_arrow.names)}")
        if file.metadata.num_rows != part.rows:
            raise _differs(
                folder, part, f"it has {file.metadata.num_rows} rows, the manifest says {part.rows}"
            )


def check_rows(folder: Path, part: Part, bar_ns: int) -> None:
    """Raise DataError where the rows of a part are not those that were written."""
    check_part(folder, part, bar_ns)
    if hash_of(join([to_columns(batch) for batch in read_part(folder, part, None, None)])) != part.hash:
        raise _differs(folder, part, "its rows are not those that were written: the hash differs")


def read_part(folder: Path, part: Part, start: int | None, end: int | None) -> Iterator[Any]:
    """Record batches of the rows with start <= ts < end; groups of rows outside are not read. Raises DataError."""
    with _open(folder, part) as file:
        column = file.schema_arrow.names.index("ts")
        groups = [
            i
            for i in range(file.num_row_groups)
            if _overlaps(file.metadata.row_group(i).column(column), start, end)
        ]
        try:
            for batch in file.iter_batches(BLOCK_ROWS, row_groups=groups):
                ts = batch.column("ts").cast(pa.int64()).to_numpy()
                a = 0 if start is None else int(np.searchsorted(ts, start))
                b = len(ts) if end is None else int(np.searchsorted(ts, end))
                if a < b:
                    yield batch.slice(a, b - a)
        except (pa.ArrowInvalid, OSError) as error:
            raise _differs(folder, part, f"the Parquet file is broken ({error})") from error


def read_times(folder: Path, part: Part) -> np.ndarray[Any, Any]:
    """(n,) int64 ns UTC of a part's rows; no other column is read. Raises DataError."""
    with _open(folder, part) as file:
        try:
            column = file.read(columns=["ts"]).column("ts").combine_chunks()
        except (pa.ArrowInvalid, OSError) as error:
            raise _differs(folder, part, f"the Parquet file is broken ({error})") from error
    return np.asarray(column.cast(pa.int64()).to_numpy())


def _overlaps(column: Any, start: int | None, end: int | None) -> bool:
    # whether a group of rows may have some in the window
    found = column.statistics
    if found is None or not found.has_min_max:
        return True
    return (start is None or found.max_raw >= start) and (end is None or found.min_raw < end)


def _open(folder: Path, part: Part) -> Any:
    path = folder / part.file
    try:
        return parquet.ParquetFile(path, pre_buffer=False)
    except FileNotFoundError as error:
        what = "the manifest names this file, which is not there"
        again = "if the catalog was being written meanwhile, start again; else"
        raise file_error(path, what, f"{again} {_restore(folder)}") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise _differs(folder, part, f"the Parquet file cannot be read ({error})") from error


def _differs(folder: Path, part: Part, what: str) -> DataError:
    return file_error(folder / part.file, what, _restore(folder))


def _restore(folder: Path) -> str:
    return f"restore it, or remove {folder} and import or fetch the series again"
