"""What a trade costs beyond its price: slippage and fees."""

import pytest

from engine.records import RowKind, Side, Slippage, TimeInForce
from tests.builders import order
from tests.stories.desk import assert_balanced, cash, dollars, opened, own, path, prints, row

BUY, SELL = Side.BUY, Side.SELL


@pytest.mark.parametrize(
    ("slippage", "value", "side", "expected"),
    [
        (Slippage.NONE, 0.0, BUY, 100.0),
        (Slippage.BPS, 5.0, BUY, 100.05),  # 100 x 5 / 10,000 = 0.05, always against the trader
        (Slippage.BPS, 5.0, SELL, 99.95),
        (Slippage.TICKS, 3.0, BUY, 100.03),  # a tick is 0.01
        (Slippage.TICKS, 3.0, SELL, 99.97),
        # 25 of the row's 100 units: sqrt(0.25) = 0.5 of 10 bps = 5 bps
        (Slippage.SQRT_IMPACT, 10.0, BUY, 100.05),
        (Slippage.SQRT_IMPACT, 10.0, SELL, 99.95),
    ],
)
def test_market_order_slips_against_the_trader(
    slippage: Slippage, value: float, side: Side, expected: float
) -> None:
    engine = opened(100.0)
    own(engine, 25)
    engine.state.instruments[0].slippage, engine.state.instruments[0].slippage_value = slippage, value
    order(engine, side, 25)
    [(_, _, _, price)] = prints(engine, 100.0, size=100.0)
    assert price == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("size", [400.0, 100.0, 0.0])
def test_square_root_impact_is_that_of_the_whole_row_at_most(size: float) -> None:
    engine = opened(100.0, slippage=Slippage.SQRT_IMPACT, slippage_value=10.0)
    order(engine, BUY, 400)
    # 400 units of a row of 400, 100 or none: the share counts as 1, and 10 bps of 100 are 0.10
    [(_, _, _, price)] = prints(engine, 100.0, size=size)
    assert price == pytest.approx(100.10, abs=1e-9)


def test_slippage_never_takes_a_price_below_one_tick() -> None:
    engine = opened(0.02)
    own(engine, 10)
    engine.state.instruments[0].slippage, engine.state.instruments[0].slippage_value = Slippage.TICKS, 3.0
    order(engine, SELL, 10)
    assert [f[3] for f in prints(engine, 0.02)] == [0.01]


def test_stop_slips_from_the_price_at_which_it_filled() -> None:
    engine = opened(100.0, slippage=Slippage.BPS, slippage_value=5.0)
    order(engine, BUY, 10, stop=105.0)
    # the gap to 110, and 5 bps of 110 = 0.055
    assert prints(engine, 110.0)[0][3] == pytest.approx(110.055, abs=1e-9)
    order(engine, BUY, 10, stop=112.0)
    # on a path at the stop of 112, and 5 bps of it = 0.056
    assert path(engine, (115.0, RowKind.EXTREME))[0][3] == pytest.approx(112.056, abs=1e-9)


def test_limit_order_does_not_slip() -> None:
    engine = opened(100.0, slippage=Slippage.BPS, slippage_value=50.0)
    order(engine, BUY, 10, limit=99.0)
    assert [f[3] for f in prints(engine, 98.0)] == [98.0]


def test_order_that_takes_pays_the_taker_fee_and_one_that_rests_the_maker_fee() -> None:
    engine = opened(100.0, cash=100_000, taker_bps=10.0, maker_bps=2.0)
    order(engine, BUY, 10)  # market: 10 x 100 = 1,000, 10 bps = 1.00
    row(engine, 100.0)
    assert cash(engine) == dollars(100_000 - 1_000 - 1.00)
    order(engine, BUY, 10, limit=99.0)  # below the market, it waits: 10 x 98 = 980, 2 bps = 0.196
    [_, fill] = [*row(engine, 100.0), *row(engine, 98.0)]
    assert (fill["last_fee"], fill["maker"]) == (dollars(0.196), 1)
    order(engine, BUY, 10, limit=99.0)  # above the market of 98, it takes: 10 x 98.50 = 985, 10 bps = 0.985
    [_, fill] = row(engine, 98.5)
    assert (fill["last_fee"], fill["maker"]) == (dollars(0.985), 0)
    order(engine, BUY, 10, limit=98.0, tif=TimeInForce.IOC)  # never rests: 10 x 97 = 970, 0.97
    [_, fill] = row(engine, 97.0)
    assert (fill["last_fee"], fill["maker"]) == (dollars(0.97), 0)
    assert engine.state.accounts[0].fees == dollars(1.00 + 0.196 + 0.985 + 0.97)
    assert_balanced(engine)


