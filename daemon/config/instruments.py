"""What is traded, and how money is counted: instruments, their fees, currencies."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from daemon.config import checks
from daemon.config.base import Bps, Model, NotNegative, Positive
from daemon.config.types import Calendar, Currency

USUAL_SCALE = 1_000_000
SCALES = {"BTC": 100_000_000, "ETH": 100_000_000}  # where it is another, and nothing is said


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
    lot_size: Positive = Field(
        default=1.0, description="The step of its quantities, in units; 1.0e-8 for a satoshi."
    )
    currency: Currency = Field(
        default="USD", description="Accounts trade instruments of their own currency only."
    )
    calendar: Calendar = Field(
        default="XNYS",
        description="When it trades: an exchange's code, such as XNYS, XNAS, XLON, or 24/7. DAY orders end with its "
        "sessions, ages of prices count them only, ratios are annualised by it.",
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


class CurrencyRules(Model):
    """How amounts of a currency are counted."""

    scale: int = Field(
        ge=1,
        le=10**12,
        description="Smallest units in one of the currency: all amounts are whole numbers of these.",
    )


def with_defaults(given: dict[str, CurrencyRules], used: set[str]) -> dict[str, CurrencyRules]:
    """The currencies of a configuration: those given, and the usual scale of those that it uses besides."""
    missing = {c: CurrencyRules(scale=SCALES.get(c, USUAL_SCALE)) for c in sorted(used - given.keys())}
    return {**given, **missing}


def money_text(amount: float, scale: int) -> str:
    """An amount in currency as a person reads it: to the cent, or to the smallest unit where that is finer or coarser."""
    digits = 2 if scale == USUAL_SCALE else len(str(scale - 1)) if scale > 1 else 0
    return f"{amount:,.{digits}f}"
