"""The issue's own YAML, beside a file that it can name."""

import re
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


MODULE = """
from pydantic import BaseModel, Field
from strategies import Strategy

class Mine(Strategy):
    features = ("sma_5", "close")
    history = 12

    class Params(BaseModel):
        level: float = Field(1.0, gt=0)
        names: tuple[str, ...] = ()

    def on_bar(self, ctx, bar):
        pass
"""


@pytest.fixture
def python(file: Path) -> Path:
    """That configuration with a class in place of the rule."""
    # a module's name of its own: Python keeps modules by name
    name = re.sub(r"\W", "_", f"mine_{file.parent.name}")
    (file.parent / f"{name}.py").write_text(MODULE)
    text = (
        file.read_text().replace("use: sma_cross", f"use: '{name}:Mine'").replace(", size: {units: 100}", "")
    )
    file.write_text(text.replace("{fast: 10, slow: 30}", "{level: 2}"))
    return file
