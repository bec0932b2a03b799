"""yfinance and finnhub-python themselves, against servers on this machine that speak and fail as the real ones do."""

import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon.catalog.store import Catalog
from daemon.fetch import Fetched, FetchError, fetch
from engine.records import DAY, SECOND
from tests.service.providers import Reply, Server, chart, serving
from tests.unit.daemon.fetch.outside import Clock, ns

MINUTE = 60 * SECOND
NOW = "2020-09-10T12:00:00"
KEY = "c0ffee5ecret1234"
CHART = "/v8/finance/chart/"

# Daily bars of AAPL around its split of 4:1 on 2020-08-31, as Yahoo gives them: prices divided by it, in single
# precision; and what was printed in the newspapers.
AAPL = [
    (1598448600, 126.17970275878906, 126.99250030517578, 125.0824966430664, 126.5224990844727, 163022400),
    (1598535000, 127.1425018310547, 127.4850006103516, 123.8324966430664, 125.01000213623047, 155552400),
    (1598621400, 126.01249694824219, 126.4424972534180, 124.5775070190430, 124.80750274658203, 187630000),
    (1598880600, 127.58000183105469, 131.0, 126.0, 129.0399932861328, 225702700),
    (1598967000, 132.75999450683594, 134.8000030517578, 130.5299987792969, 134.17999267578125, 151948100),
]
AS_TRADED = [506.09, 500.04, 499.23, 129.04, 134.18]
SPLIT = {1598880600: (4, 1)}


