"""The configurations of paper sessions: what they promise in their first lines, without the daemon around it."""

from pathlib import Path

import pytest
import yaml

from daemon.backtest import run_backtest
from daemon.catalog.store import Catalog
from daemon.config.loader import check
from daemon.config.paper import load_paper
from daemon.config.spec import engine_spec
from engine.build import build
from tests.hours import put_hours

FOLDER = Path(__file__).parents[2] / "configs" / "paper"


@pytest.fixture
def catalog(tmp_path: Path) -> list[str]:
    """Hourly bars of what finnhub.yaml trades, as overrides that name them."""
    folder = tmp_path / "catalog"
    for name in ("AAPL", "MSFT", "TSLA", "BTC-USD"):
        put_hours(Catalog(folder), name)
    return [f"data.{k}.path={folder}" for k in range(4)]


def test_replay_trades_denies_warns_and_halts_in_its_first_minute() -> None:
    config = load_paper(FOLDER / "replay.yaml").config
    assert config.feed.source == "replay"
    assert config.feed.speed
    assert config.start
    first_minute = config.start.timestamp() + 60 * config.feed.speed
    # the same agents on the same rows, without the clock
    backtest = {
        key: value
        for key, value in yaml.safe_load((FOLDER / "replay.yaml").read_text()).items()
        if key not in ("feed", "journal", "service")
    }
    backtest["strategy_folder"] = str(config.strategy_folder)
    result = run_backtest(backtest)
    seen = {
        name: frame[frame[time].map(lambda ts: ts.timestamp()) < first_minute]
        for name, frame, time in (
            ("fills", result.fills, "ts"),
            ("orders", result.orders, "submitted"),
            ("risk", result.risk, "ts"),
        )
    }
    assert seen["fills"].groupby("account", observed=True).size().to_dict().keys() == {"guarded", "curious"}
    assert (seen["fills"].groupby("strategy", observed=True).size() >= 2).all()
    assert seen["fills"]["strategy"].nunique() == 5  # each agent, that in Python among them
    assert {"STRESSED_VAR", "POSITION"} <= set(
        seen["orders"]["code"][seen["orders"]["status"] == "DENIED"].astype(str)
    )
    assert (seen["orders"]["code"].astype(str)[seen["orders"]["status"] == "FILLED"] == "VAR").any()  # cut
    assert {"WARNING", "HALTED"} <= set(seen["risk"]["became"].astype(str))


def test_replay_needs_nothing_but_the_installation() -> None:
    config = load_paper(FOLDER / "replay.yaml").config
    assert {d.source for d in config.data} == {"sample"}
    assert config.database is None
    assert any(":" in s.use for a in config.accounts for s in a.strategies)


def test_live_configuration_says_what_it_would_do(
    catalog: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/papertape")
    monkeypatch.delenv("PAPERTAPE_DATABASE", raising=False)
    told = "\n".join(check(FOLDER / "finnhub.yaml", catalog))
    assert "session finnhub, kept in sqlite:////var/lib/papertape/papertape.db" in told
    assert "feed: finnhub, 4 of 50 symbols: AAPL, MSFT, TSLA, BTC-USD as BINANCE:BTCUSDT" in told
    assert "data: AAPL, catalog, " in told
    assert "hours of XNAS" in told
    assert "bars close 250 ms after their end" in told
    assert "retention: tape older than 90d goes to files" in told


def test_live_configuration_builds_an_engine_of_trades(catalog: list[str]) -> None:
    config = load_paper(FOLDER / "finnhub.yaml", catalog).config
    spec, _ = engine_spec(config)
    build(spec)
    assert [s.name for s in spec.strategies] == ["shares/trend", "shares/reversion", "coins/coin"]
    assert {i.latency_ns for i in spec.instruments} == {100_000_000}
    assert spec.grace_ns == 250_000_000
    assert config.traded == ("AAPL", "MSFT", "TSLA", "BTC-USD")


def test_each_line_of_the_live_configuration_is_a_key_that_may_stand_there(catalog: list[str]) -> None:
    # what is commented out is no less right
    text = (FOLDER / "finnhub.yaml").read_text()
    for line in ("database: postgresql://", "watch: [AAPL", "grace_ms: 250", "- {target: telegram"):
        assert f"# {line}" in text
    given = yaml.safe_load(
        text.replace("# database:", "database:").replace("# watch:", "watch:").replace("# grace_ms:", "grace_ms:")
        .replace("notify: []", "notify:").replace("  # - {target", "  - {target")
    )  # fmt: skip
    for data, override in zip(given["data"], catalog, strict=True):
        data["path"] = override.partition("=")[2]
    config = load_paper(given).config
    assert config.database == "postgresql://papertape@localhost/papertape"
    assert (config.traded, config.execution.grace_ms) == (("AAPL", "MSFT"), 250.0)
    assert [t.target for t in config.notify] == ["telegram"]
