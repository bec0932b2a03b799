"""Series of the catalog become files that other programs read, and that `data import` reads back."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from daemon.catalog.parts import GROUP_ROWS, schema
from daemon.data.errors import DataError, file_error
from engine.records import DAY

SUFFIXES = (".csv", ".csv.gz", ".parquet")


def export(batches: Iterable[Any], bar_ns: int, path: Path) -> int:
    """Write record batches, as `Catalog.read` gives them, to a new file; the number of rows.

    The suffix says how: .csv, .csv.gz or .parquet. In CSV the column `timestamp` is ISO 8601 UTC, of bars of whole days
    `date`, a day. The file is there when it is complete. Raises DataError where it cannot be made, is there already, or
    there are no rows.
    """
    check_target(path)
    written = 0
    with _in_place(path) as temporary:
        with _writer(temporary, path.name, bar_ns) as write:
            for batch in batches:
                write(batch)
                written += batch.num_rows
        if not written:
            raise DataError(f"{path.name}: no row lies in the time asked for; widen --start and --end")
    return written


def check_target(path: Path) -> None:
    """Raise DataError where a file cannot be written to."""
    if not path.name.endswith(SUFFIXES):
        raise file_error(
            path, "it is not known how to write this", f"end its name with {', '.join(SUFFIXES)}"
        )
    if path.exists():
        raise file_error(path, "it is there already", "remove it, or name another file with --to")
    if not path.absolute().parent.is_dir():
        raise file_error(path, "its folder is not there", "make it, or name another file with --to")


@contextmanager
def _in_place(path: Path) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _writer(path: Path, name: str, bar_ns: int) -> Iterator[Any]:
    if name.endswith(".parquet"):
        with parquet.ParquetWriter(path, schema(bar_ns), compression="zstd") as file:
            yield lambda batch: file.write_batch(batch, row_group_size=GROUP_ROWS)
        return
    head = "date" if bar_ns and bar_ns % DAY == 0 else "timestamp"
    fields = [pa.field(head, pa.string()), *list(schema(bar_ns))[1:]]
    options = csv.WriteOptions(quoting_style="none", quoting_header="none")
    compression = "gzip" if name.endswith(".gz") else None
    with (
        pa.output_stream(path, compression=compression) as stream,
        csv.CSVWriter(stream, pa.schema(fields), write_options=options) as file,
    ):
        yield lambda batch: file.write_batch(
            pa.record_batch([_times(batch.column(0), bar_ns), *batch.columns[1:]], schema=pa.schema(fields))
        )


def _times(column: Any, bar_ns: int) -> Any:
    if bar_ns and bar_ns % DAY == 0:
        return pc.strftime(column, "%Y-%m-%d")
    with suppress(pa.ArrowInvalid):  # in seconds where that is exact
        column = column.cast(pa.timestamp("s", "UTC"))
    return pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ")