def t(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture
def yahoo(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Yahoo's servers are this one: https://HOST/PATH is /HOST/PATH here."""
    import yfinance.cache
    from curl_cffi.requests import Session
    from yfinance import data

    ask = Session.request

    def request(self: Any, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        return ask(self, method, url.replace("https://", f"http://127.0.0.1:{server.port}/"), *args, **kwargs)

    monkeypatch.setattr(Session, "request", request)
    # What yfinance keeps from one request to the next, in memory and in the user's folder.
    monkeypatch.setattr(yfinance.cache._TzCacheManager, "_tz_cache", yfinance.cache._TzCacheDummy())
    monkeypatch.setattr(
        yfinance.cache._CookieCacheManager, "_Cookie_cache", yfinance.cache._CookieCacheDummy()
    )
    monkeypatch.setattr(data.SingletonMeta, "_instances", {})
    data.YfData.cache_get.cache_clear()
    monkeypatch.setattr("daemon.fetch.yahoo.TIMEOUT_S", 0.1)
    server.on("/v1/test/getcrumb", Reply("crumb"))
    server.on("fc.yahoo.com", Reply("", 404))
    return server


@pytest.fixture
def finnhub(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Finnhub's server is this one."""
    from finnhub import Client

    monkeypatch.setattr(Client, "API_URL", f"http://127.0.0.1:{server.port}/api/v1")
    monkeypatch.setattr(Client, "DEFAULT_TIMEOUT", 0.1)
    monkeypatch.setenv("FINNHUB_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return server


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalog")


def ask(
    catalog: Catalog, *symbols: str, now: str = NOW, clock: Clock | None = None, **more: Any
) -> list[Fetched]:
    return fetch(catalog, symbols, outside=(clock or Clock(now)).outside, **more)


def charts(server: Server, symbol: str) -> list[dict[str, str]]:
    """The queries for bars, without the one by which yfinance learns of the time zone."""
    asked = [dict(a.query) for a in server.asked if a.path.endswith(f"{CHART}{symbol}")]
    return [query for query in asked if "period1" in query]


def rows(catalog: Catalog, symbol: str, bar_ns: int = DAY) -> list[tuple[Any, ...]]:
    names = ("open", "high", "low", "close", "volume")
    return [
        tuple(row[name] for name in names)
        for batch in catalog.read(symbol, bar_ns)
        for row in batch.to_pylist()
    ]


def starts(catalog: Catalog, symbol: str, bar_ns: int = DAY) -> list[int]:
    import pyarrow as pa

    return [x for b in catalog.read(symbol, bar_ns) for x in b.column("ts").cast(pa.int64()).to_pylist()]


# -- yfinance -----------------------------------------------------------------------------------------------------------


def test_yahoo_days_are_stored_as_traded_with_splits_and_dividends(yahoo: Server, catalog: Catalog) -> None:
    dividends = {1598448600: 0.205}  # 0.82 a share then
    yahoo.on(f"{CHART}AAPL", Reply(chart("AAPL", AAPL, splits=SPLIT, dividends=dividends)))
    [got] = ask(catalog, "AAPL")
    assert (got.error, got.rows, got.actions, got.price) == ("", 5, 2, 134.18)
    assert [row[3] for row in rows(catalog, "AAPL")] == AS_TRADED
    assert rows(catalog, "AAPL")[2] == (504.05, 505.77, 498.31, 499.23, 46907500.0)
    assert rows(catalog, "AAPL")[3] == (127.58, 131.0, 126.0, 129.04, 225702700.0)
    days = ["2020-08-26", "2020-08-27", "2020-08-28", "2020-08-31", "2020-09-01"]
    assert starts(catalog, "AAPL") == [ns(day) for day in days]
    table = catalog.actions("AAPL")
    assert table is not None
    assert [(str(a["ex_date"]), a["kind"], a["numerator"], a["amount"]) for a in table.to_pylist()] == [
        ("2020-08-26", "dividend", None, 0.82),
        ("2020-08-31", "split", 4.0, None),
    ]
    assert catalog.require("AAPL", DAY).adjusted == "raw"


def test_yahoo_tape_and_actions_give_back_what_yahoo_said(yahoo: Server, catalog: Catalog) -> None:
    yahoo.on(f"{CHART}AAPL", Reply(chart("AAPL", AAPL, splits=SPLIT)))
    ask(catalog, "AAPL")
    table = catalog.actions("AAPL")
    assert table is not None
    [split] = table.to_pylist()
    for start, stored, given in zip(starts(catalog, "AAPL"), rows(catalog, "AAPL"), AAPL, strict=True):
        before = start < ns(str(split["ex_date"]))
        ratio = split["numerator"] / split["denominator"] if before else 1
        assert [price / ratio for price in stored[:4]] == pytest.approx(given[1:5], abs=0.003)
        assert stored[4] * ratio == given[5]


def test_yahoo_goes_on_from_the_last_day_through_a_split(yahoo: Server, catalog: Catalog) -> None:
    undivided = [(day, 4 * o, 4 * h, 4 * low, 4 * c, v // 4) for day, o, h, low, c, v in AAPL[:3]]
    yahoo.on(f"{CHART}AAPL", Reply(chart("AAPL", undivided)))
    ask(catalog, "AAPL", now="2020-08-29T12:00:00")
    yahoo.on(f"{CHART}AAPL", Reply(chart("AAPL", AAPL[2:], splits=SPLIT)))
    [got] = ask(catalog, "AAPL")
    assert (got.error, got.rows, got.actions, got.anew) == ("", 2, 1, False)
    assert [row[3] for row in rows(catalog, "AAPL")] == AS_TRADED
    assert charts(yahoo, "AAPL")[-1]["period1"] == str(t("2020-08-28T04:00:00"))  # midnight in New York


def test_yahoo_bitcoin_has_days_of_utc_and_all_its_volume(yahoo: Server, catalog: Catalog) -> None:
    days = [(t("2020-09-08"), 10369.31, 10414.78, 9945.11, 10131.52, 33430927462)]
    days += [(t("2020-09-09"), 10134.15, 10350.54, 10017.25, 10242.35, 24128292755)]
    days += [(t("2020-09-10T11:59:00"), 10242.33, 10503.91, 10238.14, 10363.14, 54406443211)]
    yahoo.on(f"{CHART}BTC-USD", Reply(chart("BTC-USD", days, zone="UTC")))
    [got] = ask(catalog, "BTC-USD")
    assert (got.rows, got.last) == (2, ns("2020-09-09"))  # the 10th goes on
    assert rows(catalog, "BTC-USD")[0] == (10369.31, 10414.78, 9945.11, 10131.52, 33430927462.0)


def test_yahoo_minutes_are_asked_for_by_the_week_and_have_the_splits_of_the_days(
    yahoo: Server, catalog: Catalog
) -> None:
    def period(day: str) -> dict[str, Any]:
        return {"timezone": "EDT", "gmtoffset": -14400, "start": t(f"{day}T13:30"), "end": t(f"{day}T20:00")}

    day, next_day = "2020-08-28", "2020-08-31"
    week = [(t(f"{day}T13:30") + 60 * i, 126.0, 126.5, 125.5, 126.25, 1000) for i in range(3)]
    week += [(t(f"{next_day}T13:30"), 127.58, 128.0, 127.5, 127.75, 4000)]
    week += [(t(f"{next_day}T13:31:07"), 128.0, 128.0, 128.0, 128.0, 0)]  # the latest price
    minutes = chart("AAPL", week, interval="1m", periods=[[period(day)], [period(next_day)]])
    nothing = chart("AAPL", [], interval="1m")
    learns = chart("AAPL", AAPL[2:4])
    daily = chart("AAPL", AAPL[2:4], splits=SPLIT)
    yahoo.on(f"{CHART}AAPL", Reply(learns), Reply(daily), Reply(nothing), Reply(minutes))
    [got] = ask(catalog, "AAPL", bar="1m", start="2020-08-20", now="2020-08-31T13:32:30")
    assert (got.error, got.rows, got.actions) == ("", 4, 1)
    assert [row[0] for row in rows(catalog, "AAPL", MINUTE)] == [504.0, 504.0, 504.0, 127.58]
    assert [row[4] for row in rows(catalog, "AAPL", MINUTE)] == [250, 250, 250, 4000]
    assert starts(catalog, "AAPL", MINUTE)[-1] == ns("2020-08-31T13:30:00")
    asked = [(q["interval"], q["period1"], q["period2"]) for q in charts(yahoo, "AAPL")]
    now, tomorrow = str(t("2020-08-31T13:32:30")), str(t("2020-09-01T13:32:30"))
    assert asked == [
        ("1d", str(t("2020-08-20T04:00")), tomorrow),
        ("1m", str(t("2020-08-20")), str(t("2020-08-27"))),
        ("1m", str(t("2020-08-27")), now),
    ]


def test_yahoo_is_asked_for_no_minutes_older_than_it_has(yahoo: Server, catalog: Catalog) -> None:
    yahoo.on(f"{CHART}AAPL", Reply(chart("AAPL", AAPL)), Reply(chart("AAPL", [], interval="1m")))
    [got] = ask(catalog, "AAPL", bar="1m", start="2015-01-01")
    assert got.error == "AAPL: yfinance has no bars in the time asked for that have ended"
    minutes = [q for q in charts(yahoo, "AAPL") if q["interval"] == "1m"]
    assert int(minutes[0]["period1"]) == t(NOW) - 29 * 86400
    assert all(int(q["period2"]) - int(q["period1"]) <= 7 * 86400 for q in minutes)
    assert [q["period1"] for q in minutes[1:]] == [q["period2"] for q in minutes[:-1]]
    assert minutes[-1]["period2"] == str(t(NOW))


@pytest.mark.parametrize("status", [500, 502, 503])
def test_yahoo_out_of_order_is_asked_again(yahoo: Server, catalog: Catalog, status: int) -> None:
    clock, said = Clock(NOW), list[str]()
    good = Reply(chart("AAPL", AAPL, splits=SPLIT))
    yahoo.on(f"{CHART}AAPL", good, Reply("<html>oops</html>", status), Reply("", status), good)
    [got] = ask(catalog, "AAPL", clock=clock, tell=said.append)
    assert (got.error, got.rows) == ("", 5)
    assert len(said) == len(clock.slept) == 2
    assert said[0].startswith(f"AAPL: Yahoo is out of order (HTTP {status}); attempt 2 of 5 in ")


def test_yahoo_that_is_asked_too_often_is_given_the_time_it_wants(yahoo: Server, catalog: Catalog) -> None:
    clock = Clock(NOW)
    good = Reply(chart("AAPL", AAPL, splits=SPLIT))
    busy = Reply("Too Many Requests\r\n", 429, {"Retry-After": "23", "Content-Type": "text/html"})
    dated = Reply("Too Many Requests\r\n", 429, {"Retry-After": "Thu, 10 Sep 2020 12:01:23 GMT"})
    yahoo.on(f"{CHART}AAPL", busy, dated, good)
    [got] = ask(catalog, "AAPL", clock=clock)
    assert (got.error, got.rows) == ("", 5)
    assert clock.slept == [23.0, 60.0]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Reply(reset=True), r"no answer from Yahoo \((ConnectionError|RequestException)"),
        (Reply(silent=True), "no answer from Yahoo .*Timeout"),
        (Reply(chart("AAPL", AAPL), cut_to=100), "the answer from Yahoo is cut short|no answer from Yahoo"),
    ],
)
def test_yahoo_that_does_not_answer_is_asked_five_times(
    yahoo: Server, catalog: Catalog, fault: Reply, words: str
) -> None:
    clock, begun = Clock(NOW), time.perf_counter()
    yahoo.on(f"{CHART}AAPL", fault)
    [got] = ask(catalog, "AAPL", clock=clock)
    assert time.perf_counter() - begun < 5  # yfinance's own time limit is ten seconds each
    assert re.match(f"AAPL: ({words})", got.error), got.error
    assert "gave up after 5 attempts" in got.error
    assert len([a for a in yahoo.asked if CHART in a.path]) == len(clock.slept) + 1 == 5
    assert not catalog.folder.exists()


def not_found(text: str) -> dict[str, Any]:
    return {"chart": {"result": None, "error": {"code": "Not Found", "description": text}}}


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (
            Reply(not_found("No data found, symbol may be delisted"), 404),
            "Yahoo does not know this symbol (HTTP 404): No data found, symbol may be delisted",
        ),
        (Reply("Forbidden", 403), "Yahoo refuses (HTTP 403)"),
        (Reply(not_found("1m data not available"), 422), "Yahoo refuses (HTTP 422): 1m data not available"),
        (Reply('{"chart": {"result": [', 200), "Yahoo's answer is not of the shape that yfinance reads"),
        (Reply("<html>moved</html>", 200), "Yahoo's answer is not of the shape that yfinance reads"),
        (Reply("[]", 200), "Yahoo's answer is not of the shape that yfinance reads"),
        (Reply({}, 200), "Yahoo's answer is not of the shape that yfinance reads"),
    ],
)
def test_yahoo_that_says_no_or_nonsense_is_asked_once(
    yahoo: Server, catalog: Catalog, reply: Reply, words: str
) -> None:
    clock = Clock(NOW)
    yahoo.on(f"{CHART}NOPE", reply)
    yahoo.on(f"{CHART}AAPL", Reply(chart("AAPL", AAPL, splits=SPLIT)))
    failed, got = ask(catalog, "NOPE", "AAPL", clock=clock)
    assert failed.error.startswith(f"NOPE: {words}"), failed.error
    assert len([a for a in yahoo.asked if a.path.endswith("NOPE")]) == 1
    assert clock.slept == []
    assert (got.error, got.rows) == ("", 5)  # the others go on
    assert list(catalog.instruments()) == ["AAPL"]


@pytest.mark.parametrize("missing", ["volume", "close", "timestamp", "currency", "events"])
def test_yahoo_answer_without_a_field_is_refused(yahoo: Server, catalog: Catalog, missing: str) -> None:
    good, broken = chart("AAPL", AAPL, splits=SPLIT), chart("AAPL", AAPL, splits=SPLIT)
    result = broken["chart"]["result"][0]
    if missing == "events":
        del result["events"]["splits"]["1598880600"]["denominator"]
    else:
        where = {"timestamp": result, "currency": result["meta"]}.get(
            missing, result["indicators"]["quote"][0]
        )
        del where[missing]
    yahoo.on(f"{CHART}AAPL", Reply(good), Reply(broken))  # the first tells the time zone
    [got] = ask(catalog, "AAPL")
    assert "is not of the shape that yfinance reads" in got.error
    assert not catalog.folder.exists()


def test_yahoo_without_bars_is_an_error(yahoo: Server, catalog: Catalog) -> None:
    yahoo.on(f"{CHART}AAPL", Reply(chart("AAPL", [])))
    [got] = ask(catalog, "AAPL")
    assert got.error == "AAPL: yfinance has no bars in the time asked for that have ended"


def test_yahoo_rows_without_prices_are_counted_and_order_is_put_right(
    yahoo: Server, catalog: Catalog
) -> None:
    empty = (t("2020-09-02T13:30"), None, None, None, None, None)
    half = (t("2020-09-03T13:30"), 130.0, 131.0, None, 130.5, 1000)
    late = (t("2020-09-04T13:30"), 120.07, 123.7, 110.89, 120.96, 332607200)
    answer = chart("AAPL", [*AAPL[::-1], empty, half, late, AAPL[1]], splits=SPLIT)
    yahoo.on(f"{CHART}AAPL", Reply(answer))
    [got] = ask(catalog, "AAPL")
    assert (got.error, got.rows) == ("", 6)
    assert dict(got.refused) == {"price is no positive number": 2}
    assert [row[3] for row in rows(catalog, "AAPL")] == [*AS_TRADED, 120.96]
    assert catalog.require("AAPL", DAY).refused == {"price is no positive number": 2}


def test_yahoo_split_of_today_waits_for_the_first_trade(yahoo: Server, catalog: Catalog) -> None:
    yahoo.on(f"{CHART}AAPL", Reply(chart("AAPL", AAPL[:3], splits=SPLIT)))
    [got] = ask(catalog, "AAPL", now="2020-08-31T11:00:00")
    assert "nothing was traded since the split of 4:1 on 2020-08-31" in got.error
    yahoo.on(f"{CHART}AAPL", Reply(chart("AAPL", AAPL[:4], splits=SPLIT)))
    [got] = ask(catalog, "AAPL", now="2020-08-31T14:00:00")
    assert (got.error, got.rows, got.actions, dict(got.refused)) == ("", 3, 1, {})
    assert [row[3] for row in rows(catalog, "AAPL")] == AS_TRADED[:3]


def test_yahoo_dividend_after_the_last_bar_is_no_bad_row(yahoo: Server, catalog: Catalog) -> None:
    yahoo.on(f"{CHART}AAPL", Reply(chart("AAPL", AAPL[3:], dividends={t("2020-09-03T13:30"): 0.205})))
    [got] = ask(catalog, "AAPL")
    assert (got.error, got.rows, got.actions, dict(got.refused)) == ("", 2, 1, {})


def test_yahoo_days_are_those_of_the_exchange(yahoo: Server, catalog: Catalog) -> None:
    days = [(t(f"2020-09-{day:02}"), 7000.0, 7050.0, 6990.0, 7020.0, 5000000) for day in (8, 9, 10)]
    yahoo.on(f"{CHART}7203.T", Reply(chart("7203.T", days, zone="Asia/Tokyo")))
    [got] = ask(catalog, "7203.T", now="2020-09-10T14:59:00")  # 23:59 in Tokyo
    assert (got.error, got.rows) == ("", 2)
    assert starts(catalog, "7203.T") == [ns("2020-09-08"), ns("2020-09-09")]
    [got] = ask(catalog, "7203.T", now="2020-09-10T15:00:00")
    assert (got.rows, got.last) == (1, ns("2020-09-10"))


def test_yahoo_reason_for_no_bars_is_passed_on(yahoo: Server, catalog: Catalog) -> None:
    good = Reply(chart("AAPL", AAPL))
    yahoo.on(f"{CHART}AAPL", good, Reply(not_found("Data doesn't exist for startDate = 1")))
    [got] = ask(catalog, "AAPL")
    assert got.error == "AAPL: Yahoo says: Data doesn't exist for startDate = 1"


def test_yahoo_cookie_that_ran_out_is_renewed(yahoo: Server, catalog: Catalog) -> None:
    good = Reply(chart("AAPL", AAPL, splits=SPLIT))
    invalid = Reply({"finance": {"result": None, "error": {"code": "Unauthorized"}}}, 401)
    yahoo.on(f"{CHART}AAPL", good, invalid, good)
    [got] = ask(catalog, "AAPL")
    assert (got.error, got.rows) == ("", 5)


def test_yahoo_is_left_as_it_was_and_quiet(
    yahoo: Server, catalog: Catalog, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    import yfinance

    yahoo.on(f"{CHART}AAPL", Reply("", 500))
    yahoo.on("/v1/test/getcrumb", Reply("", 500))
    ask(catalog, "AAPL", "NOPE")
    assert yfinance.config.debug.hide_exceptions is True
    assert logging.getLogger("yfinance").level == logging.NOTSET
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")


# -- finnhub ------------------------------------------------------------------------------------------------------------


def candles(*days: tuple[str, float, float, float, float, float]) -> dict[str, Any]:
    columns: dict[str, Any] = {"t": [t(day) for day, *_ in days], "s": "ok"}
    return columns | {name: [day[i] for day in days] for i, name in enumerate("ohlcv", 1)}


DAYS = candles(
    ("2020-08-28", 126.0125, 126.4425, 124.5775, 124.8075, 187630000),
    ("2020-08-31", 127.58, 131.0, 126.0, 129.04, 225702700),
    ("2020-09-01", 132.76, 134.8, 130.53, 134.18, 151948100),
)
SPLITS = [{"symbol": "AAPL", "date": "2020-08-31", "fromFactor": 1, "toFactor": 4}]
QUOTE = {"c": 113.49, "d": -3.83, "dp": -3.26, "h": 120.5, "l": 112.5, "o": 120.36, "pc": 117.32}


def finnhub_days(server: Server) -> None:
    server.on("/stock/candle", Reply(DAYS))
    server.on("/stock/split", Reply(SPLITS))


def test_finnhub_days_are_stored_as_traded_with_splits(finnhub: Server, catalog: Catalog) -> None:
    finnhub_days(finnhub)
    [got] = ask(catalog, "AAPL", provider="finnhub", start="2020-08-28")
    assert (got.error, got.rows, got.actions) == ("", 3, 1)
    assert rows(catalog, "AAPL") == [
        (504.05, 505.77, 498.31, 499.23, 46907500.0),
        (127.58, 131.0, 126.0, 129.04, 225702700.0),
        (132.76, 134.8, 130.53, 134.18, 151948100.0),
    ]
    first, second = finnhub.asked
    assert first.query == {
        "symbol": "AAPL",
        "resolution": "D",
        "from": str(t("2020-08-28")),
        "to": str(t(NOW)),
    }
    assert second.query == {"symbol": "AAPL", "from": "2020-08-28", "to": "2020-09-11"}


def test_finnhub_minutes_come_as_traded_already_by_the_month(finnhub: Server, catalog: Catalog) -> None:
    july = candles(("2020-07-02T13:30:00", 364.0, 366.0, 363.5, 365.0, 900))
    end = candles(
        ("2020-07-31T00:00:00", 410.0, 411.0, 409.0, 410.5, 50),  # `to` is included: the next call has it too
        ("2020-08-28T19:59:00", 499.0, 499.5, 498.9, 499.23, 5000),
    )
    september = candles(("2020-08-31T13:30:00", 127.58, 128.0, 127.5, 127.9, 20000))
    both = july | {k: [*july[k], end[k][0]] for k in "tohlcv"}
    finnhub.on("/stock/candle", Reply(both), Reply(end), Reply(september))
    finnhub.on("/stock/split", Reply(SPLITS))
    [got] = ask(catalog, "AAPL", provider="finnhub", bar="1m", start="2020-07-01")
    assert (got.error, got.rows, dict(got.refused)) == ("", 4, {})
    assert [row[3] for row in rows(catalog, "AAPL", MINUTE)] == [365.0, 410.5, 499.23, 127.9]
    spans = [(a.query["from"], a.query["to"]) for a in finnhub.asked if "resolution" in a.query]
    assert spans == [
        (str(t("2020-07-01")), str(t("2020-07-31"))),
        (str(t("2020-07-31")), str(t("2020-08-30"))),
        (str(t("2020-08-30")), str(t(NOW))),
    ]


def test_finnhub_crypto_has_its_own_candles_and_no_splits(finnhub: Server, catalog: Catalog) -> None:
    finnhub.on("/crypto/candle", Reply(candles(("2020-09-09", 10126.0, 10343.0, 9981.0, 10219.2, 61749.5))))
    [got] = ask(catalog, "BINANCE:BTCUSDT", provider="finnhub", start="2020-09-01")
    assert (got.error, got.rows) == ("", 1)
    assert rows(catalog, "BINANCE:BTCUSDT") == [(10126.0, 10343.0, 9981.0, 10219.2, 61749.5)]


def test_finnhub_free_key_has_quotes_but_no_candles(finnhub: Server, catalog: Catalog) -> None:
    finnhub.on("/stock/candle", Reply({"error": "You don't have access to this resource."}, 403))
    finnhub.on("/quote", Reply(QUOTE | {"t": t("2020-09-10T11:59:58")}))
    clock = Clock(NOW)
    [bars] = ask(catalog, "AAPL", provider="finnhub", clock=clock)
    assert (
        "your Finnhub key has no right to this (HTTP 403: You don't have access to this resource.)"
        in bars.error
    )
    assert "fetch bars with --provider yfinance" in bars.error
    assert (len(finnhub.asked), clock.slept) == (1, [])
    [tick] = ask(catalog, "AAPL", provider="finnhub", bar="tick")
    assert (tick.error, tick.rows, tick.price) == ("", 1, 113.49)
    assert tick.last == ns("2020-09-10T11:59:58")


def test_finnhub_symbol_without_a_quote_is_not_of_price_zero(finnhub: Server, catalog: Catalog) -> None:
    nothing = {"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}
    finnhub.on("/quote", Reply(nothing))
    [got] = ask(catalog, "NOPE", provider="finnhub", bar="tick")
    assert got.error == "NOPE: Finnhub has no quote of this symbol"
    assert not catalog.folder.exists()


def test_finnhub_key_is_in_no_url_message_log_or_file(
    finnhub: Server, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    finnhub_days(finnhub)
    said = list[str]()
    ask(catalog, "AAPL", provider="finnhub", tell=said.append)
    echo = Reply({"error": f"no such key: {KEY}"}, 401)
    finnhub.on("/stock/candle", Reply(reset=True), echo)
    finnhub.on("/quote", Reply(f"key {KEY}", 500), Reply(f"<html>{KEY}</html>"))
    failed = ask(catalog, "TSLA", provider="finnhub", tell=said.append)
    failed += ask(catalog, "TSLA", provider="finnhub", bar="tick", tell=said.append)
    assert all(f.error for f in failed)
    assert (
        "does not accept the key (HTTP 401: no such key: (the key)); check FINNHUB_API_KEY" in failed[0].error
    )
    assert all({k.lower(): v for k, v in a.headers.items()}["x-finnhub-token"] == KEY for a in finnhub.asked)
    assert all(KEY not in a.raw for a in finnhub.asked)
    assert "/api/v1" in caplog.text  # urllib3 does log URLs
    for text in (caplog.text, *said, *(f.error for f in failed)):
        assert KEY not in text
    files = [p for p in catalog.folder.rglob("*") if p.is_file()]
    assert files
    assert all(KEY.encode() not in p.read_bytes() for p in files)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            Reply({"error": "API limit reached. Please try again later. Remaining Limit: 0"}, 429),
            "Finnhub says that it is asked too often (HTTP 429: API limit reached.",
        ),
        (Reply("bad gateway", 502), "Finnhub is out of order (HTTP 502)"),
        (Reply(reset=True), "no answer from Finnhub (ConnectionError)"),
        (Reply(silent=True), "no answer from Finnhub (ReadTimeout)"),
        (Reply(DAYS, cut_to=60), "no answer from Finnhub (ChunkedEncodingError)"),
    ],
)
def test_finnhub_faults_that_pass_are_waited_out_five_times_at_most(
    finnhub: Server, catalog: Catalog, fault: Reply, words: str
) -> None:
    finnhub_days(finnhub)
    finnhub.on("/stock/candle", fault, fault, Reply(DAYS))
    clock, said = Clock(NOW), list[str]()
    [got] = ask(catalog, "AAPL", provider="finnhub", clock=clock, tell=said.append)
    assert (got.error, got.rows, len(clock.slept)) == ("", 3, 2)
    assert said[0].startswith(f"AAPL: {words}")
    finnhub.on("/stock/candle", fault)
    [got] = ask(catalog, "TSLA", provider="finnhub", clock=clock)
    assert got.error.startswith(f"TSLA: {words}")
    assert got.error.endswith("gave up after 5 attempts, try again later")
    assert list(catalog.instruments()) == ["AAPL"]


def test_finnhub_wish_to_wait_is_kept(finnhub: Server, catalog: Catalog) -> None:
    finnhub_days(finnhub)
    busy = Reply({"error": "API limit reached."}, 429, {"Retry-After": "41"})
    finnhub.on("/stock/candle", busy, Reply(DAYS))
    clock = Clock(NOW)
    [got] = ask(catalog, "AAPL", provider="finnhub", clock=clock)
    assert (got.error, clock.slept) == ("", [41.0])


def test_finnhub_is_asked_sixty_times_a_minute_at_most(finnhub: Server, catalog: Catalog) -> None:
    finnhub.on("/quote", Reply(QUOTE | {"t": t("2020-09-10T11:59:58")}))
    clock = Clock(NOW)
    ask(catalog, *(f"S{i}" for i in range(80)), provider="finnhub", bar="tick", clock=clock)
    assert len(finnhub.asked) == 80
    assert 60 <= sum(clock.slept) <= 120  # 20 at once, then 40 a minute


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply('{"s": "ok", "t": [', 200), "Finnhub's answer is not of the shape"),
        (Reply("<html>", 200, {"Content-Type": "text/html"}), "Finnhub's answer is not of the shape"),
        (Reply("plain", 200, {"Content-Type": "text/plain"}), "Finnhub's answer is not of the shape"),
        (Reply([1, 2]), "Finnhub's answer is not of the shape"),
        (Reply({"s": "error"}), "Finnhub's answer is not of the shape"),
        (Reply({k: v for k, v in DAYS.items() if k != "v"}), "Finnhub's answer is not of the shape"),
        (Reply(DAYS | {"t": ["monday"] * 3}), "Finnhub's answer is not of the shape"),
        (Reply(DAYS | {"t": [10**30] * 3}), "Finnhub's answer is not of the shape"),
        (Reply(DAYS | {"t": [10**15] * 3}), "Finnhub's answer is not of the shape"),
        (Reply(DAYS | {"c": [1.0]}), "Finnhub's answer has columns of different lengths"),
        (Reply(DAYS | {"c": [None, None, 1.0]}), "3 of 3 rows are bad"),
        (Reply({"s": "no_data"}), "finnhub has no bars in the time asked for"),
        (Reply({"error": "Symbol not supported"}, 400), "Finnhub refuses (HTTP 400: Symbol not supported)"),
    ],
)
def test_finnhub_nonsense_is_refused_at_once_and_the_others_go_on(
    finnhub: Server, catalog: Catalog, reply: Reply, words: str
) -> None:
    finnhub_days(finnhub)
    finnhub.on("/stock/candle", reply, Reply(DAYS))
    clock = Clock(NOW)
    failed, got = ask(catalog, "NOPE", "AAPL", provider="finnhub", clock=clock)
    assert failed.error.startswith(f"NOPE: {words}"), failed.error
    assert (got.error, got.rows, clock.slept) == ("", 3, [])
    assert list(catalog.instruments()) == ["AAPL"]


