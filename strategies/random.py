"""Trades by the toss of a coin: what an agent has to beat before it has learned anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from strategies.base import Strategy

if TYPE_CHECKING:
    from strategies.context import Context
    from strategies.types import Bar


class Random(Strategy):
    """Long or flat, and at each bar, with a probability of 1 / `bars`, a fair coin says anew which.

    The coin is the strategy's own generator, seeded by the run and by its name: the same run tosses the same. A position
    lasts 2 x `bars` bars in the mean.
    """

    class Params(BaseModel):
        """What a position is, and how often the coin is tossed."""

        bars: float = Field(10.0, ge=1, description="bars between two tosses, in the mean")
        fraction: float = Field(
            0.95, gt=0, description="share of the account's equity, split evenly over the instruments"
        )
        units: float | None = Field(None, gt=0, description="units of each instrument, instead of a share")

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        """Toss, maybe, and follow the coin."""
        toss, heads = ctx.rng.random(2)
        if toss * self.params.bars >= 1.0:
            return
        if heads >= 0.5:
            ctx.target(bar.instrument, 0.0)
        elif ctx.position(bar.instrument) > 0.0:
            return  # a share of equity is measured at the entry only
        elif self.params.units is not None:
            ctx.target(bar.instrument, self.params.units)
        else:
            ctx.target_fraction(bar.instrument, self.params.fraction / len(ctx.instruments))

    def state_dict(self) -> dict[str, Any]:
        """Nothing: its generator is kept for it."""
        return {}
