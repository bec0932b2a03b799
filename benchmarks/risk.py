"""What the gate takes to measure risk: a decision on VaR and CVaR limits, and the SMA benchmark with such limits.

    python -m benchmarks.risk            nine rounds
    python -m benchmarks.risk --quick    three

A decision: compiled code writes one print (or one of each instrument) and sends an order, through the engine's own entry
as any feed and any strategy does, and cancels it again; nothing of it runs in Python. What the limits take is the time of
an engine with them less that of one without, on the same rows and orders, rounds taken in turn. So it has in it all that
the limits cause: what a mark makes out of date, the order's place in each scenario, the two statistics, the verdict. Each
decision follows a mark, none can reuse the one before.

The account holds each instrument. VaR and CVaR are historical, at 99 %, over 500 days. They are compared with numpy's first.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numba.core import types

from benchmarks import data, ours, venvs
from daemon.compiled import prepare
from engine.engine import Engine
from engine.jit import entry
from engine.kernel import Command, kernel
from engine.records import DAY, NEVER, Code, OrderType, Outcome, Side, State, Ticks
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, LimitSpec, LimitsSpec, RiskLimits, RiskSpec
from engine.table import TABLE_LENGTH, call, fill_table, state_at, ticks_at

SCENARIOS = 500
PRICE, LIMIT = 100.0, 90.0  # where all instruments stand, and what the orders would pay: none of them fills
EACH = 100_000.0  # dollars an instrument brings into the account,
HELD = 100  # of which these lots are bought
SMALL, LARGE = 1, 900  # lots of an order, for each instrument: the large one would break the limits
VAR, CVAR = 0.01, 0.015
MILLISECOND = 1_000_000


def drive(run: Any, at: Any, decisions: int, marks: int, lots: int) -> int:
    """Let `marks` instruments print, in turn, then order in the last of them and cancel; how many orders were approved.

    Negative where the engine stopped. `at` is of an engine and of a batch of `marks` rows, which is written anew.
    """
    s = state_at(at)
    t = ticks_at(at)
    c = s.clock[0]
    wish = s.wish[0]
    n = len(s.instruments)
    visits = 0
    approved = 0
    for _ in range(decisions):
        k = 0
        for j in range(marks):
            k = visits % n
            # up in one round over the instruments, down in the next
            t.price[j] = PRICE + 0.1 if (visits // n) % 2 == 0 else PRICE
            t.instrument[j] = k
            t.ts_event[j] = c.now + MILLISECOND
            t.ts_recv[j] = c.now + MILLISECOND
            visits += 1
        c.n_events = 0  # nobody listens
        c.n_equity = 0
        c.row = 0
        if call(run, at) != Outcome.DONE:
            return -1
        terms = s.terms[0]
        terms.side = 1
        terms.type = OrderType.LIMIT
        terms.tif = 0
        terms.lots = lots
        terms.tag = 0
        terms.limit = LIMIT
        terms.stop = 0.0
        terms.trail = 0.0
        terms.trail_kind = 0
        terms.expires = NEVER
        terms.post_only = 0
        terms.reduce_only = 0
        wish.what = Command.SUBMIT
        wish.a = k
        order_id = call(run, at)
        wish.what = Command.CANCEL
        wish.a = order_id
        approved += call(run, at)
    return approved


@cache
def driver() -> Callable[..., int]:
    """`drive`, compiled; the engine's entry first."""
    kernel()
    return entry(types.int64(*[types.int64] * 5), drive)


def returns(instruments: int) -> np.ndarray[Any, Any]:
    """(days, instruments): what happens a day before the first order; correlated, one day more than scenarios."""
    rng = np.random.default_rng(7)
    market = rng.normal(0, 0.006, (SCENARIOS + 1, 1))
    return np.asarray(market + rng.normal(0, 0.008, (SCENARIOS + 1, instruments)))


