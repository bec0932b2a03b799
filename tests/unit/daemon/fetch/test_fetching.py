"""What is asked for, what of it is stored: a provider made up, and a real catalog."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from daemon.catalog.manifest import Provenance
from daemon.catalog.store import Catalog
from daemon.data.actions import Action
from daemon.data.errors import DataError
from daemon.fetch import PROVIDERS, Fetched, FetchError, fetch
from daemon.fetch.answers import FIELDS, Answer, a_dividend, a_split
from daemon.fetch.errors import Refused
from daemon.fetch.patience import Patience
from engine.records import DAY, SECOND
from tests.unit.daemon.fetch.outside import Clock, ns

MINUTE = 60 * SECOND
REACH = 10  # days of minutes


class Market:
    """What the provider has: each symbol's bars by their start, and what it was asked."""

    def __init__(self) -> None:
        self.bars: dict[str, dict[int, float]] = {}
        self.actions: dict[str, list[Action]] = {}
        self.asked: list[tuple[str, int, int]] = []
        self.quotes: dict[str, tuple[int, float]] = {}
        self.closed = 0

    def days(self, symbol: str, first: str, closes: list[float]) -> None:
        self.bars[symbol] = {ns(first) + i * DAY: c for i, c in enumerate(closes)}

    def minutes(self, symbol: str, first: str, closes: list[float]) -> None:
        self.bars[symbol] = {ns(first) + i * MINUTE: c for i, c in enumerate(closes)}

    def provider(self) -> type[Any]:
        market = self

        class Fake:
            name: ClassVar[str] = "fake"
            symbols: ClassVar[tuple[str, ...]] = ("AAPL", "TSLA")
            bars: ClassVar[tuple[int, ...]] = (0, MINUTE, DAY)
            per_minute: ClassVar[int] = 60
            burst: ClassVar[int] = 20

            def __init__(self, patience: Patience) -> None:
                pass

            def earliest(self, bar_ns: int, now_ns: int) -> int:
                return ns("1990-01-01") if bar_ns == DAY else now_ns - REACH * DAY

            def history(self, symbol: str, bar_ns: int, start: int, now_ns: int) -> Answer:
                market.asked.append((symbol, bar_ns, start))
                if symbol not in market.bars:
                    raise Refused("unknown symbol")
                first = max(start, self.earliest(bar_ns, now_ns))
                rows = [(t, c) for t, c in market.bars[symbol].items() if first <= t < now_ns]
                prices = np.array([c for _, c in rows])
                columns = {name: prices.copy() for name in FIELDS}
                actions = [
                    a for a in market.actions.get(symbol, ()) if ns(f"{a.ex_date}") >= start // DAY * DAY
                ]
                starts = np.array([t for t, _ in rows], np.int64)
                return Answer(starts, columns, "America/New_York", actions, adjusts=True)

            def quote(self, symbol: str) -> tuple[int, float]:
                return market.quotes[symbol]

            def close(self) -> None:
                market.closed += 1

        return Fake


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch) -> Market:
    made = Market()
    monkeypatch.setitem(PROVIDERS, "fake", made.provider)
    return made


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalog")


def ask(catalog: Catalog, now: str, *symbols: str, **more: Any) -> list[Fetched]:
    return fetch(catalog, symbols, **{"provider": "fake", "outside": Clock(now).outside, **more})


def stored(catalog: Catalog, symbol: str, bar_ns: int = DAY, name: str = "close") -> list[float]:
    return [x for batch in catalog.read(symbol, bar_ns) for x in batch.column(name).to_pylist()]


def actions(catalog: Catalog, symbol: str) -> list[tuple[Any, ...]]:
    table = catalog.actions(symbol)
    rows = [] if table is None else table.to_pylist()
    return [(str(r["ex_date"]), r["kind"], r["numerator"], r["denominator"], r["amount"]) for r in rows]


def test_new_series_is_written_as_traded_with_where_it_came_from(market: Market, catalog: Catalog) -> None:
    market.days("AAPL", "2020-08-24", [10.0, 11.0, 12.0])
    [got] = ask(catalog, "2020-08-28T12:00:00", "aapl ")
    assert got == Fetched("AAPL", DAY, rows=3, first=ns("2020-08-24"), last=ns("2020-08-26"), price=12.0)
    assert stored(catalog, "AAPL") == [10.0, 11.0, 12.0]
    known = catalog.require("AAPL", DAY)
    assert (known.adjusted, known.source.provider) == ("raw", "fake")
    assert known.source.arguments == {"symbol": "AAPL", "since": "1990-01-01T00:00:00Z"}
    assert market.closed == 1


