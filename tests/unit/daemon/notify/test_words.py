"""Numbers, times and codes as people read them."""

import pytest

from daemon.notify import words
from engine.records import SECOND, Code, Level, TradingState


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (100.0, "100"),
        (187.25, "187.25"),
        (1234567.5, "1,234,567.5"),
        (1e-7, "0.0000001"),
        (0.1 + 0.2, "0.3"),
        (-3.5, "-3.5"),
    ],
)
def test_number_has_no_needless_digits(value: float, text: str) -> None:
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("lots", "lot_size", "text"),
    [
        (3, 0.1, "0.3"),
        (12_345_678_901, 1e-8, "123.45678901"),
        (1500, 1.0, "1,500"),
        (7, 100.0, "700"),
        (-20, 0.05, "-1"),
        (0, 0.1, "0"),
    ],
)
def test_units_are_exact(lots: int, lot_size: float, text: str) -> None:
    assert words.units(lots, lot_size) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.02134, "2.134 %"), (0.1, "10 %"), (0.0, "0 %"), (-0.005, "-0.5 %")]
)
def test_percent_is_of_a_share(share: float, text: str) -> None:
    assert words.percent(share) == text


def test_time_is_utc_to_the_second() -> None:
    # 1,000,000,000 s after 1970, and a nanosecond before that
    assert words.time(10**9 * SECOND) == "2001-09-09 01:46:40 UTC"
    assert words.time(10**9 * SECOND - 1) == "2001-09-09 01:46:39 UTC"


def test_line_holds_one_line_of_bounded_length() -> None:
    assert words.line("a\r\n b\x1b[31m\tc") == "a b [31m c"
    assert words.line("x" * 400) == "x" * 297 + "..."


def test_each_code_that_the_gate_denies_with_has_words() -> None:
    ends = {  # codes of orders that ended otherwise, of cash that moved, and what no order has
        Code.NONE, Code.IOC_REST, Code.FOK, Code.POST_ONLY, Code.OCO, Code.PARENT, Code.AUCTION, Code.LIQUIDATION,
        Code.OPERATOR, Code.DISCONNECT, Code.SPLIT, Code.DIVIDEND, Code.SYMBOL, Code.DEPOSIT, Code.WITHDRAWAL,
        Code.INTEREST, Code.BORROW, Code.MODEL,
    }  # fmt: skip
    assert set(words.WHY) == set(Code) - ends
    assert words.why(Code.CASH) == "it costs more than the cash that is free (CASH)"
    assert words.why(Code.FOK) == "FOK"
    assert set(words.STATES) == set(TradingState)
    assert set(words.LEVELS) == set(Level)
