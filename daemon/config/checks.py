"""What has to fit together in a configuration: each check gives what is wrong, and where below the thing checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from daemon.config.types import format_duration
from daemon.config.uses import is_python

if TYPE_CHECKING:
    from daemon.config.models import Account, BacktestConfig, Data, Execution, Instrument, Strategy

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


def features(names: Sequence[str]) -> Iterator[Finding]:
    """There is an indicator of each name."""
    if names:
        from engine.features import parse_feature

        for i, name in enumerate(names):
            try:
                parse_feature(name)
            except ValueError as error:
                yield (i,), str(error)


def strategy(given: Strategy) -> Iterator[Finding]:
    """A rule has a size and nothing of a class's; a class has no size."""
    if is_python(given.use):
        if given.size:
            yield (
                ("size",),
                "is for rules; a class decides itself how much it trades: remove it, or make it a parameter",
            )
    else:
        if not given.size:
            yield ("size",), "is missing; write {units: 100} or {fraction: 0.95}"
        for key in ("features", "history"):
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
            base = s.use.rpartition(":")[2]
            name, number = base, 1
            while name.lower() in taken:
                number += 1
                name = f"{base}-{number}"
            taken.add(name.lower())
            s = s.model_copy(update={"name": name})
        result.append(s)
    return tuple(result)


def backtest(config: BacktestConfig) -> Iterator[Finding]:
    """Times are in order, and names lead to things that fit."""
    if config.start and config.end and config.start >= config.end:
        yield ("end",), f"is not after start, {config.start:%Y-%m-%d %H:%M}; choose a later end"
    if config.warmup and not config.start:
        yield ("warmup",), "counts back from start, which is not given; give start, or remove warmup"
    yield from _data(config)
    yield from ((("accounts", *keys), m) for keys, m in names("account", config.accounts))
    bars = {d.instrument: d.bar for d in config.data}
    for a, account in enumerate(config.accounts):
        at = ("accounts", a)
        if account.cash >= 9e9:
            yield (*at, "cash"), "is more than money is exact for; stay below 9 billion"
        for s, given in enumerate(account.strategies):
            for keys, message in _trades(config, bars, account, given):
                yield (*at, "strategies", s, *keys), message


def _data(config: BacktestConfig) -> Iterator[Finding]:
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
        bar = bars[name]
        if bar and strategy.timeframe % bar:
            yield (
                ("timeframe",),
                (
                    f"{format_duration(strategy.timeframe)} is no multiple of the bars of {name}, "
                    f"{format_duration(bar)}; bars can only be put together, not taken apart"
                ),
            )
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
            units, lot = strategy.size.units, instrument.lot_size
            lots.add(lot)
            if not _whole_lots(units, lot):
                yield (
                    ("size", "units"),
                    f"{units:g} is no whole number of lots of {name}, {lot:g}; choose a multiple",
                )
    if len(lots) > 1:
        yield (
            ("size", "units"),
            "the instruments have lots of different size; give each a strategy of its own, or a fraction",
        )


def _whole_lots(units: float, lot_size: float) -> bool:
    """The engine's own tolerance, of ``engine.build.lots_of``, and at least one lot."""
    lots = round(units / lot_size)
    return lots >= 1 and abs(lots * lot_size - units) <= 1e-9 * max(units, lot_size)
