"""The JSON schema of a configuration, for editors that complete and check YAML while it is written."""

from __future__ import annotations

from typing import Any

from daemon.config.models import BacktestConfig


def schema() -> dict[str, Any]:
    """The schema (draft 2020-12) with each key's meaning; the parameters of each shipped rule are in it too."""
    from strategies.rules import RULES

    made = BacktestConfig.model_json_schema()
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "Papertape backtest"
    strategy = made["$defs"]["Strategy"]
    strategy["properties"]["use"]["examples"] = [*RULES, "my_strategy:MyStrategy"]
    strategy["allOf"] = [
        {
            "if": {"properties": {"use": {"const": name}}, "required": ["use"]},
            "then": {"properties": {"params": rule.Params.model_json_schema()}, "required": ["size"]},
        }
        for name, rule in RULES.items()
    ]
    return made
