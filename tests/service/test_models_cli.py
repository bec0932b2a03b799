"""`papertape models` and `papertape predict` as their users run them: output, exit codes, what is left behind."""

import json
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from daemon.cli import main
from strategies.models import Registry
from tests.unit.strategies.models.examples import card, network, table, target_card

PAPERTAPE = Path(sys.executable).with_name("papertape")


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def papertape(monkeypatch, capsys):
    """The command in this process: of the dozens below, most would spend their time on starting."""

    def run(*arguments, cwd):
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["papertape", *map(str, arguments)])
        handlers = {ending: signal.getsignal(ending) for ending in (signal.SIGINT, signal.SIGTERM)}
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        for ending, handler in handlers.items():
            signal.signal(ending, handler)
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def answer(papertape):
    """The JSON that a command prints."""

    def run(*arguments, cwd):
        done = papertape(*arguments, "--json", cwd=cwd)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def refusal(papertape):
    """The message of a command that ends with 2."""

    def run(*arguments, cwd):
        done = papertape(*arguments, cwd=cwd)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: ")
        return done.stderr

    return run


@pytest.fixture
def home(tmp_path):
    """A user's folder with a Q-table of another program: 3 bins of RSI by 2 of exposure, buying when oversold."""
    q = {(i, j): np.array([0.1 * j, 0.5 - i, 0.2]) for i in range(3) for j in range(2)}
    (tmp_path / "q.pkl").write_bytes(pickle.dumps({"table": q, "epsilon": 0.05}))
    (tmp_path / "bins.yaml").write_text("rsi_14: [30, 70]\nexposure: [0.5]\n")
    return tmp_path


IMPORT = ("models", "import", "q.pkl", "--key", "table", "--bins", "bins.yaml", "--actions", "buy,sell,hold")


def test_pickled_table_is_imported_promoted_asked_and_exported(home, papertape, answer, refusal):
    made = answer(*IMPORT, "--name", "old", "--timeframe", "1d", "--instruments", "AAPL,MSFT", cwd=home)
    [listed] = answer("models", "list", cwd=home)
    assert (listed["model"], listed["algorithm"], listed["promoted"]) == (made["model"], "import", False)
    shown = answer("models", "show", made["model"], cwd=home)
    assert (shown["instruments"], shown["timeframe_ns"]) == (["AAPL", "MSFT"], 86_400 * 10**9)
    assert "no deflated Sharpe ratio" in refusal("models", "promote", made["model"], cwd=home)
    assert "no version of model 'old' is promoted" in refusal("models", "show", "old", cwd=home)
    promoted = answer("models", "promote", made["model"], "--force", cwd=home)
    assert (promoted["forced"], len(promoted["overridden"])) == (True, 2)
    assert "FORCED though its controls were not run" in papertape("models", "show", "old", cwd=home).stdout
    assert papertape("models", "list", cwd=home).stdout.split()[-1] == "forced"
    # RSI 20 and exposure 1: bins (0, 1), where the table has buy 0.1, sell 0.5, hold 0.2
    asked = answer("predict", "old", "--state", "rsi_14=20, exposure=1", cwd=home)
    assert (asked["action"], asked["values"]) == ("sell", {"sell": 0.5, "hold": 0.2, "buy": 0.1})
    by_json = answer("predict", "old", "--state", '{"rsi_14": 20}', "--state", "exposure=1", cwd=home)
    assert by_json == asked
    shown = papertape("predict", "old", "--state", "rsi_14=80,exposure=0", cwd=home).stdout
    assert shown.splitlines()[-1] == f"{made['model']}: hold"
    assert answer("models", "export", "old", "--to", "a/copy", cwd=home)["model"] == made["model"]
    again = answer("models", "import", "a/copy", "--name", "young", cwd=home)["model"]
    assert again == made["model"].replace("old", "young")
    papertape("models", "export", "old", "--to", "old.npz", "--format", "npz", cwd=home)
    with np.load(home / "old.npz", allow_pickle=False) as arrays:
        assert arrays["q"].tolist()[1] == [0.5, 0.2, 0.1]
        assert json.loads(str(arrays["card"]))["name"] == "old"
    np.save(home / "q.npy", np.zeros((3, 2, 3)))
    zeros = answer("models", "import", "q.npy", *IMPORT[5:], "--name", "z", "--timeframe", "1h", cwd=home)
    assert zeros["model"].startswith("z@")


def test_what_is_wrong_with_an_import_is_said_with_exit_code_2(home, refusal):
    whole = (*IMPORT, "--name", "old", "--timeframe", "1d")
    assert "--timeframe: is missing" in refusal(*IMPORT, "--name", "old", cwd=home)
    without_key = [argument for argument in whole if argument not in ("--key", "table")]
    assert "name the entry of the file that is the table with --key" in refusal(*without_key, cwd=home)
    assert "no entry 'tabel'; it has table, epsilon" in refusal(*whole, "--key", "tabel", cwd=home)
    assert "--features: rsi_14" in refusal(*whole, "--features", "rsi_14", cwd=home)
    turned = refusal(*whole, "--features", "exposure,rsi_14", cwd=home)
    assert "has exposure 2; there are 2, from 0 on" in turned
    (home / "bins.yaml").write_text("rsi_14: [30, 70]\nrsi_14: [1]\nexposure: [0.5]")
    assert "bins.yaml:2" in refusal(*whole, cwd=home)
    (home / "bins.yaml").write_text("rsi_14: [30, 70]\nexposures: [0.5]")
    assert "bins.yaml: unknown feature 'exposures'" in refusal(*whole, cwd=home)
    (home / "bins.yaml").write_text('{"rsi_14": [30, 70], "exposure": [0.5]}')
    (home / "q.pkl").write_bytes(b"cposix\nsystem\n(S'touch canary'\ntR.")
    assert "wants 'posix.system'" in refusal(*whole, cwd=home)
    assert sorted(path.name for path in home.iterdir()) == ["bins.yaml", "q.pkl"]


