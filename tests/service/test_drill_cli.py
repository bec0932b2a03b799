"""`papertape drill` as its users run it: a process, its output, its exit code, and the file that monitoring reads."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from daemon.drill.textfile import read_outcomes

PAPERTAPE = Path(sys.executable).with_name("papertape")
CONFIG = """\
name: guarded
start: 2020-03-01
warmup: 60d
data:
  - {source: synthetic, instrument: A, bar: 1d, start: 2020-01-01, days: 80, price: 100, volatility: 0.3}
instruments:
  A: {tick_size: 0.01, lot_size: 1, currency: USD, fees: {bps: 5}}
risk: {method: historical, confidence: 0.95, window: 40, min_history: 20}
accounts:
  - name: a
    cash: 100000
    limits:
      var: {limit: 0.05, action: resize}
      drawdown: {limit: 0.2, action: flatten}
    strategies:
      - {use: momentum, name: s, instruments: [A], timeframe: 1d, size: {fraction: 0.9}}
"""
DENIES = "accounts.0.limits.max_order_notional=0.5"  # less than a share costs


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "guarded.yaml").write_text(CONFIG)
    return tmp_path


def papertape(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PAPERTAPE), "drill", *arguments],
        check=False,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_drill_prints_a_line_a_check_and_says_when_it_passed(home: Path) -> None:
    before = time.time()
    done = papertape(home, "guarded.yaml", "--metrics", "drill.prom")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    var = next(line for line in lines if line.strip().startswith("var 0.05"))
    assert "passed" in var
    assert "cut: VAR" in var
    assert any(line.startswith("not configured: ") and "price_collar" in line for line in lines)
    assert lines[-1].startswith("guarded: ")
    assert lines[-1].endswith(" 0 failed")
    (outcome,) = read_outcomes(home / "drill.prom").values()
    assert before <= outcome.last_success <= time.time()
    assert outcome.failures == 0
    assert f"guarded: {outcome.checks} checks" in lines[-1]
    assert sorted(p.name for p in home.iterdir()) == ["drill.prom", "guarded.yaml"]


def test_drill_that_fails_ends_with_1_and_keeps_the_last_success(home: Path) -> None:
    file = home / "drill.prom"
    file.write_text('papertape_drill_last_success_timestamp_seconds{config="guarded"} 1700000000.0\n')
    done = papertape(home, "guarded.yaml", "--set", DENIES, "--metrics", "drill.prom", "--json")
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert (said["name"], said["passed"], said["checks"], said["failures"]) == ("guarded", False, 1, 1)
    (account,) = said["accounts"]
    (check,) = account["checks"]
    assert (check["name"], check["result"]) == ("usual order", "failed")
    assert check["happened"] == "but denied: ORDER_NOTIONAL"
    outcome = read_outcomes(file)["guarded"]
    assert (outcome.last_success, outcome.checks, outcome.failures) == (1_700_000_000.0, 1, 1)


def test_json_has_all_checks_with_what_was_done_and_what_happened(home: Path) -> None:
    done = papertape(home, "guarded.yaml", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    (account,) = said["accounts"]
    assert account["name"] == "a"
    keys = {"strategy", "name", "injected", "expected", "happened", "result"}
    assert all(set(check) == keys for check in account["checks"])
    results = [check["result"] for check in account["checks"]]
    assert said["checks"] == results.count("passed")
    assert "not configured" in results


def test_file_of_other_metrics_is_refused_before_the_drill(home: Path) -> None:
    (home / "node.prom").write_text("node_load1 0.2\n")
    done = papertape(home, "guarded.yaml", "--metrics", "node.prom")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "node.prom:1: is no outcome of a drill" in done.stderr
    assert (home / "node.prom").read_text() == "node_load1 0.2\n"


def test_wrong_configuration_is_told_as_by_other_commands(home: Path) -> None:
    done = papertape(home, "guarded.yaml", "--set", "risk.confidence=2")
    assert done.returncode == 2
    assert "risk.confidence" in done.stderr