def test_day_that_goes_on_is_left_out(market: Market, catalog: Catalog) -> None:
    market.days("AAPL", "2020-08-24", [10.0, 11.0, 12.0])
    ask(catalog, "2020-08-27T03:59:00", "AAPL")  # still the 26th in New York
    assert stored(catalog, "AAPL") == [10.0, 11.0]


def test_series_goes_on_from_its_last_bar(market: Market, catalog: Catalog) -> None:
    market.days("AAPL", "2020-08-24", [10.0, 11.0, 12.0])
    ask(catalog, "2020-08-28T12:00:00", "AAPL")
    market.days("AAPL", "2020-08-24", [10.0, 11.0, 12.0, 13.0, 14.0])
    [got] = ask(catalog, "2020-08-31T12:00:00", "AAPL")
    assert (got.rows, got.anew, got.last) == (2, False, ns("2020-08-28"))
    assert [start for *_, start in market.asked] == [ns("1990-01-01"), ns("2020-08-26")]
    assert stored(catalog, "AAPL") == [10.0, 11.0, 12.0, 13.0, 14.0]


def test_series_that_no_newer_bar_can_follow_is_not_asked_for(market: Market, catalog: Catalog) -> None:
    market.days("AAPL", "2020-08-24", [10.0, 11.0, 12.0])
    ask(catalog, "2020-08-27T05:00:00", "AAPL")
    market.asked.clear()
    [got] = ask(catalog, "2020-08-27T09:59:00", "AAPL")  # the 27th has ended nowhere on earth
    assert (market.asked, got.rows, got.last) == ([], 0, ns("2020-08-26"))
    ask(catalog, "2020-08-27T10:00:00", "AAPL")  # midnight, 14 hours ahead of UTC
    assert len(market.asked) == 1


def test_time_that_is_stored_is_not_asked_for(market: Market, catalog: Catalog) -> None:
    market.days("AAPL", "2020-08-24", [10.0, 11.0, 12.0])
    ask(catalog, "2020-08-28T12:00:00", "AAPL")
    market.asked.clear()
    ask(catalog, "2020-09-10T12:00:00", "AAPL", start="2020-08-24", end="2020-08-27")
    assert market.asked == []
    ask(catalog, "2020-09-10T12:00:00", "AAPL", start="2020-08-24", end="2020-08-28")
    assert len(market.asked) == 1


def test_window_cuts_what_is_stored(market: Market, catalog: Catalog) -> None:
    market.days("AAPL", "2020-08-24", [10.0, 11.0, 12.0, 13.0])
    ask(catalog, "2020-09-10T12:00:00", "AAPL", start=date(2020, 8, 25), end="2020-08-27")
    assert stored(catalog, "AAPL") == [11.0, 12.0]


def test_start_before_what_was_asked_fetches_all(market: Market, catalog: Catalog) -> None:
    market.days("AAPL", "2020-08-24", [10.0, 11.0, 12.0, 13.0])
    ask(catalog, "2020-09-10T12:00:00", "AAPL", start="2020-08-26")
    [got] = ask(catalog, "2020-09-10T12:00:00", "AAPL", start="2020-08-25", end="2020-08-26")
    assert (got.rows, got.anew) == (3, True)
    assert stored(catalog, "AAPL") == [11.0, 12.0, 13.0]  # nothing that was there is lost
    market.asked.clear()
    ask(catalog, "2020-09-10T12:00:00", "AAPL", start="2020-08-25")
    assert [start for *_, start in market.asked] == [ns("2020-08-27")]


def test_start_before_the_first_bar_that_there_is_goes_on_from_the_last(
    market: Market, catalog: Catalog
) -> None:
    market.days("TSLA", "2020-08-24", [10.0, 11.0])
    for _ in range(2):
        ask(catalog, "2020-09-10T12:00:00", "TSLA", start="2000-01-01")
    assert [start for *_, start in market.asked] == [ns("2000-01-01"), ns("2020-08-25")]


def test_split_in_new_bars_leaves_the_stored_ones_and_is_written(market: Market, catalog: Catalog) -> None:
    market.days("AAPL", "2020-08-24", [100.0, 101.0, 102.0])
    market.actions["AAPL"] = [a_dividend(date(2020, 8, 25), 0.8)]
    ask(catalog, "2020-08-28T12:00:00", "AAPL")
    # from now on the provider divides what was before by four
    market.days("AAPL", "2020-08-24", [25.0, 25.25, 25.5, 25.75, 26.0])
    market.actions["AAPL"] = [a_dividend(date(2020, 8, 25), 0.2), a_split(date(2020, 8, 28), 4)]
    [got] = ask(catalog, "2020-08-31T12:00:00", "AAPL")
    assert (got.rows, got.actions, got.anew) == (2, 1, False)
    assert stored(catalog, "AAPL") == [100.0, 101.0, 102.0, 103.0, 26.0]
    assert actions(catalog, "AAPL") == [
        ("2020-08-25", "dividend", None, None, 0.8),
        ("2020-08-28", "split", 4.0, 1.0, None),
    ]


