"""What a strategy's `use` names: a rule that is shipped, or a class of the user's."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationInfo


def is_python(use: str) -> bool:
    """Whether it names a class, `module:Class`."""
    return ":" in use


def params_model(use: str, folder: Path | None) -> type[BaseModel]:
    """The model of the parameters of a rule or class. Raises ValueError where there is no such thing."""
    if is_python(use):
        from strategies.errors import StrategyError
        from strategies.loading import load_strategy_class

        try:
            found: type[BaseModel] = load_strategy_class(use, folder).Params
        except StrategyError as error:
            raise ValueError(str(error)) from error
        return found
    from strategies.rules import RULES

    if use not in RULES:
        near = get_close_matches(use, RULES, 1)
        mine = "write module:Class for a class of yours"
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(RULES)}; {mine}"
        raise ValueError(f"{use!r} is no rule; {hint}")
    return RULES[use].Params


def folder_of(info: ValidationInfo) -> Path | None:
    """Where modules are looked for, as the reader of the configuration says."""
    context: dict[str, Any] = info.context or {}
    return context.get("strategy_folder")
