"""What a paper session would be, in lines for a person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from daemon.config import describe
from daemon.config.feeds import FinnhubFeed
from daemon.config.notify import names
from daemon.config.paper_places import control_socket, database_url
from daemon.config.service import is_loopback, parse_listen
from daemon.config.timeframes import Cut, format_timeframe
from daemon.config.types import format_duration

if TYPE_CHECKING:
    from daemon.config.paper import PaperConfig
    from daemon.config.service import ServiceSettings


def paper(config: PaperConfig) -> Iterator[str]:
    """Its session and feed, its backtest's part, and how it is kept and reached.

    Raises DataError where a file of corporate actions is wrong, or data that forecasts need cannot be read.
    """
    from daemon.store.address import parse

    yield f"  session {config.session}, kept in {parse(database_url(config))}"
    yield from _feed(config)
    # live, history is what there is now
    begun = config.model_copy(update={"start": datetime.now(UTC)}) if config.live else config
    yield from describe.backtest(begun)
    journal = config.journal
    limits = f"{format_duration(journal.backlog)} or {journal.backlog_rows:,} rows without the database"
    yield f"  journal: a snapshot every {format_duration(journal.snapshot_every)}; waits after {limits}"
    if config.retention.tape:
        yield f"  retention: tape older than {format_duration(config.retention.tape)} goes to files"
    yield from _service(config.service)
    yield f"  control: {control_socket(config)}"
    for name, target in zip(names(config.notify), config.notify, strict=True):
        yield f"  notifies {name}: {', '.join(target.events)}"


def _feed(config: PaperConfig) -> Iterator[str]:
    feed = config.feed
    if not isinstance(feed, FinnhubFeed):
        speed = "as fast as possible" if feed.speed is None else f"at {feed.speed:g} times its pace"
        yield f"  feed: replay of data from {config.start:%Y-%m-%d %H:%M} on, {speed}"
        return
    watched = config.traded
    shown = (f"{n} as {feed.symbol(n)}" if feed.symbol(n) != n else n for n in watched)
    yield f"  feed: finnhub, {len(watched)} of {feed.most_symbols} symbols: {', '.join(shown)}"
    down = "asks for quotes" if feed.quotes else "marks stay as they are"
    yield f"    while it is down: {down}; hung after {format_duration(feed.no_frames)} without a frame"
    yield f"    bars close {config.execution.grace_ms:g} ms after their end"
    bars = {d.instrument: d.bar for d in config.data}
    for account in config.accounts:
        for strategy in account.strategies:
            who = f"{account.name}/{strategy.name}"
            if cold := [n for n in strategy.instruments if _is_cold(strategy.timeframe, bars.get(n, 0))]:
                history = ", ".join(f"{n} in bars of {format_duration(bars[n])}" for n in cold)
                own = format_timeframe(strategy.timeframe)
                yield f"    {who}: the history has {history}: it fills scenarios, indicators on {own} begin with live prices"
            if blind := [n for n in strategy.instruments if n not in watched]:
                yield f"    warning: {who} trades {', '.join(blind)}, which feed.watch leaves out: no price comes"


def _is_cold(timeframe: int | Cut, bar: int) -> bool:
    """Whether bars of the history (0: ticks, or none) say nothing about those that a strategy decides on."""
    return bar > 0 and (isinstance(timeframe, Cut) or timeframe % bar != 0)


def _service(given: ServiceSettings) -> Iterator[str]:
    if given.listen is None:
        yield "  service: no HTTP"
        return
    yield f"  service: http://{given.listen} tells of health, metrics and status"
    host, _ = parse_listen(given.listen)
    if not is_loopback(host):
        yield (
            f"    warning: {host} is not loopback: whoever reaches this machine reads positions and cash there, and nobody "
            "is asked for a password; 127.0.0.1 is for this machine only"
        )
