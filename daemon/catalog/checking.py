"""Whether the catalog still holds what was written, and what is odd about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.catalog.entries import file_entry, source_of
from daemon.catalog.layout import Columns, hash_of_all, join, rows
from daemon.catalog.manifest import Manifest, bar_name
from daemon.catalog.parts import check_rows, read_part, to_columns
from daemon.catalog.store import Catalog
from daemon.data.checks import show
from daemon.data.errors import DataError

if TYPE_CHECKING:
    from daemon.data.quality import Finding

DEFAULT_CALENDAR = "XNYS"  # as of an instrument in a configuration


@dataclass
class Checked:
    """What was found in one series or file."""

    title: str  # such as "AAPL 1d", or a file's name
    rows: int
    calendar: str
    problems: list[str] | None = None  # why a series is not what was written; a file is what it is
    findings: list[Finding] = field(default_factory=list)  # the market's or its recorder's oddities
    counts: dict[str, int] = field(
        default_factory=dict
    )  # of findings by kind, and of rows that cannot be used

    def to_json(self) -> dict[str, Any]:
        """Plain data, its times ISO 8601 UTC."""
        findings = [{**asdict(f), "ts": show(f.ts), "ts_end": show(f.ts_end)} for f in self.findings]
        return {**vars(self), "findings": findings}


def check_series(catalog: Catalog, instrument: str, bar_ns: int, calendar: str | None) -> Checked:
    """Read a series whole: are the rows those that were written, and what do they look like.

    calendar: None: that of the manifest.
    """
    title = f"{instrument} {bar_name(bar_ns)}"
    try:
        known = catalog.require(instrument, bar_ns)
    except DataError as error:
        return Checked(title, 0, calendar or DEFAULT_CALENDAR, [str(error)])
    problems: list[str] = []
    checked = Checked(title, known.rows, calendar or known.calendar or DEFAULT_CALENDAR, problems)
    folder = catalog.series_folder(instrument, bar_ns)
    for part in known.parts:
        try:
            check_rows(folder, part, bar_ns)
        except DataError as error:
            problems.append(str(error))
    for what, stored, found in (
        ("rows", known.rows, sum(part.rows for part in known.parts)),
        ("hash", known.hash, hash_of_all([part.hash for part in known.parts])),
    ):
        if stored != found:
            problems.append(f"{folder}: {what}: the manifest says {stored}, its parts {found}")
    if not problems:
        _examine(checked, _pieces(folder, known), bar_ns)
    return checked


def check_file(path: Path, instrument: str, bar: str, how: dict[str, Any], calendar: str | None) -> Checked:
    """Read a file of market data in the order in which it stands, and look at its rows.

    how: keys of `data:`, as for an import. Raises DataError and ConfigError where it cannot be read at all.
    """
    from daemon.catalog.importing import read_unordered
    from daemon.data.feed import open_stream

    source = source_of(file_entry("check", path, {"instrument": instrument, "bar": bar, **how}))
    columns, _, wrong = read_unordered(open_stream([source]))
    checked = Checked(path.name, len(columns["ts"]), calendar or DEFAULT_CALENDAR)
    checked.counts = dict(Counter(str(fault.reason) for _, fault in wrong))
    if len(columns["ts"]):
        _examine(checked, [columns], source.bar_ns)
    return checked


def _pieces(folder: Path, known: Manifest) -> Iterator[Columns]:
    # bars whole; ticks, of which there may be more than memory holds, part by part, each with the last row before it
    last: list[Columns] = []
    for part in known.parts:
        piece = join([*last, *(to_columns(batch) for batch in read_part(folder, part, None, None))])
        if known.bar:
            last = [piece]
        else:
            yield piece
            last = [rows(piece, len(piece["ts"]) - 1, len(piece["ts"]))]
    if known.bar:
        yield from last


def _examine(checked: Checked, pieces: Iterator[Columns] | Sequence[Columns], bar_ns: int) -> None:
    from daemon.data.quality import examine

    counts = Counter(checked.counts)
    for piece in pieces:
        found = examine(piece, bar_ns, checked.calendar)
        checked.findings += found.findings
        counts.update(found.counts)
    checked.counts = dict(sorted(counts.items()))
