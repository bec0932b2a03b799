"""The entries of `data:`, one model for each kind of source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from daemon.config.base import Model
from daemon.config.synthetic import SyntheticData
from daemon.config.types import (
    BarDuration,
    ExistingFile,
    ExistingFolder,
    ExistingPath,
    InstrumentName,
    TimeZone,
    format_duration,
    parse_bar,
)

if TYPE_CHECKING:
    from daemon.catalog.store import Catalog

ColumnOf = Literal[
    "time", "timestamp", "date", "open", "high", "low", "close", "volume", "price", "size", "symbol"
]

Hours = Annotated[
    Literal["all", "regular"],
    Field(
        description="regular: rows outside of the sessions of the instrument's calendar are left out; a bar counts by its start."
    ),
]


class SampleData(Model):
    """Daily bars of AAPL, GOOG, IBM and MSFT, 2000 to 2013, which come with the installation."""

    source: Literal["sample"]
    instrument: InstrumentName = Field(description="AAPL, GOOG, IBM or MSFT.")
    bar: BarDuration = Field(default=86_400_000_000_000, description="The sample's bars are daily: 1d.")
    on_bad_row: Literal["refuse", "skip"] = Field(
        default="refuse", description="What a row that cannot be right does."
    )

    @field_validator("instrument")
    @classmethod
    def _in_sample(cls, name: str) -> str:
        from daemon.data.sample import sample_instruments

        if name not in sample_instruments():
            raise ValueError(f"{name!r} is not in the sample; it has {', '.join(sample_instruments())}")
        return name

    @field_validator("bar")
    @classmethod
    def _daily(cls, ns: int) -> int:
        if ns != 86_400_000_000_000:
            raise ValueError(
                "the sample has daily bars; write 1d, and ask for longer bars with a strategy's timeframe"
            )
        return ns


class _FileData(Model):
    instrument: InstrumentName = Field(
        description="The instrument's name; selects its rows where a file has symbols."
    )
    bar: BarDuration = Field(
        description="How long a bar of the file lasts (1s, 1m, 1h, 1d), or tick: a row is a trade."
    )
    stamp: Literal["auto", "start", "end"] = Field(
        default="auto",
        description="Whether a bar's time is its start or its end; auto: as the format is known to do, or start.",
    )
    timezone: TimeZone | None = Field(
        default=None,
        description="Zone of times that name none, such as America/New_York; null: as the format is known to do, or UTC.",
    )
    columns: dict[ColumnOf, str] = Field(
        default={},
        description="Our name of a column -> the file's, for files whose header is not recognised.",
    )
    time_format: str | None = Field(
        default=None,
        description="How times are written: a strptime format, or s, ms, us, ns since 1970; null: recognised.",
    )
    on_bad_row: Literal["refuse", "skip"] = Field(
        default="refuse",
        description="What a row that cannot be right does: refuse ends the run, skip sets it aside and counts.",
    )
    actions: ExistingFile | None = Field(
        default=None,
        description="Its splits, dividends, changes of symbol, delisting: a CSV of date,kind,value, a factor file "
        "of LEAN, a CSV of yfinance.",
    )
    adjusted: Literal["raw", "splits", "all"] = Field(
        default="raw",
        description="What the prices are adjusted for already; of the actions only the others are played.",
    )
    hours: Hours = "all"


class CsvData(_FileData):
    """A text file (also .gz, .zip) of bars or trades, or a folder of them, read in the order of their names."""

    source: Literal["csv"]
    path: ExistingPath = Field(
        description="File or folder; a relative path starts in the folder of this configuration."
    )
    format: Literal["lean", "ninjatrader", "alphavantage", "google", "binance"] | None = Field(
        default=None,
        description="Whose format it is; null: a plain CSV file, or one of LEAN, Google or Binance, which are recognised.",
    )


class ParquetData(_FileData):
    """A Parquet file of bars or trades, or a folder of them, read in the order of their names."""

    source: Literal["parquet"]
    path: ExistingPath = Field(
        description="File or folder; a relative path starts in the folder of this configuration."
    )


class CatalogData(Model):
    """A series of the catalog, which `papertape data import` and `papertape data fetch` fill."""

    source: Literal["catalog"]
    path: ExistingFolder = Field(
        default=Path("catalog"),
        validate_default=True,
        description="The catalog's folder; a relative path starts in the folder of this configuration.",
    )
    instrument: InstrumentName = Field(description="The instrument's name in the catalog.")
    bar: BarDuration = Field(
        default=None,
        validate_default=True,
        description="Which of its series: 1d, 1m, tick, ...; null: the only one that the instrument has.",
    )
    hours: Hours = "all"

    @field_validator("instrument")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        if "path" in info.data:
            _in_catalog(lambda catalog: catalog.find(name), info.data["path"])
        return name

    @field_validator("bar", mode="before")
    @classmethod
    def _series(cls, bar: Any, info: ValidationInfo) -> Any:
        if not {"path", "instrument"} <= info.data.keys():
            return "tick" if bar is None else bar  # what is wrong is said of those
        path, name = info.data["path"], info.data["instrument"]
        if bar is None:
            ns = _in_catalog(lambda catalog: catalog.only_bar(name), path)
            return format_duration(ns) if ns else "tick"
        ns = parse_bar(bar)
        _in_catalog(lambda catalog: catalog.require(name, ns), path)
        return bar


def _in_catalog(look: Callable[[Catalog], Any], folder: Path) -> Any:
    from daemon.catalog.store import Catalog
    from daemon.data.errors import DataError

    try:
        return look(Catalog(folder))
    except DataError as error:
        raise ValueError(str(error)) from error


Data = Annotated[
    CsvData | ParquetData | CatalogData | SampleData | SyntheticData, Field(discriminator="source")
]
