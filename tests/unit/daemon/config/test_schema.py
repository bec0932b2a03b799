import json
import re
import subprocess
import sys
from typing import Any

import pytest

from daemon.config.learning import PARAMS
from daemon.config.schema import schema
from envs.task import RewardKind
from strategies.rules import RULES


@pytest.mark.parametrize("command", ["backtest", "train", "arena"])
def test_every_key_has_a_meaning(command: str) -> None:
    made = schema(command)
    silent = [
        f"{title}.{key}"
        for title, part in [("", made), *made["$defs"].items()]
        for key, value in part.get("properties", {}).items()
        if "description" not in value and key != "source"
    ]
    assert silent == []


def test_parameters_of_each_rule_are_known_to_the_editor() -> None:
    branches: list[dict[str, Any]] = schema()["$defs"]["Strategy"]["allOf"]
    params = {
        b["if"]["properties"]["use"]["const"]: set(b["then"]["properties"]["params"].get("properties", {}))
        for b in branches
    }
    assert params == {name: set(rule.Params.model_fields) for name, rule in RULES.items()}
    assert params["sma_cross"] == {"fast", "slow"}


def test_parameters_of_each_algorithm_are_known_to_the_editor() -> None:
    made = schema("train")
    params = {
        b["if"]["properties"]["algorithm"]["const"]: set(b["then"]["properties"]["params"]["properties"])
        for b in made["allOf"]
    }
    assert params == {name: set(model.model_fields) for name, model in PARAMS.items()}
    assert "clip_range" in params["ppo"]
    refs = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(made)))
    assert refs <= set(made["$defs"])


def test_words_and_what_they_stand_for_are_known_to_the_editor() -> None:
    made = schema("train")
    assert set(made["required"]) == {"data", "algorithm"}
    properties = made["properties"]
    assert properties["reward"]["anyOf"][0]["enum"] == [k.name.lower() for k in RewardKind]
    assert [o.get("enum", o.get("type")) for o in properties["features"]["anyOf"]] == [
        ["default", "classic"],
        "array",
    ]
    assert set(schema("arena")["$defs"]["Agent"]["required"]) == {"use"}
    assert set(schema("arena")["required"]) == {"data", "agents"}


def test_schema_refuses_unknown_keys_and_is_json() -> None:
    made = json.loads(json.dumps(schema()))
    assert made["additionalProperties"] is False
    assert made["$defs"]["Execution"]["additionalProperties"] is False
    assert set(made["required"]) == {"name", "data", "accounts"}
    assert made["$defs"]["OrderRate"]["properties"]["per"]["pattern"] == "^([0-9]+)(ns|us|ms|s|m|h|d|w)$"
    timeframe = made["$defs"]["Strategy"]["properties"]["timeframe"]
    assert all(re.match(timeframe["pattern"], example) for example in timeframe["examples"])
    assert not any(
        re.match(timeframe["pattern"], text) for text in ("1000 dollars", "1 day", "ticks", "tick")
    )


def test_reading_a_configuration_imports_nothing_heavy() -> None:
    code = (
        "import daemon.config.loader, daemon.config.kinds, daemon.config.spec, daemon.config.training_spec, sys; "
        "print({'numba', 'pandas', 'pyarrow', 'scipy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
