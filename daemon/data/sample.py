"""The sample of the offline demo: real daily bars from a package of the index.

Daily OHLCV of 2000 to 2013 as traded (not adjusted for splits and dividends), in the public domain. The splits and
dividends of these years are beside this module.
"""

from __future__ import annotations

from pathlib import Path

SAMPLE_INSTRUMENTS = ("AAPL", "GOOG", "IBM", "MSFT")
WITH_ACTIONS = ("AAPL", "IBM", "MSFT")


def sample_instruments() -> tuple[str, ...]:
    """The names of the instruments that the sample has."""
    return SAMPLE_INSTRUMENTS


def sample_actions(name: str) -> Path | None:
    """The file of an instrument's splits and dividends in those years, where it had any."""
    return Path(__file__).with_name("sample_actions.csv") if name in WITH_ACTIONS else None


def sample_path() -> Path:
    """The file with all of them, one after the other."""
    from bokeh_sampledata import package_path

    return Path(package_path("stocks.csv.gz"))
