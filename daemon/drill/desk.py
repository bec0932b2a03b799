"""Where the drill trades from: one strategy, one instrument, one portfolio, and an engine that always begins anew.

All checks of a desk begin from one snapshot. Faults that no row of a tape can bring (a NaN among the scenarios) are put
into a copy of a snapshot, from which the engine goes on. So are the other limits switched off where one is to be seen by
itself: the one under test stays what the configuration says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.drill.checks import Check, Result, Seen, Verdict
from engine.build import worth
from engine.owned import OWNED
from engine.records import (
    N_LIMITS,
    NONE,
    SECOND,
    TICK_DTYPES,
    Code,
    EventKind,
    Limit,
    OrderType,
    RowKind,
    Side,
    Status,
    Ticks,
    TimeInForce,
    TradingState,
)
from engine.snapshot import Snapshot

if TYPE_CHECKING:
    from daemon.config.models import BacktestConfig
    from daemon.drill.warming import Warm

Arrays = dict[str, np.ndarray[Any, Any]]
Tamper = Callable[[Arrays], None]

SIZES = (
    "max_order_notional", "max_position", "max_gross", "max_net", "max_concentration", "collar", "max_stale_ns",
    "rate_orders",
)  # fmt: skip
LOSSES = tuple(Limit)
FORECASTS = (Limit.VAR, Limit.CVAR, Limit.STRESSED_VAR)
ALL: tuple[str | Limit, ...] = (*SIZES, *LOSSES)
REACH = (
    0.85  # of what an account may hold, the drill makes it hold at most: the rest is for slippage and fees
)
_MANY = 2**53  # lots: no instrument has a larger maximum
_VOLUME = 1e12  # units: rows are large enough for all that is asked of them


class Desk:
    """Orders of one strategy in one instrument, seen from one portfolio: its account, or its own part of it.

    p: the portfolio's index. strategy, slot: who orders, and in what. Prices move in this instrument only. What the gate
    has to do is read from the configuration; what it does, from the engine.
    """

    def __init__(self, warm: Warm, config: BacktestConfig, p: int, strategy: int, slot: int) -> None:
        engine = warm.engine
        spec = engine.spec
        self.engine = engine
        self.base = warm.base
        self.fresh = warm.fresh
        self.p = p
        self.strategy = strategy
        self.slot = slot
        self.account = int(engine.state.slots[slot].account)
        self.k = int(engine.state.slots[slot].instrument)
        self.given = config.accounts[self.account]
        self.risk = config.risk
        self.own = p >= len(spec.accounts)
        self.strategy_name = spec.strategies[strategy].name.removeprefix(f"{self.given.name}/")
        self.name = spec.strategies[strategy].name if self.own else self.given.name
        self.instrument = spec.instruments[self.k]
        self.operator_slot = engine.operator_slot(self.given.name, self.instrument.name)
        self.scale = spec.scale(self.given.currency)
        # positions over equity that orders may reach
        self.power = self.given.margin.leverage if self.given.margin else 1.0
        self.small = max(self.instrument.min_lots, 1)
        self.step = max(i.latency_ns for i in spec.instruments) + SECOND

    def check(self, name: str, injected: str, expected: str, seen: Seen) -> Check:
        """What was seen in a check at this desk."""
        return self._told(name, injected, expected, str(seen), Result.PASSED if seen.good else Result.FAILED)

    def not_configured(self, name: str, injected: str, expected: str, why: str) -> Check:
        """The configuration does not ask for what would be checked."""
        return self._told(name, injected, expected, why, Result.NOT_CONFIGURED)

    def out_of_reach(self, name: str, injected: str, expected: str, why: str) -> Check:
        """The configuration asks for it, but nothing that can happen comes so far."""
        return self._told(name, injected, expected, why, Result.OUT_OF_REACH)

    def _told(self, name: str, injected: str, expected: str, happened: str, result: Result) -> Check:
        strategy = self.strategy_name if self.own else None
        return Check(self.given.name, strategy, name, injected, expected, happened, result)

    # -- the state ------------------------------------------------------------------------------------------------

    def begin(self, *keep: str | Limit, state: Snapshot | None = None, tamper: Tamper | None = None) -> None:
        """Go back to the base, or another state, with only these limits in force; of losses, this portfolio's.

        With ALL of them everything is as the configuration says, of all portfolios.
        """
        self._restore(state or self.base, keep, tamper)

    def change(self, *keep: str | Limit, tamper: Tamper | None = None) -> None:
        """Go on from here with other limits in force, and with what is tampered with."""
        self._restore(self.engine.snapshot(), keep, tamper)

    def _restore(self, snapshot: Snapshot, keep: Iterable[str | Limit], tamper: Tamper | None) -> None:
        arrays = {name: array.copy() for name, array in snapshot.arrays.items()}
        self._keep(arrays, tuple(keep))
        if tamper:
            tamper(arrays)
        self.engine.restore(Snapshot(arrays, dict(snapshot.actors), snapshot.spec))
        for name in OWNED:  # the limits of a check, and not those of the specification
            getattr(self.engine.state, name)[:] = arrays[name]
        self.engine.take_events()

    def _keep(self, arrays: Arrays, keep: tuple[str | Limit, ...]) -> None:
        given = self.base.arrays
        accounts, limits, portfolios = (arrays[n] for n in ("accounts", "limits", "portfolios"))
        for name in SIZES:
            accounts[name] = given["accounts"][name]
            if name not in keep:
                accounts[name][self.account] = 0
        for name in ("bound", "warning"):
            limits[name] = given["limits"][name]
        portfolios["statistical"] = given["portfolios"]["statistical"]
        arrays["instruments"]["max_lots"] = given["instruments"]["max_lots"]
        if keep == ALL:
            return
        arrays["instruments"]["max_lots"] = _MANY
        mine = np.zeros(len(limits), bool)
        mine[[self.p * N_LIMITS + limit for limit in keep if isinstance(limit, Limit)]] = True
        for name in ("bound", "warning"):
            limits[name][~mine] = 0.0
        forecast = (limits["bound"] + limits["warning"]).reshape(-1, N_LIMITS)[:, : Limit.DRAWDOWN] > 0.0
        portfolios["statistical"][~forecast.any(axis=1)] = 0

    # -- the tape -------------------------------------------------------------------------------------------------

    @property
    def price(self) -> float:
        """The instrument's last price."""
        return float(self.engine.state.instruments[self.k].price)

    @property
    def unit(self) -> float:
        """What a lot is worth, in money units."""
        return self.worth(1)

    def worth(self, lots: int) -> float:
        """What so many lots are worth, in money units."""
        return worth(self.engine.state.instruments[self.k], lots, self.price)

    @property
    def held(self) -> int:
        """The lots that the strategy holds."""
        return int(self.engine.state.slots[self.slot].lots)

    @property
    def rest(self) -> float:
        """The account's equity but for what the strategy holds in the instrument, in money units."""
        s = self.engine.state
        account = s.accounts[self.account]
        holdings = s.holdings[account.first_holding : account.first_holding + account.n_holdings]
        total = float(account.cash)
        for holding in holdings:
            instrument = s.instruments[holding.instrument]
            lots = int(holding.lots) - (self.held if holding.instrument == self.k else 0)
            total += worth(instrument, lots, float(instrument.price))
        return total

    @property
    def equity(self) -> float:
        """The account's equity, in money units."""
        return self.rest + self.worth(self.held)

    def price_at(self, share: float) -> float:
        """The price at which what is held is worth that share of the equity, below 1; the last where nothing is held."""
        held = self.worth(self.held)
        return self.price * share * self.rest / ((1.0 - share) * held) if held else self.price

    def price_after(self, loss: float) -> float:
        """The price at which the account has lost so much more, in money units; the last where nothing is held."""
        held = self.worth(self.held)
        return self.price * (1.0 - loss / held) if held else self.price

    @property
    def later(self) -> int:
        """A time after the next that matters to an order: latencies are over then."""
        return self.engine.now + self.step

    def print(self, price: float) -> np.ndarray[Any, Any]:
        """Give the instrument a price, a second from now; the events of that row."""
        return self.take(rows((self.engine.now + SECOND, self.k, price)))

    def settle(self) -> None:
        """Let what is on its way arrive, and market orders fill at the last price."""
        for _ in range(3):
            self.take(rows((self.later, self.k, self.price)))

    def wait(self, ts: int) -> None:
        """Let time go on to ts without a price."""
        self.take(rows((ts, 0, 0.0), kind=RowKind.TIMER))

    def take(self, ticks: Ticks) -> np.ndarray[Any, Any]:
        """Put rows through the engine; their events."""
        return self.engine.process(ticks).events

    # -- orders ---------------------------------------------------------------------------------------------------

    def submit(
        self, lots: int, side: Side = Side.BUY, limit: float = 0.0, slot: int | None = None
    ) -> Verdict:
        """Put an order before the gate: at the market, or with a limit; of the strategy, or in another slot."""
        type_ = OrderType.LIMIT if limit else OrderType.MARKET
        where = self.slot if slot is None else slot
        order_id = self.engine.submit(where, side, lots, type_, TimeInForce.GTC, limit)
        events = self.engine.take_events().events
        first = events[(events["order_id"] == order_id) & (events["kind"] == EventKind.ORDER)][0]
        denied = first["status"] == Status.DENIED
        return Verdict(
            Code(int(first["code"])),
            self.instrument.lot_size,
            lots,
            0 if denied else int(first["lots"]),
            float(first["measure"]),
            float(first["bound"]),
            events,
        )

    def sell(self, lots: int) -> Verdict:
        """Put an exit before the gate."""
        return self.submit(lots, Side.SELL)

    def lots_of(self, share: float) -> int:
        """So many lots are worth that share of the equity; at least the smallest order."""
        return max(int(share * self.equity / self.unit), self.small)

    def hold(self, lots: int) -> bool:
        """Buy lots, and wait until they are there; whether they are."""
        before = self.held
        self.submit(lots)
        self.settle()
        return self.held == before + lots

    def rest_order(self) -> int:
        """Let a purchase rest that no price here comes near; its id, or 0 where it was denied."""
        tick = self.instrument.tick_size
        limit = max(int(self.price * 1e-3 / tick), 1) * tick
        verdict = self.submit(self.small, limit=limit)
        return int(verdict.events[0]["order_id"]) if verdict.passed else 0

    def is_working(self, order_id: int) -> bool:
        """Whether an order still works."""
        s = self.engine.state
        return any(int(s.orders[place].id) == order_id for place in self.engine.live_orders())

    @property
    def state(self) -> TradingState:
        """The portfolio's trading state."""
        s = self.engine.state
        return TradingState(
            int(s.strategies[self.strategy].state if self.own else s.accounts[self.account].state)
        )

    def switches(self, events: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Those events that tell of the portfolio's trading state."""
        return self._mine(events, EventKind.STATE)

    def levels(self, events: np.ndarray[Any, Any], code: Code) -> np.ndarray[Any, Any]:
        """Those events that tell where the portfolio stands against the limit of that code."""
        found = self._mine(events, EventKind.RISK)
        return found[found["code"] == code]

    def _mine(self, events: np.ndarray[Any, Any], kind: EventKind) -> np.ndarray[Any, Any]:
        strategy = self.strategy if self.own else NONE
        mine = (events["account"] == self.account) & (events["strategy"] == strategy)
        return events[(events["kind"] == kind) & mine]


def rows(*given: tuple[int, int, float], kind: RowKind = RowKind.PRINT) -> Ticks:
    """Rows of (ns UTC, instrument, price), large enough for any order."""
    n = len(given)
    ts, instruments, prices = zip(*given, strict=True)
    columns = (ts, ts, instruments, prices, [_VOLUME] * n, [kind] * n)
    return Ticks(*(np.array(c, d) for c, d in zip(columns, TICK_DTYPES, strict=True)))
