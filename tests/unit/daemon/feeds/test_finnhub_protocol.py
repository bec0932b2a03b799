"""Finnhub's frames: what is taken, what is refused and counted, and that nothing raises."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.feeds.finnhub_protocol import (
    Junk,
    Message,
    Ping,
    Protocol,
    ProtocolCounters,
    Refusal,
    Rules,
    ServerError,
    subscribe,
)
from daemon.feeds.items import Prints
from engine.records import SECOND
from tests.unit.daemon.feeds.doubles import NOON, frame, ns, trade, trades

NOW_MS = NOON // 1_000_000
SYMBOLS = {"AAPL": 4, "TSLA": 2, "BINANCE:BTCUSDT": 7}
MESSAGES = Path(__file__).parents[5] / "shared/data/finnhub/ws_messages.jsonl"


def protocol(**rules: Any) -> Protocol:
    return Protocol(SYMBOLS, Rules(**rules))


def receive(reader: Protocol, said: object, now: int = NOON) -> Message:
    return reader.receive(said if isinstance(said, bytes) else frame(said), now)


def rows(message: Message) -> list[tuple[int, float, float]]:
    assert isinstance(message, Prints)
    return list(zip(message.instrument.tolist(), message.price.tolist(), message.size.tolist(), strict=True))


def refusals(reader: Protocol) -> dict[str, int]:
    counted = dataclasses.asdict(reader.counters)
    return {name: n for name in Refusal if (n := counted[name])}


def test_trades_become_columns_in_the_order_of_the_frame() -> None:
    reader = protocol()
    said = trades(trade("TSLA", 122.09, NOW_MS - 2, 10), trade("AAPL", 129, NOW_MS - 1, 0.5, c=["1"]))
    prints = receive(reader, said)
    assert isinstance(prints, Prints)
    assert prints.ts_event.tolist() == [NOON - 2_000_000, NOON - 1_000_000]
    assert rows(prints) == [(2, 122.09, 10.0), (4, 129.0, 0.5)]
    assert prints.flags.tolist() == [0, 0]
    assert [c.dtype for c in prints.columns] == [np.int64, np.int32, np.float64, np.float64, np.uint8]
    assert reader.counters == ProtocolCounters(frames=1, prints=2)


def test_two_equal_prints_are_two() -> None:
    one = trade("AAPL", 133.55, NOW_MS, 10)
    assert len(rows(receive(protocol(), trades(one, one)))) == 2


@pytest.mark.parametrize(
    "conditions", [{}, {"c": None}, {"c": []}, {"c": ["1", "24"]}, {"c": [{"12": 1}, ["12"]]}]
)
def test_print_without_a_condition_that_forms_no_price_is_taken(conditions: dict[str, object]) -> None:
    reader = protocol(no_price=frozenset({"12", "7"}))
    assert rows(receive(reader, trades(trade("AAPL", 1.5, NOW_MS, 2, **conditions)))) == [(4, 1.5, 2.0)]


@pytest.mark.parametrize("conditions", [["1", "12"], ["7"], [12]])
def test_condition_that_forms_no_price_is_refused_and_counted_and_no_news(conditions: list[object]) -> None:
    reader = protocol(no_price=frozenset({"12", "7"}))
    said = trades(trade("AAPL", 9.0, NOW_MS, c=conditions), trade("AAPL", 1.5, NOW_MS, c=["1"]))
    assert rows(receive(reader, said)) == [(4, 1.5, 1.0)]
    assert refusals(reader) == {"no_price": 1}
    assert reader.news == []


def test_print_that_forms_no_price_does_not_make_others_late() -> None:
    reader = protocol(no_price=frozenset({"12"}), late_ns=0)
    receive(reader, trades(trade("AAPL", 9.0, NOW_MS, c=["12"])))
    assert len(rows(receive(reader, trades(trade("AAPL", 9.0, NOW_MS - 500))))) == 1


def test_ping_and_error_are_told_apart_and_counted() -> None:
    reader = protocol()
    assert receive(reader, {"type": "ping"}) == Ping()
    assert receive(reader, {"msg": "Subscribing to too many symbols", "type": "error"}) == ServerError(
        "Subscribing to too many symbols"
    )
    assert receive(reader, {"type": "error", "msg": [1]}) == ServerError("[1]")
    assert reader.counters == ProtocolCounters(frames=3, pings=1, errors=2)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (trade("AAPL", float("nan"), NOW_MS), Refusal.BAD_PRICE),
        (trade("AAPL", float("inf"), NOW_MS), Refusal.BAD_PRICE),
        (trade("AAPL", -1.0, NOW_MS), Refusal.BAD_PRICE),
        (trade("AAPL", 0, NOW_MS), Refusal.BAD_PRICE),
        (trade("AAPL", 1.1e9, NOW_MS), Refusal.BAD_PRICE),
        (trade("AAPL", 10**400, NOW_MS), Refusal.BAD_PRICE),
        (trade("AAPL", 1.0, NOW_MS, float("nan")), Refusal.BAD_SIZE),
        (trade("AAPL", 1.0, NOW_MS, -1), Refusal.BAD_SIZE),
        (trade("AAPL", 1.0, NOW_MS, 1.1e12), Refusal.BAD_SIZE),
        (trade("AAPL", "1.0", NOW_MS), Refusal.WRONG_FIELDS),
        (trade("AAPL", True, NOW_MS), Refusal.WRONG_FIELDS),
        (trade("AAPL", None, NOW_MS), Refusal.WRONG_FIELDS),
        (trade("AAPL", 1.0, NOW_MS, True), Refusal.WRONG_FIELDS),
        (trade("AAPL", 1.0, NOW_MS, "5"), Refusal.WRONG_FIELDS),
        (trade("AAPL", 1.0, str(NOW_MS)), Refusal.WRONG_FIELDS),
        (trade("AAPL", 1.0, float(NOW_MS)), Refusal.WRONG_FIELDS),
        (trade("AAPL", 1.0, NOW_MS, c="12"), Refusal.WRONG_FIELDS),
        (trade("AAPL", 1.0, NOW_MS, c={"12": 1}), Refusal.WRONG_FIELDS),
        ({"s": ["AAPL"], "p": 1.0, "t": NOW_MS, "v": 1}, Refusal.WRONG_FIELDS),
        ({"s": 3, "p": 1.0, "t": NOW_MS, "v": 1}, Refusal.WRONG_FIELDS),
        ({"s": "AAPL", "p": 1.0, "t": NOW_MS}, Refusal.WRONG_FIELDS),
        ({"s": "AAPL", "t": NOW_MS, "v": 1}, Refusal.WRONG_FIELDS),
        ([1, 2], Refusal.WRONG_FIELDS),
        ("AAPL", Refusal.WRONG_FIELDS),
        (None, Refusal.WRONG_FIELDS),
        (7, Refusal.WRONG_FIELDS),
        (trade("MSFT", 1.0, NOW_MS), Refusal.UNKNOWN_SYMBOL),
        (trade("aapl", 1.0, NOW_MS), Refusal.UNKNOWN_SYMBOL),
        (trade("AAPL", 1.0, 0), Refusal.OLD),
        (trade("AAPL", 1.0, -5), Refusal.OLD),
        (trade("AAPL", 1.0, NOW_MS // 1000), Refusal.OLD),  # seconds for milliseconds
        (trade("AAPL", 1.0, NOW_MS * 1000), Refusal.FUTURE),  # microseconds
        (trade("AAPL", 1.0, 10**30), Refusal.FUTURE),
    ],
)
def test_bad_print_is_refused_counted_and_told_and_the_others_of_its_frame_are_kept(
    bad: object, reason: Refusal
) -> None:
    reader = protocol(no_price=frozenset({"7"}))
    said = trades(trade("AAPL", 1.5, NOW_MS), bad, trade("TSLA", 2.5, NOW_MS))
    assert rows(receive(reader, said)) == [(4, 1.5, 1.0), (2, 2.5, 1.0)]
    assert refusals(reader) == {reason: 1}
    assert [told for told, _ in reader.news] == [reason]
    assert reader.counters.prints == 2
    only = receive(reader, trades(bad))
    assert isinstance(only, Junk)
    assert only.reason == reason
    assert refusals(reader) == {reason: 2}


def test_size_of_zero_and_the_limits_themselves_are_taken() -> None:
    edge = [trade("AAPL", 1e9, NOW_MS, 0), trade("AAPL", 1e-8, NOW_MS, 1e12)]
    assert rows(receive(protocol(), trades(*edge))) == [(4, 1e9, 0.0), (4, 1e-8, 1e12)]


def test_time_ahead_of_ours_is_taken_up_to_the_tolerance() -> None:
    reader = protocol(future_ns=2 * SECOND)
    said = trades(trade("AAPL", 1.0, NOW_MS + 2000), trade("AAPL", 2.0, NOW_MS + 2001))
    assert rows(receive(reader, said)) == [(4, 1.0, 1.0)]
    assert refusals(reader) == {"future": 1}


def test_print_of_a_day_ago_is_taken_and_of_a_millisecond_more_is_old() -> None:
    reader = protocol()
    day = 86_400_000
    said = trades(trade("AAPL", 1.0, NOW_MS - day), trade("TSLA", 2.0, NOW_MS - day - 1))
    assert rows(receive(reader, said)) == [(4, 1.0, 1.0)]
    assert refusals(reader) == {"old": 1}


def test_late_print_is_dropped_and_counted_by_its_own_symbols_last() -> None:
    reader = protocol(late_ns=3 * SECOND)
    receive(reader, trades(trade("AAPL", 1.0, NOW_MS)))
    said = trades(
        trade("AAPL", 2.0, NOW_MS - 3000),  # just within
        trade("AAPL", 3.0, NOW_MS - 3001),
        trade("TSLA", 4.0, NOW_MS - 9000),  # the first of its symbol
    )
    assert [price for _, price, _ in rows(receive(reader, said))] == [2.0, 4.0]
    assert refusals(reader) == {"late": 1}
    assert reader.news == []


def test_late_print_is_counted_and_passed_on_where_so_configured() -> None:
    reader = protocol(late_ns=3 * SECOND, drop_late=False)
    said = trades(
        trade("AAPL", 1.0, NOW_MS), trade("AAPL", 2.0, NOW_MS - 4000), trade("AAPL", 3.0, NOW_MS - 3000)
    )
    assert [price for _, price, _ in rows(receive(reader, said))] == [1.0, 2.0, 3.0]
    assert refusals(reader) == {"late": 1}


def test_print_of_the_future_does_not_make_those_of_now_late() -> None:
    reader = protocol(future_ns=9 * SECOND, late_ns=SECOND)
    said = trades(trade("AAPL", 1.0, NOW_MS + 9000), trade("AAPL", 2.0, NOW_MS - 500))
    assert len(rows(receive(reader, said))) == 2


def test_frame_that_is_repeated_is_counted_and_dropped_only_where_so_configured() -> None:
    said = trades(trade("AAPL", 1.0, NOW_MS))
    passing, dropping = protocol(), protocol(drop_repeated=True)
    assert [len(rows(receive(passing, said))) for _ in range(3)] == [1, 1, 1]
    assert refusals(passing) == {"repeated": 2}
    assert len(rows(receive(dropping, said))) == 1
    assert receive(dropping, {"type": "ping"}) == Ping()
    assert isinstance(receive(dropping, said), Junk)
    assert refusals(dropping) == {"repeated": 1}
    assert dropping.news == []
    dropping.forget()  # another connection has no frame before
    assert len(rows(receive(dropping, said))) == 1


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", Refusal.NOT_JSON),
        (b'{"type":"trade","data":[', Refusal.NOT_JSON),
        (b'"data":[{"p":146.76}]', Refusal.NOT_JSON),
        (b"\xff\xfe\x00", Refusal.NOT_JSON),
        (b"[" * 100_000, Refusal.NOT_JSON),
        (b'{"type":"ping","n":' + b"9" * 5000 + b"}", Refusal.NOT_JSON),
        (b"7", Refusal.UNKNOWN_TYPE),
        (b"null", Refusal.UNKNOWN_TYPE),
        (b"[]", Refusal.UNKNOWN_TYPE),
        (b"{}", Refusal.UNKNOWN_TYPE),
        (b'{"type":"message","data":[]}', Refusal.UNKNOWN_TYPE),
        (b'{"type":["trade"]}', Refusal.UNKNOWN_TYPE),
        (b'{"type":"trade"}', Refusal.MISSHAPEN),
        (b'{"type":"trade","data":[]}', Refusal.MISSHAPEN),
        (b'{"type":"trade","data":null}', Refusal.MISSHAPEN),
        (b'{"type":"trade","data":{"s":"AAPL"}}', Refusal.MISSHAPEN),
        (b'{"type":"trade","data":"x"}', Refusal.MISSHAPEN),
    ],
    ids=lambda x: repr(x)[:30],
)
def test_frame_that_is_none_is_junk_with_its_reason(said: bytes, reason: Refusal) -> None:
    reader = protocol()
    junk = reader.receive(said, NOON)
    assert isinstance(junk, Junk)
    assert junk.reason == reason
    assert len(junk.text) < 300
    assert refusals(reader) == {reason: 1}
    assert reader.counters.frames == 1


def test_frame_above_the_limit_is_refused_unread_and_one_at_it_is_read() -> None:
    said = frame(trades(trade("AAPL", 1.0, NOW_MS)))
    assert len(rows(protocol(most_bytes=len(said)).receive(said, NOON))) == 1
    reader = protocol(most_bytes=len(said) - 1)
    junk = reader.receive(said, NOON)
    assert junk == Junk(Refusal.TOO_LARGE, f"{len(said)} bytes")
    assert refusals(reader) == {"too_large": 1}


def test_refusal_is_news_once_a_connection() -> None:
    reader = protocol()
    for _ in range(3):
        receive(reader, trades(trade("MSFT", 1.0, NOW_MS)))
    assert len(reader.news) == 1
    assert "MSFT" in reader.news[0][1]
    reader.forget()
    receive(reader, trades(trade("MSFT", 1.0, NOW_MS)))
    assert len(reader.news) == 2


def test_each_refusal_has_its_counter() -> None:
    assert {str(r) for r in Refusal} <= {f.name for f in dataclasses.fields(ProtocolCounters)}


def test_subscription_is_the_frame_that_clients_send() -> None:
    assert subscribe("AAPL") == '{"type":"subscribe","symbol":"AAPL"}'
    assert json.loads(subscribe('a"b')) == {"type": "subscribe", "symbol": 'a"b'}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("sptvc") | st.text(), inner),
    max_leaves=12,
)
FIELD = st.sampled_from(["AAPL", "MSFT", NOW_MS, 1.5, -1, 0]) | JSON
TRADE = JSON | st.fixed_dictionaries({"s": FIELD, "p": FIELD, "t": FIELD, "v": FIELD}, optional={"c": FIELD})


@given(st.lists(st.binary() | TRADE.map(frame) | st.lists(TRADE).map(lambda ts: frame(trades(*ts)))))
def test_whatever_comes_nothing_raises_and_what_is_passed_on_can_be_a_price(frames: list[bytes]) -> None:
    reader = protocol(no_price=frozenset({"12"}))
    passed = 0
    for each in frames:
        message = reader.receive(each, NOON)
        if isinstance(message, Prints):
            passed += len(message.price)
            assert len(message.price) > 0
            assert np.all((message.price > 0) & np.isfinite(message.price) & (message.size >= 0))
            assert np.all(np.abs(message.ts_event - NOON) <= 86_400 * SECOND)
            assert set(message.instrument.tolist()) <= set(SYMBOLS.values())
    assert (reader.counters.frames, reader.counters.prints) == (len(frames), passed)


# What each of the captured messages is, by its line.
CAPTURED = {
    3: [("TSLA", 122.1)]
    + [("TSLA", 122.09)] * 2
    + [("TSLA", 122.1)] * 4
    + [("AAPL", 129.58), ("AAPL", 129.575)],
    4: [("AAPL", 133.55)] * 3,
    5: [("BINANCE:BTCUSDT", 66972.77)],
    6: [("BINANCE:BTCUSDT", 95372.09)] * 2,
    7: Refusal.UNKNOWN_SYMBOL,  # AMZN
    8: [("AAPL", 274.7)],
    9: [("BINANCE:BTCUSDT", 7296.89)],
    10: Ping(),
    11: ServerError("Subscribing to too many symbols"),
    12: [("AAPL", 146.76)],  # and A, which is unknown
    13: Refusal.NOT_JSON,
    14: Refusal.UNKNOWN_TYPE,
    15: Refusal.MISSHAPEN,
    16: Refusal.WRONG_FIELDS,  # no volume
    17: Refusal.WRONG_FIELDS,
    18: Refusal.MISSHAPEN,
    19: Refusal.UNKNOWN_TYPE,  # a quote by REST
}


@pytest.mark.skipif(
    not MESSAGES.is_file(), reason="the captured messages are not here: no folder ../shared/data/finnhub"
)
def test_captured_messages_are_read_as_what_they_are() -> None:
    names = {i: symbol for symbol, i in SYMBOLS.items()}
    lines = [json.loads(line) for line in MESSAGES.read_text().splitlines()]
    assert len(lines) == 19
    for number, expected in CAPTURED.items():
        raw = lines[number - 1]["raw"].encode()
        now = ns("2026-01-01T00:00:00")
        if b'"t":' in raw and isinstance(expected, list):
            now = max(t["t"] for t in json.loads(raw)["data"]) * 1_000_000
        message = protocol().receive(raw, now)
        if isinstance(message, Prints):
            pairs = zip(message.instrument.tolist(), message.price.tolist(), strict=True)
            assert [(names[i], price) for i, price in pairs] == expected, number
        elif isinstance(message, Junk):
            assert message.reason == expected, number
        else:
            assert message == expected, number
