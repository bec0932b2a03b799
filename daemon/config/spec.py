"""What a configuration means to the engine and to the feed, and the configuration written out in full."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from daemon.calendars import ALWAYS
from daemon.config.deposits import payments
from daemon.config.document import dump
from daemon.config.instruments import USUAL_SCALE
from daemon.config.operator import operations, reasons
from daemon.config.risk_specs import risk_spec
from daemon.config.types import ns_of
from daemon.config.uses import is_model, is_python

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.config.instruments import CurrencyRules, Instrument
    from daemon.config.market import Execution, Market
    from daemon.config.models import BacktestConfig
    from daemon.config.synthetic import SyntheticData
    from daemon.data.actions import Action
    from daemon.data.feed import Source
    from daemon.data.synthetic import Recipe
    from engine.engine import Actor
    from engine.records import Ticks
    from engine.spec import EngineSpec, InstrumentSpec, Sessions

_MS = 1_000_000
_DAY = 86_400 * 10**9


def engine_spec(config: BacktestConfig) -> tuple[EngineSpec, dict[str, Actor]]:
    """The engine of a configuration, and its strategies in Python, new, by the names they have in the engine.

    A strategy's name there is ``account/strategy``. Instruments keep the order in which the configuration has them.
    Raises StrategyError where a strategy's own code raises.
    """
    from daemon.config.actor_specs import heard
    from daemon.config.agent_specs import account_spec, class_spec, model_spec, rule_spec
    from strategies.loading import make_actor

    actors: dict[str, Actor] = {}
    strategies = []
    bars = config.bars
    for account in config.accounts:
        for given in account.strategies:
            name = f"{account.name}/{given.name}"
            if is_model(given.use):
                strategies.append(model_spec(name, account, given, config.models))
            elif is_python(given.use):
                actor = make_actor(name, given.use, given.params, config.seed, config.strategy_folder)
                actors[name] = actor
                strategies.append(class_spec(name, account, given, actor, bars))
            else:
                strategies.append(rule_spec(name, account, given))
    whole = market_spec(config, config.currencies)
    accounts = tuple(account_spec(a) for a in config.accounts)
    spec = replace(
        whole,
        accounts=accounts,
        strategies=heard(strategies, actors, config),
        reasons=reasons(config),
    )
    return spec, actors


def market_spec(config: Market, currencies: Mapping[str, CurrencyRules]) -> EngineSpec:
    """The engine of a market in which nobody trades yet."""
    from daemon.data.actions import later_symbols
    from engine.records import NO_TIME
    from engine.spec import EngineSpec

    bars = config.bars
    symbols = {name: later_symbols(found) for name, found in actions(config).items()}
    return EngineSpec(
        instruments=tuple(
            _instrument(name, given, config.execution, bars.get(name, 0), symbols.get(name, ()))
            for name, given in config.instruments.items()
        ),
        accounts=(),
        strategies=(),
        grace_ns=round(config.execution.grace_ms * _MS),
        merge_late=config.execution.late_prints == "merge",
        trade_from=ns_of(config.start) if config.start else NO_TIME,
        scales={name: rules.scale for name, rules in currencies.items() if rules.scale != USUAL_SCALE},
        calendars=_calendars(config, bars),
        risk=risk_spec(config.risk, config.seed),
    )


def sources(config: Market) -> list[Source]:
    """What the feed is to read, in the configuration's order; instruments by their index in the engine."""
    from daemon.data.feed import DAY_NS, Source

    index = {name: k for k, name in enumerate(config.instruments)}
    start = ns_of(config.start) - config.warmup if config.start and config.warmup else None
    end = ns_of(config.end) if config.end else None
    read = []
    for data in config.data:
        if data.source == "synthetic":
            recipe = _recipe(config, data)
            k = index[data.instrument]
            read.append(
                Source("synthetic", None, k, data.instrument, data.bar, start=start, end=end, recipe=recipe)
            )
            continue
        given = data.model_dump(exclude={"source", "instrument", "bar"})
        if data.source == "catalog":
            from daemon.catalog.store import Catalog

            given |= Catalog(data.path).facts(data.instrument, data.bar)
        if given.get("actions") and (data.bar == 0 or data.bar % DAY_NS):
            from daemon.calendars import time_zone

            given["exchange_zone"] = time_zone(config.instruments[data.instrument].calendar)
        read.append(
            Source(
                kind=data.source,
                path=given.pop("path", None),
                instrument=index[data.instrument],
                name=data.instrument,
                bar_ns=data.bar,
                start=start,
                end=end,
                skip_bad_rows=given.pop("on_bad_row", "refuse") == "skip",
                hours=config.instruments[data.instrument].calendar
                if given.pop("hours", "all") == "regular"
                else None,
                **given,  # how a file is to be read
            )
        )
    return read


