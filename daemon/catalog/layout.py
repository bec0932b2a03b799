"""Where a catalog keeps what: names of folders, partitions by time, and the columns of its files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal
from urllib.parse import unquote

import numpy as np
from pydantic import TypeAdapter, ValidationError

from daemon.config.types import InstrumentName
from daemon.data.errors import DataError
from daemon.data.formats import BAR_FIELDS, TICK_FIELDS

Columns = dict[str, np.ndarray[Any, Any]]  # "ts": (n,) int64 ns UTC, ascending; the fields: (n,) float64

_NAMES: TypeAdapter[str] = TypeAdapter(InstrumentName)
_UNSAFE = re.compile(r'[%/\\:*?"<>|\x00-\x1f]|^\.')  # a name that began with a dot would be hidden


def folder_name(instrument: str) -> str:
    """The instrument's name as that of a folder; `instrument_name` reads it back. Raises DataError for no name."""
    try:
        _NAMES.validate_python(instrument)
    except ValidationError as error:
        raise DataError(str(error.errors()[0]["ctx"]["error"])) from error
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", instrument)


def instrument_name(folder: str) -> str:
    """The instrument whose folder is called so."""
    return unquote(folder)


def fields_of(bar_ns: int) -> Sequence[str]:
    """The columns beside `ts`."""
    return BAR_FIELDS if bar_ns else TICK_FIELDS


def _unit(bar_ns: int) -> Literal["Y", "M"]:
    return "Y" if bar_ns else "M"


def periods(ts: np.ndarray[Any, Any], bar_ns: int) -> np.ndarray[Any, Any]:
    """(n,) int64: the partition of each row, years (bars) or months (ticks) since 1970."""
    return ts.astype("datetime64[ns]").astype(f"datetime64[{_unit(bar_ns)}]").astype(np.int64)


def period(ts: int, bar_ns: int) -> int:
    """The partition of one row."""
    return int(periods(np.array([ts], np.int64), bar_ns)[0])


def period_end(number: int, bar_ns: int) -> int:
    """The first nanosecond after a partition."""
    return int(np.datetime64(number + 1, _unit(bar_ns)).astype("datetime64[ns]").astype(np.int64))


def period_folder(number: int, bar_ns: int) -> str:
    """Such as year=2014, or year=2014/month=06."""
    text = str(np.datetime64(number, _unit(bar_ns)))
    return f"year={text}" if bar_ns else f"year={text[:-3]}/month={text[-2:]}"


def by_period(columns: Columns, bar_ns: int) -> Iterator[tuple[int, Columns]]:
    """The rows cut where a new partition begins."""
    numbers = periods(columns["ts"], bar_ns)
    cuts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    for a, b in pairwise(cuts):
        if a < b:
            yield int(numbers[a]), rows(columns, a, b)


def rows(columns: Columns, a: int, b: int) -> Columns:
    """Rows [a, b); nothing is copied."""
    return {name: column[a:b] for name, column in columns.items()}


def join(blocks: Sequence[Columns]) -> Columns:
    """Blocks one after the other, at least one."""
    if len(blocks) == 1:
        return blocks[0]
    return {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}


def hash_of(columns: Columns) -> str:
    """BLAKE2b of the rows: of `ts` and then of each field, as they lie in memory (little-endian)."""
    digest = hashlib.blake2b(digest_size=16)
    for name in ("ts", *sorted(columns.keys() - {"ts"})):
        column = columns[name]
        digest.update(np.ascontiguousarray(column, column.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def hash_of_all(hashes: Sequence[str]) -> str:
    """The hash of a series, from those of its parts, which depend on nothing but its rows."""
    return hashlib.blake2b(":".join(hashes).encode(), digest_size=16).hexdigest()
