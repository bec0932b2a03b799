"""One write into a series: rows checked, put among those that are there, cut into parts, and then made visible at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import ValidationError

from daemon.catalog import manifest as manifests
from daemon.catalog.layout import Columns, fields_of, hash_of_all, period
from daemon.catalog.locks import LOCK_NAME
from daemon.catalog.manifest import Adjusted, Gap, Manifest, Part, Provenance, Write, bar_name
from daemon.catalog.merging import Merge
from daemon.catalog.parts import PartWriter, read_part, read_times, to_columns
from daemon.data.checks import check_order, check_values, show
from daemon.data.errors import DataError
from engine.records import DAY


class Rewrite:
    """A write of the series in a folder that is locked; what it leaves undone is removed at the end of `with`."""

    def __init__(
        self, folder: Path, instrument: str, bar_ns: int, before: Manifest | None, replace: bool
    ) -> None:
        self.name = f"{instrument} {bar_name(bar_ns)}"
        self._folder = folder
        self._instrument = instrument
        self._bar_ns = bar_ns
        self._before = before
        self._old: Sequence[Part] = before.parts if before else ()
        self._merge = Merge(self.name, bar_ns, replace)
        self._writer = PartWriter(folder, bar_ns, {part.file: part for part in self._old})
        self._parts: list[Part] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.discard()

    def run(self, blocks: Iterable[Mapping[str, np.ndarray[Any, Any]]]) -> None:
        """Write the rows, merged with those of the partitions that they are in, as parts that nobody sees yet."""
        new = _checked(blocks, self.name, self._bar_ns)
        first = next(new, None)
        if first is None:
            raise DataError(
                f"{self.name}: there are no rows to write; look at the source's window and symbol"
            )
        begin = period(int(first["ts"][0]), self._bar_ns)
        periods = [period(part.first, self._bar_ns) for part in self._old]
        touched = [part for part, number in zip(self._old, periods, strict=True) if number >= begin]
        old = (to_columns(batch) for part in touched for batch in read_part(self._folder, part, None, None))
        last: int | None = None
        for rows in self._merge.run(old, chain([first], new)):
            wrong = check_order(rows["ts"], last, self._bar_ns)
            if wrong:  # both were in order: a bar of the one overlaps a bar of the other
                raise DataError(
                    f"{self.name}: {wrong[0].problem}: the new bars overlap those that are stored; "
                    "correct their time zone or stamp, or let them take the place of the old with --replace"
                )
            last = int(rows["ts"][-1])
            self._writer.add(rows)
        self._writer.finish()
        assert self._merge.last is not None
        end = period(self._merge.last, self._bar_ns)
        kept = list(zip(self._old, periods, strict=True))
        self._parts = [
            *(part for part, number in kept if number < begin),
            *self._writer.parts,
            *(part for part, number in kept if number > end),
        ]

    def publish(
        self,
        source: Provenance,
        adjusted: Adjusted,
        refused: Mapping[str, int],
        refused_at: Mapping[str, Sequence[str]],
        calendar: str | None,
        currency: str | None,
    ) -> Manifest:
        """Make the new parts those of the series. Raises DataError where the rows do not go with those that stay."""
        before, merge = self._before, self._merge
        rows = sum(part.rows for part in self._parts)
        if before and before.adjusted != adjusted and rows > merge.given:
            raise DataError(
                f"{self.name}: the stored prices are adjusted for {_nothing_or(before.adjusted)}, the new ones for "
                f"{_nothing_or(adjusted)}; use another catalog, or replace all of them at once with --replace"
            )
        now = datetime.now(UTC)
        assert merge.first is not None
        assert merge.last is not None
        try:
            write = Write(
                at=now,
                source=source,
                first=merge.first,
                last=merge.last,
                rows=merge.given,
                replaced=merge.replaced,
                refused={reason: int(n) for reason, n in refused.items()},
                refused_at={
                    reason: tuple(places[: manifests.PLACES_KEPT]) for reason, places in refused_at.items()
                },
            )
            made = Manifest(
                instrument=self._instrument,
                bar=bar_name(self._bar_ns),  # type: ignore[arg-type] # it is read as text
                adjusted=adjusted,
                currency=currency or (before.currency if before else None),
                rows=rows,
                first=self._parts[0].first,
                last=self._parts[-1].last,
                hash=hash_of_all([part.hash for part in self._parts]),
                created=before.created if before else now,
                updated=now,
                calendar=calendar or (before.calendar if before else None),
                writes=1 + (before.writes if before else 0),
                history=(*(before.history if before else ()), write)[-manifests.WRITES_KEPT :],
                parts=tuple(self._parts),
            )
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise DataError(f"{self.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        self._writer.publish()
        made = with_gaps(self._folder, made)
        manifests.save(made, self._folder)
        self._tidy(self._parts)
        return made

    def _tidy(self, parts: Iterable[Part]) -> None:
        # remove what no manifest names, and folders that are empty then
        named = {self._folder / part.file for part in parts}
        named |= {self._folder / LOCK_NAME, self._folder / manifests.FILE_NAME}
        for path in sorted(self._folder.rglob("*"), reverse=True):  # what is in a folder before the folder
            if path.is_dir():
                with suppress(OSError):  # it is not empty
                    path.rmdir()
            elif path not in named and (path.suffix == ".parquet" or path.name.endswith(".tmp")):
                path.unlink()


def with_gaps(folder: Path, made: Manifest) -> Manifest:
    """The manifest with the gaps of its rows against its calendar, where it has one. Raises DataError."""
    if made.calendar is None:
        return made
    from daemon.calendars import CalendarError
    from daemon.data.gaps import find_gaps

    try:
        found = [gap for ts in _times(folder, made) for gap in find_gaps(ts, made.bar, made.calendar)[0]]
    except CalendarError as error:
        raise DataError(f"{made.title}: {error}") from error
    gaps = tuple(Gap(start=gap.ts, end=gap.ts_end, text=gap.text) for gap in found[: manifests.GAPS_KEPT])
    return made.model_copy(update={"gap_count": len(found), "gaps": gaps})


def _times(folder: Path, made: Manifest) -> Iterator[np.ndarray[Any, Any]]:
    # of bars all at once; of ticks, of which there may be too many, part by part, each after the last one before it
    if made.bar:
        yield np.concatenate([read_times(folder, part) for part in made.parts])
        return
    last = np.zeros(0, np.int64)
    for part in made.parts:
        ts = np.concatenate([last, read_times(folder, part)])
        last = ts[-1:]
        yield ts


def _checked(
    blocks: Iterable[Mapping[str, np.ndarray[Any, Any]]], name: str, bar_ns: int
) -> Iterator[Columns]:
    # the blocks, each as it has to be; the catalog holds nothing that a backtest would refuse
    last: int | None = None
    for block in blocks:
        columns = {"ts": np.ascontiguousarray(block["ts"], np.int64)}
        columns |= {field: np.ascontiguousarray(block[field], np.float64) for field in fields_of(bar_ns)}
        ts = columns["ts"]
        if not len(ts):
            continue
        wrong = check_values({field: columns[field] for field in fields_of(bar_ns)})
        wrong += check_order(ts, last, bar_ns)
        if wrong:
            row = min(wrong)
            raise DataError(
                f"{name}: {row.field} of {show(int(ts[row.row]))}: {row.problem}; leave such rows out, or correct them"
            )
        if bar_ns and bar_ns % DAY == 0 and np.any(ts % DAY):
            first = int(ts[np.flatnonzero(ts % DAY)[0]])
            raise DataError(
                f"{name}: the bar of {show(first)} does not start at midnight UTC; date bars of days by their day"
            )
        last = int(ts[-1])
        yield columns


def _nothing_or(adjusted: Adjusted) -> str:
    return "nothing" if adjusted == "raw" else adjusted
