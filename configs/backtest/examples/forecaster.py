"""A forecaster beside the engine, and a strategy that trades on what it says."""

import math

from pydantic import BaseModel, Field

from strategies import AsyncActor, Bar, Context, Signal, Strategy


class Trend(AsyncActor):
    """Says by how much the next close will be above this one: level and slope of prices, both smoothed (Holt, 1957)."""

    history = 250  # bars that it learns from before it speaks

    class Params(BaseModel):
        """What `params` may hold in a configuration."""

        level: float = Field(default=0.2, gt=0, le=1, description="weight of the newest close in the level")
        slope: float = Field(default=0.05, gt=0, le=1, description="weight of the newest step in the slope")
        width: float = Field(default=1.0, gt=0, description="of its bounds, in errors that it usually makes")

    async def on_start(self) -> None:
        """Nothing is known of any instrument."""
        self.known: dict[str, tuple[float, float, float]] = {}  # level, slope, mean squared error

    async def on_warmup(self, bars: list[Bar]) -> None:
        """Learn from what was."""
        for bar in bars:
            self.learn(bar)

    async def on_bar(self, bar: Bar) -> Signal:
        """Learn, and say what comes next. Here other services, or a model, could be asked and waited for."""
        level, slope, error = self.learn(bar)
        value = (level + slope) / bar.close - 1
        margin = self.params.width * math.sqrt(error) / bar.close
        return Signal(bar.instrument, value, low=value - margin, high=value + margin, data={"slope": slope})

    def learn(self, bar: Bar) -> tuple[float, float, float]:
        """Level, slope and squared error after one more bar."""
        level, slope, error = self.known.get(bar.instrument, (bar.close, 0.0, 0.0))
        missed = bar.close - (level + slope)
        new_level = level + slope + self.params.level * missed
        slope += self.params.slope * (new_level - level - slope)
        error += self.params.slope * (missed**2 - error)
        self.known[bar.instrument] = new_level, slope, error
        return self.known[bar.instrument]


class Follow(Strategy):
    """Long while the forecast slope is up, flat when it turns down."""

    class Params(BaseModel):
        """What `params` may hold in a configuration."""

        share: float = Field(default=0.9, gt=0, le=1, description="of the equity, while it is long")
        least: float = Field(default=0.0005, ge=0, description="slope that counts, as a share of the price")

    def on_signal(self, ctx: Context, signal: Signal) -> None:
        """Decide when the forecaster has spoken; the order fills at the next row."""
        assert signal.instrument
        slope = signal.data["slope"] / ctx.price(signal.instrument)
        if slope > self.params.least and not ctx.position(signal.instrument):
            ctx.target_fraction(signal.instrument, self.params.share)
        elif slope < -self.params.least:
            ctx.target(signal.instrument, 0)

    def state_dict(self) -> dict[str, float]:
        """Nothing is kept between two signals."""
        return {}
