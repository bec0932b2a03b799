"""The feed of a configuration, and what its items are on the tape."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from daemon import logs
from daemon.config.feeds import FinnhubFeed, ReplayFeed
from daemon.config.spec import calendar_key
from daemon.feeds.clock import FeedClock, SystemClock
from daemon.feeds.items import Listed
from daemon.feeds.live_actions import ActionsFeed, action_files
from daemon.feeds.paced import Paced
from daemon.feeds.queued import QueuedFeed
from daemon.live import rows

if TYPE_CHECKING:
    from daemon.config.paper import PaperConfig
    from daemon.feeds.clock import Clock
    from daemon.feeds.finnhub_quotes import FinnhubQuotes
    from daemon.feeds.items import Quote
    from daemon.live.core import Core
    from engine.records import Ticks


def clock_of(config: PaperConfig, last: int) -> Clock:
    """The session's time: the system's where prices are live, the tape's where they are replayed. last: of the tape so far."""
    return SystemClock(not_before=last) if config.live else FeedClock(last)


class Replay:
    """History as the session's feed, behind what the session has.

    feeds: what gives its items, each in its own order; between them the order of arrival holds. Their end is the session's.
    """

    def __init__(self, feed: ReplayFeed, tape: Iterable[Ticks], skip: int) -> None:
        self.feeds: list[QueuedFeed] = [Paced(tape, SystemClock(), feed.speed, skip=skip)]

    async def watch(self, config: PaperConfig) -> None:
        """Nothing: a tape has what it has."""


class Live:
    """Finnhub's stream, quotes while it is down, and the corporate actions of the configuration's files."""

    def __init__(self, config: PaperConfig, core: Core, clock: Clock, began: int) -> None:
        """Raises FetchError without a token, FeedError, DataError."""
        from daemon.feeds.finnhub_quotes import FinnhubQuotes, RestQuotes
        from daemon.feeds.finnhub_stream import FinnhubStream
        from daemon.feeds.limiter import Limiter
        from daemon.feeds.secret import Secret
        from daemon.fetch.finnhub_rest import key_of

        feed = config.feed
        assert isinstance(feed, FinnhubFeed)
        token = Secret(key_of(os.environ))
        logs.hide(token)
        asked = listed(config)
        instruments = core.engine.state.instruments
        self._stream = FinnhubStream(asked, token, clock, feed.settings(), random.Random())
        files = action_files(config, core.spec)
        # in the order in which they are entered: an action is known before the first print behind it
        self.feeds: list[QueuedFeed] = [
            ActionsFeed(files, clock, core.history_until, began, lambda k: int(instruments[k].ts), core.actions), self._stream,
        ]  # fmt: skip
        self._quotes: FinnhubQuotes | None = None
        if feed.quotes:
            ask = RestQuotes(token, feed.rest_url) if feed.rest_url else RestQuotes(token)
            self._quotes = FinnhubQuotes(asked, self._stream.down, ask, Limiter(clock), clock)
            self.feeds.append(self._quotes)

    async def watch(self, config: PaperConfig) -> None:
        """Ask for the prices that a changed configuration wants. Raises FeedError, changing nothing."""
        asked = listed(config)
        await self._stream.watch(asked)
        if self._quotes is not None:
            self._quotes.watch(asked)


def listed(config: PaperConfig) -> list[Listed]:
    """The instruments that Finnhub is asked for, by their index in the engine."""
    import numpy as np

    from daemon.calendars import sessions
    from engine.spec import Sessions

    feed = config.feed
    assert isinstance(feed, FinnhubFeed)
    index = {name: k for k, name in enumerate(config.instruments)}
    never = np.zeros(0, np.int64)  # no sessions: always open
    found = []
    for name in config.traded:
        key = calendar_key(config.instruments[name].calendar, 0)
        open_times = sessions(key, whole_days=False) if key else Sessions(never, never)
        found.append(Listed(feed.symbol(name), index[name], open_times))
    return found


def row_of(quote: Quote) -> Callable[[int], Ticks]:
    """A quote as a row of the tape."""
    return lambda ts: rows.mark(quote.ts_event, ts, quote.instrument, quote.price)
