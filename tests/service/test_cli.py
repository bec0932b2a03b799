"""The `papertape` command as its users run it: a process, its output, its exit code, what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from daemon.backtest import run_backtest

PAPERTAPE = Path(sys.executable).with_name("papertape")
KEYS = [
    "run_id",
    "result_hash",
    "rows",
    "bars",
    "first_ts",
    "last_ts",
    "wall_s",
    "rows_per_s",
    "refused_rows",
    "accounts",
]
ACCOUNT_KEYS = [
    "name",
    "cash_micros",
    "equity_micros",
    "return",
    "sharpe",
    "max_drawdown",
    "fills",
    "orders",
    "denied",
    "fees_micros",
]
FILES = [
    "actions.parquet",
    "cash.parquet",
    "config.yaml",
    "equity.parquet",
    "fills.parquet",
    "grades.parquet",
    "orders.parquet",
    "risk.parquet",
    "summary.json",
]

CONFIG = """\
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
      - {use: sma_cross, instruments: [AAPL], timeframe: 1d, params: {fast: 3, slow: 8}, size: {units: 100}}
"""

SLOW = """
import time
from pathlib import Path

from strategies import Strategy


class Slow(Strategy):
    def on_bar(self, ctx, bar):
        Path("deciding").touch()
        time.sleep(60)


class Broken(Strategy):
    def on_bar(self, ctx, bar):
        return bar.close / 0
"""


@pytest.fixture
def home(tmp_path):
    """A user's folder: a configuration, its data, and a module with strategies."""
    random = np.random.Generator(np.random.PCG64(1))
    close = np.round(50 + np.cumsum(random.normal(0, 1, 120)), 2)
    frame = pd.DataFrame(
        {"Date": pd.date_range("2001-01-01", periods=120).strftime("%Y-%m-%d"), "Open": close}
    )
    frame["High"], frame["Low"], frame["Close"], frame["Volume"] = close + 1, close - 1, close, 1000
    frame.to_csv(tmp_path / "aapl.csv", index=False)
    (tmp_path / "sma.yaml").write_text(CONFIG)
    (tmp_path / "mine.py").write_text(SLOW)
    return tmp_path


