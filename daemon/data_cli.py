"""`papertape data`: tapes come into the catalog, are listed, checked and written out again.

Exit codes are those of `papertape`; `check` ends with 1 where the catalog does not hold what was written into it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from daemon.catalog.manifest import Manifest

app = typer.Typer(
    help="Keep market data in a catalog: import, fetch, check.", no_args_is_help=True, rich_markup_mode=None
)

Folder = Annotated[Path, typer.Option("--catalog", metavar="DIR", help="The catalog's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Bar = Annotated[str, typer.Option(help="How long its bars last (1s, 1m, 1h, 1d), or tick.")]
Calendar = Annotated[
    str | None, typer.Option(help="Gaps are looked for against it: XNYS, 24/7 or another exchange's code.")
]
Start = Annotated[str | None, typer.Option(help="From this date or time on (UTC).")]
End = Annotated[str | None, typer.Option(help="Up to before this date or time (UTC).")]
Replace = Annotated[
    bool, typer.Option("--replace", help="Let the new rows take the place of all between the first and last.")
]
Format = Annotated[str | None, typer.Option("--format", help="The vendor's, where it is not recognised.")]
Column = Annotated[
    list[str] | None,
    typer.Option("--columns", metavar="OURS=THEIRS", help="Such as time=Date or close=Last; repeatable."),
]
Timezone = Annotated[str | None, typer.Option(help="Zone of times that name none; else UTC.")]
Stamp = Annotated[str | None, typer.Option(help="Whether a bar's time is its start or its end.")]
TimeFormat = Annotated[
    str | None, typer.Option(help="How times are written, as in %d/%m/%Y, or s, ms, us, ns.")
]
CATALOG = Path("catalog")
ADJUSTED = {"raw": "raw", "splits": "splits", "all": "splits and dividends"}


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="CSV or Parquet files, in the order of time.")],
    instrument: Annotated[
        str, typer.Option(help="The instrument's name; selects its rows in a file of several.")
    ],
    bar: Bar,
    catalog: Folder = CATALOG,
    format_: Format = None,
    columns: Column = None,
    timezone: Timezone = None,
    stamp: Stamp = None,
    time_format: TimeFormat = None,
    adjusted: Annotated[
        str, typer.Option(help="What the prices are adjusted for: raw, splits or all.")
    ] = "raw",
    actions: Annotated[
        Path | None, typer.Option(help="A file of its splits, dividends and the like, to be kept beside.")
    ] = None,
    calendar: Calendar = "XNYS",
    currency: Annotated[str | None, typer.Option(help="Of the prices, such as USD.")] = None,
    on_bad_row: Annotated[
        str, typer.Option(help="refuse ends the import, skip leaves out and counts.")
    ] = "refuse",
    sort: Annotated[bool, typer.Option("--sort", help="Put the rows in the order of time first.")] = False,
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Read files of market data into the catalog."""
    from daemon.catalog.importing import import_files, read_actions_table
    from daemon.catalog.showing import print_manifests
    from daemon.catalog.store import Catalog

    store = Catalog(catalog)
    found = read_actions_table(actions, instrument) if actions else None
    known = import_files(
        store,
        files,
        instrument,
        bar,
        {**_how(format_, columns, timezone, stamp, time_format), "on_bad_row": on_bad_row},
        adjusted=_one_of(ADJUSTED, "--adjusted", adjusted),  # type: ignore[arg-type] # one of its values
        calendar=_calendar(calendar),
        currency=currency,
        sort=sort,
        replace=replace,
    )
    if found is not None:
        store.write_actions(instrument, found)
    if as_json:
        _print_json(_described(known))
    else:
        print_manifests([known])
        for reason, places in known.history[-1].refused_at.items():
            typer.echo(
                f"{known.history[-1].refused[reason]:,} rows left out: {reason}, as at {', '.join(places[:3])}"
            )


