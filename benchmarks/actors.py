"""Strategies in Python, to measure what asking them costs."""

from benchmarks.ours import batches, timed
from benchmarks.reference import CASH, FEE_BPS, MINUTE_NS, SHARES
from daemon.compiled import prepare
from engine.engine import Engine
from engine.records import Ticks
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from strategies import Bar, Context, Strategy, Tick
from strategies.actor import PythonActor


class EachBar(Strategy):
    """Is asked on each bar and does nothing."""

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        pass


class EachTick(Strategy):
    """Is asked on each tick and does nothing."""

    def on_tick(self, ctx: Context, tick: Tick) -> None:
        pass


class SmaCross(Strategy):
    """The benchmark's strategy, written as a user would."""

    features = ("sma_10", "sma_30")

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        if ctx.ready("I0"):
            long = ctx.feature("sma_10", "I0") > ctx.feature("sma_30", "I0")
            ctx.target("I0", SHARES if long else 0)


def measure(strategy: type[Strategy], ticks: Ticks, rounds: int) -> list[float]:
    """Seconds of each round."""
    prepare()
    parts = list(batches(ticks))
    seconds = []
    for _ in range(rounds + 1):
        actor = PythonActor("s", strategy(strategy.Params()))
        engine = Engine(
            EngineSpec(
                (InstrumentSpec("I0", taker_bps=FEE_BPS, maker_bps=FEE_BPS),),
                (AccountSpec("a", CASH),),
                (
                    StrategySpec(
                        "s", "a", ("I0",), MINUTE_NS, actor.features, wants=actor.wants, history=actor.history
                    ),
                ),
            ),
            {"s": actor},
        )
        seconds.append(timed(engine, parts))
    return seconds[1:]  # the first is warm-up
