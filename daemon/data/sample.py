"""The sample of the offline demo: real daily bars from a package of the index.

Daily OHLCV of 2000 to 2013 as traded (not adjusted for splits and dividends), in the public domain.
"""

from __future__ import annotations

from pathlib import Path

SAMPLE_INSTRUMENTS = ("AAPL", "GOOG", "IBM", "MSFT")


def sample_instruments() -> tuple[str, ...]:
    """The names of the instruments that the sample has."""
    return SAMPLE_INSTRUMENTS


def sample_path() -> Path:
    """The file with all of them, one after the other."""
    from bokeh_sampledata import package_path

    return Path(package_path("stocks.csv.gz"))
