"""`papertape risk` as its users run it, and what a backtest with risk leaves behind, against forecasts made with numpy."""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

PAPERTAPE = Path(sys.executable).with_name("papertape")
METHODS = ["historical", "gaussian", "cornish_fisher", "ewma", "filtered", "monte_carlo"]
DAYS = 200
UNITS = 100
LEAST = 40

CONFIG = """\
name: one
data:
  - {source: csv, path: a.csv, instrument: A, bar: 1d}
instruments:
  A: {tick_size: 0.01}
accounts:
  - name: hold
    cash: 20000
    strategies:
      - {use: buy_and_hold, instruments: [A], timeframe: 1d, size: {units: 100}}
"""
RISK = """\
risk: {confidence: 0.95, min_history: 40, window: 60, decay: 0.9}
"""
LIMITED = """\
    limits:
      var: {warning: 0.004, limit: 0.005, action: resize}
      drawdown: {limit: 0.02, action: halt}
    operator:
      - {at: 2001-06-01, do: reset, reason: looked at the books}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A user's folder: a price that wanders, and configurations that hold it."""
    folder = tmp_path_factory.mktemp("home")
    random = np.random.Generator(np.random.PCG64(4))
    close = np.round(50 * np.exp(np.cumsum(random.standard_t(4, DAYS) * 0.01)), 2)
    frame = pd.DataFrame({"Date": pd.date_range("2001-01-01", periods=DAYS).strftime("%Y-%m-%d")})
    frame["Open"] = frame["Close"] = close
    frame["High"], frame["Low"], frame["Volume"] = close, close, 1000
    frame.to_csv(folder / "a.csv", index=False)
    (folder / "plain.yaml").write_text(CONFIG)
    (folder / "risk.yaml").write_text(CONFIG + RISK)
    (folder / "limited.yaml").write_text(
        CONFIG.replace("    strategies:\n", LIMITED + "    strategies:\n").replace("buy_and_hold", "momentum")
        .replace("timeframe: 1d", "timeframe: 1d, params: {lookback: 3, threshold: 0.0}") + RISK
    )  # fmt: skip
    return folder


