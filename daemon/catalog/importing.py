"""Files of market data become series of the catalog."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.catalog.actions import SCHEMA
from daemon.catalog.entries import file_entry, source_of
from daemon.catalog.layout import Columns, fields_of, join, rows
from daemon.catalog.manifest import Adjusted, Manifest, Provenance, SourceFile
from daemon.catalog.store import Catalog
from daemon.data.checks import check_order, check_values
from daemon.data.errors import Fault, row_error
from daemon.data.feed import open_stream
from daemon.data.formats import no_symbol
from daemon.data.rows import FileRows

if TYPE_CHECKING:
    from daemon.data.rawblocks import Reader
    from daemon.data.stream import Stream

BLOCK_ROWS = 1 << 16


def import_files(
    catalog: Catalog,
    paths: Sequence[Path],
    instrument: str,
    bar: str,
    how: Mapping[str, Any],
    *,
    adjusted: Adjusted = "raw",
    calendar: str | None = None,
    currency: str | None = None,
    sort: bool = False,
    replace: bool = False,
) -> Manifest:
    """Read files, one after the other, as a configuration's `data:` would, and write their rows into the catalog.

    how: keys of `data:` that say how the files are read (None: not said). sort: put the rows in the order of time,
    which needs memory for all of them; without it they have to be in that order. Raises DataError and ConfigError;
    nothing is written then.
    """
    entries = [file_entry("import", path, {"instrument": instrument, "bar": bar, **how}) for path in paths]
    stream = open_stream([source_of(entry) for entry in entries])
    blocks = _sorted(stream) if sort else _as_they_come(stream)
    first, clock = entries[0], FileRows(stream.source, stream.readers[0]).clock
    said = first.model_dump(mode="json", exclude={"path", "instrument", "bar"}, exclude_unset=True)
    return catalog.write_blocks(
        instrument,
        first.bar,
        blocks,
        source=Provenance(
            files=tuple(map(_described, dict.fromkeys(reader.path for reader in stream.readers))),
            arguments={**said, **({"sort": True} if sort else {})},
            timezone=clock.zone,
            stamp="end" if clock.at_end else "start",
        ),
        adjusted=adjusted,
        refused=stream.refused,
        refused_at=stream.refused_at,
        replace=replace,
        calendar=calendar,
        currency=currency,
    )


def read_actions_table(path: Path, instrument: str) -> Any:
    """The corporate actions of a file in any of the forms of `data:`, as `Catalog.write_actions` takes them."""
    import pyarrow as pa

    from daemon.data.action_files import read_actions
    from daemon.data.actions import ActionKind

    actions = read_actions(path, instrument)
    splits = [a.kind == ActionKind.SPLIT for a in actions]
    columns = {
        "ex_date": [a.ex_date for a in actions],
        "kind": [str(a.kind) for a in actions],
        "numerator": [a.numerator if split else None for a, split in zip(actions, splits, strict=True)],
        "denominator": [a.denominator if split else None for a, split in zip(actions, splits, strict=True)],
        "amount": [a.amount for a in actions],
        "symbol": [a.symbol or None for a in actions],
    }
    return pa.table([pa.array(columns[f.name], f.type) for f in SCHEMA], schema=SCHEMA)


def _as_they_come(stream: Stream) -> Iterator[Columns]:
    for starts, columns in stream.columns(BLOCK_ROWS):
        yield {"ts": starts, **columns}


def read_unordered(stream: Stream) -> tuple[Columns, list[tuple[Reader, int]], list[tuple[Reader, Fault]]]:
    """All rows of a stream's files whose values can be, as they stand there; the place of each; and the others.

    Columns are `ts` and the fields; a place is a reader and a line. Nothing is asked of the order of time.
    """
    fields = fields_of(stream.source.bar_ns)
    blocks: list[Columns] = [
        {"ts": np.zeros(0, np.int64), **{field: np.zeros(0, np.float64) for field in fields}}
    ]
    places: list[tuple[Reader, int]] = []
    wrong: list[tuple[Reader, Fault]] = []
    seen: dict[str, None] = {}
    for reader in stream.readers:
        file = FileRows(stream.source, reader)
        for found, faults in file.blocks(BLOCK_ROWS):
            good = file.take_out(found, check_values(found.columns), faults)
            blocks.append({"ts": good.starts, **good.columns})
            places += [(reader, line) for line in np.asarray(good.lines).tolist()]
            wrong += [(reader, fault) for fault in sorted(faults)]
        seen.update(file.seen)
    if not places and seen:
        raise no_symbol(stream.source.name, list(seen)[:10], stream.readers[0].path)
    return join(blocks), places, wrong


def _sorted(stream: Stream) -> Iterator[Columns]:
    columns, places, wrong = read_unordered(stream)
    order = np.argsort(columns["ts"], kind="stable")
    columns = {name: column[order] for name, column in columns.items()}
    taken = check_order(columns["ts"], None, stream.source.bar_ns)
    for found in taken:
        reader, line = places[order[found.row]]
        label = reader.layout.label(found.field)
        wrong.append((reader, Fault(line, label, found.reason, found.problem)))
    if wrong and not stream.source.skip_bad_rows:
        raise row_error(wrong[0][0].path, wrong[0][1])
    for reader, fault in wrong:
        stream.refused[str(fault.reason)] += 1
        stream.refused_at.setdefault(str(fault.reason), []).append(f"{reader.path.name}:{fault.line}")
    keep = np.ones(len(order), bool)
    keep[[found.row for found in taken]] = False
    columns = {name: column[keep] for name, column in columns.items()}
    for i in range(0, len(columns["ts"]), BLOCK_ROWS):
        yield rows(columns, i, i + BLOCK_ROWS)


def _described(path: Path) -> SourceFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return SourceFile(name=path.name, bytes=path.stat().st_size, sha256=digest)
