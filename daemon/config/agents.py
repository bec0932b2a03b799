"""What decides in an account: a rule that comes with Papertape, or a class of the user's, and on which bars."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from daemon.config import checks
from daemon.config.base import SOME, Model, Positive, Share
from daemon.config.timeframes import DurationText, Timeframe
from daemon.config.translate import message
from daemon.config.types import InstrumentName, Name
from daemon.config.uses import folder_of, is_python, params_model


class Size(Model):
    """How much a rule buys: either a number of units, or a share of the account's equity."""

    units: Positive | None = Field(default=None, description="Units of each instrument.")
    fraction: Share | None = Field(
        default=None,
        description="Share of the account's equity, split evenly over the strategy's instruments.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.units is None) == (self.fraction is None):
            raise ValueError("takes one of units and fraction; write {units: 100} or {fraction: 0.95}")
        return self


class Strategy(Model):
    """One agent: a rule that comes with Papertape, or a class of yours."""

    use: str = Field(
        description="A rule (buy_and_hold, sma_cross, momentum, rsi_reversion) or module:Class of yours."
    )
    name: Name | None = Field(
        default=None, description="Names it in results; null: after the rule, numbered where needed."
    )
    instruments: Annotated[tuple[InstrumentName, ...], *SOME] = Field(description="What it trades.")
    timeframe: Timeframe = Field(
        description="It decides at the close of each bar of this length (1m, 1h, 1d), or of so many trades, units or so "
        "much currency traded (1000 ticks, 50000 volume, 1000000 value)."
    )
    timeframes: Annotated[tuple[DurationText, ...], Field(strict=False)] = Field(
        default=(), description="Further lengths of bars that a class may look at, beside its own: [1h, 1d]."
    )
    params: dict[str, Any] = Field(
        default={}, description="The rule's or the class's own parameters.", validate_default=True
    )
    size: Size | None = Field(default=None, description="How much a rule buys; a class decides for itself.")
    features: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(),
        description="Indicators that a class may ask for, beside its own: sma_20, rsi_14, macd, cash_share, ...; "
        "sma_20@1h is of hourly bars.",
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

    @field_validator("use")
    @classmethod
    def _known(cls, use: str, info: ValidationInfo) -> str:
        params_model(use, folder_of(info))
        return use

    @field_validator("params")
    @classmethod
    def _complete(cls, params: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "use" not in info.data:  # which is refused already
            return params
        model = params_model(info.data["use"], folder_of(info))
        try:
            valid = model.model_validate(
                params, extra="forbid", strict=None if is_python(info.data["use"]) else True
            )
            return valid.model_dump(mode="json")
        except ValidationError as error:  # said here, where the model is known
            checks.refuse((e["loc"], message(e, model)) for e in error.errors(include_url=False))
            raise

    @field_validator("features")
    @classmethod
    def _features(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        checks.refuse(checks.features(names))
        return names

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(checks.strategy(self))
        return self
