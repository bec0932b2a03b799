"""What a configuration means to the engine and to the feed, and the configuration written out in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.config.document import dump
from daemon.config.types import ns_of
from daemon.config.uses import is_python

if TYPE_CHECKING:
    from daemon.config.models import Account, BacktestConfig, Execution, Instrument, Limits, Strategy
    from daemon.data.feed import Source
    from engine.engine import Actor
    from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, LimitsSpec, StrategySpec
    from strategies.actor import PythonActor

_MS = 1_000_000


def engine_spec(config: BacktestConfig) -> tuple[EngineSpec, dict[str, Actor]]:
    """The engine of a configuration, and its strategies in Python, new, by the names they have in the engine.

    A strategy's name there is ``account/strategy``. Instruments keep the order in which the configuration has them.
    Raises StrategyError where a strategy's own code raises.
    """
    from engine.records import NO_TIME
    from engine.spec import EngineSpec
    from strategies.loading import make_actor

    actors: dict[str, Actor] = {}
    strategies = []
    for account in config.accounts:
        for given in account.strategies:
            name = f"{account.name}/{given.name}"
            if is_python(given.use):
                actor = make_actor(name, given.use, given.params, config.seed, config.strategy_folder)
                actor.history = given.history or actor.history
                actors[name] = actor
                strategies.append(_python(name, account, given, actor))
            else:
                strategies.append(_rule(name, account, given))
    bars = {d.instrument: d.bar for d in config.data}
    spec = EngineSpec(
        instruments=tuple(
            _instrument(name, given, config.execution, bars.get(name, 0))
            for name, given in config.instruments.items()
        ),
        accounts=tuple(_account(a) for a in config.accounts),
        strategies=tuple(strategies),
        grace_ns=round(config.execution.grace_ms * _MS),
        merge_late=config.execution.late_prints == "merge",
        trade_from=ns_of(config.start) if config.start else NO_TIME,
    )
    return spec, actors


def sources(config: BacktestConfig) -> list[Source]:
    """What the feed is to read, in the configuration's order; instruments by their index in the engine."""
    from daemon.data.feed import Source

    index = {name: k for k, name in enumerate(config.instruments)}
    start = ns_of(config.start) - config.warmup if config.start and config.warmup else None
    end = ns_of(config.end) if config.end else None
    read = []
    for data in config.data:
        given = data.model_dump(exclude={"source", "instrument", "bar", "on_bad_row"})
        read.append(
            Source(
                kind=data.source,
                path=given.pop("path", None),
                instrument=index[data.instrument],
                name=data.instrument,
                bar_ns=data.bar,
                start=start,
                end=end,
                skip_bad_rows=data.on_bad_row == "skip",
                **given,  # how a file is to be read
            )
        )
    return read


def complete(config: BacktestConfig) -> str:
    """The configuration with all defaults and absolute paths, as YAML that loads to the equal configuration."""
    return dump(config.model_dump(mode="json"))


def _instrument(name: str, given: Instrument, execution: Execution, bar_ns: int) -> InstrumentSpec:
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
        **{key: lots_of(units, given.lot_size, name) for key, units in bounds.items() if units is not None},
    )


def _account(given: Account) -> AccountSpec:
    from engine.spec import AccountSpec

    return AccountSpec(given.name, given.cash, given.currency, _limits(given.limits))


def _limits(given: Limits) -> LimitsSpec:
    from engine.spec import LimitsSpec

    return LimitsSpec(
        max_order_notional=given.max_order_notional or 0.0,
        max_position=given.max_position or 0.0,
        max_gross=given.max_gross_exposure or 0.0,
        max_net=given.max_net_exposure or 0.0,
        max_concentration=given.max_concentration or 0.0,
        collar=given.price_collar or 0.0,
        max_stale_ns=given.max_price_age or 0,
        rate_orders=given.order_rate.orders if given.order_rate else 0,
        rate_window_ns=given.order_rate.per if given.order_rate else 0,
        stop_drawdown=given.stop_drawdown or 0.0,
        stop_daily_loss=given.stop_daily_loss or 0.0,
        stop_flattens=given.on_stop == "flatten",
        resize=given.on_breach == "resize",
    )


def _rule(name: str, account: Account, given: Strategy) -> StrategySpec:
    from engine.records import SizeKind
    from engine.spec import StrategySpec
    from strategies.rules import RULES

    rule = RULES[given.use]
    params = rule.Params.model_validate(given.params)
    assert given.size  # a rule has one: checks.py
    units = given.size.units
    return StrategySpec(
        name=name,
        account=account.name,
        instruments=given.instruments,
        timeframe_ns=given.timeframe,
        features=rule.features(params),
        policy=rule.policy,
        params=rule.policy_params(params),
        size_kind=SizeKind.FRACTION if units is None else SizeKind.UNITS,
        size_value=(given.size.fraction or 0.0) if units is None else units,
    )


def _python(name: str, account: Account, given: Strategy, actor: PythonActor) -> StrategySpec:
    from engine.spec import StrategySpec

    return StrategySpec(
        name=name,
        account=account.name,
        instruments=given.instruments,
        timeframe_ns=given.timeframe,
        features=tuple(dict.fromkeys((*actor.features, *given.features))),  # what it wants itself comes first
        wants=actor.wants,
        history=actor.history,
    )
