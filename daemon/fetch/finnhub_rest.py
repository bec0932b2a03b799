"""Finnhub through its own client: candles and splits with a paid key, quotes with any.

Daily candles come divided by later splits, those within a day do not; both are checked against the splits themselves.
Dividends cost ten calls each and are not asked for: a series from here has prices as they were traded, and splits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from daemon.data.actions import Action
from daemon.fetch.answers import FIELDS, Answer, a_split, joined, no_bars, within
from daemon.fetch.errors import FetchError, Refused, Transient
from daemon.fetch.patience import Patience, retry_after
from engine.records import DAY, SECOND

MINUTE = 60 * SECOND
_RESOLUTIONS = {
    MINUTE: "1",
    5 * MINUTE: "5",
    15 * MINUTE: "15",
    30 * MINUTE: "30",
    60 * MINUTE: "60",
    DAY: "D",
}
_SPAN = 30 * DAY  # a call for candles within days gives at most a month
_FIRST_DAY = int(datetime(1970, 1, 1, tzinfo=UTC).timestamp()) * SECOND
_LAST_SECOND = 2**63 // SECOND - 1  # that nanoseconds can count
_INSTALL = "fetching from finnhub needs the package finnhub-python, which is not installed; pip install 'papertape[fetch]'"
_NO_KEY = (
    "finnhub needs a key (a free one gives live trades and quotes, and no history); put it into the environment variable "
    "FINNHUB_API_KEY, or into a file that FINNHUB_API_KEY_FILE names"
)


class Finnhub:
    """One conversation with Finnhub. Raises FetchError where its client is not installed or there is no key."""

    name: ClassVar[str] = "finnhub"
    symbols: ClassVar[tuple[str, ...]] = ("AAPL", "TSLA", "BINANCE:BTCUSDT")
    bars: ClassVar[tuple[int, ...]] = (0, *_RESOLUTIONS)  # a tick is the quote of this moment
    per_minute: ClassVar[int] = 60  # and 30 a second: the free plan
    burst: ClassVar[int] = 20

    def __init__(
        self, patience: Patience, environ: Mapping[str, str] = os.environ, url: str | None = None
    ) -> None:
        try:
            import finnhub
            import requests
        except ImportError:
            raise FetchError(_INSTALL) from None
        self._key = key_of(environ)
        self._patience = patience
        self._finnhub = finnhub
        self._requests = requests
        # In a header, for a URL gets into logs and messages of errors.
        self._client = finnhub.Client(api_key=None)
        if url is not None:  # another server that speaks as Finnhub does
            self._client.API_URL = url
        self._client._session.headers["X-Finnhub-Token"] = self._key

    def close(self) -> None:
        """End the conversation."""
        self._client.close()

    def earliest(self, bar_ns: int, now_ns: int) -> int:
        """Since when bars are asked for: all days, and the last year of shorter ones, for each month is a call."""
        return _FIRST_DAY if bar_ns == DAY else now_ns - 365 * DAY

    def history(self, symbol: str, bar_ns: int, start: int, now_ns: int) -> Answer:
        """Bars from `start` up to now, with the splits of that time. Raises Refused."""
        span = now_ns - start if bar_ns == DAY else _SPAN
        crypto = ":" in symbol  # VENUE:PAIR
        ask = self._client.crypto_candles if crypto else self._client.stock_candles
        pieces = []
        for a in range(start, now_ns, span):
            window = (a // SECOND, min(a + span, now_ns) // SECOND)
            given = self._ask(symbol, partial(ask, symbol, _RESOLUTIONS[bar_ns], *window))
            pieces.append(within(_candles(given, bar_ns), a, a + span))  # the end is included there
        return replace(
            joined(pieces),
            zone="UTC" if crypto else "America/New_York",
            actions=[] if crypto else self._splits(symbol, start, now_ns),
            adjusts=bar_ns == DAY,
        )

    def quote(self, symbol: str) -> tuple[int, float]:
        """The latest price and its time, ns UTC. Raises Refused."""
        given = self._ask(symbol, lambda: self._client.quote(symbol))
        try:
            price, seconds = float(given["c"]), int(given["t"])
        except (LookupError, TypeError, ValueError):
            raise _misshapen(given) from None
        if price == 0 and seconds == 0:
            raise Refused("Finnhub has no quote of this symbol")
        if not 0 < price < np.inf or not 0 < seconds <= _LAST_SECOND:
            raise _misshapen(given)
        return seconds * SECOND, price

    def _splits(self, symbol: str, start: int, now_ns: int) -> list[Action]:
        # up to tomorrow, for the exchange may be a day ahead
        first = datetime.fromtimestamp(start // SECOND, UTC).date()
        last = datetime.fromtimestamp(now_ns // SECOND, UTC).date() + timedelta(days=1)
        given = self._ask(symbol, lambda: self._client.stock_splits(symbol, _from=str(first), to=str(last)))
        try:
            return [
                a_split(date.fromisoformat(s["date"]), s["toFactor"] / s["fromFactor"]) for s in given or ()
            ]
        except (LookupError, TypeError, ValueError, ZeroDivisionError):
            raise _misshapen(given) from None

    def _ask(self, symbol: str, question: Callable[[], Any]) -> Any:
        return self._patience.ask(symbol, lambda: self._in_our_words(question))

    def _in_our_words(self, question: Callable[[], Any]) -> Any:
        # `from None`: their errors hold the request, and so the key
        failures = self._requests.exceptions
        self._patience.bucket.take()
        try:
            return question()
        except self._finnhub.FinnhubAPIException as error:
            raise self._fault(error) from None
        except self._finnhub.FinnhubRequestException as error:
            raise _misshapen(self._clean(error.message)) from None
        except (failures.Timeout, failures.ConnectionError, failures.ChunkedEncodingError) as error:
            raise Transient(f"no answer from Finnhub ({type(error).__name__})") from None
        except failures.RequestException as error:
            raise Refused(f"Finnhub cannot be asked ({type(error).__name__})") from None

    def _fault(self, error: Any) -> Refused | Transient:
        status, said = error.status_code, self._clean(str(error.message))
        wait = retry_after(error.response.headers.get("Retry-After"), self._patience.outside.now_ns())
        if status == 429:
            return Transient(f"Finnhub says that it is asked too often (HTTP 429: {said})", wait)
        if status >= 500:
            return Transient(f"Finnhub is out of order (HTTP {status})", wait)
        if status == 401:
            return Refused(f"Finnhub does not accept the key (HTTP 401: {said}); check FINNHUB_API_KEY")
        if status == 403:
            return Refused(
                f"your Finnhub key has no right to this (HTTP 403: {said}); candles and splits need a paid key: "
                "fetch bars with --provider yfinance, which needs none"
            )
        return Refused(f"Finnhub refuses (HTTP {status}: {said})")

    def _clean(self, text: str) -> str:
        return _short(text.replace(self._key, "(the key)"))


def key_of(environ: Mapping[str, str]) -> str:
    """The key of FINNHUB_API_KEY, else of the file that FINNHUB_API_KEY_FILE names. Raises FetchError."""
    key, place = environ.get("FINNHUB_API_KEY", "").strip(), "FINNHUB_API_KEY"
    if not key and (name := environ.get("FINNHUB_API_KEY_FILE")):
        place = name
        try:
            key = Path(name).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise FetchError(f"{name}: the file of FINNHUB_API_KEY_FILE cannot be read: {why}") from None
        if not key:
            raise FetchError(f"{name}: the file of FINNHUB_API_KEY_FILE is empty; put the key into it")
    if not key:
        raise FetchError(_NO_KEY)
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise FetchError(f"{place}: this is no key; it is one word of plain letters and digits")
    return key


def _candles(given: Any, bar_ns: int) -> Answer:
    if not isinstance(given, dict) or given.get("s") not in ("ok", "no_data"):
        raise _misshapen(given)
    if given["s"] == "no_data":
        return no_bars()
    try:
        seconds = np.array(given["t"], np.int64)
        columns = {name: np.array(given[name[0]], np.float64) for name in FIELDS}  # None becomes NaN
    except (LookupError, TypeError, ValueError, OverflowError):
        raise _misshapen(given) from None
    if seconds.ndim != 1 or any(column.shape != seconds.shape for column in columns.values()):
        raise Refused("Finnhub's answer has columns of different lengths")
    if np.any((seconds < 0) | (seconds > _LAST_SECOND)):
        raise _misshapen(given)
    starts = seconds * SECOND
    return Answer(starts // DAY * DAY if bar_ns == DAY else starts, columns)


def _misshapen(given: Any) -> Refused:
    return Refused(f"Finnhub's answer is not of the shape that it should have: {_short(str(given))}")


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:197] + "..."
