"""Brackets, long and short: follow a price that leaves its range, with a profit to take and a loss to stop at."""

from pydantic import BaseModel, Field

from strategies import Bar, Context, Side, Strategy


class Breakout(Strategy):
    """Long above the highest high of the last `lookback` bars, short below their lowest low, one bracket at a time."""

    class Params(BaseModel):
        """What `params` may hold in a configuration."""

        lookback: int = Field(default=100, ge=2, le=250, description="bars of the range")
        take: float = Field(default=0.06, gt=0, lt=1, description="profit to take, as a share of the price")
        stop: float = Field(default=0.03, gt=0, lt=1, description="loss to stop at, as a share of the price")
        share: float = Field(default=0.5, gt=0, description="of the equity; above 1 with leverage")

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        """Decide on each bar's close, while nothing is held or working."""
        bars = ctx.bars(self.params.lookback + 1, bar.instrument)
        if len(bars) <= self.params.lookback or ctx.position(bar.instrument) or ctx.orders(bar.instrument):
            return
        before = bars[:-1]
        if bar.close > before["high"].max():
            self._enter(ctx, bar, Side.BUY)
        elif bar.close < before["low"].min():
            self._enter(ctx, bar, Side.SELL)

    def _enter(self, ctx: Context, bar: Bar, side: Side) -> None:
        ctx.bracket(
            bar.instrument,
            side,
            ctx.account.equity * self.params.share // bar.close,  # whole shares
            take_profit=round(bar.close * (1 + side * self.params.take), 2),
            stop_loss=round(bar.close * (1 - side * self.params.stop), 2),
        )
