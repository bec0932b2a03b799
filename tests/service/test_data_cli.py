"""`papertape data` as its users run it: a process, its output, its exit code, what it leaves behind."""

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

PAPERTAPE = Path(sys.executable).with_name("papertape")

CONFIG = """\
name: aapl-sma
data:
  - {DATA, instrument: AAPL}
instruments:
  AAPL: {tick_size: 0.01, lot_size: 1, currency: USD, fees: {bps: 10}}
accounts:
  - name: sma
    cash: 100000
    strategies:
      - {use: sma_cross, instruments: [AAPL], timeframe: 1d, params: {fast: 3, slow: 8}, size: {units: 100}}
"""


@pytest.fixture
def home(tmp_path):
    """A user's folder with a year of daily prices."""
    random = np.random.Generator(np.random.PCG64(1))
    close = np.round(50 + np.cumsum(random.normal(0, 1, 300)), 2)
    days = pd.bdate_range("2011-06-01", periods=300).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"Date": days, "Open": close, "High": close + 1, "Low": close - 1, "Close": close})
    frame["Volume"] = 1000
    frame.to_csv(tmp_path / "aapl.csv", index=False)
    return tmp_path


def papertape(*arguments, cwd, **environment):
    return subprocess.run(
        [PAPERTAPE, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def imported(home, *more):
    done = papertape("data", "import", "aapl.csv", "--instrument", "AAPL", "--bar", "1d", *more, cwd=home)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_imported_series_is_listed_and_its_backtest_is_that_of_the_file(home):
    made = json.loads(imported(home, "--json"))
    assert (made["instrument"], made["bar"], made["rows"], made["adjusted"]) == ("AAPL", "1d", 300, "raw")
    [listed] = json.loads(papertape("data", "list", "--json", cwd=home).stdout)
    assert listed == made
    table = papertape("data", "list", cwd=home).stdout.splitlines()
    assert [line.split()[:3] for line in table if line.strip()][-1] == ["AAPL", "1d", "300"]
    hashes = []
    for data in ("source: csv, path: aapl.csv, bar: 1d", "source: catalog"):
        (home / "a.yaml").write_text(CONFIG.replace("DATA", data))
        done = papertape("backtest", "a.yaml", "--json", cwd=home)
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)
        assert summary["accounts"][0]["fills"] > 0
        hashes.append(summary["result_hash"])
    assert hashes[0] == hashes[1]


def test_damaged_catalog_ends_a_check_with_1_and_is_named(home):
    imported(home)
    good = papertape("data", "check", "AAPL", cwd=home)
    assert (good.returncode, good.stderr) == (0, "")
    assert "AAPL 1d: 300 rows, as written" in good.stdout
    part = min((home / "catalog").rglob("*.parquet"))
    frame = pd.read_parquet(part)
    frame["close"] = frame["close"] + 0.01
    frame.to_parquet(part, index=False)
    bad = papertape("data", "check", "--json", cwd=home)
    assert bad.returncode == 1
    [checked] = json.loads(bad.stdout)
    assert len(checked["problems"]) == 1
    assert part.name in checked["problems"][0]
    (home / "catalog/AAPL/1d/manifest.json").write_text("{}")
    broken = papertape("data", "check", cwd=home)
    assert broken.returncode == 1
    assert "manifest.json: the manifest is broken" in " ".join(broken.stdout.split())


def test_file_is_looked_at_without_a_catalog(home):
    text = (home / "aapl.csv").read_text().splitlines()
    text[20], text[21] = text[21], text[20]
    text[30] = text[30].replace("1000", "many")
    (home / "odd.csv").write_text("\n".join(text))
    done = papertape("data", "check", "--file", "odd.csv", "--bar", "1d", "--json", cwd=home)
    assert done.returncode == 0, done.stderr
    [checked] = json.loads(done.stdout)
    assert (checked["rows"], checked["counts"]["unreadable number"]) == (299, 1)
    assert sum(f["kind"] == "backward" for f in checked["findings"]) == 1
    assert papertape("data", "check", "--file", "odd.csv", cwd=home).returncode == 2


def test_exported_window_is_what_was_imported(home):
    imported(home)
    done = papertape(
        "data", "export", "AAPL", "--to", "x.csv.gz", "--start", "2012-01-01", "--end", "2012-02-01", cwd=home
    )
    assert (done.returncode, done.stdout) == (0, "22 rows are in x.csv.gz\n")
    there, given = pd.read_csv(home / "x.csv.gz"), pd.read_csv(home / "aapl.csv")
    given = given[given.Date.str.startswith("2012-01")]
    assert there.to_numpy().tolist() == given.to_numpy().tolist()
    again = papertape("data", "export", "AAPL", "--to", "x.csv.gz", cwd=home)
    assert again.returncode == 2
    assert again.stderr.startswith("error: x.csv.gz: it is there already")


def test_generated_tape_is_the_same_for_the_same_seed(home):
    options = [
        "--instrument",
        "SYN",
        "--bar",
        "1m",
        "--days",
        "3",
        "--calendar",
        "24/7",
        "--set",
        "volatility=0.5",
    ]
    first, second = (
        json.loads(papertape("data", "generate", *options, "--catalog", f, "--json", cwd=home).stdout)
        for f in "ab"
    )
    assert first["hash"] == second["hash"]
    assert first["history"][0]["source"]["arguments"]["volatility"] == 0.5
    done = papertape("data", "generate", *options, "--seed", "1", "--to", "s.csv", cwd=home)
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(home / "s.csv")) == 3 * 1440
    wrong = papertape("data", "generate", "--set", "volatilty=0.5", "--days", "3", cwd=home)
    assert wrong.returncode == 2
    assert "volatilty: unknown key; did you mean 'volatility'?" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list"], "catalog: there is no catalog here; name its folder with --catalog"),
        (["export", "AAPL", "--to", "x.csv"], "there is no catalog here"),
        (["import", "aapl.csv", "--instrument", "AAPL", "--bar", "1x"], "import: bar: '1x' is no duration"),
        (["import", "b.csv", "--instrument", "AAPL", "--bar", "1d"], "import: path: there is no"),
        (
            ["import", "aapl.csv", "--instrument", "AAPL", "--bar", "1d", "--columns", "x"],
            "--columns: is no pair",
        ),
        (
            ["import", "aapl.csv", "--instrument", "AAPL", "--bar", "1d", "--adjusted", "y"],
            "--adjusted: 'y' is not known; write raw",
        ),
        (
            ["import", "aapl.csv", "--instrument", "AAPL", "--bar", "1d", "--calendar", "XNYC"],
            "--calendar: .*XNYS",
        ),
        (["fetch", "--provider", "nobody"], "there is no provider 'nobody'"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_to_do(home, arguments, message):
    import re

    done = papertape("data", *arguments, cwd=home)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(p.name for p in home.iterdir()) in (["aapl.csv"], ["aapl.csv", "catalog"])


def test_misspelt_instrument_is_answered_with_the_near_one(home):
    imported(home)
    for command in (["check", "APL"], ["export", "APL", "--to", "x.csv"]):
        done = papertape("data", *command, cwd=home)
        assert done.returncode == 2
        assert "there is no APL; did you mean AAPL?" in done.stderr


def test_import_that_is_killed_leaves_the_catalog_as_it_was(home):
    imported(home)
    lines = ["timestamp,open,high,low,close,volume"]
    stamps = pd.date_range("2001-01-01", periods=1_500_000, freq="min").strftime("%Y-%m-%dT%H:%M:00Z")
    lines += [f"{t},10,11,9,10,5" for t in stamps]
    (home / "big.csv").write_text("\n".join(lines))
    before = papertape("data", "list", "--json", cwd=home).stdout
    command = [str(PAPERTAPE), "data", "import", "big.csv", "--instrument", "BIG", "--bar", "1m"]
    process = subprocess.Popen(command, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not list((home / "catalog").rglob("*.tmp")) and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    finally:
        process.wait(timeout=60)
    assert papertape("data", "list", "--json", cwd=home).stdout == before
    strays = list((home / "catalog/BIG").rglob("*.tmp"))
    assert strays
    done = papertape("data", "import", "big.csv", "--instrument", "BIG", "--bar", "1m", "--json", cwd=home)
    assert json.loads(done.stdout)["rows"] == 1_500_000
    assert not list((home / "catalog").rglob("*.tmp"))
