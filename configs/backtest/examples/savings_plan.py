"""A savings plan: what is paid into the account is invested, but for a reserve."""

import math

from pydantic import BaseModel, Field

from strategies import Bar, Context, Strategy

LOTS = 10**8  # in one unit


class SavingsPlan(Strategy):
    """Buys for what the cash is above its reserve, as soon as that is worth an order."""

    class Params(BaseModel):
        """What `params` may hold in a configuration."""

        least: float = Field(default=25, gt=0, description="smallest order, in currency")
        keep: float = Field(default=0.2, ge=0, lt=1, description="cash to keep, as a share of equity")

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        """Look at the cash at each bar's close."""
        spare = ctx.account.cash - self.params.keep * ctx.account.equity
        if spare >= self.params.least and not ctx.orders(bar.instrument):
            ctx.buy(bar.instrument, math.floor(spare / bar.close * LOTS) / LOTS)
