"""The class that users write their strategies on."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from engine.records import Wants
from strategies.errors import StrategyLoadError

if TYPE_CHECKING:
    from strategies.context import Context
    from strategies.types import Bar, CorporateAction, Fill, Order, Signal, Tick

CALLBACKS = {
    "on_bar": Wants.BAR,
    "on_bars": Wants.BARS,
    "on_tick": Wants.TICK,
    "on_fill": Wants.FILL,
    "on_order": Wants.ORDER,
    "on_timer": Wants.TIMER,
    "on_corporate_action": Wants.ACTION,
}  # what the engine can be told not to ask; on_start and on_stop come once, on_signal is not the engine's


class Strategy:
    """A trading strategy: override what it should react to, and act through the context `ctx`.

    A complete one, in a file `dip.py` beside the configuration, which names it as ``use: dip:BuyTheDip`` with, for
    example, ``params: {oversold: 25}``::

        from pydantic import BaseModel, Field

        from strategies import Bar, Context, Fill, Strategy


        class BuyTheDip(Strategy):
            features = ("rsi_14",)

            class Params(BaseModel):
                oversold: float = Field(30, gt=0, lt=100)
                quantity: float = Field(100, gt=0)

            def on_start(self, ctx: Context) -> None:
                self.fills = 0

            def on_bar(self, ctx: Context, bar: Bar) -> None:
                if not ctx.ready(bar.instrument):
                    return
                rsi = ctx.feature("rsi_14", bar.instrument)
                if rsi < self.params.oversold:
                    ctx.target(bar.instrument, self.params.quantity)
                elif rsi > 70:
                    ctx.target(bar.instrument, 0)

            def on_fill(self, ctx: Context, fill: Fill) -> None:
                self.fills += 1

            def state_dict(self):
                return {"fills": self.fills}

            def load_state_dict(self, state):
                self.fills = state["fills"]

    Parameters: `Params` is a pydantic model; what the configuration gives is validated, keys that it does not have are
    refused, and the result is `self.params`.

    Inputs: `features` names the indicators to compute on each of its instruments (a tuple in the class, or a property
    where it depends on `self.params`), `history` how many closed bars `ctx.bars` can look back (256 unless set),
    `timeframes` further timeframes whose bars `ctx.bars` can give, such as "1h"; a feature of such bars is named
    "sma_20@1h". `on_bar` comes for the strategy's own timeframe only, with the further ones' bars up to that moment.

    Order of calls. At each row of the tape: first what its time makes due (bars close: `on_bar` for each instrument
    whose bar closed, then `on_bars` once; then `on_timer`), then `on_fill` and `on_order` for what the row did to the
    strategy's orders, then `on_tick`. A row that is a split, a dividend or the like brings `on_corporate_action`, then
    `on_order` for each order that it changed. What an order led to at once (accepted, denied, cancelled) comes back
    through `on_order` right after the callback that asked for it. Only overridden methods are called, and none but
    `on_start` while history warms up. A signal of an asynchronous actor is a row of the tape of its own: `on_signal` comes
    after all that the row's time makes due.

    An order placed in any callback can fill on a later row only. Nothing may be kept outside the strategy's own
    attributes, and no clock or random source other than `ctx.now` and `ctx.rng` used: the same tape must give the same
    decisions. An exception ends the run, with a StrategyError that says where it happened.

    After a restart in the middle of a tape a new instance gets `on_start`, then `load_state_dict` with what
    `state_dict` gave; positions, orders, timers and `ctx.rng` are those that were saved, and what `on_start` did to
    them is undone.
    """

    class Params(BaseModel):
        """No parameters."""

    def __init__(self, params: Any) -> None:
        """params: an instance of this class's Params."""
        self.params = params

    @property
    def features(self) -> tuple[str, ...]:
        """Names of indicators, such as "sma_20", "sma_20@1h" or "cash_share", in the order of `ctx.features`."""
        return ()

    @property
    def timeframes(self) -> tuple[str, ...]:
        """Further timeframes beside the strategy's own, such as "1h", whose bars `ctx.bars` can give."""
        return ()

    @property
    def history(self) -> int:
        """How many closed bars `ctx.bars` can look back."""
        return 256

    def on_start(self, ctx: Context) -> None:
        """Begin, once, before the first row: there is no time and no price yet, so no order can pass the gate."""

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        """A bar of one of its instruments closed; `ctx.now` is its end (live: plus the grace)."""

    def on_bars(self, ctx: Context, bars: dict[str, Bar]) -> None:
        """All bars that close at this moment have closed: those of its instruments among them, by name."""

    def on_tick(self, ctx: Context, tick: Tick) -> None:
        """One of its instruments had a row; positions, prices and the bar under construction have taken it."""

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        """One of its orders was filled, in part or, where `fill.leaves_qty` is 0, to its end.

        Comes before the bars take the row that filled it; `ctx.price` and equity are those of the row already.
        """

    def on_order(self, ctx: Context, order: Order) -> None:
        """One of its orders changed its status otherwise than by a fill, such as NEW, DENIED, CANCELED, EXPIRED."""

    def on_timer(self, ctx: Context, timer_id: int) -> None:
        """A timer fired that it had set with `ctx.set_timer`."""

    def on_corporate_action(self, ctx: Context, action: CorporateAction) -> None:
        """One of its instruments had a split, a dividend, a new symbol, or was delisted.

        Comes after positions, orders, bars and features have followed: multiply by `action.factor` what you remember.
        """

    def on_signal(self, ctx: Context, signal: Signal) -> None:
        """An asynchronous actor spoke, one of those that the configuration names under the strategy's `signals`."""

    def on_stop(self, ctx: Context) -> None:
        """End: the tape is over, nothing fills any more."""

    def state_dict(self) -> dict[str, Any] | None:
        """All that its later decisions depend on, as plain values, or None where it cannot be saved.

        Numbers, strings, lists, dictionaries and numpy arrays. A strategy that keeps nothing returns {}. Without a
        state, a restart has to replay the tape from its start.
        """
        return None

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` gave."""


def wants_of(cls: type[Strategy]) -> int:
    """Which calls the class handles, a sum of Wants: those of its methods that are not the base class's.

    Raises StrategyLoadError for a method on_... that nobody calls, and for one that is async.
    """
    wants = 0
    known = [name for name in dir(Strategy) if name.startswith("on_")]
    for name in dir(cls):
        method = getattr(cls, name)
        if not name.startswith("on_") or not callable(method):
            continue
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
            raise StrategyLoadError(f"{cls.__qualname__}.{name} is never called; {hint}")
        if inspect.iscoroutinefunction(method):
            raise StrategyLoadError(
                f"{cls.__qualname__}.{name} is async, and the engine does not wait; use a plain def"
            )
        if name in CALLBACKS and method is not getattr(Strategy, name):
            wants |= CALLBACKS[name]
    return int(wants)
