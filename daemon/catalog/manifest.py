"""The manifest of a series: what is stored, where it came from, and what was noticed about it.

It is JSON for people too: times are ISO 8601 UTC with as many decimals as they need, durations are written 1d or 1m.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue, PlainSerializer, ValidationError

from daemon.config.base import Model
from daemon.config.types import (
    BarDuration,
    Currency,
    InstrumentName,
    Time,
    format_duration,
    ns_of,
    parse_time,
)
from daemon.data.errors import DataError, file_error

VERSION = 1
FILE_NAME = "manifest.json"
WRITES_KEPT = 100  # the latest; a series that is fetched daily would grow for ever
GAPS_KEPT = 200
PLACES_KEPT = 10  # of refused rows, for each reason

Adjusted = Literal["raw", "splits", "splits and dividends"]


def _read_ns(value: Any) -> int:
    # nanoseconds, or the text that `show` made of them
    if isinstance(value, int):
        return value
    seconds, _, decimals = str(value).removesuffix("Z").partition(".")
    return ns_of(parse_time(seconds)) + int(decimals.ljust(9, "0") or 0)


def _show_ns(ns: int) -> str:
    from daemon.data.checks import show

    return show(ns)


Ns = Annotated[int, BeforeValidator(_read_ns), PlainSerializer(_show_ns, return_type=str)]
Count = Annotated[int, Field(ge=0)]


class SourceFile(Model):
    """A file that was imported."""

    name: str = Field(description="Without its folder.")
    bytes: Count
    sha256: str


class Provenance(Model):
    """Where rows came from."""

    provider: str = Field(
        default="files", description="files, synthetic, or who they were fetched from: yfinance, ..."
    )
    files: tuple[SourceFile, ...] = ()
    arguments: dict[str, JsonValue] = Field(
        default={}, description="How the files were read, or what was asked."
    )
    timezone: str = Field(default="UTC", description="The zone that was assumed of times that name none.")
    stamp: Literal["start", "end"] = Field(
        default="start", description="Where it was assumed that bars were stamped."
    )


class Part(Model):
    """A file of consecutive rows."""

    file: str = Field(description="Below the folder of the series, such as year=2014/part-....parquet.")
    rows: Count
    first: Ns
    last: Ns
    hash: str = Field(description="BLAKE2b of its rows, whatever Parquet makes of them.")


class Gap(Model):
    """A stretch of trading time without rows, [start, end)."""

    start: Ns
    end: Ns
    text: str


class Write(Model):
    """One write into the series, as it was."""

    at: Time
    source: Provenance
    first: Ns
    last: Ns
    rows: Count = Field(description="Rows that were given.")
    replaced: Count = Field(description="Rows there before that these took the place of.")
    refused: dict[str, Count] = Field(default={}, description="Reason -> rows that were left out.")
    refused_at: dict[str, tuple[str, ...]] = Field(
        default={}, description="Reason -> the first few places, FILE:LINE."
    )


class Manifest(Model):
    """All that is known of a series without reading its rows."""

    version: Literal[1] = 1
    instrument: InstrumentName
    bar: BarDuration
    adjusted: Adjusted = Field(description="What the prices were adjusted for before they came here.")
    currency: Currency | None = None
    rows: Count
    first: Ns = Field(description="Start of the first bar, or time of the first tick.")
    last: Ns
    hash: str = Field(description="Of all rows: the same rows have the same, however they came.")
    created: Time
    updated: Time
    calendar: str | None = Field(default=None, description="What the gaps were looked for against.")
    gap_count: Count = 0
    gaps: tuple[Gap, ...] = Field(default=(), description=f"At most {GAPS_KEPT}.")
    writes: Count = Field(description="How many there were.")
    history: tuple[Write, ...] = Field(
        description=f"The latest {WRITES_KEPT} writes, the oldest first; of two rows of one time the later is kept."
    )
    parts: tuple[Part, ...]

    @property
    def source(self) -> Provenance:
        """Where the rows that were written last came from."""
        return self.history[-1].source

    @property
    def refused(self) -> dict[str, int]:
        """Reason -> rows left out, over the writes in the history."""
        total: dict[str, int] = {}
        for write in self.history:
            for reason, n in write.refused.items():
                total[reason] = total.get(reason, 0) + n
        return total

    @property
    def title(self) -> str:
        """Such as "AAPL 1d"."""
        return f"{self.instrument} {bar_name(self.bar)}"


def bar_name(bar_ns: int) -> str:
    """How a bar's duration is written in folders and commands: 1d, 1m, tick."""
    return format_duration(bar_ns) if bar_ns else "tick"


def load(folder: Path) -> Manifest | None:
    """The manifest in a series' folder; None where there is none. Raises DataError where it is broken."""
    path = folder / FILE_NAME
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(path, str(error)) from error
    try:
        given = json.loads(text)
    except ValueError as error:
        raise _broken(path, str(error)) from error
    version = given.get("version") if isinstance(given, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise file_error(
            path, f"the manifest is of version {version}, this program reads {VERSION}", "use a later one"
        )
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _broken(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def save(manifest: Manifest, folder: Path) -> None:
    """Put the manifest in the place of the one that is there, at once and for good."""
    path = folder / FILE_NAME
    temporary = folder / f".{FILE_NAME}.{secrets.token_hex(4)}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _broken(path: Path, what: str) -> DataError:
    return file_error(
        path,
        f"the manifest is broken ({what})",
        f"restore it, or remove {path.parent} and import or fetch the series again",
    )
