"""CSV files, plain, gzipped or one in a zip, in blocks of whole lines; every row knows its line.

Arrow splits the fields of a block and leaves them text. What it cannot split is looked at line by line.
"""

from __future__ import annotations

import csv
import gzip
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from daemon.data.errors import Fault, Reason, file_error
from daemon.data.formats import Layout, recognise_csv
from daemon.data.rawblocks import RawBlock, join_text

BYTES_PER_ROW = 64  # about; only block sizes depend on it
MAX_BLOCK_BYTES = 4 << 20
MAX_LINE_BYTES = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class CsvReader:
    """One CSV file; recognises its layout when it is made.

    bars: whether its rows are bars. member: the name of the file, in a zip that of the file in it. Raises DataError where the file cannot be read or its columns are not known.
    """

    head_lines = 3  # so many show the layout

    def __init__(self, path: Path, bars: bool, mapping: Mapping[str, str], name: str) -> None:
        self.path = path
        self.rows: int | None = None
        self.done = 0.0
        self._bars = bars
        self._mapping = mapping
        self._name = name
        with opened(path) as (file, _):
            self.member = Path(file.name).name
            head = [line for _ in range(self.head_lines) if (line := self._head_line(file))]
        self.weight = path.stat().st_size
        if not head:
            raise file_error(path, "the file is empty", "take another file")
        if head[0][:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise file_error(path, "the file is in UTF-16", "save it as UTF-8")
        texts = [line.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "replace") for line in head]
        self.delimiter = max(",;\t|", key=texts[0].count)
        # line by line, so that what is wrong in one does not hide the next
        split = [next(csv.reader([t.replace("\r", " ")], delimiter=self.delimiter)) or [""] for t in texts]
        self.layout: Layout = self._recognise(split)

    def _recognise(self, head: list[list[str]]) -> Layout:
        return recognise_csv(head, self._bars, self._mapping, self._name, self.path)

    def blocks(self, block_rows: int) -> Iterator[RawBlock]:
        """The rows, about so many at a time, and the lines that are none."""
        size = min(block_rows * BYTES_PER_ROW, MAX_BLOCK_BYTES)
        with opened(self.path) as (file, raw):
            for line, data in self._pieces(file, size):
                self.done = raw.tell() / max(self.weight, 1)
                yield self._split(data, line)
        self.done = 1.0

    def _pieces(self, file: IO[bytes], size: int) -> Iterator[tuple[int, bytes]]:
        # whole lines after the header, about `size` bytes at a time, and the number of the first
        for _ in range(self.layout.header_lines):
            file.readline()
        line = self.layout.header_lines + 1
        while data := file.read(size):
            if not data.endswith(b"\n"):
                data += file.readline().removesuffix(b"\n") + b"\n"  # also where the file ends without one
            if line == 1:
                data = data.removeprefix(BYTE_ORDER_MARK)
            yield line, data
            line += data.count(b"\n")

    def _head_line(self, file: IO[bytes]) -> bytes:
        line = file.readline(MAX_LINE_BYTES)
        if len(line) == MAX_LINE_BYTES:
            raise file_error(self.path, "the first lines are endless", "is it a CSV file?")
        return line

    def _split(self, data: bytes, first: int) -> RawBlock:
        # `first` is the line at which data begins
        n_lines = data.count(b"\n")
        broken: list[Fault] = []
        if b'"' in data or data.count(b"\r") != data.count(b"\r\n"):
            data, broken = self._blank_torn(data, first)
        columns, skipped, rows = self._parse(data)
        if rows + len(skipped) != n_lines:
            raise file_error(
                self.path, f"quotes do not pair in the {n_lines} lines from here on", "correct them", first
            )
        lines: Any = range(first, first + rows)
        if skipped:
            lines = np.delete(
                np.arange(first, first + rows + len(skipped)), [number - 1 for number, *_ in skipped]
            )
        for number, text, fields in skipped:
            if text.strip():
                problem = f"{fields} field{'s' * (fields != 1)} instead of {len(self.layout.names)}"
                broken.append(Fault(first + number - 1, "", Reason.BROKEN_LINE, problem))
        return self._without_blanks(RawBlock(lines, columns, broken), data, first)

    def _parse(self, data: bytes) -> tuple[dict[str, Any], list[tuple[int, str, int]], int]:
        # our columns as text; (number from 1, text, fields) of lines of another length; the number of rows
        skipped: list[tuple[int, str, int]] = []

        def skip(row: Any) -> str:
            skipped.append((row.number, row.text, row.actual_columns))
            return "skip"

        needed = sorted({i for positions in self.layout.columns.values() for i in positions})
        names = [str(i) for i in range(len(self.layout.names))]
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            # one thread: only then does a skipped line know its number
            read_options=arrow_csv.ReadOptions(
                column_names=names, use_threads=False, block_size=len(data) + 1
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.delimiter, ignore_empty_lines=False, invalid_row_handler=skip
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=[str(i) for i in needed],
                column_types={str(i): pa.binary() for i in needed},
                null_values=[],
                strings_can_be_null=False,
            ),
        )
        texts = {i: _as_text(table[str(i)].combine_chunks()) for i in needed}
        columns = {
            ours: join_text([texts[i] for i in positions]) for ours, positions in self.layout.columns.items()
        }
        return columns, skipped, table.num_rows

    def _without_blanks(self, block: RawBlock, data: bytes, first: int) -> RawBlock:
        # Arrow reads a blank line as a row of empty fields
        empty = pc.equal(pc.utf8_trim_whitespace(block.columns["time"]), "").to_numpy(zero_copy_only=False)
        if not empty.any():
            return block
        texts = data.split(b"\n")
        lines = np.asarray(block.lines)
        keep = ~(empty & np.array([not texts[i].strip() for i in (lines - first).tolist()]))
        mask = pa.array(keep)
        return RawBlock(lines[keep], {k: c.filter(mask) for k, c in block.columns.items()}, block.broken)

    def _blank_torn(self, data: bytes, first: int) -> tuple[bytes, list[Fault]]:
        # a quote that is not closed would swallow the lines after it, and a lone carriage return ends a line for Arrow
        # only: such lines are made blank
        faults = []
        lines = data.split(b"\n")
        for i, line in enumerate(lines):
            if problem := _torn(line):
                faults.append(Fault(first + i, "", Reason.BROKEN_LINE, problem))
                lines[i] = b""
        return b"\n".join(lines), faults


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A file's content, unpacked if it is .gz or .zip, and the file itself, whose place is the progress.

    Raises DataError where it cannot be read, and where a zip does not hold one file.
    """
    try:
        with path.open("rb") as raw:
            if path.suffix == ".gz":
                with gzip.open(raw) as file:
                    yield file, raw  # type: ignore[misc] # a GzipFile is read like any file
            elif path.suffix == ".zip":
                with zipfile.ZipFile(raw) as archive, archive.open(_only_member(path, archive)) as file:
                    yield file, raw
            else:
                yield raw, raw
    except (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        what = "gzip" if path.suffix == ".gz" else "zip"
        raise file_error(path, f"the {what} file is broken ({error})", "fetch it again") from error
    except OSError as error:
        raise file_error(path, f"the file cannot be read ({error.strerror})", "correct `path`") from error


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        raise file_error(
            path, f"the zip has {len(members)} files", "unpack it, and name the one that is meant"
        )
    if members[0].flag_bits & 1:
        raise file_error(path, "the zip is encrypted", "unpack it")
    return members[0]


def _torn(line: bytes) -> str:
    # why Arrow would join a line with the next, or part it
    if line.count(b'"') % 2:
        return "a quote is not closed"
    return "a carriage return stands inside the line" if b"\r" in line.removesuffix(b"\r") else ""


def _as_text(column: Any) -> Any:
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:  # not UTF-8; what is unreadable shows itself where it should have been a number
        return pa.array([value.decode("utf-8", "replace") for value in column.to_pylist()], pa.string())
