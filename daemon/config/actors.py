"""Asynchronous actors: slow classes of the user's that run beside the engine, hear bars and answer with signals."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from daemon.config.base import SOME, Model
from daemon.config.translate import validated
from daemon.config.types import Duration, InstrumentName, Name, format_duration, parse_duration
from daemon.config.uses import folder_of


def _parse_delay(value: Any) -> int:
    return 0 if value == "0s" else parse_duration(value)


Delay = Annotated[
    int,
    BeforeValidator(_parse_delay),
    PlainSerializer(lambda ns: format_duration(ns) if ns else "0s", return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": "^[0-9]+(ns|us|ms|s|m|h|d|w)$", "examples": ["0s", "500ms"]}
    ),
]


class ActorConfig(Model):
    """One actor: a class of yours that hears bars and answers with signals, while the engine goes on."""

    name: Name = Field(description="What strategies name it by, under signals.")
    use: str = Field(description="module:Class of yours, a subclass of strategies.AsyncActor.")
    instruments: Annotated[tuple[InstrumentName, ...], *SOME] = Field(description="Whose bars it hears.")
    timeframe: Duration = Field(description="How long those bars last (1m, 1h, 1d).")
    params: dict[str, Any] = Field(
        default={}, description="The class's own parameters.", validate_default=True
    )
    run: Literal["task", "process"] = Field(
        default="task",
        description="task: inside the event loop, for what waits for others; process: in a process of its own, for what "
        "computes.",
    )
    timeout: Duration = Field(
        default=30 * 10**9,
        description="What has not answered a bar after so long, by the wall clock, is ended: live it starts again, a "
        "backtest fails.",
    )
    delay: Delay = Field(
        default=0,
        description="In a backtest an answer enters so long after its bar has closed; 0s: before the next row.",
    )
    queue: int = Field(
        default=16, ge=1, le=100_000, description="Live, bars that wait while it is busy; a backtest waits."
    )
    overflow: Literal["drop_oldest", "conflate"] = Field(
        default="drop_oldest",
        description="Live, what more bars do: push the oldest out, or (conflate) only the newest of each instrument waits.",
    )
    on_crash: Literal["cancel", "keep"] = Field(
        default="cancel",
        description="Live, what becomes of the working orders of strategies that listen to it, when it is lost.",
    )

    @field_validator("use")
    @classmethod
    def _known(cls, use: str, info: ValidationInfo) -> str:
        _params_model(use, info)
        return use

    @field_validator("instruments")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if twice := [name for i, name in enumerate(names) if name in names[:i]]:
            raise ValueError(f"{twice[0]!r} is given twice; remove one")
        return names

    @field_validator("params")
    @classmethod
    def _complete(cls, params: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "use" not in info.data:  # which is refused already
            return params
        return validated(_params_model(info.data["use"], info), params)


def _params_model(use: str, info: ValidationInfo) -> type[BaseModel]:
    from strategies.errors import StrategyError
    from strategies.loading import load_async_class

    try:
        return load_async_class(use, folder_of(info)).Params
    except StrategyError as error:
        raise ValueError(str(error)) from error
