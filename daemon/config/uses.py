"""What a strategy's `use` names: a rule that is shipped, a class of the user's, or a trained model."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo

MODEL = "model:"
CLASSES = {"random": "strategies.random:Random"}  # classes that are shipped, by the name that they have here


class NoParams(BaseModel):
    """There is nothing to set."""

    model_config = ConfigDict(extra="forbid")


def is_model(use: str) -> bool:
    """Whether it names a trained model, `model:NAME` or `model:NAME@VERSION`."""
    return use.startswith(MODEL)


def is_python(use: str) -> bool:
    """Whether it names a class, `module:Class`."""
    return ":" in use and not is_model(use)


def short(use: str) -> str:
    """What a strategy is named after where it has no name: its rule, its class or its model."""
    names = {path: name for name, path in CLASSES.items()}
    return names.get(use) or use.rpartition(":")[2].partition("@")[0]


def resolved(use: str, folder: Path | None, models: Path | None) -> str:
    """The rule, class or version of a model that is meant, so that a run of it repeats.

    folder: where modules are looked for; models: where trained models are. Raises ValueError where there is no such thing.
    """
    use = CLASSES.get(use, use)
    if is_model(use):
        from daemon.config.trained import found

        return f"{MODEL}{found(use, models).ref}"
    params_model(use, folder)
    return use


def params_model(use: str, folder: Path | None) -> type[BaseModel]:
    """The model of the parameters of a rule, a class or a trained model. Raises ValueError where there is no such thing."""
    if is_model(use):
        return NoParams
    if is_python(use):
        from strategies.errors import StrategyError
        from strategies.loading import load_strategy_class

        try:
            made: type[BaseModel] = load_strategy_class(use, folder).Params
        except StrategyError as error:
            raise ValueError(str(error)) from error
        return made
    from strategies.rules import RULES

    if use not in RULES:
        known = [*RULES, *CLASSES]
        near = get_close_matches(use, known, 1)
        mine = "write module:Class for a class of yours, model:NAME for a trained model"
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}; {mine}"
        raise ValueError(f"{use!r} is no rule; {hint}")
    return RULES[use].Params


def folder_of(info: ValidationInfo) -> Path | None:
    """Where modules are looked for, as the reader of the configuration says."""
    return _said(info, "strategy_folder")


def models_of(info: ValidationInfo) -> Path | None:
    """Where trained models are looked for, as the reader of the configuration says."""
    return _said(info, "models")


def _said(info: ValidationInfo, key: str) -> Path | None:
    context: dict[str, Any] = info.context or {}
    return context.get(key)
