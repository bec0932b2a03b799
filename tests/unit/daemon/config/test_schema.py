import json
import re
import subprocess
import sys
from typing import Any

from daemon.config.schema import schema
from strategies.rules import RULES


def test_every_key_has_a_meaning() -> None:
    made = schema()
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
    code = "import daemon.config.loader, daemon.config.spec, sys; print({'numba', 'pandas', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
