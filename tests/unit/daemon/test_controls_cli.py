"""`papertape controls`: what is run with which settings, what is printed, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from daemon import compiled
from daemon.cli import app
from envs.controls import running
from envs.controls.running import ControlResult, ControlResults

AAPL = Path(__file__).parents[3] / "configs" / "train" / "qlearning-aapl.yaml"
FOUND = ControlResult("leak", True, 0.987, 0.004, 0.95, 4.4, 0.1, 4.5, 1_000_000, 0.71, "It earned 98.7%.")
FELL = ControlResult("noise", False, None, None, None, 1.0, 0.2, 0.0, 1_000_000, 0.6, "It sees too much.")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What is asked of the controls, which find what `FOUND` and, with seed 13, `FELL` say."""
    calls: list[tuple[str, dict[str, Any]]] = []

    def run(algorithm: Any, *, tell: Any, seed: int, **more: Any) -> ControlResults:
        calls.append((algorithm, {"seed": seed, **more}))
        return ControlResults(algorithm, seed, (FOUND, FELL) if seed == 13 else (FOUND,))

    monkeypatch.setattr(running, "run_controls", run)
    monkeypatch.setattr(compiled, "prepare", lambda tell: None)
    return calls


def papertape(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["controls", *arguments])


def test_without_options_both_algorithms_run_with_their_defaults(asked: Any) -> None:
    pytest.importorskip("stable_baselines3")
    done = papertape()
    assert done.exit_code == 0
    assert asked == [("qlearning", {"seed": 0}), ("ppo", {"seed": 0})]
    lines = [line.split() for line in done.stdout.splitlines() if "leak" in line]
    figures = ["leak", "98.7%", "±", "0.4%", "95%", "+4.40", "±", "0.10", "passed", "1,000,000", "0.7"]
    assert lines == [["qlearning", *figures], ["ppo", *figures]]


def test_a_control_that_fails_is_said_in_words_and_ends_with_1(asked: Any) -> None:
    done = papertape("--algorithm", "qlearning", "--seed", "13")
    assert done.exit_code == 1
    assert "FAILED" in done.stdout
    assert "qlearning on noise: It sees too much." in done.stdout
    assert FOUND.says not in done.stdout


def test_json_is_one_object_of_all(asked: Any) -> None:
    done = papertape("--algorithm", "qlearning", "--seed", "13", "--json")
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert not said["passed"]
    (of,) = said["algorithms"]
    assert (of["algorithm"], of["seed"], of["passed"]) == ("qlearning", 13, False)
    assert [(c["name"], c["share"], c["passed"]) for c in of["controls"]] == [
        ("leak", 0.987, True),
        ("noise", None, False),
    ]


def test_a_configuration_brings_its_settings_its_seed_and_its_bins(asked: Any) -> None:
    assert papertape("--config", str(AAPL)).exit_code == 0
    ((algorithm, how),) = asked
    assert (algorithm, how["seed"], how["bins"], how["settings"].gamma) == ("qlearning", 7, 4, 0.98)
    papertape("--config", str(AAPL), "--seed", "5")
    assert asked[1][1]["seed"] == 5


def test_another_algorithm_than_the_configurations_is_refused(asked: Any) -> None:
    done = papertape("--config", str(AAPL), "--algorithm", "ppo")
    assert done.exit_code == 2
    assert "is of qlearning; leave out --algorithm ppo" in done.stderr
    assert not asked