def test_trained_models_are_compared_promoted_and_rolled_back(home, papertape, answer, refusal):
    registry = Registry(home / "models")
    metrics = {
        "train": {"return": 0.9},
        "test": {"return": 0.1, "sharpe": 0.8, "fills": 12, "buy_and_hold": 0.2},
    }
    a = registry.store(table(), card(metrics=metrics, config={"params": {"gamma": 0.9, "bins": 3}}))
    b = registry.store(table(), card(seed=8, config={"params": {"gamma": 0.99, "bins": 3}}))
    compared = papertape("models", "compare", a, b, cwd=home).stdout
    lines = [line.split() for line in compared.splitlines() if line.strip()]
    assert ["config.params.gamma", "0.9", "0.99"] in lines
    assert ["seed", "7", "8"] in lines
    assert ["train", "return", "+90.0%", "–"] in lines
    assert ["test", "buy", "and", "hold", "+20.0%", "+20.0%"] in lines
    assert "bins" not in compared
    # a setting too long for the line goes on in the next one, and no heading is lost
    long = {"params": {"gamma": 0.99, "bins": 3, "note": "word " * 60}}
    c = registry.store(table(), card(seed=9, metrics=metrics, config=long))
    lines = [line.split() for line in papertape("models", "compare", a, c, cwd=home).stdout.splitlines()]
    assert ["seed", "7", "9"] in lines
    assert sum(line.count("word") for line in lines) == 60
    assert [c["model"] for c in answer("models", "compare", a, b, cwd=home)] == [a, b]
    for ref in (a, b):
        assert answer("models", "promote", ref, cwd=home)["forced"] is False
    assert [row["promoted"] for row in answer("models", "list", "rsi", cwd=home)].count(True) == 1
    assert f"{a} is promoted again" in papertape("models", "rollback", "rsi", cwd=home).stdout
    assert answer("models", "show", "rsi", cwd=home)["model"] == a
    assert "is the first" in refusal("models", "rollback", "rsi", cwd=home)
    assert "below 0.99" in refusal("models", "promote", b, "--min-deflated-sharpe", "0.99", cwd=home)
    assert "name two models or more" in refusal("models", "compare", a, cwd=home)


def test_target_is_predicted_and_bad_states_are_refused(home, papertape, answer, refusal):
    registry = Registry(home / "shelf")
    ref = registry.store(network(), target_card(name="ppo"))
    there = ("predict", ref, "--models", "shelf")
    # 2 (1.2 - 1) - 0.5 * (3 - 3) * 4 + 0.25 = 0.65, times half of equity
    asked = answer(*there, "--state", "rsi_14=1.2,exposure=3", cwd=home)
    assert asked["action"] is None
    assert asked["values"]["exposure"] == pytest.approx(0.65)
    assert asked["exposure"] == pytest.approx(0.325)
    done = papertape(*there, "--state", "rsi_14=1.2,exposure=3", cwd=home)
    assert done.stdout.splitlines()[-1] == f"{ref}: 0.325 of equity"
    for state, what in (
        ("rsi_14=1.2", "also needs exposure"),
        ("rsi14=1,exposure=3", "did you mean rsi_14"),
        ("rsi_14=low,exposure=3", "rsi_14: 'low' is no number; write --state rsi_14=1.5"),
        ("rsi_14=1,rsi_14=2,exposure=3", "rsi_14 is given twice"),
        ("{rsi_14: 1}", "is no JSON"),
        ("rsi_14=nan,exposure=3", "rsi_14 is nan"),
    ):
        assert what in refusal(*there, "--state", state, cwd=home)
    assert "there is no model 'ppo' in models" in refusal("predict", ref, cwd=home)


def test_damaged_model_is_named_in_the_list_and_refused(home, papertape, refusal):
    registry = Registry(home / "models")
    ref = registry.store(table(), card())
    weights = registry.load(ref).folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    refused = refusal("models", "export", ref, "--to", "copy", cwd=home)
    assert "weights.safetensors: was changed since it was written; restore the model's folder" in refused
    assert not (home / "copy").exists()
    weights.with_name("card.json").write_text("{}")
    listed = papertape("models", "list", cwd=home)
    assert listed.returncode == 0
    assert "cannot be used" in listed.stdout
    assert "card.json: name: Field required" in listed.stdout


def test_empty_registry_says_how_models_come_into_it(home, papertape, answer):
    assert answer("models", "list", cwd=home) == []
    assert "papertape train" in papertape("models", "list", cwd=home).stdout
    assert not (home / "models").exists()


def test_refusal_of_a_process_is_one_line_and_exit_code_2(home):
    asked = [str(PAPERTAPE), "models", "show", "nothing"]
    done = subprocess.run(asked, cwd=home, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: there is no model 'nothing' in models; there are none\n"


def test_running_a_model_imports_no_library_of_training(home):
    Registry(home / "models").store(table(), card())
    code = (
        "import sys; from strategies.models import Registry; r = Registry('models'); "
        "m = r.load(r.cards()[0][0]).model; print('torch' in sys.modules, 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=home, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
