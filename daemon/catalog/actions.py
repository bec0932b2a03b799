"""The corporate actions of an instrument, one Parquet file beside its series."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from daemon.catalog.manifest import sync_folder
from daemon.data.errors import file_error

KINDS = ("split", "dividend", "symbol", "delisting")
SCHEMA = pa.schema(
    [
        pa.field("ex_date", pa.date32(), nullable=False),  # in force before the first print of this day
        pa.field("kind", pa.string(), nullable=False),
        pa.field("numerator", pa.float64()),  # a split: so many new shares ...
        pa.field("denominator", pa.float64()),  # ... for so many old ones
        pa.field("amount", pa.float64()),  # a dividend or delisting: cash per unit
        pa.field("symbol", pa.string()),  # what the instrument is called from here on
    ]
)


def read(path: Path) -> Any | None:
    """The table of SCHEMA in a file; None where there is none. Raises DataError where it cannot be read."""
    if not path.is_file():
        return None
    try:
        return parquet.read_table(path).cast(SCHEMA)
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        raise file_error(
            path, f"the actions cannot be read ({error})", "write or fetch them again"
        ) from error


def write(path: Path, table: Any, replace: bool) -> Any:
    """Put the rows of a table among those of the file, at once; the table that it holds then.

    A row takes the place of one of the same day and kind. Columns that are missing are empty. Raises DataError.
    """
    new = _checked(path, table)
    old = None if replace else read(path)
    if old is not None and old.num_rows:
        taken = set(zip(new["ex_date"].to_pylist(), new["kind"].to_pylist(), strict=True))
        keys = zip(old["ex_date"].to_pylist(), old["kind"].to_pylist(), strict=True)
        new = pa.concat_tables([old.filter(pa.array([key not in taken for key in keys], pa.bool_())), new])
    new = new.sort_by([("ex_date", "ascending"), ("kind", "ascending")]).combine_chunks()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with temporary.open("wb") as file:
        parquet.write_table(new, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)
    return new


def _checked(path: Path, table: Any) -> Any:
    missing = [name for name in ("ex_date", "kind") if name not in table.schema.names]
    unknown = [name for name in table.schema.names if name not in SCHEMA.names]
    if missing or unknown:
        what = f"without {missing[0]!r}" if missing else f"with {unknown[0]!r}"
        raise file_error(path, f"actions {what}", f"the columns are {', '.join(SCHEMA.names)}")
    columns = [
        table[f.name].cast(f.type) if f.name in table.schema.names else pa.nulls(table.num_rows, f.type)
        for f in SCHEMA
    ]
    given = pa.table(columns, schema=SCHEMA)
    needs = {"split": ("numerator", "denominator"), "dividend": ("amount",), "symbol": ("symbol",)}
    for row in given.to_pylist():
        kind = row["kind"]
        if row["ex_date"] is None or kind not in KINDS:
            raise file_error(path, f"an action of kind {kind!r}", f"the kinds are {', '.join(KINDS)}")
        for name in needs.get(kind, ()):
            value = row[name]
            if value is None or (name != "symbol" and not 0 < value < float("inf")):
                raise file_error(
                    path, f"the {kind} of {row['ex_date']} has {value} as {name}", "give what it was"
                )
    return given
