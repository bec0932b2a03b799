"""Which column of a file is what: known names, files without a header, and what the configuration says.

The vendors' files differ in names and order only, so one table of names reads them all: Yahoo (its download, and what
yfinance writes), Binance (klines, trades, aggTrades; with and without header), Finnhub (candles, trades), Stooq (with
and without brackets), and plain files. Columns of adjusted prices are not in the table: prices are taken raw.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.data.errors import DataError, file_error

# our name -> names in files, the most telling first
NAMES: dict[str, tuple[str, ...]] = {
    "time": (
        *("open_time", "opentime", "ts_event", "timestamp", "datetime", "transact_time"),
        *("date", "time", "ts", "t"),
    ),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
    "price": ("price", "last", "p"),
    "size": ("size", "qty", "quantity", "volume", "vol", "v"),
    "symbol": ("symbol", "ticker", "stock_symbol"),
}
BAR_FIELDS = ("open", "high", "low", "close", "volume")
TICK_FIELDS = ("price", "size")
KLINE_COLUMNS = 12


@dataclass(frozen=True)
class Layout:
    """Where a file keeps what."""

    names: tuple[str, ...]  # the file's columns; a file without header numbers them from 1
    columns: dict[str, tuple[int, ...]]  # our name -> positions; a time may be a date and a time of day
    header_lines: int = 1
    suffixed: bool = False  # symbols carry an exchange, as in AAPL.US
    zone: str = "UTC"  # of times that name none, unless the configuration says another
    at_end: bool = False  # bars shorter than a day are stamped at their end, unless it says otherwise
    time_format: str | None = None  # as in `daemon.data.times.Clock`, unless the configuration says another
    newest_first: bool = False  # rows are read from the last line to the first
    divisor: int = 1  # prices are whole numbers of this part of the currency

    def label(self, ours: str) -> str:
        """What the file calls our column."""
        return ",".join(self.names[i] for i in self.columns[ours]) if ours in self.columns else ours


def plain(name: str) -> str:
    """A column's name without case, brackets, quotes and spaces: "<OPEN>" and "Open time" are open and open_time."""
    return re.sub(r"[\s_]+", "_", name.strip().strip("<>\"'").lower())


def recognise(
    names: Sequence[str],
    bars: bool,
    mapping: Mapping[str, str],
    path: Path,
    header_lines: int = 1,
) -> Layout:
    """The layout of a file with these columns.

    mapping: our name -> the file's; it goes before what is recognised. Raises DataError where a column is missing.
    """
    fields = BAR_FIELDS if bars else TICK_FIELDS
    columns: dict[str, tuple[int, ...]] = {
        ours: tuple(_position(names, name, ours, path) for name in theirs)
        for ours, theirs in _ours(mapping, path).items()
    }
    found = {plain(name): i for i, name in reversed(list(enumerate(names)))}
    for ours in ("time", *fields, "symbol"):
        known = next((found[n] for n in NAMES[ours] if n in found), None)
        if ours not in columns and known is not None:
            columns[ours] = (known,)
            if ours == "time" and plain(names[known]) == "date" and "time" in found:
                columns[ours] = (known, found["time"])
    if not bars and {"t", "p", "v", "s"} <= found.keys():  # Finnhub's trades; in its candles `s` is a status
        columns.setdefault("symbol", (found["s"],))
    for ours in ("time", *fields):
        if ours not in columns and ours != "volume":  # indices and currencies have none
            raise _missing(ours, names, bars, path)
    suffixed = "symbol" in columns and names[columns["symbol"][0]].strip().startswith("<")
    return Layout(tuple(n.strip() for n in names), columns, header_lines, suffixed)


def recognise_csv(
    head: Sequence[Sequence[str]], bars: bool, mapping: Mapping[str, str], name: str, path: Path
) -> Layout:
    """The layout of a CSV file from the fields of its first lines (three suffice).

    name: the instrument, for yfinance's files with several. Raises DataError where a column is missing.
    """
    first = head[0]
    if not any(_is_value(field) for field in first):
        if len(head) > 2 and (plain(first[0]), plain(head[1][0])) == ("price", "ticker"):
            # yfinance since 0.2.51: one line of fields, one of tickers, one with the name of the index
            tickers = [t.strip().upper() for t in head[1][1:]]
            if name.upper() not in tickers:
                raise no_symbol(name, sorted(set(tickers)), path)
            mine = [f if t == name.upper() else f"{f} {t}" for f, t in zip(first[1:], tickers, strict=False)]
            return recognise([head[2][0], *mine], bars, mapping, path, 3)
        return recognise(first, bars, mapping, path)
    numbers = [str(i + 1) for i in range(len(first))]
    return recognise(numbers, bars, {**_binance(first, bars), **mapping}, path, 0)


def no_symbol(name: str, seen: Sequence[str], path: Path) -> DataError:
    """The error of a file that has other instruments only."""
    return file_error(
        path,
        f"no row of {name}; it has {', '.join(seen)}",
        "name the instrument as the file does, or take another file",
    )


def _is_value(field: str) -> bool:
    # what a header never holds: a number, or a date
    return re.fullmatch(r"\s*[-+]?\d[-\d.:/TZ +eE]*\s*", field) is not None


def _binance(row: Sequence[str], bars: bool) -> dict[str, str]:
    # its files of before 2025 have no header
    if bars:
        known = ("time", "open", "high", "low", "close", "volume")
        return {ours: str(i + 1) for i, ours in enumerate(known)} if len(row) == KLINE_COLUMNS else {}
    flags = [i for i, field in enumerate(row) if field.strip().lower() in ("true", "false")]
    # id, price, quantity, ..., time, whether the buyer was the maker
    return {"price": "2", "size": "3", "time": str(flags[0])} if flags and flags[0] > 3 else {}


def _ours(mapping: Mapping[str, str], path: Path) -> dict[str, list[str]]:
    # "timestamp" and "date" are as good as "time"; a date and a time together are one
    result: dict[str, list[str]] = {}
    for key, theirs in sorted(mapping.items()):
        ours = "time" if plain(key) in NAMES["time"] else plain(key)
        if ours not in NAMES:
            raise file_error(path, f"`columns` names {key!r}", f"it may name {', '.join(NAMES)}")
        result.setdefault(ours, []).append(str(theirs))
    return result


def _position(names: Sequence[str], theirs: str, ours: str, path: Path) -> int:
    stripped = [n.strip() for n in names]
    if theirs not in stripped:
        raise file_error(
            path,
            f"there is no column {theirs!r}; the file has {', '.join(stripped)}",
            "correct `columns`",
            field=ours,
        )
    return stripped.index(theirs)


def _missing(ours: str, names: Sequence[str], bars: bool, path: Path) -> DataError:
    wanted = "bars" if bars else "ticks"
    return file_error(
        path,
        f"no column is known as the {ours} of {wanted}; the file has {', '.join(n.strip() for n in names)}",
        f"say which it is: `columns: {{{ours}: NAME}}`"
        + ("" if bars else ", or give the duration of bars as `bar`"),
        field=ours,
    )