def papertape(*arguments, cwd, timeout=120, **environment):
    return subprocess.run(
        [PAPERTAPE, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def use(home, strategy):
    """The configuration with a strategy of the module `mine`."""
    text = CONFIG.replace("use: sma_cross", f"use: mine:{strategy}")
    text = text.replace("params: {fast: 3, slow: 8}, size: {units: 100}", "params: {}")
    (home / "mine.yaml").write_text(text)
    return "mine.yaml"


def what_lies_in(home):
    return sorted(p.name for p in home.iterdir() if p.name != "__pycache__")


def test_json_is_one_object_on_standard_output_with_the_promised_keys(home):
    done = papertape("backtest", "sma.yaml", "--out", "out", "--json", cwd=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    summary = json.loads(done.stdout)
    assert list(summary)[: len(KEYS)] == KEYS
    assert [list(a) for a in summary["accounts"]] == [ACCOUNT_KEYS]
    assert (summary["rows"], summary["bars"], summary["refused_rows"]) == (480, 120, 0)
    assert (summary["first_ts"], summary["last_ts"][:19]) == ("2001-01-01T00:00:00Z", "2001-04-30T23:59:59")
    assert summary["accounts"][0]["fills"] > 5
    assert sorted(p.name for p in (home / "out").iterdir()) == FILES
    assert json.loads((home / "out" / "summary.json").read_text()) == summary
    assert "results are in out" in done.stderr


def test_table_is_what_a_person_gets(home):
    done = papertape("backtest", "sma.yaml", cwd=home)
    assert done.returncode == 0, done.stderr
    assert "Sharpe" in done.stdout
    assert "480 rows, 120 bars, 2001-01-01 to 2001-04-30" in done.stdout
    (folder,) = (home / "results").iterdir()
    assert folder.name.startswith("aapl-sma-")
    assert sorted(p.name for p in folder.iterdir()) == FILES
    assert f"results are in results/{folder.name}" in done.stderr


def test_same_run_has_the_same_hash_in_another_process_and_under_other_batches(home):
    hashes = {
        json.loads(papertape("backtest", "sma.yaml", "--json", cwd=home).stdout)["result_hash"]
        for _ in range(2)
    }
    for rows in (1, 17):
        hashes.add(run_backtest(home / "sma.yaml", batch_rows=rows).summary["result_hash"])
    assert len(hashes) == 1


def test_set_changes_the_run_and_its_written_configuration(home):
    arguments = ("backtest", "sma.yaml", "--json", "--out", "out")
    done = papertape(*arguments, "--set", "accounts.0.cash=5000", "--set", "name=other", cwd=home)
    summary = json.loads(done.stdout)
    assert summary["more"]["name"] == "other"
    assert summary["accounts"][0]["equity_micros"] < 6_000_000_000
    again = papertape("backtest", "out/config.yaml", "--json", cwd=home)
    assert json.loads(again.stdout)["result_hash"] == summary["result_hash"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["backtest", "nowhere.yaml"], ["nowhere.yaml"]),
        (["backtest", "sma.yaml", "--set", "accounts.0.cahs=5"], ["cahs"]),
        (["backtest", "sma.yaml", "--set", "nonsense"], ["nonsense", "key=value"]),
        (["backtest", "sma.yaml", "--out", "full"], ["full", "not empty", "--out"]),
        (["backtest", "sma.yaml", "--out", "sma.yaml/x"], ["sma.yaml", "--out"]),
        (["backtest", "bad.yaml"], ["aapl-bad.csv:6", "Low"]),
        (["backtest", "wrong.yaml"], ["wrong.yaml:4", "bra", "bar"]),
        (["backtest", "no-class.yaml"], ["mine:Slwo", "Slow"]),
        (["backtest", "no-rows.yaml"], ["no row lies in the time"]),
        (["config", "check", "wrong.yaml"], ["wrong.yaml:4"]),
        (["bakctest", "sma.yaml"], ["Did you mean 'backtest'"]),
        (["backtest", "sma.yaml", "--jsno"], ["--json"]),
        (["backtest"], ["Missing argument"]),
        ([], ["Usage"]),
    ],
)
def test_wrong_use_exits_with_2_one_message_and_no_results(home, arguments, said):
    (home / "full").mkdir()
    (home / "full" / "file").touch()
    lines = (home / "aapl.csv").read_text().splitlines()
    fields = lines[5].split(",")
    lines[5] = ",".join([*fields[:3], "-1", *fields[4:]])
    (home / "aapl-bad.csv").write_text("\n".join(lines) + "\n")
    (home / "bad.yaml").write_text(CONFIG.replace("aapl.csv", "aapl-bad.csv"))
    (home / "wrong.yaml").write_text(CONFIG.replace("bar: 1d", "bra: 1d"))
    (home / "no-rows.yaml").write_text(CONFIG + "end: 2000-01-01\n")
    use(home, "Slwo")
    (home / "mine.yaml").rename(home / "no-class.yaml")
    before = what_lies_in(home)
    done = papertape(*arguments, cwd=home)
    assert done.returncode == 2, done.stderr
    for words in said:
        assert words in done.stderr + (done.stdout if not arguments else "")
    assert "Traceback" not in done.stderr
    assert what_lies_in(home) == before


def test_strategy_that_raises_exits_with_1_and_names_its_line(home):
    done = papertape("backtest", use(home, "Broken"), cwd=home)
    assert done.returncode == 1
    assert "on_bar at 2001-01-02T00:00:00Z on AAPL: ZeroDivisionError" in done.stderr
    assert "mine.py:16: return bar.close / 0" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (home / "results").exists()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_exits_with_130_and_leaves_nothing(home, ending):
    before = what_lies_in(home)
    config = use(home, "Slow")
    run = subprocess.Popen(
        [PAPERTAPE, "backtest", config], cwd=home, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 100
    while not (home / "deciding").exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert any((home / "results").iterdir())  # it has begun to write
    asked = time.monotonic()
    run.send_signal(ending)
    out, said = run.communicate(timeout=30)
    assert time.monotonic() - asked < 10
    assert (run.returncode, out) == (130, "")
    assert "interrupted; nothing was written" in said
    assert "Traceback" not in said
    assert what_lies_in(home) == sorted([*before, "deciding", "mine.yaml"])


def test_full_disk_exits_with_1_and_says_so(home):
    # a limit on the size of files: what a full disk does, without filling one
    script = (
        "ulimit -f 8; exec \"$0\" backtest sma.yaml --set 'accounts.0.strategies.0.timeframe=1d' --out out"
    )
    text = CONFIG + "".join(
        f"  - {{name: a{i}, cash: 1000, strategies: [{{use: buy_and_hold, instruments: [AAPL], timeframe: 1d, "
        "size: {units: 1}}]}\n"
        for i in range(300)
    )
    (home / "sma.yaml").write_text(text)
    before = what_lies_in(home)
    done = subprocess.run(
        ["bash", "-c", script, PAPERTAPE],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: signal.signal(
            signal.SIGXFSZ, signal.SIG_IGN
        ),  # a failing write, not a killed process
    )
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert what_lies_in(home) == before


def test_demo_runs_offline_and_says_where_its_results_are(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\n"
        "def refuse(*_):\n"
        "    raise SystemExit('the demo went to the network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
    )
    begun = time.monotonic()
    done = papertape("demo", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    if "compiling" not in done.stderr:  # which is the price of an installation's first run
        assert time.monotonic() - begun < 60
    for words in ("buy-and-hold", "sma-cross", "momentum", "mean-reversion", "Sharpe", "Next:"):
        assert words in done.stdout
    (folder,) = (tmp_path / "results").iterdir()
    assert f"Results are in results/{folder.name}" in done.stdout
    assert sorted(p.name for p in folder.iterdir()) == sorted([*FILES, "arena", "models"])
    assert sorted(p.name for p in (folder / "arena").iterdir()) == FILES
    for words in ("qlearning", "ppo", "buy_and_hold", "which nobody has learned from"):
        assert words in done.stdout


def test_config_check_describes_what_would_run(home):
    done = papertape("config", "check", "sma.yaml", cwd=home)
    assert done.returncode == 0
    assert "sma_cross" in done.stdout


def test_config_schema_is_json(home):
    assert "accounts" in json.loads(papertape("config", "schema", cwd=home).stdout)["properties"]


def test_reader_that_leaves_early_is_no_error(home):
    done = subprocess.run(
        ["bash", "-c", '"$0" config schema | head -c 1', PAPERTAPE],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=home,
    )
    assert (done.stdout, done.stderr) == ("{", "")


def test_version(tmp_path):
    assert papertape("--version", cwd=tmp_path).stdout == "papertape 0.1.0\n"


def test_help_is_quick_because_it_imports_nothing_heavy(tmp_path):
    heavy = ["numpy", "numba", "pyarrow", "pandas", "pydantic", "yaml", "structlog", "rich", "asyncio"]
    script = f"import sys, daemon.cli; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"
    times = []
    for _ in range(5):
        begun = time.monotonic()
        done = papertape("--help", cwd=tmp_path)
        times.append(time.monotonic() - begun)
        assert done.returncode == 0
        for command in ("backtest", "demo", "bench", "config"):
            assert command in done.stdout
    assert min(times) < 0.4
