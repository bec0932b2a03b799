"""What has to fit together in a configuration: each check gives what is wrong, and where below the thing checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from daemon.config.timeframes import Cut, split_feature
from daemon.config.types import format_duration, parse_duration
from daemon.config.uses import is_model, is_python, short

if TYPE_CHECKING:
    from daemon.config.accounts import Account, Margin
    from daemon.config.agents import Size, Strategy
    from daemon.config.deposits import Deposit
    from daemon.config.instruments import CurrencyRules, Instrument
    from daemon.config.market import Execution, Market
    from daemon.config.models import BacktestConfig
    from daemon.config.sources import Data

_DAY = 86_400 * 10**9
_MOST_MONEY = 2**53  # the engine's MONEY_LIMIT, whose module compiles
Finding = tuple[tuple[str | int, ...], str]  # keys below the thing checked, and the message


def refuse(findings: Iterable[Finding]) -> None:
    """Raise a ValidationError that holds all findings; pydantic puts the keys of what is around them in front."""
    errors = [
        InitErrorDetails(type=PydanticCustomError("check", "{message}", {"message": m}), loc=keys, input=None)
        for keys, m in findings
    ]
    if errors:
        raise ValidationError.from_exception_data("configuration", errors)


def instrument(given: Instrument) -> Iterator[Finding]:
    """Smallest and largest quantity are whole lots, in this order."""
    for key in ("min_quantity", "max_quantity"):
        units = getattr(given, key)
        if units is not None and not _whole_lots(units, given.lot_size):
            yield (key,), f"{units:g} is no whole number of lots of {given.lot_size:g}; choose a multiple"
    if given.min_quantity and given.max_quantity and given.min_quantity > given.max_quantity:
        yield ("max_quantity",), f"is below the min_quantity of {given.min_quantity:g}; no order could pass"


def execution(given: Execution) -> Iterator[Finding]:
    """At most one kind of slippage."""
    kinds = [k for k in ("slippage_bps", "slippage_ticks", "impact_bps") if getattr(given, k) > 0]
    if len(kinds) > 1:
        yield (kinds[-1],), f"is a second kind of slippage beside {kinds[0]}; keep one of {', '.join(kinds)}"


def margin(given: Margin) -> Iterator[Finding]:
    """The maintenance margin is at most the initial one."""
    if given.maintenance * given.leverage > 1:
        initial = f"the initial margin, 1 / leverage = {1 / given.leverage:g}"
        hint = "positions that orders may reach would be liquidated at once; choose a smaller one, or less leverage"
        yield ("maintenance",), f"{given.maintenance:g} is above {initial}: {hint}"


def features(names: Sequence[str]) -> Iterator[Finding]:
    """There is an indicator of each name, and a timeframe behind its @ is one."""
    if names:
        from engine.features import AccountFeature, parse_feature

        for i, name in enumerate(names):
            try:
                base, timeframe = split_feature(name)
                if isinstance(parse_feature(base), AccountFeature) and timeframe:
                    yield (i,), f"{base} is of the account, not of bars; write it without @{timeframe}"
                elif timeframe:
                    parse_duration(timeframe)
            except ValueError as error:
                yield (i,), str(error)


def strategy(given: Strategy) -> Iterator[Finding]:
    """A rule or a model has a size and nothing of a class's; a class has no size."""
    if is_python(given.use):
        if given.size:
            yield (
                ("size",),
                "is for rules and models; a class decides itself how much it trades: remove it, or make it a parameter",
            )
    else:
        if not given.size:
            yield ("size",), "is missing; write {units: 100} or {fraction: 0.95}"
        # what a model sees may be said, to be compared with what it has learned on: trained.py
        for key in (
            ("history", "signals", "timeframes")
            if is_model(given.use)
            else ("features", "history", "signals", "timeframes")
        ):
            if getattr(given, key):
                yield (key,), f"is for classes of your own; {given.use} chooses itself: remove it"
    for i, name in enumerate(given.instruments):
        if name in given.instruments[:i]:
            yield ("instruments", i), f"{name!r} is given twice; remove one"


class _Named(Protocol):
    @property
    def name(self) -> str | None: ...


