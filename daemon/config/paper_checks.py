"""What has to fit together in the configuration of a paper session, beyond what does in a backtest's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from daemon.config import checks
from daemon.config.checks import Finding

if TYPE_CHECKING:
    from daemon.config.feeds import FinnhubFeed
    from daemon.config.paper import PaperConfig


def address(url: str) -> str:
    """A database's address as it was given. Raises ValueError where it is none, or holds a password, which it does not show."""
    from sqlalchemy.engine import make_url

    from daemon.store.address import parse
    from daemon.store.errors import StoreUseError

    try:
        parse(url)
    except StoreUseError as error:
        raise ValueError(str(error)) from None
    if make_url(url).password:
        # the configuration is kept with the session, in copies and on the tape
        raise ValueError(
            "holds a password; put the whole address into the environment variable PAPERTAPE_DATABASE and remove it here, "
            "or the password into PGPASSWORD or a file .pgpass"
        )
    return url


def paper(config: PaperConfig) -> Iterator[Finding]:
    """It is a whole backtest's, fed by what it names."""
    from daemon.config.feeds import FinnhubFeed
    from daemon.config.notify import check as targets

    # live, warmup counts back from the moment at which the session starts; and a replay without a start is told of that
    found = (f for f in checks.backtest(config) if config.start or f[0] != ("warmup",))
    if isinstance(config.feed, FinnhubFeed):
        yield from ((keys, _of_prices(config, keys) or message) for keys, message in found)
        yield from _live(config, config.feed)
    elif not config.data:
        yield (
            ("data",),
            "is empty, and a replay plays it; give at least one entry, or feed: {source: finnhub}",
        )
    else:
        yield from found
        yield from _replayed(config)
    told = targets(config.notify, [a.name for a in config.accounts])
    yield from ((("notify", *keys), said) for keys, said in told)


def _of_prices(config: PaperConfig, keys: tuple[str | int, ...]) -> str:
    """What to say of a strategy's instrument that there is nothing of; live, prices need no data."""
    match keys:
        case ("accounts", int(a), "strategies", int(s), "instruments", int(i)):
            name = config.accounts[a].strategies[s].instruments[i]
            if name not in config.instruments:
                known = ", ".join(config.instruments)
                return f"nothing is known of {name!r}; add it under instruments, or trade another: {known}"
    return ""


def _replayed(config: PaperConfig) -> Iterator[Finding]:
    if config.start is None:
        yield (
            ("start",),
            "is missing; a replay begins there, and what lies before it warms up: write start: 2012-01-03",
        )


def _live(config: PaperConfig, feed: FinnhubFeed) -> Iterator[Finding]:
    for key in ("start", "end"):
        if getattr(config, key):
            why = "trades from the moment on at which it is started, until it is stopped"
            yield (key,), f"is for a replay; a session on live prices {why}: remove it"
    if not config.instruments:
        yield (
            ("instruments",),
            "is empty, and they say what is traded; write AAPL: {tick_size: 0.01, lot_size: 1, currency: USD}",
        )
    known = ", ".join(config.instruments)
    for name in feed.symbols:
        if name not in config.instruments:
            yield ("feed", "symbols", name), f"is none of the instruments; they are {known}"
    for i, name in enumerate(feed.watch or ()):
        if name not in config.instruments:
            yield (
                ("feed", "watch", i),
                f"nothing is known of {name!r}; add it under instruments, or remove it; they are {known}",
            )
        elif name in (feed.watch or ())[:i]:
            yield ("feed", "watch", i), f"{name!r} is given twice; remove one"
    if feed.watch == ():
        yield (
            ("feed", "watch"),
            "is empty: no price would come; name at least one instrument, or write null for all",
        )
    yield from _symbols(config, feed)
    yield from _planned(config)


def _symbols(config: PaperConfig, feed: FinnhubFeed) -> Iterator[Finding]:
    """Each instrument has a symbol of its own, and there are not more of them than the plan has."""
    seen: dict[str, str] = {}
    for name in config.traded:
        symbol = feed.symbol(name)
        if symbol in seen:
            key = name if name in feed.symbols else seen[symbol]
            yield (
                ("feed", "symbols", key),
                f"{seen[symbol]} and {name} would both be {symbol!r}; each has a symbol of its own",
            )
        if not symbol.strip() or len(symbol) > 64:
            yield ("feed", "symbols", name), f"{symbol!r} is no symbol; write one such as BINANCE:BTCUSDT"
        seen.setdefault(symbol, name)
    if len(seen) > feed.most_symbols:
        key = "watch" if feed.watch is not None else "most_symbols"
        yield (
            ("feed", key),
            (
                f"{len(seen)} instruments are watched, and the plan has {feed.most_symbols} symbols; "
                "name fewer in feed.watch, or raise feed.most_symbols where yours has more"
            ),
        )


def _planned(config: PaperConfig) -> Iterator[Finding]:
    """What is to happen at a time that is written down is of a history."""
    for a, account in enumerate(config.accounts):
        if account.operator:
            hint = "use papertape halt, resume and flatten, and remove it"
            yield (
                ("accounts", a, "operator"),
                f"is for a replay; in a session on live prices operators act when they do: {hint}",
            )
        if account.deposits:
            hint = "add them to cash of a new session, and remove them"
            yield ("accounts", a, "deposits"), f"are for a replay; a session on live prices has none: {hint}"
