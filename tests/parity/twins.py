"""The shipped rules once more, in plain Python through the Context, as a user would write them."""

from __future__ import annotations

from strategies import Bar, Context, Strategy
from strategies.rules import BuyAndHold, Momentum, RsiReversion, SmaCross

LONG, FLAT, KEEP = "long", "flat", "keep"


class Twin(Strategy):
    """Long or flat by `signal`: `units` where they are given, else `share` of equity, measured at the entry."""

    class Params(Strategy.Params):
        units: float = 0.0
        share: float = 0.0

    def signal(self, ctx: Context, instrument: str) -> str:
        raise NotImplementedError

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        name = bar.instrument
        if not ctx.ready(name):
            return
        signal = self.signal(ctx, name)
        if signal == FLAT:
            ctx.target(name, 0)
        elif signal == LONG and self.params.units:
            ctx.target(name, self.params.units)
        elif signal == LONG and ctx.position(name) + self.working(ctx, name) <= 0:
            ctx.target_fraction(name, self.params.share / len(ctx.instruments))

    def working(self, ctx: Context, name: str) -> float:
        return sum(order.side * order.leaves_qty for order in ctx.orders(name))


class BuyAndHoldTwin(Twin):
    class Params(Twin.Params, BuyAndHold): ...

    def signal(self, ctx: Context, instrument: str) -> str:
        return LONG


class SmaCrossTwin(Twin):
    class Params(Twin.Params, SmaCross): ...

    @property
    def features(self) -> tuple[str, ...]:
        return (f"sma_{self.params.fast}", f"sma_{self.params.slow}")

    def signal(self, ctx: Context, instrument: str) -> str:
        fast, slow = ctx.features(instrument)
        return LONG if fast - slow > 1e-12 * slow else FLAT


class MomentumTwin(Twin):
    class Params(Twin.Params, Momentum): ...

    @property
    def features(self) -> tuple[str, ...]:
        return (f"return_{self.params.lookback}",)

    def signal(self, ctx: Context, instrument: str) -> str:
        change = ctx.feature(self.features[0], instrument)
        if change > self.params.threshold:
            return LONG
        if change < -self.params.threshold or self.params.threshold == 0:
            return FLAT
        return KEEP


class RsiReversionTwin(Twin):
    class Params(Twin.Params, RsiReversion): ...

    @property
    def features(self) -> tuple[str, ...]:
        return (f"rsi_{self.params.window}",)

    def signal(self, ctx: Context, instrument: str) -> str:
        rsi = ctx.feature(self.features[0], instrument)
        if rsi < self.params.oversold:
            return LONG
        return FLAT if rsi > self.params.overbought else KEEP


TWINS: dict[str, type[Twin]] = {
    "buy_and_hold": BuyAndHoldTwin,
    "sma_cross": SmaCrossTwin,
    "momentum": MomentumTwin,
    "rsi_reversion": RsiReversionTwin,
}