def papertape(home, *arguments):
    return subprocess.run(
        [PAPERTAPE, *map(str, arguments)],
        cwd=home,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def graded(home, *arguments):
    done = papertape(home, "risk", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)["accounts"]["hold"]


def what_lies_in(home):
    return sorted(p.name for p in home.iterdir())


def forecasts(home, method, tail=0.05, window=60):
    """(pnl, VaR, CVaR), as shares of equity, of 100 units held from the second day on, from the day on that LEAST returns
    are known: by definition.
    """
    close = pd.read_csv(home / "a.csv")["Close"].to_numpy()
    returns = close[1:] / close[:-1] - 1.0  # [k]: of day k + 1
    cash = 20_000.0 - UNITS * close[1]  # bought at the second day's open, which is its close
    z = NormalDist().inv_cdf(1.0 - tail)
    found = []
    for day in range(LEAST, DAYS - 1):
        value = UNITS * close[day]
        losses = np.sort(-value * returns[max(day - window, 0) : day])[::-1]
        if method == "historical":
            m = len(losses) * tail
            k = int(m + 1e-9)
            var = losses[k]
            cvar = (losses[:k].sum() + (m - k) * var) / m
        else:  # gaussian
            spread = losses.std(ddof=1)
            var = losses.mean() + z * spread
            cvar = losses.mean() + NormalDist().pdf(z) / tail * spread
        equity = cash + value
        found.append((value * returns[day] / equity, var / equity, cvar / equity))
    return np.array(found).T


@pytest.mark.parametrize("method", ["historical", "gaussian"])
def test_grades_are_those_of_forecasts_by_definition(home, method):
    pnl, var, cvar = forecasts(home, method)
    beyond = pnl < -var
    grade = graded(home, "risk.yaml")["grades"][method]
    assert grade["n"] == len(pnl) == DAYS - 1 - LEAST
    assert grade["exceedances"] == np.count_nonzero(beyond) > 0
    assert grade["expected"] == pytest.approx(0.05 * len(pnl))
    # the loss of quantile regression: 5 % of what is above the quantile, 95 % of what is below
    tick = np.where(beyond, 0.95 * (-var - pnl), 0.05 * (pnl + var)).mean()
    assert grade["tick_loss"] == pytest.approx(tick, rel=1e-9)
    z2 = 1.0 + (pnl[beyond] / cvar[beyond]).sum() / (0.05 * len(pnl))
    assert grade["shortfall"]["z2"] == pytest.approx(z2, rel=1e-9)


def test_table_has_all_methods_side_by_side_and_leaves_nothing_behind(home):
    before = what_lies_in(home)
    done = papertape(home, "risk", "risk.yaml")
    assert done.returncode == 0, done.stderr
    assert what_lies_in(home) == before
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 120
    rows = [line.split() for line in lines if line.split()[:1] and line.split()[0] in METHODS]
    assert [row[0] for row in rows] == METHODS
    assert {row[row.index("159") - 1] for row in rows} == {"8.0"}  # 159 outcomes, 5 % of them
    assert sum(cell.startswith("*") for row in rows for cell in row) == 2  # one best by each loss
    assert "hold: what it may lose in 1d at 95%, by each method" in lines
    held = next(line.split() for line in lines if line.split()[:1] == ["A"])
    assert held[4:] == ["100.0%", held[5], "100.0%"]


def test_at_the_end_it_may_lose_what_the_last_returns_say(home):
    close = pd.read_csv(home / "a.csv")["Close"].to_numpy()
    returns = close[1:] / close[:-1] - 1.0
    # 60 returns at 95 %: 3 losses are beyond, the fourth largest is VaR
    var = np.sort(-UNITS * close[-1] * returns[-60:])[-4]
    now = graded(home, "risk.yaml")["now"]
    assert now["var_micros"] == pytest.approx(var * 1e6, rel=1e-9)
    assert now["var"] == pytest.approx(var / (20_000 + UNITS * (close[-1] - close[1])), rel=1e-9)
    (part,) = now["parts"]
    assert part["var_micros"] == pytest.approx(now["var_micros"], rel=1e-9)
    assert part["value_micros"] == pytest.approx(UNITS * close[-1] * 1e6)
    assert now["stressed_var"] is None


def test_configuration_without_risk_is_graded_by_the_defaults(home):
    of = graded(home, "plain.yaml")
    assert (of["method"], of["confidence"]) == ("historical", 0.99)
    assert {name: grade["n"] for name, grade in of["grades"].items()} == dict.fromkeys(
        METHODS, DAYS - 1 - 100
    )
    assert of["ungraded"] is None


def test_grading_all_methods_changes_no_order_of_the_backtest(home):
    done = papertape(home, "backtest", "limited.yaml", "--json", "--out", "run")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    account, risk = summary["accounts"][0], summary["more"]["accounts"]["hold"]["risk"]
    of = graded(home, "limited.yaml")
    assert of["now"]["equity_micros"] == account["equity_micros"]
    for key in ("warnings", "breaches", "halts", "denied", "cut", "rejections"):
        assert of[key] == risk[key]
    assert list(risk["grades"]) == ["historical"]
    assert of["grades"]["historical"] == risk["grades"]["historical"]


def test_backtest_keeps_what_limits_did_and_every_forecast_with_its_outcome(home):
    done = papertape(home, "backtest", "limited.yaml", "--json", "--out", "kept")
    assert done.returncode == 0, done.stderr
    risk = json.loads(done.stdout)["more"]["accounts"]["hold"]["risk"]
    told = pd.read_parquet(home / "kept" / "risk.parquet")
    reset = told[told.code == "OPERATOR"]
    assert reset[["became", "reason"]].to_numpy().tolist() == [["ACTIVE", "looked at the books"]]
    assert reset.ts.iloc[0] == pd.Timestamp("2001-06-01", tz="UTC")
    assert risk["halts"]["DRAWDOWN"] == ((told.code == "DRAWDOWN") & (told.became == "HALTED")).sum() > 0
    assert risk["breaches"]["DRAWDOWN"] == ((told.code == "DRAWDOWN") & (told.became == "BEYOND")).sum()
    beyond = told[told.became == "BEYOND"]
    assert (beyond.measure >= beyond.bound).all()
    orders = pd.read_parquet(home / "kept" / "orders.parquet")
    cut = orders[(orders.code == "VAR") & (orders.status != "DENIED")]
    assert len(cut) == risk["cut"]["VAR"] > 0
    assert (cut.measure > cut.bound).all()
    assert (cut.bound == 0.005).all()
    grades = pd.read_parquet(home / "kept" / "grades.parquet")
    assert set(grades.method) == {"HISTORICAL"}
    assert len(grades) == risk["grades"]["historical"]["n"]
    assert (grades.pnl_micros < -grades.var_micros).sum() == risk["grades"]["historical"]["exceedances"]
    assert (grades.until - grades.ts == pd.Timedelta("1D")).all()


def test_table_of_a_backtest_with_risk_has_two_lines_more(home):
    done = papertape(home, "backtest", "limited.yaml", "--out", "table")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("hold:")]
    assert len(lines) == 2
    assert "outcomes, 1.7 expected" in lines[0]
    assert "limits on risk: " in lines[1]


