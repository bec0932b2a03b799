"""What a configuration would run, in lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from daemon.calendars import ALWAYS
from daemon.config import describe_risk
from daemon.config.instruments import money_text
from daemon.config.spec import actions, calendar_key
from daemon.config.timeframes import format_timeframe
from daemon.config.types import format_duration

if TYPE_CHECKING:
    from daemon.config.accounts import Account, Margin
    from daemon.config.actors import ActorConfig
    from daemon.config.agents import Strategy
    from daemon.config.deposits import Deposit
    from daemon.config.learning import Reward
    from daemon.config.market import Market
    from daemon.config.models import BacktestConfig
    from daemon.config.training import TrainingConfig
    from daemon.data.actions import Action


def backtest(config: BacktestConfig) -> Iterator[str]:
    """Its data with calendars and corporate actions, its forecasts of loss, its accounts and their strategies.

    Raises DataError where a file of corporate actions is wrong, or data that forecasts need cannot be read.
    """
    yield from _data(config)
    strategies = [s for account in config.accounts for s in account.strategies]
    limits = [*(a.limits for a in config.accounts), *(s.limits for s in strategies if s.limits)]
    yield from describe_risk.risk(config, {name for s in strategies for name in s.instruments}, limits)
    for actor in config.actors:
        yield f"  actor {_actor(actor)}"
    for account in config.accounts:
        scale = config.currencies[account.currency].scale
        kind = _kind(account.margin)
        yield f"  account {account.name}: {money_text(account.cash, scale)} {account.currency}{kind}"
        for deposit in account.deposits:
            yield f"    {_deposit(deposit, account, scale)}"
        if text := describe_risk.limits(account.limits):
            yield f"    limits: {text}"
        for operation in account.operator:
            yield f"    {describe_risk.operation(operation)}"
        for strategy in account.strategies:
            yield f"    {_strategy(strategy)}"
            if text := describe_risk.limits(strategy.limits):
                yield f"      limits: {text}"


def training(config: TrainingConfig) -> Iterator[str]:
    """Its data, the account of an episode, what the agent sees, does and earns, and how it learns.

    Raises DataError where a file of corporate actions is wrong.
    """
    yield from _data(config)
    account, actions, spans = config.account, config.actions, config.spans
    yield from describe_risk.risk(config, config.traded, [account.limits])
    scale = config.currencies[account.currency].scale
    yield f"  account: {money_text(account.cash, scale)} {account.currency}{_kind(account.margin)}"
    if text := describe_risk.limits(account.limits):
        yield f"    limits: {text}"
    yield f"  sees: {', '.join(config.features)}; bars of {format_duration(config.timeframe)}"
    what = "a target exposure" if actions.kind == "target" else "sell, hold or buy"
    size = f"{actions.size.units:g} units" if actions.size.units else f"{actions.size.fraction:g} of equity"
    yield f"  does: {what}, {'long or short' if actions.short else 'long or flat'}, {size}"
    yield f"  earns: {_changed(config.reward)}"
    length = f"{config.steps:,} steps" if config.steps else f"{config.episodes:,} episodes"
    yield f"  learns: {config.algorithm}, {length}, seed {config.seed}"
    yield f"  spans: train {spans.train:.0%}, validation {spans.validation:.0%}, test {spans.test:.0%}"
    yield f"  becomes: {config.name} in {config.models}"


def _changed(reward: Reward) -> str:
    more = reward.model_dump(exclude={"kind"}, exclude_defaults=True)
    return ", ".join((reward.kind, *(f"{key} {value:g}" for key, value in more.items())))


def _data(config: Market) -> Iterator[str]:
    of_instrument = actions(config)
    told = set()
    for data in config.data:
        elsewhere = "made up" if data.source == "synthetic" else "with the installation"
        where = getattr(data, "path", elsewhere)
        calendar = _calendar(config.instruments[data.instrument].calendar, config.bars[data.instrument])
        yield f"  data: {data.instrument}, {data.source}, {where}; {calendar}"
        if data.instrument not in told:
            told.add(data.instrument)
            yield from _actions(config, of_instrument.get(data.instrument, []))


def _calendar(name: str, bar_ns: int) -> str:
    if name == ALWAYS:
        return "trades around the clock"
    return f"{'days' if calendar_key(name, bar_ns) != name else 'hours'} of {name}"


def _actions(config: Market, found: Sequence[Action]) -> Iterator[str]:
    # those in the time that is read, but for the dividends each with its date
    begin = end = None
    if config.start and config.warmup:
        begin = (config.start - timedelta(microseconds=config.warmup // 1000)).date()
    if config.end:
        end = config.end.date()
    within = [a for a in found if (not begin or a.ex_date >= begin) and (not end or a.ex_date < end)]
    dividends = [a for a in within if a.kind == "dividend"]
    parts = [_action(a) for a in within if a.kind != "dividend"]
    if len(dividends) > 1:
        parts.append(f"{len(dividends)} dividends, {dividends[0].ex_date} to {dividends[-1].ex_date}")
    elif dividends:
        parts.append(f"dividend on {dividends[0].ex_date}")
    if parts:
        yield f"    corporate actions: {'; '.join(parts)}"


def _action(action: Action) -> str:
    if action.kind == "split":
        return f"split {action.numerator:g}:{action.denominator:g} on {action.ex_date}"
    if action.kind == "symbol":
        return f"{action.symbol} from {action.ex_date} on"
    return f"{action.kind} on {action.ex_date}"


def _kind(margin: Margin | None) -> str:
    if margin is None:
        return ""
    rates = (
        ("borrowing", margin.borrow_rate),
        ("debit", margin.debit_rate),
        ("credit", margin.credit_rate),
    )
    costs = "".join(f", {what} {rate:.2%}" for what, rate in rates if rate)
    return f", leverage {margin.leverage:g}, maintenance {margin.maintenance:.0%}{costs}"


def _deposit(deposit: Deposit, account: Account, scale: int) -> str:
    what = "withdrawal" if deposit.amount < 0 else "deposit"
    text = f"{what}: {money_text(abs(deposit.amount), scale)} {account.currency} "
    if not deposit.every:
        return f"{text}at {_moment(deposit.at)}"
    until = f" until {_moment(deposit.until)}" if deposit.until else ""
    return f"{text}every {deposit.every} from {_moment(deposit.at)}{until}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}".removesuffix(" 00:00")


def _strategy(given: Strategy) -> str:
    params = ", ".join(f"{key} {value}" for key, value in given.params.items())
    bars = ", ".join((format_timeframe(given.timeframe), *given.timeframes))
    hears = f"; hears {', '.join(given.signals)}" if given.signals else ""
    return f"{given.name}: {given.use}({params}) on {', '.join(given.instruments)}, {bars}{hears}"


def _actor(given: ActorConfig) -> str:
    params = ", ".join(f"{key} {value}" for key, value in given.params.items())
    where = "a task" if given.run == "task" else "a process"
    bars = format_duration(given.timeframe)
    return f"{given.name}: {given.use}({params}) in {where}, hears {', '.join(given.instruments)}, {bars}"
