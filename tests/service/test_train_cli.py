"""`papertape train` and `papertape arena` as their users run them: a process, its output, what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from daemon.backtest import run_backtest
from strategies.models import Registry

PAPERTAPE = Path(sys.executable).with_name("papertape")
KEYS = [
    "model",
    "algorithm",
    "steps",
    "steps_per_s",
    "wall_s",
    "train",
    "validation",
    "test",
    "deflated_sharpe",
    "controls",
]

# the least that a training's configuration holds
CONFIG = """\
data:
  - {source: sample, instrument: AAPL}
instruments:
  AAPL: {fees: {bps: 5}}
algorithm: qlearning
features: [log_return_5, rsi_14, exposure]
reward: log_return
actions: discrete
spans: {train: 0.6, validation: 0.2, test: 0.2}
steps: 40000
seed: 3
params: {}
"""
PPO = ["--set", "algorithm=ppo", "--set", "params={n_lanes: 32, n_steps: 32, batch_size: 256, net_arch: [8]}"]
NO_CONTROLS = ["--set", "evaluation.controls=false"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "aapl.yaml").write_text(CONFIG)
    return tmp_path


def papertape(*arguments, cwd):
    done = subprocess.run(
        [PAPERTAPE, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout, done.stderr


def trained(*arguments, cwd):
    code, out, err = papertape("train", *arguments, "--json", cwd=cwd)
    assert code == 0, err
    return json.loads(out.splitlines()[-1])


@pytest.mark.parametrize("algorithm", [[], PPO], ids=["qlearning", "ppo"])
def test_training_ends_with_a_json_object_and_a_model_that_a_backtest_uses(folder, algorithm):
    result = trained("aapl.yaml", *algorithm, *NO_CONTROLS, cwd=folder)
    assert [k for k in result if k in KEYS] == KEYS
    assert result["steps"] >= 40_000
    assert result["controls"] is None
    for span in ("train", "validation", "test"):
        assert {"return", "sharpe", "fills", "buy_and_hold"} <= set(result[span])

    # the figures of the test span are those of a backtest with the model over the same days
    spans: Any = Registry(folder / "models").load(result["model"]).card.spans
    config = {
        "name": "check",
        "start": spans["test"]["start"],
        "end": spans["test"]["end"],
        "models": str(folder / "models"),
        "data": [{"source": "sample", "instrument": "AAPL"}],
        "instruments": {"AAPL": {"fees": {"bps": 5}}},
        "accounts": [
            {
                "name": "a",
                "cash": 100_000,
                "strategies": [{"use": f"model:{result['model']}", "instruments": ["AAPL"]}],
            }
        ],
    }
    summary = run_backtest(config).summary["accounts"][0]
    assert summary["fills"] == result["test"]["fills"]
    assert summary["return"] == pytest.approx(result["test"]["return"], abs=1e-12)
    assert summary["sharpe"] == pytest.approx(result["test"]["sharpe"], abs=1e-9)


def test_same_seed_gives_the_same_model_and_the_registry_counts_trials(folder):
    first = trained("aapl.yaml", *NO_CONTROLS, cwd=folder)
    again = trained("aapl.yaml", *NO_CONTROLS, cwd=folder)
    assert again["model"] == first["model"]
    assert again["evaluation"]["trials"] == 1  # the same training is no other trial
    other = trained("aapl.yaml", *NO_CONTROLS, "--set", "seed=4", cwd=folder)
    assert other["model"] != first["model"]
    assert other["evaluation"]["trials"] == 2
    assert other["evaluation"]["pbo"] is not None


def test_progress_is_kept_beside_the_model(folder):
    result = trained("aapl.yaml", *NO_CONTROLS, cwd=folder)
    kept = Registry(folder / "models").load(result["model"]).folder
    progress = pd.read_parquet(kept / "progress.parquet")
    assert progress["step"].is_monotonic_increasing
    assert progress["step"].iloc[-1] == result["steps"]
    assert progress["evaluation"].notna().sum() == 20
    assert np.isfinite(progress[["reward", "loss_error"]]).all().all()
    assert not list((folder / "models" / ".training").glob("*"))


def test_ctrl_c_keeps_the_best_so_far(folder):
    command = [str(PAPERTAPE), "train", "aapl.yaml", "--json", "--set", "steps=4000000000"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    unfinished = folder / "models" / ".training"
    deadline = time.monotonic() + 120
    while not list(unfinished.glob("*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(3.0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    result = json.loads(out.splitlines()[-1])
    assert result["ended"] == "interrupted"
    assert 0 < result["steps"] < 4_000_000_000
    assert result["controls"] is None
    assert "interrupted; judging the best so far" in err
    Registry(folder / "models").load(result["model"])


def test_training_that_was_killed_resumes_to_the_same_model(folder):
    long = ["--set", "steps=12000000", "--set", "params.evaluate_every=500000", *NO_CONTROLS]
    expected = trained("aapl.yaml", *long, "--models", "whole", cwd=folder)
    command = [str(PAPERTAPE), "train", "aapl.yaml", *long]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(folder.glob("models/.training/*/training.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    code, out, err = papertape("train", "aapl.yaml", *long, "--resume", "--json", cwd=folder)
    assert code == 0, err
    assert "goes on after" in err
    assert json.loads(out.splitlines()[-1])["model"] == expected["model"]


def test_resuming_what_was_never_begun_begins_it_and_says_so(folder):
    code, _, err = papertape("train", "aapl.yaml", "--resume", *NO_CONTROLS, cwd=folder)
    assert code == 0
    assert "aapl: there is no checkpoint, it begins" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a configuration, such as configs/train/qlearning-aapl.yaml, or give --all"),
        (["aapl.yaml", "--set", "algorithm=sarsa"], "algorithm"),
        (["aapl.yaml", "--set", "features=[log_retrun_5]"], "unknown feature 'log_retrun_5'"),
        (["aapl.yaml", "--set", "features=[sma_5000]"], "the features are never complete"),
        (["aapl.yaml", "--set", "spans={train: 0.6, validation: 0.2, test: 0.1}"], "add up to 0.9"),
        (["aapl.yaml", "--set", "spans.embargo=3000"], "spans.train is empty"),
        (["aapl.yaml", "--set", "features=[exposure, exposure]"], "is given twice"),
        (["aapl.yaml", "--set", "params={bins: 1000}"], "make 3,000,000 states"),
        (["nothing.yaml"], "nothing.yaml"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_why_and_leaves_no_model(folder, arguments, message):
    code, out, err = papertape("train", *arguments, cwd=folder)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert message in err
    assert not [p for p in folder.glob("models/*") if not p.name.startswith(".")]


def test_table_says_what_the_agent_is_worth(folder):
    code, out, _ = papertape("train", "aapl.yaml", *NO_CONTROLS, cwd=folder)
    assert code == 0
    lines = out.splitlines()
    assert any(line.strip().startswith("test") for line in lines)
    assert "buying and holding" in out
    assert "deflated Sharpe ratio" in out
    assert lines[-1].startswith("model:aapl@")


def test_arena_ranks_agents_and_baselines_by_what_they_came_to(folder):
    result = trained("aapl.yaml", *NO_CONTROLS, cwd=folder)
    (folder / "arena.yaml").write_text(
        "start: 2010-01-01\n"
        "data: [{source: sample, instrument: AAPL}]\n"
        "agents:\n"
        f"  - {{use: 'model:{result['model']}', name: mine}}\n"
        "  - {use: 'model:aapl@latest', name: newest}\n"
    )
    code, out, err = papertape("arena", "arena.yaml", cwd=folder)
    assert code == 0, err
    names = [line.split()[0] for line in out.splitlines() if "USD" in line and "%" in line]
    assert set(names) == {
        "mine", "newest", "buy_and_hold", "random", "sma_cross", "momentum", "rsi_reversion",
    }  # fmt: skip
    code, out, _ = papertape("arena", "arena.yaml", "--json", cwd=folder)
    accounts = {a["name"]: a for a in json.loads(out)["accounts"]}
    assert accounts["mine"]["equity_micros"] == accounts["newest"]["equity_micros"]
    ranked = sorted(accounts, key=lambda name: -accounts[name]["equity_micros"])
    assert [accounts[n]["equity_micros"] for n in names] == [accounts[n]["equity_micros"] for n in ranked]


def test_same_training_twice_at_once_is_refused_to_the_second(folder):
    command = [str(PAPERTAPE), "train", "aapl.yaml", "--set", "steps=4000000000", *NO_CONTROLS]
    first = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((folder / "models" / ".training").glob("*.lock")) and time.monotonic() < deadline:
        time.sleep(0.1)
    code, _, err = papertape(*command[1:], cwd=folder)
    first.send_signal(signal.SIGINT)
    first.wait(timeout=120)
    assert code == 2
    assert "the same training is under way in another process" in err
    assert not list((folder / "models" / ".training").iterdir())


def test_backtest_over_days_that_a_model_has_learned_from_says_so(folder):
    result = trained("aapl.yaml", *NO_CONTROLS, cwd=folder)
    (folder / "arena.yaml").write_text(
        "data: [{source: sample, instrument: AAPL}]\n"
        f"agents: [{{use: 'model:{result['model']}', name: mine}}]\n"
        "baselines: []\n"
    )
    code, _, err = papertape("arena", "arena.yaml", "--set", "start=2006-01-01", cwd=folder)
    assert code == 0
    spans: Any = Registry(folder / "models").load(result["model"]).card.spans
    assert f"has learned from days before {spans['test']['start'][:10]}" in err
    code, _, err = papertape(
        "arena", "arena.yaml", "--set", f"start={spans['test']['start'][:10]}", cwd=folder
    )
    assert code == 0
    assert "learned from" not in err


def test_network_without_the_extra_that_trains_it_is_refused_with_what_to_install(folder):
    # as if it were not installed
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'stable_baselines3', 'gymnasium'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    command = [str(PAPERTAPE), "train", "aapl.yaml", *PPO]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "algorithm: ppo needs" in done.stderr
    assert "pip install 'papertape[rl]'" in done.stderr
    assert "Traceback" not in done.stderr
