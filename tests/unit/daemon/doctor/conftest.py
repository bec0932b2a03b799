"""A session that could run: a replay of the sample, in a folder of its own."""

from pathlib import Path

import pytest

from daemon.config.paper import PaperConfig, load_paper

REPLAY = """\
start: 2012-06-01
warmup: 300d
feed: {source: replay}
data: [{source: sample, instrument: IBM}, {source: sample, instrument: AAPL}]
service: {listen: null}
accounts:
  - name: one
    cash: 100000
    strategies:
      - {use: sma_cross, instruments: [IBM], timeframe: 1d, params: {fast: 10, slow: 30}, size: {units: 100}}
"""


class Case:
    """The configuration's file, and it as read with changes."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def of(self, *overrides: str) -> PaperConfig:
        return load_paper(self.file, overrides).config


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    for name in (
        "RUNTIME_DIRECTORY", "PAPERTAPE_DATABASE", "FINNHUB_API_KEY", "FINNHUB_API_KEY_FILE", "INVOCATION_ID",
        "NOTIFY_SOCKET", "WATCHDOG_USEC",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    file = tmp_path / "again.yaml"
    file.write_text(REPLAY)
    return Case(file)
