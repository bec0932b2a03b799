"""What may stand in a configuration: its keys, their types, their defaults and what they mean.

Values are judged one by one here; what has to fit together is judged in ``checks.py``. A model is filled with its
defaults while it is made (parameters of a rule, names of strategies, the sample's instruments), so that a
configuration, once read, holds everything that a run depends on.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from daemon.config import checks
from daemon.config.accounts import Account
from daemon.config.base import SOME, Bps, Model, NotNegative, Share
from daemon.config.instruments import CurrencyRules, Instrument, with_defaults
from daemon.config.sources import Data, SampleData
from daemon.config.types import Currency, Duration, ExistingFolder, InstrumentName, Name, Time


class Execution(Model):
    """How the simulated broker fills orders; at most one kind of slippage."""

    slippage_bps: Bps = Field(default=0.0, description="Market and stop orders pay so many basis points.")
    slippage_ticks: NotNegative = Field(default=0.0, description="Market and stop orders pay so many ticks.")
    impact_bps: NotNegative = Field(
        default=0.0,
        description="Market and stop orders pay this times the square root of their share of the row's volume.",
    )
    latency_ms: NotNegative = Field(
        default=0.0,
        description="An order can fill this long after its decision; on bars, less than one bar counts as none.",
    )
    participation: Share | None = Field(
        default=None, description="An order takes at most this share of a row's volume."
    )
    limit_fill: Literal["through", "touch"] = Field(
        default="through",
        description="A limit order fills when the price trades through its limit, or touches it.",
    )
    late_prints: Literal["drop", "merge"] = Field(
        default="drop",
        description="A print for a bar that has closed is not used at all, or taken as a print of the present.",
    )
    grace_ms: NotNegative = Field(
        default=0.0, description="A bar closes this long after its end; history needs none."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(checks.execution(self))
        return self


class BacktestConfig(Model):
    """A backtest: which history is replayed, to whom, with what money, under which rules."""

    name: Name = Field(description="Names the run and the folder of its results.")
    seed: int = Field(
        default=0, ge=0, le=2**63 - 1, description="Where the strategies' random numbers begin."
    )
    start: Time | None = Field(
        default=None,
        description="First decision (UTC); what lies before it warms up bars and indicators. null: the first row.",
    )
    end: Time | None = Field(
        default=None, description="Rows from here on are not read (UTC). null: to the last."
    )
    warmup: Duration | None = Field(
        default=None, description="Read only so much before start; null: all there is."
    )
    strategy_folder: ExistingFolder | None = Field(
        default=None,
        description="Where the modules of strategies are looked for; null: in the folder of this configuration.",
    )
    data: Annotated[tuple[Data, ...], *SOME] = Field(description="The history, merged in the order of time.")
    instruments: dict[InstrumentName, Instrument] = Field(
        default={},
        description="What the data's names stand for; the sample's have defaults.",
        validate_default=True,
    )
    execution: Execution = Field(default=Execution(), description="How orders fill.")
    accounts: Annotated[tuple[Account, ...], *SOME] = Field(description="Who trades.")
    currencies: dict[Currency, CurrencyRules] = Field(
        default={},
        description="How finely amounts are counted: {BTC: {scale: 100000000}} counts satoshis, as is usual for BTC and ETH; "
        "others count millionths.",
        validate_default=True,
    )

    @field_validator("instruments")
    @classmethod
    def _sample_instruments(cls, given: dict[str, Instrument], info: ValidationInfo) -> dict[str, Instrument]:
        sample = {d.instrument: Instrument() for d in info.data.get("data", ()) if isinstance(d, SampleData)}
        return {**given, **{name: made for name, made in sample.items() if name not in given}}

    @field_validator("currencies")
    @classmethod
    def _usual_scales(cls, given: dict[str, CurrencyRules], info: ValidationInfo) -> dict[str, CurrencyRules]:
        return with_defaults(given, {a.currency for a in info.data.get("accounts", ())})

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(checks.backtest(self))
        return self