def test_account_that_never_held_anything_is_told_so(home):
    text = (home / "limited.yaml").read_text().replace("threshold: 0.0", "threshold: 0.9")
    (home / "idle.yaml").write_text(text)
    done = papertape(home, "risk", "idle.yaml")
    assert done.returncode == 0, done.stderr
    assert "nothing was graded: it never held anything" in done.stdout
    assert "at the end it holds nothing" in done.stdout


def test_method_that_finds_no_quantile_is_left_out_and_told(home):
    # of 100 returns, one lies beyond 99 %; a gaussian quantile takes none of them
    done = papertape(home, "risk", "risk.yaml", "--json", "--set", "risk={method: gaussian, min_history: 99}")
    assert list(json.loads(done.stdout)["accounts"]["hold"]["grades"]) == [
        "gaussian",
        "cornish_fisher",
        "ewma",
        "monte_carlo",
    ]
    told = "is left out: at a confidence of 0.99 it takes risk.min_history: 100, and it is 99"
    assert f"historical {told}" in done.stderr
    assert f"filtered {told}" in done.stderr
    assert done.stderr.count("left out") == 2


def test_history_that_is_too_short_is_told_with_what_it_takes(home):
    # 101 days to 11 April have 100 returns, of which the forecast of that day is made; a day later it has an outcome
    done = papertape(home, "risk", "plain.yaml", "--set", "end=2001-04-12")
    assert done.returncode == 0, done.stderr
    assert (
        "too short: the tape has 101 periods, and the first forecast has an outcome in period 102"
        in done.stdout
    )
    assert "Kupiec" not in done.stdout
    of = graded(home, "plain.yaml", "--set", "end=2001-04-13")
    assert of["ungraded"] is None
    assert {grade["n"] for grade in of["grades"].values()} == {1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.yaml"], ["nowhere.yaml"]),
        (["risk.yaml", "--set", "risk.confidence=2"], ["risk.confidence"]),
        (["risk.yaml", "--set", "risk.metod=ewma"], ["metod", "method"]),
    ],
)
def test_mistakes_are_told_without_a_traceback(home, arguments, said):
    done = papertape(home, "risk", *arguments)
    assert done.returncode == 2
    for words in said:
        assert words in done.stderr
    assert "Traceback" not in done.stderr
