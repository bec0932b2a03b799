"""The entries of `data:`, one model for each kind of source."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from daemon.config.base import Model
from daemon.config.types import BarDuration, ExistingFile, ExistingPath, InstrumentName, TimeZone

ColumnOf = Literal[
    "time", "timestamp", "date", "open", "high", "low", "close", "volume", "price", "size", "symbol"
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
    timezone: TimeZone = Field(
        default="UTC", description="Zone of times that name none, such as America/New_York."
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


class CsvData(_FileData):
    """A CSV file (also .csv.gz) of bars or trades."""

    source: Literal["csv"]
    path: ExistingFile = Field(
        description="The file; a relative path starts in the folder of this configuration."
    )


class ParquetData(_FileData):
    """A Parquet file of bars or trades, or a folder of them, read in the order of their names."""

    source: Literal["parquet"]
    path: ExistingPath = Field(
        description="File or folder; a relative path starts in the folder of this configuration."
    )


Data = Annotated[CsvData | ParquetData | SampleData, Field(discriminator="source")]
