"""What a configuration would run, in lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from daemon.calendars import ALWAYS
from daemon.config.instruments import money_text
from daemon.config.spec import actions, calendar_key
from daemon.config.timeframes import format_timeframe

if TYPE_CHECKING:
    from daemon.config.accounts import Account, Margin
    from daemon.config.agents import Strategy
    from daemon.config.deposits import Deposit
    from daemon.config.models import BacktestConfig
    from daemon.data.actions import Action


def described(config: BacktestConfig) -> Iterator[str]:
    """Its data with calendars and corporate actions, its accounts with deposits, and their strategies.

    Raises DataError where a file of corporate actions is wrong.
    """
    of_instrument = actions(config)
    told = set()
    for data in config.data:
        elsewhere = "made up" if data.source == "synthetic" else "with the installation"
        where = getattr(data, "path", elsewhere)
        calendar = _calendar(config.instruments[data.instrument].calendar, data.bar)
        yield f"  data: {data.instrument}, {data.source}, {where}; {calendar}"
        if data.instrument not in told:
            told.add(data.instrument)
            yield from _actions(config, of_instrument.get(data.instrument, []))
    for account in config.accounts:
        scale = config.currencies[account.currency].scale
        kind = _margin(account.margin) if account.margin else ""
        yield f"  account {account.name}: {money_text(account.cash, scale)} {account.currency}{kind}"
        for deposit in account.deposits:
            yield f"    {_deposit(deposit, account, scale)}"
        for strategy in account.strategies:
            yield f"    {_strategy(strategy)}"


def _calendar(name: str, bar_ns: int) -> str:
    if name == ALWAYS:
        return "trades around the clock"
    return f"{'days' if calendar_key(name, bar_ns) != name else 'hours'} of {name}"


def _actions(config: BacktestConfig, found: Sequence[Action]) -> Iterator[str]:
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


def _margin(margin: Margin) -> str:
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
    return f"{given.name}: {given.use}({params}) on {', '.join(given.instruments)}, {bars}"
