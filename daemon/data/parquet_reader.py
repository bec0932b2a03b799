"""Parquet files in record batches, never whole in memory; columns that fit are not copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from daemon.data.errors import file_error
from daemon.data.formats import Layout, recognise
from daemon.data.rawblocks import RawBlock, join_text

# Buffered, so that a file of one huge row group is not loaded group by group; a memory map would count as resident.
BUFFER_BYTES = 1 << 20


class ParquetReader:
    """One Parquet file; recognises its layout when it is made.

    bars: whether its rows are bars. Raises DataError where the file cannot be read or its columns are not known.
    """

    def __init__(self, path: Path, bars: bool, mapping: Mapping[str, str]) -> None:
        self.path = path
        self.done = 0.0
        with self._open() as file:
            self.rows: int | None = file.metadata.num_rows
            self.weight: int = file.metadata.num_rows
            names = file.schema_arrow.names
        self.layout: Layout = recognise(names, bars, mapping, path)

    def blocks(self, block_rows: int) -> Iterator[RawBlock]:
        """The rows, so many at a time."""
        names = {ours: [self.layout.names[i] for i in p] for ours, p in self.layout.columns.items()}
        needed = sorted({name for theirs in names.values() for name in theirs})
        row = 1
        with self._open() as file:
            try:
                for batch in file.iter_batches(block_rows, columns=needed):
                    columns = {
                        ours: join_text([_plain(batch.column(name)) for name in theirs])
                        for ours, theirs in names.items()
                    }
                    n = batch.num_rows
                    yield RawBlock(range(row, row + n), columns, [])
                    row += n
                    self.done = (row - 1) / max(self.weight, 1)
            except (pa.ArrowInvalid, OSError) as error:
                raise file_error(
                    self.path, f"the Parquet file is broken ({error})", "write it again", row
                ) from error
        self.done = 1.0

    def _open(self) -> parquet.ParquetFile:
        try:
            return parquet.ParquetFile(self.path, buffer_size=BUFFER_BYTES, pre_buffer=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise file_error(
                self.path, f"the Parquet file cannot be read ({error})", "correct `path`, or write it again"
            ) from error


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
