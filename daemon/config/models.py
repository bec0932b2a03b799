"""What may stand in a configuration: its keys, their types, their defaults and what they mean.

Values are judged one by one here; what has to fit together is judged in ``checks.py``. A model is filled with its
defaults while it is made (parameters of a rule, names of strategies, the sample's instruments), so that a
configuration, once read, holds everything that a run depends on.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from daemon.config import checks
from daemon.config.base import SOME, Bps, Loss, Model, NotNegative, Positive, Share
from daemon.config.sources import Data, SampleData
from daemon.config.translate import message
from daemon.config.types import (
    Currency,
    Duration,
    ExistingFolder,
    InstrumentName,
    Name,
    Time,
)
from daemon.config.uses import folder_of, is_python, params_model


class Fees(Model):
    """What a fill costs; the parts add up."""

    bps: Bps = Field(
        default=0.0, description="Basis points of the fill's value, for makers and takers alike."
    )
    maker_bps: float | None = Field(
        default=None,
        gt=-10_000,
        lt=10_000,
        description="For fills of resting limit orders instead of bps; negative: a rebate.",
    )
    taker_bps: Bps | None = Field(default=None, description="For all other fills instead of bps.")
    per_unit: NotNegative = Field(default=0.0, description="Currency per unit, such as 0.005 a share.")
    minimum: NotNegative = Field(
        default=0.0, description="Currency that an order costs at least, once it fills."
    )


class Instrument(Model):
    """What is traded, and by which rules."""

    tick_size: Positive = Field(default=0.01, description="The step of its prices, in currency.")
    lot_size: Positive = Field(default=1.0, description="The step of its quantities, in units.")
    currency: Currency = Field(
        default="USD", description="Accounts trade instruments of their own currency only."
    )
    calendar: Literal["XNYS", "XNAS", "24/7"] = Field(
        default="XNYS",
        description="When it trades: XNYS, XNAS (252 days a year) or 24/7 (365); ratios are annualised by it.",
    )
    min_quantity: Positive | None = Field(
        default=None, description="Smallest order, in units; null: one lot."
    )
    max_quantity: Positive | None = Field(
        default=None, description="Largest order, in units; null: no bound."
    )
    fees: Fees = Field(default=Fees(), description="What a fill costs.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(checks.instrument(self))
        return self


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


class OrderRate(Model):
    """A bound on how often an account sends orders."""

    orders: int = Field(gt=0, le=1_000_000, description="At most so many orders ...")
    per: Duration = Field(description="... in any stretch of this length.")


class Limits(Model):
    """What the gate allows an account; null: no such limit."""

    max_order_notional: Positive | None = Field(default=None, description="Value of one order, in currency.")
    max_position: Positive | None = Field(default=None, description="Units of any one instrument.")
    max_gross_exposure: Positive | None = Field(
        default=None, description="Sum of all positions' values, as a share of equity."
    )
    max_net_exposure: Positive | None = Field(
        default=None, description="Long less short, as a share of equity."
    )
    max_concentration: Positive | None = Field(
        default=None, description="One position's value, as a share of equity."
    )
    price_collar: Positive | None = Field(
        default=None, description="Distance of a limit or stop from the last price, as a share of it."
    )
    max_price_age: Duration | None = Field(default=None, description="No order on a price older than this.")
    order_rate: OrderRate | None = Field(default=None, description="So many orders in so much time.")
    stop_drawdown: Loss | None = Field(
        default=None, description="Halt at this loss from the peak, such as 0.2."
    )
    stop_daily_loss: Loss | None = Field(default=None, description="Halt at this loss within a UTC day.")
    on_stop: Literal["halt", "flatten"] = Field(
        default="halt", description="A stop cancels orders; flatten sells all, too."
    )
    on_breach: Literal["deny", "resize"] = Field(
        default="deny",
        description="An order beyond a limit is denied, or cut to the largest size that passes.",
    )


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
    timeframe: Duration = Field(description="It decides at the close of each bar of this length.")
    params: dict[str, Any] = Field(
        default={}, description="The rule's or the class's own parameters.", validate_default=True
    )
    size: Size | None = Field(default=None, description="How much a rule buys; a class decides for itself.")
    features: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(),
        description="Indicators that a class may ask for, beside its own: sma_20, rsi_14, macd, cash_share, ...",
    )
    history: int | None = Field(
        default=None,
        gt=0,
        le=100_000,
        description="Bars that a class may look back; null: as the class says.",
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


class Account(Model):
    """Cash of its own, limits of its own, and the strategies that trade it."""

    name: Name = Field(description="Names it in results.")
    cash: Positive = Field(description="What it starts with, in its currency.")
    currency: Currency = Field(
        default="USD", description="The currency of its cash and of all that it trades."
    )
    limits: Limits = Field(default=Limits(), description="What the gate allows it.")
    strategies: Annotated[tuple[Strategy, ...], *SOME] = Field(description="Who trades it.")

    @field_validator("strategies")
    @classmethod
    def _named(cls, strategies: tuple[Strategy, ...]) -> tuple[Strategy, ...]:
        checks.refuse(checks.names("strategy", strategies))
        return checks.named(strategies)


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

    @field_validator("instruments")
    @classmethod
    def _sample_instruments(cls, given: dict[str, Instrument], info: ValidationInfo) -> dict[str, Instrument]:
        sample = {d.instrument: Instrument() for d in info.data.get("data", ()) if isinstance(d, SampleData)}
        return {**given, **{name: made for name, made in sample.items() if name not in given}}

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(checks.backtest(self))
        return self
