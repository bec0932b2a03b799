"""Orders on OHLCV bars. A bar is played as its path: open (a print), then low and high, then close.

The bar of most stories opens at 100, with high 104, low 97, close 101. Its open is nearer to the low (3) than to the
high (4), so the path is 100, 97, 104, 101.
"""

import pytest

from engine.engine import Engine
from engine.policies import Policy
from engine.records import RowKind, Side
from tests.builders import MINUTE, fills, make_bars, make_engine, order, read
from tests.stories.desk import cash, dollars, filled, opened, own, path

BUY, SELL = Side.BUY, Side.SELL
PRINT, EXTREME, CLOSE = RowKind.PRINT, RowKind.EXTREME, RowKind.CLOSE
BAR = (100.0, 104.0, 97.0, 101.0)


def play(engine: Engine, *bars: tuple[float, float, float, float]) -> list[tuple[int, int, int, float]]:
    first = engine.now // MINUTE * MINUTE + MINUTE
    return fills(engine.process(make_bars(bars, first=first)))


def test_decision_at_a_bars_close_fills_at_the_next_bars_open() -> None:
    engine = make_engine(cash=10_000, policy=Policy.BUY_AND_HOLD, features=("close",), size=10)
    events = read(engine.process(make_bars([(100, 100, 100, 100), (102, 103, 101, 102.5)])))
    # decided at the end of the first bar, 60 s, which is when the second one opens
    assert filled(events) == [(1, 10, 102.0)]
    assert [e["ts"] for e in events] == [MINUTE, MINUTE]
    assert cash(engine) == dollars(10_000 - 1_020)


def test_market_order_never_fills_on_a_high_or_low() -> None:
    engine = opened(100.0)
    first = order(engine, BUY, 10)
    assert path(engine, (97.0, EXTREME), (104.0, EXTREME)) == []
    assert path(engine, (101.0, CLOSE)) == [(first, 1, 10, 101.0)]


@pytest.mark.parametrize(
    ("side", "price", "expected"),
    [
        (BUY, 98.0, 98.0),  # on the way from 100 to 97, at the limit, not at the low
        (BUY, 97.0, None),  # the low touches it only
        (SELL, 103.0, 103.0),
        (SELL, 104.0, None),
        (BUY, 100.5, 100.0),  # the open is a print, and better than the limit
        (SELL, 99.5, 100.0),
    ],
)
def test_limit_fills_where_the_path_crosses_it(side: Side, price: float, expected: float | None) -> None:
    engine = opened(100.0)
    own(engine, 10)
    first = order(engine, side, 10, limit=price)
    assert play(engine, BAR) == ([] if expected is None else [(first, int(side), 10, expected)])


@pytest.mark.parametrize(("side", "price"), [(BUY, 97.0), (SELL, 104.0), (BUY, 98.0)])
def test_limit_that_fills_at_touch_fills_at_the_limit(side: Side, price: float) -> None:
    engine = opened(100.0, fill_at_touch=True)
    own(engine, 10)
    first = order(engine, side, 10, limit=price)
    assert play(engine, BAR) == [(first, int(side), 10, price)]


@pytest.mark.parametrize(("side", "price"), [(SELL, 98.0), (SELL, 97.0), (BUY, 103.0), (BUY, 104.0)])
def test_stop_inside_the_bar_fills_at_the_stop(side: Side, price: float) -> None:
    engine = opened(100.0)
    own(engine, 10)
    first = order(engine, side, 10, stop=price)
    assert play(engine, BAR) == [(first, int(side), 10, price)]


@pytest.mark.parametrize(("side", "stop"), [(SELL, 102.0), (BUY, 98.0)])
def test_stop_gapped_through_fills_at_the_open(side: Side, stop: float) -> None:
    # the sell stop lies above the open, the buy stop below it: the market jumped over each between the bars
    engine = opened(103.0 if side == SELL else 97.0)
    own(engine, 10)
    first = order(engine, side, 10, stop=stop)
    assert play(engine, BAR) == [(first, int(side), 10, 100.0)]


