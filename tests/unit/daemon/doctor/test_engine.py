import shutil
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from daemon import compiled
from daemon.catalog.store import Catalog
from daemon.config.paper import load_paper
from daemon.doctor import engine
from engine.records import DAY
from tests.hours import HOUR, put_hours
from tests.trained import store_model
from tests.unit.daemon.doctor.conftest import Case

NOW = int(np.datetime64("2024-02-28T12:00", "ns").astype(np.int64))
LIVE: dict[str, Any] = {
    "name": "live",
    "feed": {"source": "finnhub"},
    "instruments": {"BTC": {"calendar": "24/7"}},
    "accounts": [
        {
            "name": "one",
            "cash": 1000,
            "strategies": [
                {"use": "sma_cross", "instruments": ["BTC"], "timeframe": "1h", "params": {"fast": 5, "slow": 48}, "size": {"units": 1}}
            ],
        }
    ],
}  # fmt: skip


def live(folder: Path, hours: int, first: str = "2024-02-26") -> Any:
    put_hours(Catalog(folder), "BTC", hours, first)
    data = {"source": "catalog", "path": folder, "instrument": "BTC", "bar": "1h"}
    return load_paper({**LIVE, "data": [data]}).config


def test_engine_that_is_not_compiled_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 0)
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path))
    (found,) = engine.compiled()
    assert found.state == "warning"
    assert f"is not in {tmp_path}/compiled/" in found.text
    folder = compiled.cache_root() / compiled.key()
    folder.mkdir(parents=True)
    (folder / "kernel.run-1.nbc").touch()
    (found,) = engine.compiled()
    assert (found.state, found.text) == ("ok", f"is in {folder}")


def test_engine_that_is_told_not_to_compile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    (found,) = engine.compiled()
    assert found.state == "warning"
    assert "hundreds of times slower" in found.text


def test_models_load_until_they_are_gone(case: Case) -> None:
    folder = case.file.parent / "models"
    ref = store_model(folder, "m", ("rsi_14",), {"kind": "discrete", "size": {"units": 5}})
    config = case.of(
        f"models={folder}", "accounts.0.strategies=[{use: 'model:m@latest', instruments: [IBM]}]"
    )
    (found,) = engine.models(config)
    assert (found.check, found.state, found.text) == ("models", "ok", f"{ref} loads")
    shutil.rmtree(folder)
    (found,) = engine.models(config)
    assert found.state == "failed"
    assert "there is no model 'm'" in found.text


def test_model_that_learned_from_what_it_trades_is_told(case: Case) -> None:
    folder = case.file.parent / "models"
    spans = {k: {"start": f"{y}-01-01T00:00:00+00:00", "end": f"{y + 1}-01-01T00:00:00+00:00"} for k, y in (("train", 2012), ("validation", 2013), ("test", 2014))}  # fmt: skip
    store_model(
        folder,
        "m",
        ("rsi_14",),
        {"kind": "discrete", "size": {"units": 5}},
        spans=spans,
        instruments=("IBM",),
    )
    config = case.of(
        f"models={folder}", "accounts.0.strategies=[{use: 'model:m@latest', instruments: [IBM]}]"
    )
    (found,) = engine.models(config)
    assert found.state == "warning"
    assert "has learned from days before 2014-01-01" in found.text


def test_run_without_models_says_nothing_of_them(case: Case) -> None:
    assert list(engine.models(case.of())) == []


def test_history_that_is_long_enough_is_read_to_its_end(case: Case) -> None:
    # of the weekdays from 2011-08-06 (300 days before) to 2012-05-31 each has four rows, and two shares each; holidays
    # of the New York exchange: Labor Day, Thanksgiving, 26 December, 2 January, King, Presidents, Good Friday, Memorial Day
    days = int(np.busday_count("2011-08-06", "2012-06-01")) - 8
    (found,) = engine.history(case.of(), NOW)
    assert found.state == "ok"
    # and IBM's dividends of November, February and May; that of the first day, 8 August, comes before any price
    assert found.text.startswith(f"{2 * 4 * days + 3:,} rows in ")


def test_history_that_is_too_short_says_what_is_missing(case: Case) -> None:
    (found,) = engine.history(case.of("warmup=20d"), NOW)
    assert found.state == "warning"
    assert found.text.startswith("one/sma_cross: not enough bars of IBM (sma_30")
    assert found.text.endswith(
        "give more of it under data, or a longer warmup, or wait until enough came live"
    )


def test_scenarios_that_are_missing_are_told(case: Case) -> None:
    (found,) = engine.history(case.of("warmup=60d", "risk={min_history: 100}"), NOW)
    assert found.state == "warning"
    assert found.text.startswith("scenarios: 100 returns are needed, IBM has ")


def test_history_that_cannot_be_read_fails(case: Case) -> None:
    path = case.file.parent / "x.csv"
    path.write_text("date,open,high,low,close,volume\n2012-05-30,1,1,1,1,5\n2012-05-31,nine,1,1,1,5\n")
    config = case.of(
        f"data=[{{source: csv, path: {path}, instrument: IBM, bar: 1d}}]", "instruments={IBM: {}}"
    )
    (found,) = engine.history(config, NOW)
    assert (found.check, found.state) == ("history", "failed")
    assert "x.csv:3" in found.text


def test_history_of_a_time_that_its_file_does_not_have_fails(tmp_path: Path) -> None:
    config = live(tmp_path, 60).model_copy(update={"warmup": DAY})
    (found,) = engine.history(config, NOW + 30 * DAY)
    assert (found.check, found.state) == ("history", "failed")
    assert "BTC" in found.text


def test_strategy_that_raises_when_it_begins_fails(case: Case) -> None:
    (case.file.parent / "broken_start.py").write_text(
        "from strategies import Strategy\n\n"
        "class Broken(Strategy):\n    def on_start(self, ctx):\n        raise KeyError('no')\n\n"
        "    def on_bar(self, ctx, bar):\n        pass\n"
    )
    config = case.of(
        "accounts.0.strategies=[{use: 'broken_start:Broken', instruments: [IBM], timeframe: 1d}]"
    )
    found = list(engine.history(config, NOW))
    assert ("strategies", "failed") in [(f.check, f.state) for f in found]


def test_live_history_up_to_now_is_enough(tmp_path: Path) -> None:
    # from the 26th on 60 hours come to the 28th at noon
    (found,) = engine.history(live(tmp_path, 60), NOW)
    assert (found.check, found.state) == ("history", "ok")
    assert found.text.startswith("240 rows in ")


def test_bar_that_has_not_ended_is_no_history(tmp_path: Path) -> None:
    (found,) = engine.history(live(tmp_path, 70), NOW - HOUR // 2)
    assert found.text.startswith("236 rows in ")  # the 59 that ended by half past eleven


def test_live_history_that_ended_long_ago_is_told(tmp_path: Path) -> None:
    (found,) = engine.history(live(tmp_path, 60), NOW + 2 * DAY)
    assert found.state == "warning"
    assert found.text.startswith(
        "that of BTC ends on 2024-02-28 11:59, and what came since would count as one move"
    )


def test_live_session_without_history_says_what_it_lacks() -> None:
    found = list(engine.history(load_paper(LIVE).config, NOW))
    assert {f.state for f in found} == {"warning"}
    assert [f.text.split(";")[0] for f in found] == [
        "no price yet: BTC",
        "one/sma_cross: not enough bars of BTC (sma_5, sma_48)",
    ]
