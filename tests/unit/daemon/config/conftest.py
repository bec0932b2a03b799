"""The issue's own YAML, beside a file that it can name."""

from pathlib import Path

import pytest

YAML = """\
name: aapl-sma
seed: 7
data:
  - {source: csv, path: aapl.csv, instrument: AAPL, bar: 1d}
instruments:
  AAPL: {tick_size: 0.01, lot_size: 1, currency: USD, fees: {bps: 10}}
execution: {slippage_bps: 0, latency_ms: 0, participation: null, limit_fill: through}
accounts:
  - name: sma
    cash: 100000
    strategies:
      - {use: sma_cross, instruments: [AAPL], timeframe: 1d, params: {fast: 10, slow: 30}, size: {units: 100}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with data in it that nobody reads here."""
    for name in ("aapl.csv", "msft.csv", "ticks.parquet"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def file(folder: Path) -> Path:
    """The issue's configuration, in that folder."""
    path = folder / "a.yaml"
    path.write_text(YAML)
    return path
