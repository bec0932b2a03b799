"""Small parts of the gate."""

import numpy as np
import pytest

from engine.records import RECORD_TYPES, Side
from engine.risk import _is_price, is_exit
from tests.builders import plain

BUY, SELL = Side.BUY, Side.SELL


@pytest.mark.parametrize(
    ("held", "working_buy", "working_sell", "side", "lots", "leaving"),
    [
        (10, 0, 0, SELL, 10, True),
        (10, 0, 0, SELL, 11, False),  # would flip it
        (10, 0, 4, SELL, 6, True),
        (10, 0, 4, SELL, 7, False),  # would flip it, were the working sale to fill first
        (10, 5, 0, SELL, 10, True),
        (10, 5, 0, SELL, 11, False),  # working purchases may never fill
        (10, 0, 0, BUY, 1, False),
        (0, 0, 0, SELL, 1, False),
        (0, 0, 0, BUY, 1, False),
        (-10, 0, 0, BUY, 10, True),
        (-10, 1, 0, BUY, 10, False),
        (-10, 0, 0, SELL, 1, False),
    ],
)
def test_exit_shrinks_a_position_and_cannot_flip_it(
    held: int, working_buy: int, working_sell: int, side: Side, lots: int, leaving: bool
) -> None:
    holding = np.zeros(1, RECORD_TYPES.holdings).view(np.recarray)[0]
    holding.lots, holding.working_buy, holding.working_sell = held, working_buy, working_sell
    assert plain(is_exit)(holding, side, lots) == leaving


@pytest.mark.parametrize(
    ("price", "tick", "on"),
    [
        (100.01, 0.01, True),
        (0.07, 0.01, True),  # 7.000000000000001 ticks in floats
        (100.005, 0.01, False),
        (1_234_567.89, 0.01, True),
        (1_234_567.895, 0.01, False),
        (0.00001234, 0.00000001, True),
        (100.25, 0.25, True),
        (100.3, 0.25, False),
    ],
)
def test_price_on_the_grid(price: float, tick: float, on: bool) -> None:
    assert plain(_is_price)(price, tick) == on
