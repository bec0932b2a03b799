"""A strategy to start from: buy when the price falls below its average, sell when it is back."""

from pydantic import BaseModel, Field

from strategies import Bar, Context, Strategy


class BuyTheDip(Strategy):
    """Long from a close that lies `dip` below the 20-bar average until one above the average."""

    class Params(BaseModel):
        """What `params` may hold in a configuration."""

        dip: float = Field(
            default=0.03, gt=0, lt=1, description="distance below the average, as a share of it"
        )
        quantity: float = Field(default=100, gt=0, description="units to hold")

    features = ("sma_20",)

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        """Decide on each bar's close; the order fills at the next row."""
        if not ctx.ready(bar.instrument):
            return
        average = ctx.feature("sma_20", bar.instrument)
        if bar.close < average * (1 - self.params.dip):
            ctx.target(bar.instrument, self.params.quantity)
        elif bar.close > average:
            ctx.target(bar.instrument, 0)