@app.command("list")
def list_(catalog: Folder = CATALOG, as_json: Json = False) -> None:
    """Show what the catalog has."""
    from daemon.catalog.showing import print_manifests
    from daemon.catalog.store import Catalog

    manifests = Catalog(catalog).list()
    if as_json:
        _print_json([_described(m) for m in manifests])
    else:
        print_manifests(manifests)


@app.command()
def check(
    instruments: Annotated[list[str] | None, typer.Argument(help="Without any: all.")] = None,
    catalog: Folder = CATALOG,
    bar: Annotated[
        str | None, typer.Option(help="Only series of such bars; of a file: what its rows are.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Look at a file instead of the catalog.")] = None,
    calendar: Calendar = None,
    format_: Format = None,
    columns: Column = None,
    timezone: Timezone = None,
    stamp: Stamp = None,
    time_format: TimeFormat = None,
    as_json: Json = False,
) -> None:
    """Say whether the catalog holds what was written, and what is odd about the data: gaps, outliers, jumps."""
    from daemon.catalog.checking import check_file, check_series
    from daemon.catalog.showing import print_checked
    from daemon.catalog.store import Catalog

    how = _how(format_, columns, timezone, stamp, time_format)
    if file is not None:
        _calendar(calendar)
        if bar is None:
            raise _wrong("--bar", "is missing; say what the file's rows are: tick, 1m, 1d, ...")
        if instruments and len(instruments) > 1:
            raise _wrong("INSTRUMENTS", "are several; name the one whose rows are to be looked at")
        checked = [
            check_file(
                file, instruments[0] if instruments else file.name.split(".")[0][:32], bar, how, calendar
            )
        ]
    else:
        if how:
            raise _wrong(
                f"--{next(iter(how)).replace('_', '-')}",
                "is for --file; the catalog knows its own; remove it",
            )
        _calendar(calendar)
        store = Catalog(catalog)
        names = [store.find(name) for name in instruments] if instruments else store.instruments()
        only = None if bar is None else _bar(bar)
        checked = [
            check_series(store, name, ns, calendar)
            for name in names
            for ns in store.bars(name)
            if only is None or ns == only
        ]
    if as_json:
        _print_json([c.to_json() for c in checked])
    else:
        print_checked(checked)
    if any(c.problems for c in checked):
        raise typer.Exit(1)


@app.command()
def export(
    instrument: Annotated[str, typer.Argument(help="Its name in the catalog.")],
    to: Annotated[Path, typer.Option(metavar="FILE", help="A new file: .csv, .csv.gz or .parquet.")],
    bar: Annotated[str | None, typer.Option(help="Which of its series, where it has several.")] = None,
    start: Start = None,
    end: End = None,
    catalog: Folder = CATALOG,
    as_json: Json = False,
) -> None:
    """Write a series of the catalog to a file that other programs read."""
    from daemon.catalog.exporting import export as write
    from daemon.catalog.store import Catalog

    store = Catalog(catalog)
    ns = store.only_bar(instrument) if bar is None else _bar(bar)
    rows = write(store.read(instrument, ns, _time(start, "--start"), _time(end, "--end")), ns, to)
    _print_written(to, rows, as_json)


@app.command()
def fetch(
    symbols: Annotated[list[str] | None, typer.Argument(help="Without any: AAPL, TSLA and BTC-USD.")] = None,
    provider: Annotated[str, typer.Option(help="yfinance or finnhub.")] = "yfinance",
    bar: Annotated[str, typer.Option(help="How long the bars last.")] = "1d",
    start: Start = None,
    end: End = None,
    catalog: Folder = CATALOG,
    as_json: Json = False,
) -> None:
    """Fetch history from a provider, only what the catalog has not yet."""
    from dataclasses import asdict

    from daemon.catalog.showing import print_fetched
    from daemon.catalog.store import Catalog
    from daemon.cli import note
    from daemon.fetch import fetch as ask

    fetched = ask(
        Catalog(catalog), symbols or (), provider=provider, bar=bar, start=start, end=end, tell=note
    )
    if as_json:
        _print_json([asdict(f) for f in fetched])
    else:
        print_fetched(fetched)
    if any(f.error for f in fetched):
        raise typer.Exit(1)


