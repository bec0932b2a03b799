"""Quotes around the price, remembers what it did, and draws by chance: all of that has to survive.

What $FAULT names goes wrong with it at its hundredth bar, or from then on.
"""

import os
from typing import Any

from strategies import Bar, Context, Fill, Strategy

FAULT = os.environ.get("FAULT", "")
KEPT: list[bytes] = []


class Maker(Strategy):
    """An order to buy and one to sell, new at each bar."""

    def on_start(self, ctx: Context) -> None:
        """Begin with nothing."""
        self.bars = self.fills = 0
        self.asked: dict[str, list[int]] = {}

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        """Take back what was asked for, and ask anew."""
        self.bars += 1
        if self.bars >= 100:
            if FAULT == "raise":
                raise RuntimeError("the hundredth bar is bad luck")
            while FAULT == "loop":
                pass
            if FAULT == "leak":
                KEPT.append(b"x" * 2_000_000)
        name = bar.instrument
        for order in self.asked.pop(name, []):
            ctx.cancel(order)
        away = bar.close * (0.0004 + 0.0004 * float(ctx.rng.random()))
        size = 1 + self.fills % 7
        held = ctx.position(name)
        asked = []
        if held < 50:
            asked.append(ctx.buy(name, size, limit=round(bar.close - away, 2)))
        if held > -50:
            asked.append(ctx.sell(name, size, limit=round(bar.close + away, 2)))
        self.asked[name] = asked

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        """Count."""
        self.fills += 1

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        return {"bars": self.bars, "fills": self.fills, "asked": self.asked}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """All of it."""
        self.bars, self.fills, self.asked = state["bars"], state["fills"], state["asked"]
