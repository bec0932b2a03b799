"""The catalog: series of bars and ticks by instrument, written at once or not at all, read in pieces.

    CATALOG/INSTRUMENT/BAR/manifest.json
    CATALOG/INSTRUMENT/BAR/year=YYYY/part-NNNN-HASH.parquet             bars
    CATALOG/INSTRUMENT/BAR/year=YYYY/month=MM/part-NNNN-HASH.parquet    ticks (BAR is `tick`)
    CATALOG/INSTRUMENT/actions.parquet                                  splits, dividends and the like

A write makes new parts under other names and replaces the manifest last, so that a crash leaves what was there; files
that no manifest names are ignored, and removed by the next write. Two writers exclude each other, readers need no lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.catalog import manifest as manifests
from daemon.catalog.layout import folder_name, instrument_name
from daemon.catalog.locks import locked
from daemon.catalog.manifest import Adjusted, Manifest, Part, Provenance, bar_name
from daemon.config.types import parse_bar
from daemon.data.errors import DataError, file_error

if TYPE_CHECKING:
    import numpy as np

DEFAULT_FOLDER = "catalog"


class Catalog:
    """A catalog in a folder, which need not be there before the first write."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    # -- what there is ----------------------------------------------------------------------------------------------

    def instruments(self) -> Sequence[str]:
        """The names of all instruments, sorted. Raises DataError where there is no catalog."""
        if not self.folder.is_dir():
            raise file_error(
                self.folder,
                "there is no catalog here",
                "name its folder with --catalog (`path` in a configuration), or fill one with `papertape data import`",
            )
        return sorted(
            instrument_name(p.name)
            for p in self.folder.iterdir()
            if p.is_dir() and not p.name.startswith(".")
        )

    def bars(self, instrument: str) -> Sequence[int]:
        """Durations of the bars of the instrument's series in ns, ascending; 0 stands for ticks."""
        found = []
        for path in (self.folder / folder_name(instrument)).glob(f"*/{manifests.FILE_NAME}"):
            with suppress(ValueError):  # a folder of somebody else's
                found.append(parse_bar(path.parent.name))
        return sorted(found)

    def list(self) -> Sequence[Manifest]:
        """All series, by instrument and duration. Raises DataError where a manifest is broken."""
        return [self.require(name, bar_ns) for name in self.instruments() for bar_ns in self.bars(name)]

    def manifest(self, instrument: str, bar_ns: int) -> Manifest | None:
        """What is known of a series; None where there is none. Raises DataError where the manifest is broken."""
        return manifests.load(self.series_folder(instrument, bar_ns))

    def require(self, instrument: str, bar_ns: int) -> Manifest:
        """The manifest of a series. Raises DataError, with what there is instead, where there is none."""
        found = self.manifest(instrument, bar_ns)
        if found is None:
            bars = self.bars(self.find(instrument))
            raise DataError(
                f"{self.folder}: there is no {bar_name(bar_ns)} of {instrument}; "
                f"it has {', '.join(map(bar_name, bars))}"
            )
        return found

    def only_bar(self, instrument: str) -> int:
        """The duration of the instrument's bars, where it has one series. Raises DataError where it has more."""
        bars = self.bars(self.find(instrument))
        if len(bars) > 1:
            raise DataError(
                f"{self.folder}: there are several series of {instrument}; "
                f"say which by `bar`: {', '.join(map(bar_name, bars))}"
            )
        return bars[0]

    def find(self, instrument: str) -> str:
        """The name itself. Raises DataError, with names that are near, where the catalog has no series of it."""
        known = [name for name in self.instruments() if self.bars(name)]
        if instrument in known:
            return instrument
        folded = {name.casefold(): name for name in known}
        near = [folded[n] for n in get_close_matches(instrument.casefold(), folded, 3)]
        if near:
            hint = f"did you mean {' or '.join(near)}?"
        else:
            shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
            hint = f"it has {shown}" if known else "it is empty"
        raise DataError(f"{self.folder}: there is no {instrument}; {hint}")

    def facts(self, instrument: str, bar_ns: int) -> dict[str, Any]:
        """What a feed has to know beside the rows: the file of `actions`, if there is one, and what `adjusted` allows."""
        known, path = self.require(instrument, bar_ns), self.actions_path(instrument)
        adjusted = "all" if known.adjusted == "splits and dividends" else known.adjusted
        return {"actions": path if path.is_file() else None, "adjusted": adjusted}

    def series_folder(self, instrument: str, bar_ns: int) -> Path:
        """Where a series is, or would be."""
        return self.folder / folder_name(instrument) / bar_name(bar_ns)

    # -- reading ----------------------------------------------------------------------------------------------------

    def parts(
        self, instrument: str, bar_ns: int, start: int | None = None, end: int | None = None
    ) -> Sequence[Path]:
        """The files with rows in start <= ts < end (ns UTC), in the order of time, each there and of the right length.

        Raises DataError where one is not, and where there are none.
        """
        from daemon.catalog.parts import check_part

        known = self.require(instrument, bar_ns)
        folder = self.series_folder(instrument, bar_ns)
        wanted = _within(known.parts, start, end)
        if not wanted:
            from daemon.data.checks import show

            raise file_error(
                folder,
                f"no row lies in the time asked for; they run from {show(known.first)} to {show(known.last)}",
                "widen `start` and `end`",
            )
        for part in wanted:
            check_part(folder, part, bar_ns)
        return [folder / part.file for part in wanted]

    def read(
        self, instrument: str, bar_ns: int, start: int | None = None, end: int | None = None
    ) -> Iterator[Any]:
        """The rows with start <= ts < end (ns UTC) as Arrow record batches, in time order.

        Columns: `ts`, a timestamp in ns UTC, the start of a bar; open, high, low, close, volume of bars or price, size
        of ticks, float64. Files and groups of rows outside of the time are not read. Raises DataError.
        """
        from daemon.catalog.parts import read_part

        known = self.require(instrument, bar_ns)
        folder = self.series_folder(instrument, bar_ns)
        return chain.from_iterable(
            read_part(folder, part, start, end) for part in _within(known.parts, start, end)
        )

    # -- writing ----------------------------------------------------------------------------------------------------

    def write(
        self,
        instrument: str,
        bar_ns: int,
        columns: Mapping[str, np.ndarray[Any, Any]],
        *,
        source: Provenance,
        adjusted: Adjusted,
        refused: Mapping[str, int] | None = None,
        replace: bool = False,
        calendar: str | None = None,
        currency: str | None = None,
    ) -> Manifest:
        """Put rows among those of the series; all of them, or none where it raises.

        columns: `ts` (n,) int64 ns UTC, ascending, the starts of bars, and the fields of `read`, (n,) float64.
        bar_ns: duration of the bars, 0 for ticks; bars of whole days start at midnight UTC. refused: reason -> rows
        that were left out on the way here. replace: the rows take the place of everything between the first and the
        last of them; else a bar takes that of one with the same start, and ticks may not begin before those that are
        there end. calendar: gaps are looked for against it. Raises DataError.
        """
        return self.write_blocks(
            instrument,
            bar_ns,
            [columns],
            source=source,
            adjusted=adjusted,
            refused={} if refused is None else refused,
            replace=replace,
            calendar=calendar,
            currency=currency,
        )

    def write_blocks(
        self,
        instrument: str,
        bar_ns: int,
        blocks: Iterable[Mapping[str, np.ndarray[Any, Any]]],
        *,
        source: Provenance,
        adjusted: Adjusted,
        refused: Mapping[str, int],
        refused_at: Mapping[str, Sequence[str]] | None = None,
        replace: bool = False,
        calendar: str | None = None,
        currency: str | None = None,
    ) -> Manifest:
        """As `write`, for more rows than memory holds: blocks in time order, each held no longer than needed.

        refused, refused_at (reason -> places): read when the last block has been.
        """
        from daemon.catalog.writing import Rewrite

        folder = self.series_folder(instrument, bar_ns)
        with (
            locked(folder),
            Rewrite(folder, instrument, bar_ns, self.manifest(instrument, bar_ns), replace) as new,
        ):
            new.run(blocks)
            return new.publish(source, adjusted, refused, refused_at or {}, calendar, currency)

    # -- corporate actions ------------------------------------------------------------------------------------------

    def actions_path(self, instrument: str) -> Path:
        """The file of the instrument's corporate actions; it need not be there."""
        return self.folder / folder_name(instrument) / "actions.parquet"

    def actions(self, instrument: str) -> Any | None:
        """The instrument's corporate actions, an Arrow table as in `actions.SCHEMA`; None where none were written."""
        from daemon.catalog import actions

        return actions.read(self.actions_path(instrument))

    def write_actions(self, instrument: str, table: Any, replace: bool = False) -> Any:
        """Put corporate actions among those that are there, and give all; `replace`: only the new ones stay.

        table: Arrow, with columns of `actions.SCHEMA`; `ex_date` and `kind` (split, dividend, symbol, delisting) are
        needed. An action takes the place of one of the same day and kind. Raises DataError.
        """
        from daemon.catalog import actions

        path = self.actions_path(instrument)
        with locked(path.parent):
            return actions.write(path, table, replace)


def _within(parts: Sequence[Part], start: int | None, end: int | None) -> Sequence[Part]:
    return [p for p in parts if (start is None or p.last >= start) and (end is None or p.first < end)]