@app.command()
def generate(
    instrument: Annotated[str, typer.Option(help="Its name; the prices are its own.")] = "SYN",
    bar: Bar = "1d",
    start: Annotated[str, typer.Option(help="The first session opens then or later (UTC).")] = "2024-01-02",
    days: Annotated[int | None, typer.Option(help="How many sessions.")] = None,
    seed: Annotated[int, typer.Option(help="Where the random numbers begin.")] = 0,
    calendar: Annotated[
        str, typer.Option(help="Whose sessions: XNYS, 24/7 or another exchange's code.")
    ] = "XNYS",
    tick_size: Annotated[float, typer.Option(help="The step of prices.")] = 0.01,
    lot_size: Annotated[float, typer.Option(help="The step of sizes.")] = 1.0,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Keys of `source: synthetic`: model=ou, jumps.per_year=10; repeatable.",
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a file instead of into the catalog.")
    ] = None,
    catalog: Folder = CATALOG,
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Make prices up by a random process, the same for the same seed."""
    from daemon.catalog import generating
    from daemon.catalog.showing import print_manifests
    from daemon.catalog.store import Catalog

    _calendar(calendar)
    made = generating.recipe(
        {"instrument": instrument, "bar": bar, "start": start, "days": days},
        sets or (),
        seed=seed,
        tick_size=tick_size,
        lot_size=lot_size,
        calendar=calendar,
    )
    if to is not None:
        _print_written(to, generating.to_file(made, to), as_json)
        return
    known = generating.to_catalog(made, Catalog(catalog), replace)
    if as_json:
        _print_json(_described(known))
    else:
        print_manifests([known])


def _how(
    format_: str | None,
    columns: list[str] | None,
    timezone: str | None,
    stamp: str | None,
    time_format: str | None,
) -> dict[str, Any]:
    # the keys of `data:` that were said
    pairs = [text.partition("=") for text in columns or ()]
    for ours, equals, theirs in pairs:
        if not (ours and equals and theirs):
            raise _wrong("--columns", "is no pair; write OURS=THEIRS, such as time=Date")
    said = {
        "format": format_,
        "columns": {ours.strip(): theirs.strip() for ours, _, theirs in pairs} or None,
        "timezone": timezone,
        "stamp": stamp,
        "time_format": time_format,
    }
    return {key: value for key, value in said.items() if value is not None}


def _one_of(known: dict[str, str], option: str, given: str) -> str:
    if given not in known:
        raise _wrong(option, f"{given!r} is not known; write {', '.join(known)}")
    return known[given]


def _bar(text: str) -> int:
    from daemon.config.types import parse_bar

    try:
        return parse_bar(text)
    except ValueError as error:
        raise _wrong("--bar", str(error)) from error


def _time(text: str | None, option: str) -> int | None:
    from daemon.config.types import ns_of, parse_time

    try:
        return None if text is None else ns_of(parse_time(text))
    except ValueError as error:
        raise _wrong(option, str(error)) from error


def _calendar(name: str | None) -> str | None:
    from daemon.calendars import CalendarError, sessions

    try:
        if name is not None:
            sessions(name, whole_days=True)
    except CalendarError as error:
        raise _wrong("--calendar", str(error)) from error
    return name


def _wrong(what: str, problem: str) -> Exception:
    from daemon.data.errors import DataError

    return DataError(f"{what}: {problem}")


def _described(known: Manifest) -> dict[str, Any]:
    # without the files, which nobody asked for
    return known.model_dump(mode="json", exclude={"parts"})


def _print_written(file: Path, rows: int, as_json: bool) -> None:
    if as_json:
        _print_json({"file": str(file), "rows": rows})
    else:
        typer.echo(f"{rows:,} rows are in {file}")


def _print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, allow_nan=False))
