"""What orders far from the price cost while a strategy trades: the tape with 10,000 of them beside the one without.

    python -m benchmarks.resting            nine rounds
    python -m benchmarks.resting --quick    three

Ticks into minute bars, the benchmark's SMA cross on its cash account, and by hand 5,000 buys far below and 5,000 sells
far above, each at a price of its own; the account holds what they would sell, also where there are none. None of them
may fill, and the strategy has to trade as without them.
"""

import argparse
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks import data, ours, venvs
from daemon.compiled import prepare
from engine.engine import Engine
from engine.records import OrderType, Side, Ticks

RESTING = 10_000
HIGHEST_BUY, LOWEST_SELL = 6_000, 20_000  # cents; the tape stays around 10,000
AT_MOST = 2.0  # times what the tape takes without them


def seconds(parts: list[Ticks], resting: int) -> tuple[float, int]:
    """What the engine takes for all batches but the first two, after which the orders are placed; and the fills.

    Raises RuntimeError where not all of the orders rest from the first to the last tick.
    """
    engine = Engine(ours.sma_cross())
    engine.start()
    slot = engine.operator_slot("a", "I0")
    engine.process(parts[0])  # an order needs a price to be judged by
    engine.submit(slot, Side.BUY, RESTING // 2)
    engine.process(parts[1])
    for k in range(resting // 2):
        engine.submit(slot, Side.BUY, 1, OrderType.LIMIT, limit=(HIGHEST_BUY - k) / 100)
        engine.submit(slot, Side.SELL, 1, OrderType.LIMIT, limit=(LOWEST_SELL + k) / 100)
    engine.take_events()
    placed = by_hand(engine, slot)
    started = perf_counter()
    for part in parts[2:]:
        engine.process(part)
    taken = perf_counter() - started
    left = by_hand(engine, slot)
    if not placed == left == resting:
        raise RuntimeError(f"of {resting} orders {placed} were placed and {left} rest at the end")
    return taken, int(engine.state.accounts[0].fills)


def by_hand(engine: Engine, slot: int) -> int:
    """How many orders of the slot are working."""
    return sum(int(engine.state.orders[place].slot == slot) for place in engine.live_orders())


def figures(rounds: int, folder: Path) -> list[Any]:
    """The times of the ticks with the resting orders over those without: the ratio of the medians, rounds taken in turn."""
    from benchmarks.run import TICKS, Figure

    prepare()
    parts = list(ours.batches(ours.tape("ticks", data.ensure("ticks", TICKS, folder))))
    seconds(parts[:3], RESTING)  # warm
    taken: dict[int, list[float]] = {0: [], RESTING: []}
    fills = set()
    for _ in range(rounds):
        for resting, times in taken.items():
            time, filled = seconds(parts, resting)
            times.append(time)
            fills.add(filled)
    if len(fills) != 1:
        raise RuntimeError(f"the strategy traded otherwise beside the resting orders: {sorted(fills)} fills")
    rows = sum(len(part.price) for part in parts[2:])
    ratio = median(taken[RESTING]) / median(taken[0])
    return [
        Figure("5,000,000 ticks into minute bars beside a position", rows / median(taken[0]), 0.0, "/s"),
        Figure(f"the same beside {RESTING:,} resting orders, times as long", ratio, AT_MOST, "x", False),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints; 1 if the orders cost too much."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.resting", description="Resting orders.")
    asked.add_argument("--quick", action="store_true", help="three rounds")
    given = asked.parse_args(arguments)
    found = figures(3 if given.quick else 9, venvs.HOME / "data")
    for figure in found:
        print(f"{figure.what}: {figure.value:,.2f} {figure.unit}")
    return int(not all(figure.clears for figure in found))


if __name__ == "__main__":
    sys.exit(main())
