"""The JSON schemas of configurations, for editors that complete and check YAML while it is written."""

from __future__ import annotations

from typing import Any

from daemon.config.kinds import KINDS
from daemon.config.learning import PARAMS
from daemon.config.uses import CLASSES, MODEL


def schema(command: str = "backtest") -> dict[str, Any]:
    """The schema (draft 2020-12) of what a command takes, backtest, run, train or arena, with each key's meaning.

    The parameters of each shipped rule, and of each algorithm, are in it too.
    """
    made = KINDS[command].model_json_schema()
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = f"Papertape {command}"
    if command == "train":
        _algorithms(made)
    elif command == "arena":
        agent = made["$defs"]["Agent"]
        agent["required"] = ["use"]  # what else it needs it has of the arena
        _uses(agent, [])
    else:
        strategy = made["$defs"]["Strategy"]
        _uses(strategy, ["size"])
        # a model brings its own
        strategy["anyOf"] = [
            {"required": ["timeframe"]},
            {"properties": {"use": {"pattern": f"^{MODEL}"}}},
        ]
    return made


def _uses(strategy: dict[str, Any], needed: list[str]) -> None:
    from strategies.rules import RULES

    strategy["properties"]["use"]["examples"] = [
        *RULES,
        *CLASSES,
        "model:my-model",
        "my_strategy:MyStrategy",
    ]
    strategy["allOf"] = [
        {
            "if": {"properties": {"use": {"const": name}}, "required": ["use"]},
            "then": {"properties": {"params": rule.Params.model_json_schema()}, "required": needed},
        }
        for name, rule in RULES.items()
    ]


def _algorithms(made: dict[str, Any]) -> None:
    made["oneOf"] = [{"required": ["steps"]}, {"required": ["episodes"]}]
    made["allOf"] = []
    for name, model in PARAMS.items():
        params = model.model_json_schema()
        made["$defs"] |= params.pop("$defs", {})
        algorithm = {"properties": {"algorithm": {"const": name}}, "required": ["algorithm"]}
        made["allOf"].append({"if": algorithm, "then": {"properties": {"params": params}}})
