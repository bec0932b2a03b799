"""What can go wrong with a feed.

What the outside does is no exception to a feed's reader: it is an item, a Status or a Gap.

    DataError
      FeedError       wrong use: a token that is refused at the start, too many symbols; the message says what to do
    NotConnected      a connection could not be made   } between a stream and its socket;
    Lost              a connection has ended           } they never leave the feed
"""

from __future__ import annotations

from daemon.data.errors import DataError


class FeedError(DataError):
    """The feed cannot work as it was asked to; the message says what to do."""


class NotConnected(Exception):
    """A connection could not be made. status: of HTTP, where there was an answer. retry_after: seconds, or None."""

    def __init__(self, why: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.retry_after = retry_after


class Lost(Exception):
    """A connection has ended; the message says how."""