def history(moves: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(days, instruments): prices with such returns, that all end where they began to be `PRICE`."""
    worth = np.vstack([np.ones(moves.shape[1]), np.cumprod(1 + moves, axis=0)])
    return np.asarray(worth / worth[-1] * PRICE)


def rows(prices: np.ndarray[Any, Any], day: int) -> Ticks:
    """A print of each instrument at noon, (days, instruments), from that day on."""
    days, n = prices.shape
    ts = np.repeat((day + np.arange(days, dtype=np.int64)) * DAY + DAY // 2, n)
    instrument = np.tile(np.arange(n, dtype=np.int32), days)
    size = np.full(days * n, 1e6)
    return Ticks(ts, ts, instrument, prices.ravel().copy(), size, np.zeros(days * n, np.uint8))


def spec(instruments: int, limits: LimitsSpec, risk: RiskSpec | None = None) -> EngineSpec:
    """Instruments without fees, and an account that trades them by hand."""
    account = AccountSpec("a", EACH * instruments, limits=limits)
    names = tuple(InstrumentSpec(f"I{k}") for k in range(instruments))
    return EngineSpec(names, (account,), (), risk=risk)


WITH = LimitsSpec(risk=RiskLimits(var=LimitSpec(VAR), cvar=LimitSpec(CVAR)))


class Decisions:
    """An engine whose account holds all instruments after 501 days, and the code that sends it rows and orders."""

    def __init__(self, instruments: int, marks: int, limits: LimitsSpec, measures: bool) -> None:
        """marks: instruments that print before each order. measures: the limits are on risk."""
        self.engine = Engine(spec(instruments, limits, RiskSpec(window=SCENARIOS) if measures else None))
        self.engine.start()
        moves = returns(instruments)
        prices = history(moves)
        self.engine.process(rows(prices, 0))
        self.engine.process(rows(prices[-1:], len(prices)))  # the day after: the last one's returns are known
        for k in range(instruments):
            if self.engine.operator_slot("a", f"I{k}") != k:
                raise RuntimeError(f"the slot of I{k} is not {k}")
            self.engine.submit(k, Side.BUY, HELD)
        later = rows(prices[-1:], len(prices))
        self.engine.process(later._replace(ts_event=later.ts_event + 1, ts_recv=later.ts_recv + 1))
        held = self.engine.state.holdings["lots"]
        if not np.array_equal(held, np.full(instruments, HELD)):
            raise RuntimeError("the account does not hold what it should")
        if measures:
            self._compare(moves)
        self.instruments, self.marks = instruments, marks
        self.batch = rows(np.full((1, marks), PRICE), 0)
        self.table = np.zeros(TABLE_LENGTH, np.int64)
        fill_table(self.table, self.engine.state, self.batch)

    def _compare(self, moves: np.ndarray[Any, Any]) -> None:
        """Raise RuntimeError where VaR or CVaR is not numpy's."""
        pnl = np.sort(moves[-SCENARIOS:] @ np.full(moves.shape[1], HELD * PRICE))
        tail = round(SCENARIOS * 0.01)
        expected = -pnl[tail], -pnl[:tail].mean()  # the sixth largest loss, and the mean of the five above it
        scale = self.state.accounts[0].scale
        found = self.engine.measure("a")
        if not np.allclose((found.var / scale, found.cvar / scale), expected, rtol=1e-9, atol=0.0):
            raise RuntimeError(f"VaR and CVaR are {found.var / scale}, {found.cvar / scale}, not {expected}")

    @property
    def state(self) -> State:
        return self.engine.state

    def seconds(self, decisions: int, lots: int, approved: bool) -> float:
        """What so many take. Raises RuntimeError where not all of them were approved, or not all denied."""
        started = perf_counter()
        found = driver()(kernel().address, self.table.ctypes.data, decisions, self.marks, lots)
        taken = perf_counter() - started
        if found != (decisions if approved else 0):
            raise RuntimeError(f"{found} of {decisions} orders for {lots} lots were approved")
        return taken


def decision_us(instruments: int, marks: int, decisions: int, rounds: int, approved: bool = True) -> float:
    """What limits on VaR and CVaR add to rows and an order, in µs; of a denied one beside an engine that denies it for its size."""
    cap = LimitsSpec() if approved else LimitsSpec(max_order_notional=LIMIT * LARGE * instruments / 2)
    lots = (SMALL if approved else LARGE) * instruments
    measuring = Decisions(instruments, marks, WITH, True)
    plain = Decisions(instruments, marks, cap, False)
    added = []
    for _ in range(rounds + 1):
        first, second = (each.seconds(decisions, lots, approved) for each in (measuring, plain))
        added.append((first - second) / decisions)
    if not approved and not measuring.state.denied[Code.VAR] == decisions * (rounds + 1):
        raise RuntimeError("the orders were not denied for their VaR")
    return median(added[1:]) * 1e6


LOOSE = RiskLimits(var=LimitSpec(0.5), cvar=LimitSpec(0.5), drawdown=LimitSpec(0.5))


def sma_times(case: str, rounds: int, folder: Path) -> float:
    """How many times as long the SMA benchmark takes with limits that nothing in it breaks."""
    from benchmarks.run import CASES

    parts = list(ours.batches(ours.tape(case, data.ensure(case, CASES[case], folder))))
    plain = ours.sma_cross(50 if case == "multi" else 1)
    account = replace(plain.accounts[0], limits=LimitsSpec(risk=LOOSE))
    # until there are enough returns, a volatility of 5 % is taken for granted: no order is denied
    limited = replace(plain, accounts=(account,), risk=RiskSpec(window=SCENARIOS, prior_volatility=0.05))
    taken: dict[int, list[float]] = {0: [], 1: []}
    ends = set()
    for _ in range(rounds + 1):
        for i, each in enumerate((plain, limited)):
            engine = Engine(each)
            taken[i].append(ours.timed(engine, parts))
            account_at_end = engine.state.accounts[0]
            ends.add((int(account_at_end.fills), int(account_at_end.cash)))
    if len(ends) != 1:
        raise RuntimeError(f"the strategy traded otherwise under limits: fills and cash were {sorted(ends)}")
    return median(taken[1][1:]) / median(taken[0][1:])


def figures(rounds: int, folder: Path) -> list[Any]:
    """All of it, as medians."""
    from benchmarks.run import Figure

    prepare()

    def decision(what: str, bar: float, *given: Any) -> Figure:
        return Figure(f"an order against VaR and CVaR, {what}", decision_us(*given), bar, "µs", False)

    def sma(what: str, case: str) -> Figure:
        what = f"the SMA cross under limits on VaR, CVaR and drawdown, {what}, times as long"
        return Figure(what, sma_times(case, rounds, folder), 2.0, "x", False)

    return [
        decision("10 instruments x 500 scenarios, one mark moved", 3.0, 10, 1, 10_000, rounds),
        decision("the same, denied", 3.0, 10, 1, 10_000, rounds, False),
        decision("1,000 instruments, one mark moved", 60.0, 1_000, 1, 1_000, rounds),
        decision("1,000 instruments, all marks moved", 250.0, 1_000, 1_000, 300, rounds),
        sma("bars", "bars"),
        sma("ticks", "ticks"),
        sma("50 instruments", "multi"),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints; 1 if a bar is missed."""
    from rich.console import Console

    from benchmarks.run import table as shown

    asked = argparse.ArgumentParser(
        prog="python -m benchmarks.risk", description="What measuring risk takes."
    )
    asked.add_argument("--quick", action="store_true", help="three rounds")
    given = asked.parse_args(arguments)
    found = figures(3 if given.quick else 9, venvs.HOME / "data")
    Console(width=120).print(shown(found))
    return int(not all(figure.clears for figure in found))


if __name__ == "__main__":
    sys.exit(main())
