"""The limits on what a portfolio may lose, or has lost: an account's, and those of a strategy in it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from daemon.config import checks
from daemon.config.base import Model, Share

STATISTICAL = ("var", "cvar", "stressed_var")  # the limits that a forecast is held against


class _Limit(Model):
    # Above 1 a limit would let pass what may lose more than there is. A typing error (5 for 5 %) is likelier.
    limit: Share | None = Field(
        default=None, description="A share of the account's equity, such as 0.05; null: it only warns."
    )
    warning: Share | None = Field(
        default=None, description="An event tells when this share is reached; null: no warning."
    )

    action: str  # which of them there are is the kind's

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.limit is None and self.warning is None:
            raise ValueError("limits nothing; write a share such as 0.05, or {warning: 0.04, limit: 0.05}")
        if self.limit and self.warning and self.warning >= self.limit:
            raise ValueError(
                f"warns at {self.warning:g}, not below its limit of {self.limit:g}; warn earlier"
            )
        default = type(self).model_fields["action"].default
        if self.limit is None and self.action != default:
            checks.refuse(
                [(("action",), "is for a limit, and there is only a warning; add limit, or remove it")]
            )
        return self


class ForecastLimit(_Limit):
    """A limit on a forecast of loss: no order takes the portfolio beyond it."""

    action: Literal["deny", "resize", "halt", "flatten"] = Field(
        default="deny",
        description="An order beyond the limit is denied, or with resize cut to the largest size that passes. Where the "
        "market breaks it, halt also cancels what works and lets exits pass only, until an operator's reset; flatten "
        "closes the positions, too.",
    )


class LossLimit(_Limit):
    """A limit on a loss that has been made."""

    action: Literal["halt", "flatten", "deny"] = Field(
        default="halt",
        description="At the limit, halt cancels what works and lets exits pass only, until an operator's reset; flatten "
        "closes the positions, too; deny lets exits pass only for as long as the loss is that large.",
    )


def _number(given: Any) -> Any:
    if isinstance(given, int | float) and not isinstance(given, bool):
        return {"limit": given}
    if not isinstance(given, dict | _Limit):
        raise ValueError("is no limit; write a share such as 0.05, or {warning: 0.04, limit: 0.05}")
    return given


_Forecast = Annotated[ForecastLimit, BeforeValidator(_number, json_schema_input_type=Share | ForecastLimit)]
_Loss = Annotated[LossLimit, BeforeValidator(_number, json_schema_input_type=Share | LossLimit)]


class RiskLimits(Model):
    """Limits on losses, as shares of the account's equity; null: no such limit. A bare number is the limit."""

    var: _Forecast | None = Field(default=None, description="Value at risk, as `risk` says.")
    cvar: _Forecast | None = Field(
        default=None, description="Expected shortfall: the mean loss beyond the value at risk."
    )
    stressed_var: _Forecast | None = Field(
        default=None, description="The largest loss under the `stress` of `risk`."
    )
    drawdown: _Loss | None = Field(default=None, description="Loss from the peak.")
    daily_loss: _Loss | None = Field(default=None, description="Loss within a UTC day.")