@pytest.mark.parametrize(("side", "limit"), [(BUY, 102.0), (SELL, 98.0)])
def test_limit_gapped_through_fills_at_the_better_open(side: Side, limit: float) -> None:
    engine = opened(103.0 if side == BUY else 97.0)
    own(engine, 10)
    first = order(engine, side, 10, limit=limit)
    assert play(engine, BAR) == [(first, int(side), 10, 100.0)]


def test_stop_reached_by_the_close_only_fills_at_the_stop() -> None:
    # the path begins at its last row, from the high of 104 down to the close of 101
    engine = opened(104.0)
    own(engine, 10)
    first = order(engine, SELL, 10, stop=102.0)
    assert path(engine, (101.0, CLOSE)) == [(first, -1, 10, 102.0)]


@pytest.mark.parametrize(
    ("side", "limit", "start", "end"),
    [
        (BUY, 99.0, 97.0, 96.0),  # ever better
        (BUY, 99.0, 97.0, 98.0),  # worse, but within the limit
        (BUY, 99.0, 97.0, 104.0),  # and even where the row ends beyond the limit: it was passed on the way
        (SELL, 102.0, 104.0, 105.0),
        (SELL, 102.0, 104.0, 103.0),
        (SELL, 102.0, 104.0, 101.0),
    ],
)
def test_limit_that_the_path_begins_beyond_fills_where_the_path_begins(
    side: Side, limit: float, start: float, end: float
) -> None:
    engine = opened(start)
    own(engine, 10)
    first = order(engine, side, 10, limit=limit)
    assert path(engine, (end, EXTREME)) == [(first, int(side), 10, start)]


@pytest.mark.parametrize(
    ("side", "stop", "start", "end"),
    [
        (SELL, 99.0, 97.0, 96.0),
        (SELL, 99.0, 97.0, 98.0),
        (SELL, 99.0, 97.0, 104.0),
        (BUY, 102.0, 104.0, 105.0),
        (BUY, 102.0, 104.0, 103.0),
        (BUY, 102.0, 104.0, 101.0),
    ],
)
def test_stop_that_the_path_begins_beyond_fills_where_the_path_begins(
    side: Side, stop: float, start: float, end: float
) -> None:
    engine = opened(start)
    own(engine, 10)
    first = order(engine, side, 10, stop=stop)
    assert path(engine, (end, EXTREME)) == [(first, int(side), 10, start)]


def test_path_decides_which_of_two_orders_comes_first_when_the_open_is_nearer_to_the_low() -> None:
    engine = opened(100.0)
    above = order(engine, BUY, 10, stop=103.0)
    below = order(engine, BUY, 10, limit=98.0)
    # 100 -> 97 -> 104 -> 101
    assert play(engine, BAR) == [(below, 1, 10, 98.0), (above, 1, 10, 103.0)]


def test_path_decides_which_of_two_orders_comes_first_when_the_open_is_nearer_to_the_high() -> None:
    engine = opened(100.0)
    below = order(engine, BUY, 10, limit=98.0)
    above = order(engine, BUY, 10, stop=103.0)
    # 102 is 2 from the high and 5 from the low: 102 -> 104 -> 97 -> 101
    assert play(engine, (102.0, 104.0, 97.0, 101.0)) == [(above, 1, 10, 103.0), (below, 1, 10, 98.0)]


def test_tape_of_a_bar_is_four_rows_with_a_quarter_of_the_volume_each() -> None:
    rows = make_bars([(*BAR, 1_000.0)])
    assert rows.price.tolist() == [100.0, 97.0, 104.0, 101.0]
    assert rows.size.tolist() == [250.0] * 4
    assert rows.flags.tolist() == [PRINT, EXTREME, EXTREME, CLOSE]
    assert rows.ts_event.tolist() == [0, MINUTE - 1, MINUTE - 1, MINUTE - 1]
    assert rows.ts_recv.tolist() == rows.ts_event.tolist()
