"""What every run has: the history, what is traded, and how orders fill."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from daemon.config import checks
from daemon.config.base import SOME, Bps, Model, NotNegative, Share
from daemon.config.instruments import CurrencyRules, Instrument, with_defaults
from daemon.config.risk import RiskConfig
from daemon.config.sources import Data, SampleData
from daemon.config.types import Currency, Duration, InstrumentName, Name, Time, format_duration


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


class Market(Model):
    """A history with its instruments, and the rules by which orders in them fill."""

    name: Name = Field(description="Names the run and the folder of its results.")
    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="Where random numbers begin.")
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
    data: Annotated[tuple[Data, ...], *SOME] = Field(description="The history, merged in the order of time.")
    instruments: dict[InstrumentName, Instrument] = Field(
        default={},
        description="What the data's names stand for; the sample's have defaults.",
        validate_default=True,
    )
    execution: Execution = Field(default=Execution(), description="How orders fill.")
    risk: RiskConfig | None = Field(
        default=None,
        description="How losses are forecast; limits on VaR, CVaR and stressed VaR need it. null: not at all.",
    )

    @field_validator("instruments")
    @classmethod
    def _sample_instruments(cls, given: dict[str, Instrument], info: ValidationInfo) -> dict[str, Instrument]:
        sample = {d.instrument: Instrument() for d in info.data.get("data", ()) if isinstance(d, SampleData)}
        return {**given, **{name: made for name, made in sample.items() if name not in given}}

    @property
    def traded(self) -> tuple[str, ...]:
        """The instruments that there are data of, in the order of the data."""
        return tuple(dict.fromkeys(d.instrument for d in self.data))

    @property
    def bars(self) -> dict[str, int]:
        """Instrument -> how long the bars last that it trades on, in ns; 0: it trades on ticks."""
        return {d.instrument: d.bar for d in self.data}


Currencies = Annotated[
    dict[Currency, CurrencyRules],
    Field(
        description="How finely amounts are counted: {BTC: {scale: 100000000}} counts satoshis, as is usual for BTC and ETH; "
        "others count millionths.",
        validate_default=True,
    ),
]


def scales(given: dict[str, CurrencyRules], used: Iterable[str]) -> dict[str, CurrencyRules]:
    """The currencies that a configuration gives, and those that its accounts use besides."""
    return with_defaults(given, set(used))


def timeframe_of_data(given: Any, info: ValidationInfo) -> Any:
    """A timeframe as it is given, or where none is, the length of the data's bars, as text.

    Raises ValueError where the data have bars of several lengths, or are trades.
    """
    bars = {d.bar for d in info.data.get("data", ())}
    if given is not None or not bars:
        return "1d" if given is None else given  # what is wrong is said of the data
    if len(bars) > 1:
        lengths = " and ".join(format_duration(ns) if ns else "tick" for ns in sorted(bars))
        raise ValueError(f"is missing; the data have {lengths}: say how long a bar is, such as 1d")
    (bar,) = bars
    if bar == 0:
        raise ValueError("is missing; the data are trades: say how long a bar is, such as 1m")
    return format_duration(bar)