def inputs(config: BacktestConfig) -> Ticks | None:
    """Deposits, withdrawals and what operators do as rows of the tape, in time order; None where there are none.

    At equal times money comes first: a reset then counts from what there is after it.
    """
    parts = [rows for rows in (payments(config), operations(config)) if rows is not None]
    if not parts:
        return None
    import numpy as np

    from daemon.data.merge import join
    from engine.records import Ticks

    rows = join(parts)
    order = np.argsort(rows.ts_event, kind="stable")
    ts = rows.ts_event[order]
    return Ticks(ts, ts, *(column[order] for column in rows[2:]))


def complete(config: Market) -> str:
    """The configuration with all defaults and absolute paths, as YAML that loads to the equal configuration."""
    return dump(config.model_dump(mode="json"))


def _recipe(config: Market, given: SyntheticData) -> Recipe:
    from daemon.data.synthetic import Recipe

    instrument = config.instruments[given.instrument]
    seed = config.seed if given.seed is None else given.seed
    return Recipe(given, seed, instrument.tick_size, instrument.lot_size, instrument.calendar)


def actions(config: Market) -> dict[str, list[Action]]:
    """Instrument -> its corporate actions, in order of time, as its data have them; those outside of the run, too.

    Raises DataError where a file of them is wrong.
    """
    from daemon.data.feed import actions_of

    names = list(config.instruments)
    return {names[k]: found for k, found in actions_of(sources(config)).items()}


def calendar_key(calendar: str, bar_ns: int) -> str:
    """What the engine calls the calendar of an instrument with data of such bars: one of whole days, or of its hours."""
    if calendar == ALWAYS:
        return ""
    return f"{calendar}/days" if bar_ns and bar_ns % _DAY == 0 else calendar


def _calendars(config: Market, bars: dict[str, int]) -> dict[str, Sessions]:
    from daemon.calendars import sessions

    found = {}
    for name, given in config.instruments.items():
        if key := calendar_key(given.calendar, bars.get(name, 0)):
            found[key] = sessions(given.calendar, whole_days=key != given.calendar)
    return found


def _instrument(
    name: str, given: Instrument, execution: Execution, bar_ns: int, symbols: tuple[str, ...]
) -> InstrumentSpec:
    from engine.build import lots_of
    from engine.records import Slippage
    from engine.spec import InstrumentSpec

    kinds = {
        Slippage.BPS: execution.slippage_bps,
        Slippage.TICKS: execution.slippage_ticks,
        Slippage.SQRT_IMPACT: execution.impact_bps,
    }
    slippage, value = next(((k, v) for k, v in kinds.items() if v > 0), (Slippage.NONE, 0.0))
    latency_ns = round(execution.latency_ms * _MS)
    fees = given.fees
    bounds = {"min_lots": given.min_quantity, "max_lots": given.max_quantity}
    return InstrumentSpec(
        name=name,
        tick_size=given.tick_size,
        lot_size=given.lot_size,
        currency=given.currency,
        taker_bps=fees.bps if fees.taker_bps is None else fees.taker_bps,
        maker_bps=fees.bps if fees.maker_bps is None else fees.maker_bps,
        fee_per_unit=fees.per_unit,
        fee_min=fees.minimum,
        # inside a bar there is no more of its path to wait for than its four rows: a shorter delay counts as none
        latency_ns=latency_ns if latency_ns >= bar_ns else 0,
        slippage=slippage,
        slippage_value=value,
        participation=execution.participation or 0.0,
        fill_at_touch=execution.limit_fill == "touch",
        calendar=calendar_key(given.calendar, bar_ns),
        symbols=symbols,
        **{key: lots_of(units, given.lot_size, name) for key, units in bounds.items() if units is not None},
    )
