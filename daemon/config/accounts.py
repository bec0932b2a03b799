"""Who trades: accounts, their limits, and what they may owe."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from daemon.config import checks
from daemon.config.agents import Strategy
from daemon.config.base import SOME, Model, Positive
from daemon.config.deposits import Deposit
from daemon.config.limits import RiskLimits
from daemon.config.operator import Operation
from daemon.config.types import Currency, Duration, Name

_Rate = Annotated[float, Field(ge=0, lt=100)]


class OrderRate(Model):
    """A bound on how often an account sends orders."""

    orders: int = Field(gt=0, le=1_000_000, description="At most so many orders ...")
    per: Duration = Field(description="... in any stretch of this length.")


class Limits(RiskLimits):
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
    max_price_age: Duration | None = Field(
        default=None,
        description="No order on a price older than this; only time in which its market was open counts.",
    )
    order_rate: OrderRate | None = Field(default=None, description="So many orders in so much time.")
    on_breach: Literal["deny", "resize"] = Field(
        default="deny",
        description="An order beyond one of the limits from max_order_notional to order_rate is denied, or cut to the "
        "largest size that passes.",
    )


class Margin(Model):
    """What a margin account may owe, and what that costs; it may sell short, too. Rates are a year's: 0.06 is 6 %."""

    leverage: Annotated[float, Field(gt=0, le=1000)] = Field(
        description="Positions may be worth so many times the equity when an order is placed; 1 / leverage is the initial margin."
    )
    maintenance: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.25,
        description="Where equity falls below this share of what the positions are worth, the account is liquidated; at most 1 / leverage.",
    )
    borrow_rate: _Rate = Field(default=0.0, description="Paid on what is sold short, at its price.")
    debit_rate: _Rate = Field(default=0.0, description="Paid on what is owed.")
    credit_rate: _Rate = Field(
        default=0.0, description="Earned on cash, less what was got for what is sold short."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(checks.margin(self))
        return self


class Account(Model):
    """Cash of its own, limits of its own, and the strategies that trade it."""

    name: Name = Field(description="Names it in results.")
    cash: Positive = Field(description="What it starts with, in its currency.")
    currency: Currency = Field(
        default="USD", description="The currency of its cash and of all that it trades."
    )
    margin: Margin | None = Field(
        default=None,
        description="What it may owe; null: a cash account, which pays for what it buys and owns what it sells.",
    )
    deposits: Annotated[tuple[Deposit, ...], Field(strict=False)] = Field(
        default=(),
        description="What is paid in, or, negative, out on the way; it is neither profit nor loss.",
    )
    limits: Limits = Field(default=Limits(), description="What the gate allows it.")
    operator: Annotated[tuple[Operation, ...], Field(strict=False)] = Field(
        default=(), description="What an operator does to it on the way."
    )
    strategies: Annotated[tuple[Strategy, ...], *SOME] = Field(description="Who trades it.")

    @field_validator("strategies")
    @classmethod
    def _named(cls, strategies: tuple[Strategy, ...]) -> tuple[Strategy, ...]:
        checks.refuse(checks.names("strategy", strategies))
        return checks.named(strategies)