def names(what: str, things: Sequence[_Named]) -> Iterator[Finding]:
    """No two have the same name, nor one that a file system could take for the same."""
    seen: dict[str, str] = {}
    for i, thing in enumerate(things):
        if thing.name is None:
            continue
        if thing.name.lower() in seen:
            yield (
                (i, "name"),
                f"there is {_a(what)} named {seen[thing.name.lower()]!r} already; choose another name",
            )
        seen.setdefault(thing.name.lower(), thing.name)


def _a(what: str) -> str:
    return f"an {what}" if what[0] in "aeiou" else f"a {what}"


_T = TypeVar("_T", bound="Strategy")


def named(strategies: tuple[_T, ...]) -> tuple[_T, ...]:
    """The same strategies, each with a name: the one it was given, or that of its rule or class, numbered from 2 on."""
    taken = {s.name.lower() for s in strategies if s.name}
    result = []
    for s in strategies:
        if s.name is None:
            base = short(s.use)
            name, number = base, 1
            while name.lower() in taken:
                number += 1
                name = f"{base}-{number}"
            taken.add(name.lower())
            s = s.model_copy(update={"name": name})
        result.append(s)
    return tuple(result)


def market(config: Market) -> Iterator[Finding]:
    """Times are in order, and the data's instruments are known."""
    if config.start and config.end and config.start >= config.end:
        yield ("end",), f"is not after start, {config.start:%Y-%m-%d %H:%M}; choose a later end"
    if config.warmup and not config.start:
        yield ("warmup",), "counts back from start, which is not given; give start, or remove warmup"
    yield from _data(config)
    from daemon.config import risk_checks

    yield from risk_checks.period(config)
    yield from risk_checks.stress(config)


def backtest(config: BacktestConfig) -> Iterator[Finding]:
    """The market is whole, and names lead to things that fit."""
    yield from market(config)
    yield from ((("accounts", *keys), m) for keys, m in names("account", config.accounts))
    bars = config.bars
    for a, account in enumerate(config.accounts):
        at = ("accounts", a)
        yield from (((*at, *keys), m) for keys, m in cash(account, config.currencies))
        for d, deposit in enumerate(account.deposits):
            if found := _too_much(deposit.amount, account, config.currencies):
                yield (*at, "deposits", d, "amount"), found
            yield from (((*at, "deposits", d, *keys), m) for keys, m in _comes(config, deposit))
        for s, given in enumerate(account.strategies):
            for keys, message in _trades(config, bars, account, given):
                yield (*at, "strategies", s, *keys), message
    from daemon.config.actor_checks import actors
    from daemon.config.risk_checks import accounts

    yield from accounts(config)
    yield from actors(config)


class _Account(Protocol):
    @property
    def cash(self) -> float: ...
    @property
    def currency(self) -> str: ...


def cash(account: _Account, currencies: Mapping[str, CurrencyRules]) -> Iterator[Finding]:
    """There is not more of it than can be counted."""
    if found := _too_much(account.cash, account, currencies):
        yield ("cash",), found


def _too_much(amount: float, account: _Account, currencies: Mapping[str, CurrencyRules]) -> str:
    most = _MOST_MONEY / currencies[account.currency].scale
    if abs(amount) < most:
        return ""
    return f"is more than money is exact for; stay below {most:,.0f} {account.currency}"


def _comes(config: BacktestConfig, deposit: Deposit) -> Iterator[Finding]:
    """Whether a deposit lies in the time of the run."""
    if config.start and deposit.at < config.start:
        yield (
            ("at",),
            f"is before start, {config.start:%Y-%m-%d %H:%M}; add it to cash, or choose a later time",
        )
    if config.end and deposit.at >= config.end:
        yield ("at",), f"is not before end, {config.end:%Y-%m-%d %H:%M}; choose an earlier time, or remove it"


