"""A specification becomes the arrays of a State, all in one place: what each field starts with."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.build_risk import risk_arrays
from engine.features import AccountFeature, FeatureKind, FeatureSpec, parse_feature
from engine.records import (
    DAY,
    N_CODES,
    NEVER,
    NO_TIME,
    NONE,
    RECORD_TYPES,
    TICK_DTYPES,
    BarKind,
    SizeKind,
    State,
    Ticks,
    Wants,
)
from engine.spec import EngineSpec, SpecError, StrategySpec

SeriesKey = tuple[int, int, float]  # instrument, BarKind, and its length or threshold
FIRST_ORDERS = 64  # places of the order pool at first; it grows
FIRST_EVENTS = 4096  # places of the outboxes at first
EQUITY_ROOM = 4096


def records(n: int, dtype: Any) -> Any:
    """Return n zeroed records whose fields are attributes."""
    array = np.zeros(n, dtype)
    return array.view(np.recarray) if array.dtype.names else array


def no_ticks() -> Ticks:
    """A batch without rows."""
    return Ticks(*(np.zeros(0, dtype) for dtype in TICK_DTYPES))


def chain_free(orders: Any, first: int) -> None:
    """Chain the places from `first` on into a list of free ones."""
    orders["next"][first:] = np.arange(first + 1, len(orders) + 1)
    orders["next"][-1:] = NONE


def lots_of(units: float, lot_size: float, what: str) -> int:
    """A quantity in units as whole lots; raises SpecError where it is no whole number of them."""
    lots = round(units / lot_size)
    if abs(lots * lot_size - units) > 1e-9 * max(abs(units), lot_size):
        raise SpecError(f"{what}: {units} is no whole number of lots of {lot_size}")
    return lots


def units_of(lots: int, lot_size: float) -> float:
    """Lots as units, as one would write them: 3 lots of 0.1 are 0.3, where 3 * 0.1 is a little more."""
    inverse = round(1.0 / lot_size) if lot_size < 1.0 else 0
    return lots / inverse if inverse and 1.0 / inverse == lot_size else lots * lot_size


def worth(instrument: Any, lots: int, price: float) -> float:
    """What the lots are worth at the price, in money units before rounding: `engine.ledger.amount_of` for Python."""
    if instrument.lots_per_money > 1.0:
        return float(price * lots / instrument.lots_per_money)
    return float(price * (lots * instrument.money_per_lot))


def begin_clocks(state: State, ts: int, accrues: bool) -> None:
    """Let interest accrue, where it does, from the first midnight after the first row on, and the risk clock tick. ts: ns UTC."""
    c = state.clock[0]
    if accrues:
        c.accrual_due = (ts // DAY + 1) * DAY
    for row in state.risk:
        row.row_from = (ts - row.offset) // row.period * row.period + row.offset
        c.risk_due = row.row_from + row.period
    c.due = min(c.due, c.accrual_due, c.risk_due)


def build(spec: EngineSpec) -> State:
    """The state of a new engine."""
    spec.check()
    account_index = {a.name: i for i, a in enumerate(spec.accounts)}
    instrument_index = {s.name: i for i, s in enumerate(spec.instruments)}

    # series: by instrument, then what cuts its bars
    parsed = {s.name: [_timed(s, f) for f in s.features] for s in spec.strategies}
    keys = sorted(
        {
            (instrument_index[name], *bars)
            for s in spec.strategies
            for name in s.instruments
            for bars in (
                _bars(s),
                *((BarKind.TIME, float(ns)) for ns in s.also),
                *(b for b, _ in parsed[s.name]),
            )
        }
    )
    wanted: dict[SeriesKey, list[FeatureSpec]] = {key: [] for key in keys}
    history = dict.fromkeys(keys, 2)  # with a grace, two bars may close at one row
    for strategy in spec.strategies:
        for name in strategy.instruments:
            k = instrument_index[name]
            for bars in (_bars(strategy), *((BarKind.TIME, float(ns)) for ns in strategy.also)):
                history[k, *bars] = max(history[k, *bars], strategy.history)
            for bars, feature in parsed[strategy.name]:
                key = (k, *bars)
                if isinstance(feature, FeatureSpec) and feature not in wanted[key]:
                    wanted[key].append(feature)
                    history[key] = max(history[key], feature.bars)

    types = RECORD_TYPES
    series = records(len(keys), types.series)
    features = records(sum(len(w) for w in wanted.values()), types.features)
    feature_index: dict[tuple[SeriesKey, FeatureSpec], int] = {}
    first_bar = 0
    for i, key in enumerate(keys):
        row = series[i]
        row.instrument, row.kind = key[:2]
        if row.kind == BarKind.TIME:
            row.timeframe = int(key[2])
            row.origin = spec.instruments[key[0]].day_offset_ns
            if row.timeframe % (7 * DAY) == 0:
                row.origin += 4 * DAY  # weeks begin on Monday; 1970-01-01 was a Thursday
        else:
            row.threshold = key[2]
        row.end = NO_TIME
        row.capacity = 1 << (history[key] - 1).bit_length()
        row.first_bar = first_bar
        first_bar += row.capacity
        row.first_feature = len(feature_index)
        row.n_features = len(wanted[key])
        for feature in wanted[key]:
            f = features[len(feature_index)]
            f.kind, f.n1, f.n2, f.n3, f.x = feature.kind, feature.n1, feature.n2, feature.n3, feature.x
            f.value = np.nan
            if feature.kind in (FeatureKind.SMA, FeatureKind.SMA_GAP):
                f.n2 = f.n1  # the bar at which its sum is next taken afresh
            feature_index[key, feature] = len(feature_index)

    instruments, sessions = _instruments(spec, series)
    accounts, holdings, order_times = _accounts(spec)
    holding_index = {(h.account, h.instrument): i for i, h in enumerate(holdings)}

    operators = [
        StrategySpec(
            f"operator:{a.name}",
            a.name,
            tuple(i.name for i in spec.instruments if i.currency == a.currency),
            0,
        )
        for a in spec.accounts
    ]
    everyone = [*spec.strategies, *operators]
    strategies = records(len(everyone), types.strategies)
    slots = records(sum(len(s.instruments) for s in everyone), types.slots)
    observed: list[int] = []
    models = [np.zeros(0, np.float64)]
    n_weights = 0
    n_slots = 0
    for i, given in enumerate(everyone):
        row = strategies[i]
        row.account = account_index[given.account]
        row.policy, row.wants = given.policy, given.wants
        row.first_slot, row.n_slots = n_slots, len(given.instruments)
        row.size_kind, row.size_value = given.size_kind, given.size_value
        row.p0, row.p1, row.p2 = (*given.params, 0.0, 0.0, 0.0)[:3]
        row.short, row.threshold = given.short, given.threshold
        if given.model:
            row.model, row.outputs = n_weights, given.model.n_outputs
            models.append(given.model.packed())
            n_weights += len(models[-1])
        for name in given.instruments:
            k = instrument_index[name]
            slot = slots[n_slots]
            slot.strategy, slot.account, slot.instrument = i, row.account, k
            slot.holding = holding_index[row.account, k]
            slot.first_feature = len(observed)
            slot.series = NONE
            if i < len(spec.strategies):
                slot.series = keys.index((k, *_bars(given)))
                slot.n_features = len(given.features)
                observed.extend(
                    feature_index[(k, *bars), f] if isinstance(f, FeatureSpec) else ~int(f)
                    for bars, f in parsed[given.name]
                )
            n_slots += 1
        if given.size_value and given.size_kind == SizeKind.UNITS:
            lots = {
                lots_of(
                    given.size_value, spec.instruments[instrument_index[n]].lot_size, f"{given.name}: size"
                )
                for n in given.instruments
            }
            if len(lots) > 1:
                raise SpecError(f"strategy {given.name!r}: size in units needs instruments of one lot size")
            row.size_value = float(lots.pop())

    subscribers: list[int] = []
    for k in range(len(instruments)):
        instruments[k].first_subscriber = len(subscribers)
        subscribers += [
            i for i in range(n_slots)
            if slots[i].instrument == k and strategies[slots[i].strategy].wants & Wants.TICK
        ]  # fmt: skip
        instruments[k].n_subscribers = len(subscribers) - instruments[k].first_subscriber

    clock = records(1, types.clock)
    c = clock[0]
    c.now = NO_TIME
    c.due = c.series_due = c.order_due = c.timer_due = NEVER
    c.accrual_due = c.risk_due = NEVER  # the first row says when these clocks begin
    c.most_orders = spec.most_orders
    c.grace_ns, c.merge_late, c.trade_from = spec.grace_ns, int(spec.merge_late), spec.trade_from
    c.next_order_id = 1
    c.deciding_slots = sum(len(s.instruments) for s in spec.strategies)
    c.cursor = 2 * c.deciding_slots
    orders = records(FIRST_ORDERS + 4 * n_slots, types.orders)
    chain_free(orders, 0)
    c.free_orders = len(orders)

    width = max([len(s.observation) for s in spec.strategies], default=0) or 1
    widest = max([s.model.widest for s in spec.strategies if s.model], default=0)
    room = FIRST_EVENTS + 8 * n_slots
    return State(
        clock=clock,
        instruments=instruments,
        series=series,
        bars=records(first_bar, types.bars),
        features=features,
        strategies=strategies,
        slots=slots,
        holdings=holdings,
        accounts=accounts,
        denied=np.zeros(len(accounts) * N_CODES, np.int64),
        order_times=order_times,
        observed=np.array(observed, np.int64),
        weights=np.concatenate(models),
        subscribers=np.array(subscribers, np.int64),
        sessions=sessions,
        wish=records(1, types.wish),
        terms=records(3, types.terms),
        orders=orders,
        timers=records(0, types.timers),
        **risk_arrays(spec, accounts, holdings, slots, strategies),
        taken=np.zeros(len(accounts), np.int64),
        observation=np.zeros(width, np.float64),
        activations=np.zeros(2 * widest, np.float64),
        events=records(room, types.events),
        equity=records(EQUITY_ROOM + len(accounts), types.equity),
        observations=np.zeros(room * width, np.float64),
        calls=records(room, types.calls),
    )


def _bars(strategy: StrategySpec) -> tuple[int, float]:
    by_time = strategy.bar_kind == BarKind.TIME
    return int(strategy.bar_kind), float(strategy.timeframe_ns if by_time else strategy.bar_size)


def _timed(strategy: StrategySpec, name: str) -> tuple[tuple[int, float], FeatureSpec | AccountFeature]:
    """A feature and the bars it is of: "sma_20" of the strategy's own, "sma_20@3600000000000" of those so long in ns."""
    base, _, timeframe = name.partition("@")
    return ((int(BarKind.TIME), float(timeframe)) if timeframe else _bars(strategy)), parse_feature(base)