@pytest.mark.parametrize(
    "quote", [{}, [], {"c": None, "t": 5}, {"c": "x", "t": 5}, {"c": -1, "t": 5}, {"c": 5, "t": 0}, {"c": 5}]
)
def test_finnhub_quote_of_another_shape_is_refused(finnhub: Server, catalog: Catalog, quote: Any) -> None:
    finnhub.on("/quote", Reply(quote))
    [got] = ask(catalog, "AAPL", provider="finnhub", bar="tick")
    assert "Finnhub's answer is not of the shape" in got.error


@pytest.mark.parametrize(
    "split", [{"date": "soon", "fromFactor": 1, "toFactor": 4}, {"date": "2020-08-31"}, {}, 7]
)
def test_finnhub_splits_of_another_shape_are_refused(finnhub: Server, catalog: Catalog, split: Any) -> None:
    finnhub_days(finnhub)
    finnhub.on("/stock/split", Reply([split]))
    [got] = ask(catalog, "AAPL", provider="finnhub")
    assert "Finnhub's answer is not of the shape" in got.error
    assert not catalog.folder.exists()


def test_finnhub_without_a_key_asks_nobody(
    finnhub: Server, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FINNHUB_API_KEY")
    with pytest.raises(FetchError, match="finnhub needs a key"):
        ask(catalog, "AAPL", provider="finnhub")
    assert finnhub.asked == []


# -- both ---------------------------------------------------------------------------------------------------------------


def test_importing_the_fetcher_loads_no_client_library() -> None:
    program = "import sys, json, daemon.fetch, daemon.fetch.yahoo, daemon.fetch.finnhub_rest; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"yfinance", "finnhub", "requests", "curl_cffi", "pandas", "pyarrow", "numba"}
    assert heavy.isdisjoint(json.loads(done.stdout))
