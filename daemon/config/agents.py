"""What decides in an account: a rule that comes with Papertape, a trained model or a class of the user's, and on which bars."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from daemon.config import checks, trained
from daemon.config.base import SOME, Model, Positive
from daemon.config.limits import RiskLimits
from daemon.config.timeframes import DurationText, Timeframe
from daemon.config.translate import validated
from daemon.config.types import InstrumentName, Name
from daemon.config.uses import folder_of, is_model, is_python, models_of, params_model, resolved


class Size(Model):
    """How much a rule or a model buys: either a number of units, or a share of the account's equity."""

    units: Positive | None = Field(default=None, description="Units of each instrument.")
    fraction: Positive | None = Field(
        default=None,
        description="Share of the account's equity, split evenly over the strategy's instruments; of a margin account up "
        "to its leverage.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.units is None) == (self.fraction is None):
            raise ValueError("takes one of units and fraction; write {units: 100} or {fraction: 0.95}")
        return self


class Strategy(Model):
    """One agent: a rule that comes with Papertape, a trained model, or a class of yours."""

    use: str = Field(
        description="A rule (buy_and_hold, sma_cross, momentum, rsi_reversion), random, a trained model (model:NAME for the "
        "promoted one, model:NAME@VERSION, model:NAME@latest), or module:Class of yours."
    )
    name: Name | None = Field(
        default=None, description="Names it in results; null: after the rule, numbered where needed."
    )
    instruments: Annotated[tuple[InstrumentName, ...], *SOME] = Field(description="What it trades.")
    timeframe: Timeframe = Field(
        default=None,
        validate_default=True,
        description="It decides at the close of each bar of this length (1m, 1h, 1d), or of so many trades, units or so "
        "much currency traded (1000 ticks, 50000 volume, 1000000 value). A trained model has its own.",
    )
    timeframes: Annotated[tuple[DurationText, ...], Field(strict=False)] = Field(
        default=(), description="Further lengths of bars that a class may look at, beside its own: [1h, 1d]."
    )
    params: dict[str, Any] = Field(
        default={}, description="The rule's or the class's own parameters.", validate_default=True
    )
    size: Size | None = Field(
        default=None,
        validate_default=True,
        description="How much a rule buys, and a model where it is not to be its own; a class decides for itself.",
    )
    features: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(),
        description="Indicators that a class may ask for, beside its own: sma_20, rsi_14, macd, cash_share, ...; "
        "sma_20@1h is of hourly bars. Of a model all that it sees, in order, where you want that checked.",
    )
    signals: Annotated[tuple[Name, ...], Field(strict=False)] = Field(
        default=(),
        description="The asynchronous actors (under actors) whose signals a class hears, in on_signal.",
    )
    history: int | None = Field(
        default=None,
        gt=0,
        le=100_000,
        description="Bars that a class may look back; null: as the class says.",
    )
    cancel_on_disconnect: bool = Field(
        default=True, description="Its working orders are cancelled when it is gone, as a live class can be."
    )
    limits: RiskLimits | None = Field(
        default=None,
        description="Limits on what its own part of the account may lose, as shares of the account's equity; null: those "
        "of the account alone.",
    )

    @field_validator("use")
    @classmethod
    def _known(cls, use: str, info: ValidationInfo) -> str:
        return resolved(use, folder_of(info), models_of(info))

    @field_validator("timeframe", mode="before")
    @classmethod
    def _of_bars(cls, given: Any, info: ValidationInfo) -> Any:
        use = info.data.get("use", "")
        if is_model(use):
            return trained.timeframe(given, use, models_of(info))
        if given is None and use:
            raise ValueError("is missing; add it")
        return given or "1d"  # where nothing is used, that is said

    @field_validator("size", mode="before")
    @classmethod
    def _of_model(cls, given: Any, info: ValidationInfo) -> Any:
        use = info.data.get("use", "")
        return trained.size(given, use, models_of(info)) if is_model(use) else given

    @field_validator("params")
    @classmethod
    def _complete(cls, params: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "use" not in info.data:  # which is refused already
            return params
        use = info.data["use"]
        # a class's own model may want its values turned, as from text
        return validated(params_model(use, folder_of(info)), params, strict=None if is_python(use) else True)

    @field_validator("features")
    @classmethod
    def _features(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        checks.refuse(checks.features(names))
        return names

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(checks.strategy(self))
        return self