def test_split_on_a_day_without_a_bar_is_not_lost(market: Market, catalog: Catalog) -> None:
    market.days("AAPL", "2020-08-24", [100.0, 101.0])
    ask(catalog, "2020-08-26T12:00:00", "AAPL")
    market.bars["AAPL"] = {ns("2020-08-25"): 25.25, ns("2020-08-28"): 25.5}
    market.actions["AAPL"] = [a_split(date(2020, 8, 27), 4)]
    ask(catalog, "2020-08-31T12:00:00", "AAPL")
    assert stored(catalog, "AAPL") == [100.0, 101.0, 25.5]
    assert [a[:2] for a in actions(catalog, "AAPL")] == [("2020-08-27", "split")]


def test_split_after_the_window_is_undone_all_the_same(market: Market, catalog: Catalog) -> None:
    market.days("AAPL", "2020-08-24", [25.0, 25.25, 25.5, 26.0])
    market.actions["AAPL"] = [a_split(date(2020, 8, 27), 4)]
    ask(catalog, "2020-08-31T12:00:00", "AAPL", end="2020-08-26")
    assert stored(catalog, "AAPL") == [100.0, 101.0]


def test_history_that_comes_back_otherwise_is_fetched_anew(market: Market, catalog: Catalog) -> None:
    market.days("AAPL", "2020-08-24", [100.0, 101.0, 102.0])
    market.actions["AAPL"] = [a_dividend(date(2020, 8, 25), 0.8)]
    ask(catalog, "2020-08-28T12:00:00", "AAPL")
    market.days("AAPL", "2020-08-24", [98.0, 98.98, 99.96, 101.0])  # a spin-off, of which no split tells
    said = list[str]()
    [got] = ask(catalog, "2020-08-31T12:00:00", "AAPL", tell=said.append)
    assert (got.rows, got.actions, got.anew) == (4, 0, True)
    assert stored(catalog, "AAPL") == [98.0, 98.98, 99.96, 101.0]
    [line] = said
    assert line.startswith("AAPL: fake gives other prices for 2020-08-26T00:00:00Z than are stored")
    assert line.endswith("all of it is fetched anew")


def test_last_price_that_differs_by_rounding_is_no_other(market: Market, catalog: Catalog) -> None:
    market.days("AAPL", "2020-08-24", [100.0, 101.0, 102.0])
    ask(catalog, "2020-08-28T12:00:00", "AAPL")
    market.days("AAPL", "2020-08-24", [100.0, 101.0, 102.005, 103.0])
    [got] = ask(catalog, "2020-08-31T12:00:00", "AAPL")
    assert (got.rows, got.anew) == (1, False)
    assert stored(catalog, "AAPL") == [100.0, 101.0, 102.0, 103.0]


def test_history_that_became_shorter_does_not_replace_what_is_stored(
    market: Market, catalog: Catalog
) -> None:
    market.days("AAPL", "2020-08-24", [100.0, 101.0, 102.0])
    ask(catalog, "2020-08-28T12:00:00", "AAPL")
    before = catalog.require("AAPL", DAY)
    market.days("AAPL", "2020-08-25", [98.98, 99.96, 101.0])
    [got] = ask(catalog, "2020-08-31T12:00:00", "AAPL")
    assert "may not fit them; fetch into another catalog" in got.error
    assert catalog.require("AAPL", DAY) == before


def test_minutes_out_of_reach_leave_a_gap_that_is_told_and_keeps_its_split(
    market: Market, catalog: Catalog
) -> None:
    market.minutes("AAPL", "2020-08-03T14:00:00", [1.0, 2.0])
    ask(catalog, "2020-08-04T12:00:00", "AAPL", bar="1m")
    market.minutes("AAPL", "2020-08-20T14:00:00", [3.0])
    market.actions["AAPL"] = [a_split(date(2020, 8, 7), 2)]
    said = list[str]()
    [got] = ask(catalog, "2020-08-21T12:00:00", "AAPL", bar="1m", tell=said.append)
    assert (got.rows, got.anew) == (1, False)
    assert stored(catalog, "AAPL", MINUTE) == [1.0, 2.0, 3.0]
    assert said == [
        "AAPL: fake has nothing before 2020-08-11T12:00:00Z any more; a gap stays after 2020-08-03T14:01:00Z"
    ]
    assert [a[:2] for a in actions(catalog, "AAPL")] == [("2020-08-07", "split")]


