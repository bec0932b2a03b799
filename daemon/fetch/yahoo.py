"""Yahoo Finance through yfinance: bars of a minute to a day, with splits and dividends; no key.

Yahoo's plain prices ("auto_adjust=False") are those of today's shares: divided for every split up to now, not for
dividends. Its amounts of dividends are per share of today as well. So splits are always asked for up to now.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from daemon.data.actions import Action
from daemon.fetch.answers import FIELDS, Answer, a_dividend, a_split, joined, no_bars, within
from daemon.fetch.errors import FetchError, Refused, Transient
from daemon.fetch.patience import Patience, retry_after
from engine.records import DAY, SECOND

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
FIRST_DAY = int(datetime(1927, 12, 30, tzinfo=UTC).timestamp()) * SECOND  # of the S&P 500, the oldest there
FLOAT32 = 2.0**-24  # prices come as the nearest numbers of single precision
TIMEOUT_S = 15.0
_CHART = "/v8/finance/chart/"
_INSTALL = "fetching from yfinance needs the package yfinance, which is not installed; pip install 'papertape[fetch]'"

T = TypeVar("T")


class _Interval(NamedTuple):
    name: str
    reach: int | None  # how far back there is data, ns
    span: int | None  # how much of it at a time


# Yahoo counts its limits to the second and from its own clock: a little less is asked for.
_INTERVALS = {
    MINUTE: _Interval("1m", 29 * DAY, 7 * DAY),
    5 * MINUTE: _Interval("5m", 59 * DAY, None),
    15 * MINUTE: _Interval("15m", 59 * DAY, None),
    30 * MINUTE: _Interval("30m", 59 * DAY, None),
    HOUR: _Interval("1h", 729 * DAY, None),
    DAY: _Interval("1d", None, None),
}


class Yahoo:
    """One conversation with Yahoo. Raises FetchError where yfinance is not installed."""

    name: ClassVar[str] = "yfinance"
    symbols: ClassVar[tuple[str, ...]] = ("AAPL", "TSLA", "BTC-USD")
    bars: ClassVar[tuple[int, ...]] = tuple(_INTERVALS)
    per_minute: ClassVar[int] = 30  # Yahoo states no limits
    burst: ClassVar[int] = 10

    def __init__(self, patience: Patience) -> None:
        try:
            import yfinance
            from curl_cffi import requests
        except ImportError:
            raise FetchError(_INSTALL) from None
        self._patience = patience
        self._yfinance = yfinance
        self._no_answer = (requests.exceptions.ConnectionError, requests.exceptions.Timeout)
        self._cut_short = (requests.exceptions.IncompleteRead, requests.exceptions.ChunkedEncodingError)
        self._failed = requests.exceptions.RequestException
        self._session = _session(patience)
        # What yfinance hides or logs reaches the user in our own words.
        self._hid = yfinance.config.debug.hide_exceptions
        yfinance.config.debug.hide_exceptions = False
        self._logger = logging.getLogger("yfinance")
        self._level = self._logger.level
        self._logger.setLevel(logging.CRITICAL)

    def close(self) -> None:
        """End the conversation, and leave yfinance as it was."""
        self._session.close()
        self._yfinance.config.debug.hide_exceptions = self._hid
        self._logger.setLevel(self._level)

    def earliest(self, bar_ns: int, now_ns: int) -> int:
        """Since when there are bars, if the symbol is that old."""
        reach = _INTERVALS[bar_ns].reach
        return FIRST_DAY if reach is None else now_ns - reach

    def history(self, symbol: str, bar_ns: int, start: int, now_ns: int) -> Answer:
        """Bars from `start` up to now, as far as there are any, and all splits and dividends. Raises Refused."""
        midnight = start // DAY * DAY
        tomorrow = now_ns + DAY  # today's split is dated at the opening, and the exchange may be a day ahead
        daily = self._frame(symbol, DAY, midnight, tomorrow)
        actions = [] if daily is None else _actions(daily)
        if bar_ns == DAY:
            answer = within(_bars(daily, DAY), midnight, tomorrow)
        else:
            first = max(start, self.earliest(bar_ns, now_ns) // bar_ns * bar_ns)
            span = _INTERVALS[bar_ns].span or now_ns - first
            windows = [(a, min(a + span, now_ns)) for a in range(first, now_ns, span)]
            answer = joined(
                [within(_bars(self._frame(symbol, bar_ns, a, b), bar_ns), a, b) for a, b in windows]
            )
        return replace(answer, actions=actions, adjusts=True, precision=FLOAT32)

    def _frame(self, symbol: str, bar_ns: int, start: int, end: int) -> Any:
        # the DataFrame of a stretch of time, None where it has no bars
        first = _moment(start)
        moments = {
            "start": first.date() if bar_ns == DAY else first,  # days are the exchange's, whatever its zone
            "end": _moment(end),
        }

        def question() -> Any:
            ticker = self._yfinance.Ticker(symbol, session=self._session)
            return ticker.history(
                interval=_INTERVALS[bar_ns].name, auto_adjust=False, actions=True, keepna=True, **moments
            )

        return self._patience.ask(symbol, lambda: self._in_our_words(question))

    def _in_our_words(self, question: Callable[[], T]) -> T | None:
        errors = self._yfinance.exceptions
        try:
            with warnings.catch_warnings():  # yfinance switches on warnings of what it should do otherwise
                warnings.filterwarnings("ignore", category=DeprecationWarning, module="yfinance")
                return question()
        except errors.YFRateLimitError:
            raise Transient("Yahoo says that it is asked too often") from None
        except errors.YFTickerMissingError as error:
            if error.rationale.startswith(
                "no price data found"
            ):  # an empty stretch; else Yahoo gives a reason
                return None
            raise Refused(f"Yahoo says: {_short(error.rationale)}") from None
        except self._no_answer as error:
            raise Transient(f"no answer from Yahoo ({type(error).__name__})") from None
        except self._cut_short as error:
            raise Transient(f"the answer from Yahoo is cut short ({type(error).__name__})") from None
        except self._failed as error:
            if isinstance(error, ValueError):  # JSON that is none
                raise _misshapen(error) from None
            raise Refused(f"Yahoo cannot be asked: {_short(str(error))}") from None
        except (errors.YFException, LookupError, TypeError, ValueError, AttributeError) as error:
            # yfinance looks for fields that are not there
            raise _misshapen(error) from error


def _session(patience: Patience) -> Any:
    from curl_cffi.requests import Session

    class Polite(Session):
        # yfinance asks a second time on any fault, knows nothing of Retry-After, and forgets the status.

        def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
            patience.bucket.take()
            kwargs["timeout"] = TIMEOUT_S
            answer = super().request(method, url, *args, **kwargs)
            # 401 is a cookie that ran out, for which yfinance gets another
            if _CHART in url and answer.status_code >= 400 and answer.status_code != 401:
                raise _fault(answer, patience.outside.now_ns())
            return answer

    return Polite(impersonate="chrome")


def _fault(answer: Any, now_ns: int) -> Refused | Transient:
    status = answer.status_code
    if status == 429:
        wait = retry_after(answer.headers.get("Retry-After"), now_ns)
        return Transient("Yahoo says that it is asked too often (HTTP 429)", wait)
    if status >= 500:
        return Transient(
            f"Yahoo is out of order (HTTP {status})", retry_after(answer.headers.get("Retry-After"), now_ns)
        )
    try:
        reason = answer.json()["chart"]["error"]["description"]
    except (ValueError, LookupError, TypeError):
        reason = ""
    said = f": {_short(str(reason))}" if reason else ""
    if status == 404:
        return Refused(f"Yahoo does not know this symbol (HTTP 404){said}")
    return Refused(f"Yahoo refuses (HTTP {status}){said}")


def _bars(frame: Any, bar_ns: int) -> Answer:
    # the rows of a frame; one without prices that is there for its action is none
    if frame is None:
        return no_bars()
    import pandas as pd

    prices = frame[["Open", "High", "Low", "Close"]]
    acts = (frame[["Dividends", "Stock Splits"]].fillna(0) != 0).any(axis=1)
    frame = frame[~(prices.isna().all(axis=1) & acts)]
    zone = str(frame.index.tz)
    index = frame.index.tz_localize(None) if bar_ns == DAY else frame.index.tz_convert(None)
    starts = index.to_numpy().astype("datetime64[ns]").astype(np.int64)
    if bar_ns == DAY:
        starts = starts // DAY * DAY
    columns = {name: pd.to_numeric(frame[name.title()]).to_numpy(np.float64) for name in FIELDS}
    # The last row of a session that goes on is the latest price, stamped with its own second.
    whole = starts % MINUTE == 0
    return Answer(starts[whole], {name: column[whole] for name, column in columns.items()}, zone)


def _actions(frame: Any) -> list[Action]:
    # NaN is no action too, in a row that was made for another
    dividends, splits = frame["Dividends"].fillna(0), frame["Stock Splits"].fillna(0)
    return [
        *(a_dividend(day.date(), amount) for day, amount in dividends[dividends != 0].items()),
        *(a_split(day.date(), ratio) for day, ratio in splits[splits != 0].items()),
    ]


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // SECOND, UTC)


def _misshapen(error: Exception) -> Refused:
    return Refused(f"Yahoo's answer is not of the shape that yfinance reads ({_short(repr(error))})")


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:197] + "..."