def _sessions(spec: EngineSpec) -> tuple[Any, dict[str, tuple[int, int]]]:
    """All calendars' sessions, and where each calendar's lie: (first, how many)."""
    parts, where, n = [records(0, RECORD_TYPES.sessions)], {"": (0, 0)}, 0
    for name, given in spec.calendars.items():
        rows = records(len(given.opens), RECORD_TYPES.sessions)
        rows["open"], rows["close"] = given.opens, given.closes
        rows["before"][1:] = np.cumsum(rows["close"] - rows["open"])[:-1]
        where[name] = n, len(rows)
        n += len(rows)
        parts.append(rows)
    return np.concatenate(parts).view(np.recarray), where


def _instruments(spec: EngineSpec, series: Any) -> tuple[Any, Any]:
    sessions, where = _sessions(spec)
    rows = records(len(spec.instruments), RECORD_TYPES.instruments)
    currencies = sorted({i.currency for i in spec.instruments} | {a.currency for a in spec.accounts})
    for k, given in enumerate(spec.instruments):
        row = rows[k]
        scale = spec.scale(given.currency)
        row.tick_size, row.lot_size = given.tick_size, given.lot_size
        row.money_per_lot = given.lot_size * scale
        inverse = round(1.0 / row.money_per_lot)
        # lots of 1e-8 at 1e6 to one: a lot at a price of 1 is a hundredth of a unit, and dividing by 100 is exact
        row.lots_per_money = (
            inverse if inverse > 1 and abs(inverse * row.money_per_lot - 1.0) < 1e-12 else 1.0
        )
        row.taker_bps, row.maker_bps = given.taker_bps, given.maker_bps
        row.fee_per_lot = given.fee_per_unit * given.lot_size * scale
        row.fee_min = round(given.fee_min * scale)
        row.min_lots, row.max_lots = given.min_lots, given.max_lots
        row.latency_ns = given.latency_ns
        row.slippage, row.slippage_value = given.slippage, given.slippage_value
        row.participation = given.participation
        row.fill_at_touch = given.fill_at_touch
        row.day_offset = given.day_offset_ns
        row.currency = currencies.index(given.currency)
        row.place = sum(i.currency == given.currency for i in spec.instruments[:k])
        row.high_trigger = np.inf
        row.ts = row.marked = NO_TIME
        row.first_order = row.last_order = NONE
        row.order_due = NEVER
        row.near = row.last_near = row.below = row.above = NONE
        row.first_session, row.n_sessions = where[given.calendar]
        mine = [i for i in range(len(series)) if series[i].instrument == k]
        row.first_series, row.n_series = (mine[0] if mine else 0), len(mine)
        row.quiet_from = NO_TIME
        row.quiet_until = NO_TIME if mine else NEVER
        row.n_cuts = sum(int(series[i].kind != BarKind.TIME) for i in mine)
    return rows, sessions