def test_old_start_of_minutes_does_not_fetch_all_each_time(market: Market, catalog: Catalog) -> None:
    market.minutes("AAPL", "2020-08-03T14:00:00", [1.0, 2.0])
    said = list[str]()
    ask(catalog, "2020-08-04T12:00:00", "AAPL", bar="1m", start="2020-01-01", tell=said.append)
    assert said == ["AAPL: bars of 1m from fake begin at 2020-07-25T12:00:00Z"]
    market.minutes("AAPL", "2020-08-03T14:00:00", [1.0, 2.0, 3.0])
    [got] = ask(catalog, "2020-08-05T12:00:00", "AAPL", bar="1m", start="2020-01-01")
    assert (got.rows, got.anew) == (1, False)
    assert [start for *_, start in market.asked] == [ns("2020-07-25T12:00:00"), ns("2020-08-03T14:01:00")]


def test_symbol_that_fails_does_not_stop_the_others(market: Market, catalog: Catalog) -> None:
    market.days("AAPL", "2020-08-24", [10.0])
    market.days("TSLA", "2020-08-24", [20.0])
    first, second, third = ask(catalog, "2020-08-28T12:00:00", "AAPL", "NOPE", "TSLA")
    assert (first.rows, third.rows) == (1, 1)
    assert (second.rows, second.error) == (0, "NOPE: unknown symbol")
    assert list(catalog.instruments()) == ["AAPL", "TSLA"]
    assert market.closed == 1


def test_time_without_bars_is_an_error(market: Market, catalog: Catalog) -> None:
    market.bars["AAPL"] = {}
    [got] = ask(catalog, "2020-08-28T12:00:00", "AAPL")
    assert got.error == "AAPL: fake has no bars in the time asked for that have ended"
    [got] = ask(catalog, "2020-08-28T12:00:00", "AAPL", end="1980-01-01")
    assert got.error == "AAPL: fake has nothing before 1990-01-01T00:00:00Z"
    assert not catalog.folder.exists()


def test_symbol_named_twice_is_fetched_once_and_none_means_the_usual_ones(
    market: Market, catalog: Catalog
) -> None:
    market.days("AAPL", "2020-08-24", [10.0])
    assert len(ask(catalog, "2020-08-28T12:00:00", "AAPL", "aapl")) == 1
    assert [f.symbol for f in ask(catalog, "2020-08-28T12:00:00")] == ["AAPL", "TSLA"]


def test_series_of_another_source_is_not_mixed_with(market: Market, catalog: Catalog) -> None:
    rows = {name: np.array([10.0]) for name in FIELDS} | {"ts": np.array([ns("2020-08-24")])}
    catalog.write("AAPL", DAY, rows, source=Provenance(), adjusted="splits")
    market.days("AAPL", "2020-08-24", [10.0, 11.0])
    [got] = ask(catalog, "2020-08-28T12:00:00", "AAPL")
    assert got.error == (
        "AAPL: the catalog has AAPL 1d from files already, with prices that are adjusted for splits; "
        "fetch into another catalog, or remove that series"
    )
    assert market.asked == []