def _data(config: Market) -> Iterator[Finding]:
    first: dict[str, Data] = {}
    for i, data in enumerate(config.data):
        name = data.instrument
        if name not in config.instruments:
            yield (
                ("data", i, "instrument"),
                (
                    f"nothing is known of {name!r}; add it under instruments: "
                    f"{name}: {{tick_size: 0.01, lot_size: 1, currency: USD}}"
                ),
            )
        before = first.setdefault(name, data)
        if data.bar != before.bar:
            yield (
                ("data", i, "bar"),
                f"{name} comes in bars of another length above; all its data need the same bar",
            )
        if getattr(data, "hours", "all") == "regular" and data.bar >= _DAY:
            yield (
                ("data", i, "hours"),
                f"bars of {format_duration(data.bar)} have no hours of the day; remove it",
            )
        if data.source == "synthetic" and name in config.instruments:
            from daemon.config.synthetic import misfits

            rules = config.instruments[name]
            found = misfits(data, rules.tick_size, rules.lot_size)
            yield from ((("data", i, *keys), message) for keys, message in found)


def _trades(
    config: BacktestConfig, bars: dict[str, int], account: Account, strategy: Strategy
) -> Iterator[Finding]:
    """Whether a strategy can trade what it names."""
    lots = set()
    for i, name in enumerate(strategy.instruments):
        at = ("instruments", i)
        if name not in bars:
            yield at, f"there are no data of {name!r}; the data are of {', '.join(bars)}"
            continue
        yield from _bars_fit(name, bars[name], strategy)
        instrument = config.instruments.get(name)
        if not instrument:
            continue  # said of its data already
        if instrument.currency != account.currency:
            yield (
                at,
                (
                    f"{name} is in {instrument.currency}, account {account.name!r} in {account.currency}; "
                    "an account trades its own currency"
                ),
            )
        if strategy.size and strategy.size.units:
            lots.add(instrument.lot_size)
            yield from whole_units(strategy.size, name, instrument.lot_size)
    if len(lots) > 1:
        yield (
            ("size", "units"),
            "the instruments have lots of different size; give each a strategy of its own, or a fraction",
        )
    if strategy.size:
        yield from size_fits(strategy.size, account.margin)
    if is_model(strategy.use):
        from daemon.config.trained import misfits

        yield from misfits(account, strategy, config.models)


def whole_units(size: Size, name: str, lot: float) -> Iterator[Finding]:
    """A number of units is one of whole lots."""
    if size.units and not _whole_lots(size.units, lot):
        problem = f"{size.units:g} is no whole number of lots of {name}, {lot:g}; choose a multiple"
        yield ("size", "units"), problem


def size_fits(size: Size, margin: Margin | None) -> Iterator[Finding]:
    """A share of equity is at most what the account can hold."""
    most = margin.leverage if margin else 1.0
    if size.fraction and size.fraction > most:
        why = "the account's leverage" if margin else "a margin account may hold more, up to its leverage"
        yield ("size", "fraction"), f"is {size.fraction:g}; it must be at most {most:g}: {why}"


def _bars_fit(name: str, bar: int, strategy: Strategy) -> Iterator[Finding]:
    """Whether the bars that a strategy looks at can be made of data whose bars last so long (0: of ticks)."""
    if not bar:
        return
    wanted: list[tuple[tuple[str | int, ...], int]] = []
    if isinstance(strategy.timeframe, Cut):
        here = f"needs each trade, and {name} comes in bars of {format_duration(bar)}"
        hint = "give it data with bar: tick, or write a timeframe such as 1d"
        yield ("timeframe",), f"{strategy.timeframe} {here}; {hint}"
    else:
        wanted.append((("timeframe",), strategy.timeframe))
    wanted += [(("timeframes", i), parse_duration(text)) for i, text in enumerate(strategy.timeframes)]
    for i, feature in enumerate(strategy.features):
        if timeframe := split_feature(feature)[1]:
            wanted.append((("features", i), parse_duration(timeframe)))
    yield from ((keys, not_multiple(name, bar, ns)) for keys, ns in wanted if ns % bar)


def not_multiple(name: str, bar: int, ns: int) -> str:
    """What to say of a timeframe that cannot be made of an instrument's bars."""
    return (
        f"{format_duration(ns)} is no multiple of the bars of {name}, {format_duration(bar)}; "
        "bars can only be put together, not taken apart"
    )


def _whole_lots(units: float, lot_size: float) -> bool:
    """The engine's own tolerance, of ``engine.build.lots_of``, and at least one lot."""
    lots = round(units / lot_size)
    return lots >= 1 and abs(lots * lot_size - units) <= 1e-9 * max(units, lot_size)