def test_limit_cancelled_on_its_way_that_takes_all_the_same_pays_the_taker_fee() -> None:
    # the order reaches the broker at 1.5 s, above the market; the cancel, asked for at 1.1 s, reaches it at 1.6 s
    engine = opened(100.0, latency_ns=500_000_000, taker_bps=10.0, maker_bps=2.0)
    row(engine, 100.0, seconds=1.0)
    order_id = order(engine, BUY, 10, limit=101.0)
    row(engine, 100.0, seconds=1.1)
    engine.cancel(order_id)
    events = row(engine, 100.0, seconds=1.55)
    [fill] = [e for e in events if e["last_lots"]]
    assert (fill["last_fee"], fill["maker"]) == (dollars(1.00), 0)


def test_fee_per_unit() -> None:
    engine = opened(100.0, cash=100_000, fee_per_unit=0.005)
    order(engine, BUY, 100)  # 100 x 0.005 = 0.50
    row(engine, 100.0)
    assert cash(engine) == dollars(100_000 - 10_000 - 0.50)


def test_fee_per_unit_counts_units_not_lots() -> None:
    engine = opened(100.0, cash=100_000, lot_size=0.1, fee_per_unit=0.005)
    order(engine, BUY, 1_000)  # 100 units
    row(engine, 100.0)
    assert cash(engine) == dollars(100_000 - 10_000 - 0.50)


def test_minimum_fee_is_per_order_over_all_its_fills() -> None:
    engine = opened(100.0, cash=100_000, fee_per_unit=0.005, fee_min=1.00, participation=0.1)
    order(engine, BUY, 300)  # a tenth of each row of 1,000: three fills of 100
    fees = [e["last_fee"] for _ in range(3) for e in row(engine, 100.0, size=1_000.0) if e["last_lots"]]
    # exact fees so far: 0.50, 1.00, 1.50; charged so far: at least the minimum of 1.00, so 1.00, 1.00, 1.50
    assert fees == [dollars(1.00), 0, dollars(0.50)]
    assert cash(engine) == dollars(100_000 - 30_000 - 1.50)
    assert_balanced(engine)


def test_fees_of_many_small_fills_are_rounded_as_one_amount() -> None:
    # a fill of 1 unit at 0.03 pays 1 bps = 3 millionths of a dollar; of a lot of 0.1 units: 0.3 millionths
    engine = opened(0.03, cash=100, lot_size=0.1, taker_bps=1.0, participation=1.0)
    order(engine, BUY, 4)
    fees = [e["last_fee"] for _ in range(4) for e in row(engine, 0.03, size=0.1) if e["last_lots"]]
    # 0.3, 0.6, 0.9, 1.2 in all, rounded to 0, 1, 1, 1; each rounded alone would have been 0
    assert fees == [0, 1, 0, 0]
    assert_balanced(engine)


def test_round_trip_with_slippage_and_fees() -> None:
    engine = opened(100.0, cash=10_000, taker_bps=10.0, slippage=Slippage.TICKS, slippage_value=2.0)
    order(engine, BUY, 50)
    # 50 x 100.02 = 5,001.00; 10 bps = 5.001
    events = row(engine, 100.0)
    assert [(e["last_lots"], e["last_notional"]) for e in events if e["last_lots"]] == [(50, dollars(5_001))]
    assert cash(engine) == dollars(10_000 - 5_001 - 5.001)
    order(engine, SELL, 50)
    # 50 x 109.98 = 5,499.00; 10 bps = 5.499
    [_, fill] = row(engine, 110.0)
    assert fill["realized"] == dollars(5_499 - 5_001)  # before fees
    assert cash(engine) == dollars(10_000 - 5_001 - 5.001 + 5_499 - 5.499)
    assert_balanced(engine)