@pytest.mark.parametrize("known", [False, True])
def test_bars_that_cannot_be_written_leave_the_actions_as_they_were(
    market: Market, catalog: Catalog, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    market.days("AAPL", "2020-08-24", [10.0, 11.0])
    if known:
        market.actions["AAPL"] = [a_dividend(date(2020, 8, 24), 0.5)]
        ask(catalog, "2020-08-26T12:00:00", "AAPL")
    before = actions(catalog, "AAPL")
    market.days("AAPL", "2020-08-24", [5.0, 5.5, 5.75])
    market.actions["AAPL"] = [a_dividend(date(2020, 8, 24), 0.25), a_split(date(2020, 8, 26), 2)]

    def fails(*args: object, **more: object) -> None:
        raise DataError("disk on fire")

    monkeypatch.setattr(catalog, "write", fails)
    [got] = ask(catalog, "2020-08-31T12:00:00", "AAPL")
    assert got.error == "AAPL: disk on fire"
    assert actions(catalog, "AAPL") == before
    assert len(before) == known


def test_actions_of_the_user_stay(market: Market, catalog: Catalog) -> None:
    import pyarrow as pa

    market.days("META", "2020-08-24", [10.0, 11.0])
    market.actions["META"] = [a_dividend(date(2020, 8, 25), 0.5)]
    renamed = {"ex_date": [date(2020, 8, 25)], "kind": ["symbol"], "symbol": ["META"]}
    catalog.write_actions("META", pa.table(renamed))
    ask(catalog, "2020-08-31T12:00:00", "META")
    assert [a[1] for a in actions(catalog, "META")] == ["dividend", "symbol"]


def test_quotes_become_ticks_each_once(market: Market, catalog: Catalog) -> None:
    market.quotes["AAPL"] = (ns("2020-08-28T14:00:00"), 125.5)
    for _ in range(2):
        [got] = ask(catalog, "2020-08-28T14:00:05", "AAPL", bar="tick")
        assert got.price == 125.5
    market.quotes["AAPL"] = (ns("2020-08-28T14:01:00"), 126.0)
    [got] = ask(catalog, "2020-08-28T14:01:05", "AAPL", bar="tick")
    assert (got.rows, got.first, got.last) == (1, ns("2020-08-28T14:00:00"), ns("2020-08-28T14:01:00"))
    assert stored(catalog, "AAPL", 0, "price") == [125.5, 126.0]
    assert stored(catalog, "AAPL", 0, "size") == [0.0, 0.0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"provider": "bloomberg"}, "there is no provider 'bloomberg'; there are yfinance, finnhub, fake"),
        ({"bar": "2d"}, "fake has no bars of 2d; it has tick, 1m, 1d"),
        ({"bar": "daily"}, "'daily' is no duration; write"),
        ({"start": "yesterday"}, "'yesterday' is no time; write a date"),
        ({"start": "2020-02-01", "end": "2020-02-01"}, "start 2020-02-01 is not before end 2020-02-01"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_asked(
    market: Market, catalog: Catalog, more: dict[str, str], message: str
) -> None:
    with pytest.raises(FetchError, match=message):
        ask(catalog, "2020-08-28T12:00:00", "AAPL", **more)
    assert market.asked == []


@pytest.mark.parametrize("symbol", ["", "A B", "../etc", "AAPL?x=1", "A" * 40, "AAPL\n"])
def test_text_that_is_no_symbol_is_refused(market: Market, catalog: Catalog, symbol: str) -> None:
    if symbol == "AAPL\n":  # blanks around it are no part of it
        market.days("AAPL", "2020-08-24", [10.0])
        assert ask(catalog, "2020-08-28T12:00:00", symbol)[0].rows == 1
        return
    with pytest.raises(FetchError, match="is no symbol; write one as the provider does"):
        ask(catalog, "2020-08-28T12:00:00", "AAPL", symbol)
    assert market.closed == 1


@pytest.mark.parametrize(("provider", "package"), [("yfinance", "yfinance"), ("finnhub", "finnhub-python")])
def test_missing_library_says_what_to_install(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, provider: str, package: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, provider, None)
    with pytest.raises(
        FetchError, match=rf"needs the package {package}, .* pip install 'papertape\[fetch\]'"
    ):
        ask(catalog, "2020-08-28T12:00:00", "AAPL", provider=provider)


Keys = Callable[..., str]


@pytest.fixture
def key_of() -> Keys:
    from daemon.fetch.finnhub_rest import key_of as read

    return lambda **environ: read(environ)


def test_key_comes_from_the_environment_or_from_a_file(key_of: Keys, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("filekey123\n")
    assert key_of(FINNHUB_API_KEY=" envkey123 ") == "envkey123"
    assert key_of(FINNHUB_API_KEY_FILE=str(file)) == "filekey123"
    assert key_of(FINNHUB_API_KEY="envkey123", FINNHUB_API_KEY_FILE=str(file)) == "envkey123"


def test_missing_or_broken_key_is_refused_without_showing_it(key_of: Keys, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"needs a key .* FINNHUB_API_KEY, or into a file"):
        key_of()
    with pytest.raises(
        FetchError, match=r"gone: the file of FINNHUB_API_KEY_FILE cannot be read: No such file"
    ):
        key_of(FINNHUB_API_KEY_FILE=str(tmp_path / "gone"))
    (tmp_path / "empty").write_text(" \n")
    with pytest.raises(FetchError, match="is empty; put the key into it"):
        key_of(FINNHUB_API_KEY_FILE=str(tmp_path / "empty"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(FetchError, match="cannot be read: it is no text"):
        key_of(FINNHUB_API_KEY_FILE=str(tmp_path / "binary"))
    with pytest.raises(FetchError, match="this is no key") as caught:
        key_of(FINNHUB_API_KEY="secret123\r\nX-Other: 1")
    assert "secret" not in str(caught.value)
