"""Fetching series into the catalog: what is asked for, what of it is new, and how it is stored.

What is stored is not asked for again: a series goes on from its last bar, which is asked for once more. Where it comes
back otherwise, the provider has adjusted its history for something, and all of it is fetched anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.config.types import format_duration, ns_of, parse_bar, parse_time
from daemon.data.actions import Action, ActionKind
from daemon.data.checks import show
from daemon.data.errors import DataError
from daemon.fetch.answers import PRICES, History, to_history
from daemon.fetch.errors import FetchError, ProviderError, Refused
from daemon.fetch.patience import Outside, Patience, TokenBucket
from daemon.fetch.providers import PROVIDERS, Provider, Quoter
from engine.records import DAY, SECOND

if TYPE_CHECKING:
    from daemon.catalog.manifest import Manifest, Provenance
    from daemon.catalog.store import Catalog

SAME_PRICE = 1e-4  # relative; what rounding and single precision may differ by
_SYMBOL = r"[A-Z0-9^][A-Z0-9.^=:&_-]{0,31}"


@dataclass(frozen=True)
class Fetched:
    """What became of one symbol; where there is an error nothing of it was written."""

    symbol: str
    bar_ns: int
    error: str = ""
    rows: int = 0  # that are new
    actions: int = 0  # splits and dividends that are new
    first: int | None = None  # of the whole series now, ns UTC
    last: int | None = None
    price: float | None = None  # the latest: a close, or the quote
    refused: Mapping[str, int] = field(default_factory=dict)  # reason -> rows left out
    anew: bool = False  # all of it was fetched, though some was there


def fetch(
    catalog: Catalog,
    symbols: Sequence[str] = (),
    *,
    provider: str = "yfinance",
    bar: str = "1d",
    start: str | date | None = None,
    end: str | date | None = None,
    tell: Callable[[str], None] = lambda line: None,
    outside: Outside | None = None,
) -> list[Fetched]:
    """Bring series in the catalog up to date, or begin them.

    symbols: as the provider writes them; none: AAPL, TSLA and bitcoin. bar: 1m, 5m, 15m, 30m, 1h or 1d; tick, which
    finnhub has, is the latest price. start, end: bars with start <= ts < end, a time without zone is UTC; without a
    start a series goes on from where it ends, a new one begins where the provider's does. tell: hears of waiting and
    the like. Bars that have not ended are left out.

    A symbol that fails says so in its `error`; the others go on. Raises FetchError where nothing can be fetched: an
    unknown provider, a bar that it does not have, no key, or its library is not installed.
    """
    if provider not in PROVIDERS:
        raise FetchError(f"there is no provider {provider!r}; there are {', '.join(PROVIDERS)}")
    bar_ns, first, end_ns = _window(bar, start, end)
    outside = Outside() if outside is None else outside
    kind = PROVIDERS[provider]()
    source = kind(Patience(TokenBucket(kind.per_minute, kind.burst, outside), outside, tell))
    try:
        if bar_ns not in source.bars:
            names = ", ".join(format_duration(b) if b else "tick" for b in source.bars)
            raise FetchError(f"{provider} has no bars of {bar}; it has {names}")
        names_asked = dict.fromkeys(_symbol(s) for s in symbols or source.symbols)
        task = _Task(catalog, source, bar_ns, first, end_ns, outside.now_ns, tell)
        return [task.run(symbol) for symbol in names_asked]
    finally:
        source.close()


def _window(bar: str, start: str | date | None, end: str | date | None) -> tuple[int, int | None, int | None]:
    try:
        bar_ns = parse_bar(bar)
        first, last = (None if t is None else ns_of(parse_time(t)) for t in (start, end))
    except ValueError as error:
        raise FetchError(str(error)) from error
    if first is not None and last is not None and first >= last:
        raise FetchError(f"start {start} is not before end {end}; correct one of them")
    return bar_ns, first, last


def _symbol(text: str) -> str:
    symbol = text.strip().upper()
    if not re.fullmatch(_SYMBOL, symbol):
        raise FetchError(f"{text!r} is no symbol; write one as the provider does, such as AAPL or BTC-USD")
    return symbol


@dataclass(frozen=True)
class _Task:
    # what holds for all symbols of one call
    catalog: Catalog
    source: Provider
    bar_ns: int
    start: int | None
    end: int | None
    now: Callable[[], int]
    tell: Callable[[str], None]

    def run(self, symbol: str) -> Fetched:
        try:
            known = self.catalog.manifest(symbol, self.bar_ns)
            if known is not None and (known.source.provider, known.adjusted) != (self.source.name, "raw"):
                raise Refused(
                    f"the catalog has {known.title} from {known.source.provider} already, with prices that are "
                    f"{_adjusted(known.adjusted)}; fetch into another catalog, or remove that series"
                )
            return self._tick(symbol, known) if self.bar_ns == 0 else self._bars(symbol, known)
        except (ProviderError, DataError) as error:
            return Fetched(symbol, self.bar_ns, error=f"{symbol}: {error}")

    def _tick(self, symbol: str, known: Manifest | None) -> Fetched:
        assert isinstance(self.source, Quoter)
        ts, price = self.source.quote(symbol)
        rows = 0
        if known is None or ts > known.last:
            columns = {"ts": np.array([ts]), "price": np.array([price]), "size": np.zeros(1)}
            known = self.catalog.write(
                symbol, 0, columns, source=self._provenance(symbol, ts), adjusted="raw"
            )
            rows = 1
        return Fetched(symbol, 0, rows=rows, first=known.first, last=known.last, price=price)

    def _bars(self, symbol: str, known: Manifest | None) -> Fetched:
        now = self.now()
        reach = self.source.earliest(self.bar_ns, now) // self.bar_ns * self.bar_ns
        since = reach if self.start is None else max(self.start, reach)
        if self.start is not None and self.start < reach:
            self.tell(
                f"{symbol}: bars of {format_duration(self.bar_ns)} from {self.source.name} begin at {show(reach)}"
            )
        if known is not None and (self.start is None or since >= _since(known)):
            return self._continued(symbol, known, reach, now)
        return self._whole(symbol, known, since, reach, now)

    def _continued(self, symbol: str, known: Manifest, reach: int, now: int) -> Fetched:
        as_before = Fetched(symbol, self.bar_ns, first=known.first, last=known.last)
        # a day has ended first where the clocks are 14 hours ahead of UTC
        newest = now - self.bar_ns + (14 * 3600 * SECOND if self.bar_ns == DAY else 0)
        if self.end is not None:
            newest = min(newest, self.end - 1)
        if newest < known.last + self.bar_ns:
            return as_before
        got = self._ask(symbol, known.last, now)
        same = self._agrees(symbol, known, got)
        if same is None and known.last < reach:
            self.tell(
                f"{symbol}: {self.source.name} has nothing before {show(reach)} any more; "
                f"a gap stays after {show(known.last)}"
            )
        elif not same:
            self.tell(
                f"{symbol}: {self.source.name} gives other prices for {show(known.last)} than are stored, "
                "as when it has adjusted its history; all of it is fetched anew"
            )
            return self._whole(symbol, known, _since(known), reach, now)
        new = _cut(got, known.last + 1, self.end, _day(known.last) + timedelta(days=1))
        if not len(new.columns["ts"]):
            return replace(as_before, refused=dict(new.refused))
        return self._store(symbol, new, _since(known), anew=False)

    def _whole(self, symbol: str, known: Manifest | None, since: int, reach: int, now: int) -> Fetched:
        end = self.end
        if known is not None and end is not None:
            end = max(end, known.last + 1)  # what is there is replaced, so its time is asked for too
        if end is not None and end <= max(since, reach):
            raise Refused(f"{self.source.name} has nothing before {show(max(since, reach))}")
        got = _cut(self._ask(symbol, max(since, reach), now), since, end)
        ts = got.columns["ts"]
        if not len(ts):
            raise Refused(f"{self.source.name} has no bars in the time asked for that have ended")
        if known is not None and (ts[0] > known.first or ts[-1] < known.last):
            raise Refused(
                f"{self.source.name} has bars from {show(int(ts[0]))} to {show(int(ts[-1]))} now, and what is "
                f"stored, from {show(known.first)} to {show(known.last)}, may not fit them; "
                "fetch into another catalog"
            )
        return self._store(symbol, got, since, anew=known is not None)

    def _ask(self, symbol: str, start: int, now: int) -> History:
        answer = self.source.history(symbol, self.bar_ns, start, now)
        return to_history(answer, self.bar_ns, now)

    def _agrees(self, symbol: str, known: Manifest, got: History) -> bool | None:
        # whether the last bar that is stored is what the provider gives for its time; None: it gives nothing
        at = np.flatnonzero(got.columns["ts"] == known.last)
        if not len(at):
            return None
        [batch] = self.catalog.read(symbol, self.bar_ns, known.last, known.last + 1)
        stored = np.array([batch.column(name)[0].as_py() for name in PRICES])
        given = np.array([got.columns[name][at[0]] for name in PRICES])
        return bool(np.all(np.abs(given - stored) <= SAME_PRICE * stored))

    def _store(self, symbol: str, new: History, since: int, anew: bool) -> Fetched:
        # Actions first: one that has no bars yet does no harm, but bars without their split would be wrong.
        before = self.catalog.actions(symbol)
        rows = _unknown(before, new.actions)
        if rows is not None:
            self.catalog.write_actions(symbol, rows)
        try:
            made = self.catalog.write(
                symbol,
                self.bar_ns,
                new.columns,
                source=self._provenance(symbol, since),
                adjusted="raw",
                refused=new.refused,
                replace=anew,
            )
        except BaseException:
            if rows is not None:
                self._put_back(symbol, before)
            raise
        return Fetched(
            symbol,
            self.bar_ns,
            rows=len(new.columns["ts"]),
            actions=0 if rows is None else rows.num_rows,
            first=made.first,
            last=made.last,
            price=float(new.columns["close"][-1]),
            refused=dict(new.refused),
            anew=anew,
        )

    def _put_back(self, symbol: str, before: Any) -> None:
        if before is None:
            self.catalog.actions_path(symbol).unlink()
        else:
            self.catalog.write_actions(symbol, before, replace=True)

    def _provenance(self, symbol: str, since: int) -> Provenance:
        from daemon.catalog.manifest import Provenance

        return Provenance(provider=self.source.name, arguments={"symbol": symbol, "since": show(since)})


def _adjusted(how: str) -> str:
    return "raw" if how == "raw" else f"adjusted for {how}"


def _since(known: Manifest) -> int:
    # from where on the series was asked for, which may be long before its first bar
    text = known.source.arguments.get("since")
    return known.first if not isinstance(text, str) else ns_of(parse_time(text))


def _cut(history: History, start: int, end: int | None, first_day: date | None = None) -> History:
    # the rows with start <= ts < end, and the actions from first_day on, else from the day of the first row on
    ts = history.columns["ts"]
    keep = ts >= start
    if end is not None:
        keep &= ts < end
    columns = {name: column[keep] for name, column in history.columns.items()}
    if first_day is None:
        first_day = _day(int(columns["ts"][0])) if keep.any() else date.max
    actions = [a for a in history.actions if a.ex_date >= first_day]
    return replace(history, columns=columns, actions=actions)


def _day(ns: int) -> date:
    return datetime.fromtimestamp(ns // SECOND, UTC).date()


def _unknown(stored: Any, actions: Sequence[Action]) -> Any:
    # those that are not stored, as the catalog's table; None where there are none
    import pyarrow as pa

    from daemon.catalog.actions import SCHEMA

    rows = [
        {
            "ex_date": a.ex_date,
            "kind": str(a.kind),
            "numerator": a.numerator if a.kind == ActionKind.SPLIT else None,
            "denominator": a.denominator if a.kind == ActionKind.SPLIT else None,
            "amount": a.amount,
            "symbol": None,
        }
        for a in actions
    ]
    known = [] if stored is None else stored.to_pylist()
    new = [row for row in rows if row not in known]
    return pa.Table.from_pylist(new, schema=SCHEMA) if new else None