def _accounts(spec: EngineSpec) -> tuple[Any, Any, Any]:
    rows = records(len(spec.accounts), RECORD_TYPES.accounts)
    held: list[tuple[int, int]] = []
    currencies = sorted({i.currency for i in spec.instruments} | {a.currency for a in spec.accounts})
    n_times = 0
    for a, given in enumerate(spec.accounts):
        row = rows[a]
        limits = given.limits
        scale = spec.scale(given.currency)
        row.scale = scale
        row.cash = row.initial = row.equity = row.peak = round(given.cash * scale)
        row.max_order_notional = round(limits.max_order_notional * scale)
        row.max_position, row.collar = limits.max_position, limits.collar
        row.max_gross, row.max_net = limits.max_gross, limits.max_net
        row.max_concentration = limits.max_concentration
        row.max_stale_ns = limits.max_stale_ns
        row.rate_window, row.rate_orders = limits.rate_window_ns, limits.rate_orders
        row.rate_first = n_times
        n_times += limits.rate_orders
        row.cuts = limits.resize
        if given.margin:
            row.leverage, row.maintenance = given.margin.leverage, given.margin.maintenance
            row.borrow_rate = given.margin.borrow_rate
            row.debit_rate, row.credit_rate = given.margin.debit_rate, given.margin.credit_rate
        row.guarded = bool(given.margin)
        row.currency = currencies.index(given.currency)
        row.first_holding = len(held)
        held += [(a, k) for k, i in enumerate(spec.instruments) if i.currency == given.currency]
        row.n_holdings = len(held) - row.first_holding
    holdings = records(len(held), RECORD_TYPES.holdings)
    for i, (a, k) in enumerate(held):
        holdings[i].account, holdings[i].instrument = a, k
    order_times = np.full(n_times, NO_TIME // 2, np.int64)  # so long ago that no window reaches it
    return rows, holdings, order_times
