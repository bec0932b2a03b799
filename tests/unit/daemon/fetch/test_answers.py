"""Answers become prices as they were traded, and the splits and dividends that go with them."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.data.actions import Action
from daemon.fetch.answers import (
    FIELDS,
    Answer,
    a_dividend,
    a_split,
    joined,
    no_bars,
    to_history,
    within,
)
from daemon.fetch.errors import Refused
from engine.records import DAY, SECOND
from tests.unit.daemon.fetch.outside import ns

DATA = Path(__file__).parents[5] / "shared" / "data"
MINUTE = 60 * SECOND
LATER = ns("2022-01-01")


def daily(closes: Sequence[float], first: str = "2020-08-27", **more: Any) -> Answer:
    """Flat bars on days in a row, with a volume of 1000 each."""
    starts = ns(first) + DAY * np.arange(len(closes))
    prices = np.array(closes, np.float64)
    columns = {name: prices.copy() for name in FIELDS} | {"volume": np.full(len(closes), 1000.0)}
    return Answer(starts, columns, "America/New_York", **more)


def closes(answer: Answer) -> list[float]:
    columns = to_history(answer, DAY, LATER).columns
    for name in ("open", "high", "low"):
        assert columns[name].tolist() == columns["close"].tolist()
    return columns["close"].tolist()


def test_prices_divided_by_a_split_are_multiplied_again_and_volumes_divided() -> None:
    # AAPL as Yahoo gives it; 499.23 was its close on 2020-08-28
    given = [125.01000213623047, 124.80750274658203, 129.0399932861328]
    answer = daily(given, actions=[a_split(date(2020, 8, 29), 4)], adjusts=True, precision=2.0**-24)
    history = to_history(answer, DAY, LATER)
    assert history.columns["close"].tolist() == [500.04, 499.23, 129.04]
    assert history.columns["volume"].tolist() == [250, 250, 1000]
    assert [(a.ex_date, a.numerator, a.denominator) for a in history.actions] == [(date(2020, 8, 29), 4, 1)]


def test_prices_that_show_the_split_are_left_as_they_are_whatever_the_provider_says() -> None:
    answer = daily([500.04, 499.23, 129.04], actions=[a_split(date(2020, 8, 29), 4)], adjusts=True)
    assert closes(answer) == [500.04, 499.23, 129.04]


def test_prices_that_do_not_show_the_split_are_multiplied_whatever_the_provider_says() -> None:
    answer = daily([125.01, 124.81, 129.04], actions=[a_split(date(2020, 8, 29), 4)], adjusts=False)
    assert closes(answer) == [500.04, 499.24, 129.04]


@pytest.mark.parametrize("closing", [np.nan, 126.0])
def test_split_of_today_shows_in_the_day_that_goes_on(closing: float) -> None:
    actions = [a_split(date(2020, 8, 29), 4)]
    for before in (125.0, 500.0):
        answer = daily([before, before, 126.0], actions=actions, adjusts=True)
        answer.columns["close"][2] = closing
        history = to_history(answer, DAY, ns("2020-08-29T18:00:00"))
        assert history.columns["close"].tolist() == [500.0, 500.0]
        assert (len(history.actions), history.refused) == (1, {})


@pytest.mark.parametrize("opening", [[], [np.nan], [0.0]])
def test_split_that_nothing_was_traded_after_is_refused(opening: list[float]) -> None:
    answer = daily([100.0, 101.0, *opening], actions=[a_split(date(2020, 8, 29), 4)], adjusts=True)
    with pytest.raises(Refused, match="nothing was traded since the split of 4:1 on 2020-08-29"):
        to_history(answer, DAY, ns("2020-08-29T18:00:00"))


def test_split_before_the_first_bar_changes_nothing() -> None:
    answer = daily([100.0, 101.0], actions=[a_split(date(2020, 8, 27), 4)], adjusts=True)
    assert closes(answer) == [100.0, 101.0]


def test_reverse_split_makes_earlier_prices_smaller() -> None:
    answer = daily([12.0, 12.5, 12.4], actions=[a_split(date(2020, 8, 28), 0.1)], adjusts=True)
    history = to_history(answer, DAY, LATER)
    assert history.columns["close"].tolist() == [1.2, 12.5, 12.4]
    assert history.columns["volume"].tolist() == [10_000, 1000, 1000]


def test_splits_in_a_row_multiply() -> None:
    actions = [a_split(date(2020, 8, 28), 2), a_split(date(2020, 8, 29), 3)]
    assert closes(daily([10.0, 10.0, 10.0], actions=actions, adjusts=True)) == [60.0, 30.0, 10.0]


def test_split_too_small_to_be_seen_is_undone_as_the_provider_says() -> None:
    # 21:20, and the price falls by as much on that day: the prices alone would say that it was not divided
    answer = daily([105.0, 100.0], actions=[a_split(date(2020, 8, 28), 1.05)], adjusts=True)
    assert closes(answer) == [110.25, 100.0]


def test_split_that_was_divided_by_twice_is_refused() -> None:
    answer = daily([31.25, 31.2, 129.0], actions=[a_split(date(2020, 8, 29), 4)], adjusts=True)
    with pytest.raises(
        Refused, match=r"do not fit the split of 4:1 on 2020-08-29: 31.2 before it and 129 after"
    ):
        to_history(answer, DAY, LATER)


def test_large_move_on_the_day_of_a_split_is_no_contradiction() -> None:
    answer = daily([100.0, 75.0], actions=[a_split(date(2020, 8, 28), 2)], adjusts=True)
    assert closes(answer) == [200.0, 75.0]


def test_dividends_are_multiplied_by_the_splits_after_them() -> None:
    # 0.82 a share in August 2020, before the split of 4:1, is given as 0.205
    actions = [
        a_dividend(date(2020, 8, 27), 0.205),
        a_split(date(2020, 8, 29), 4),
        a_dividend(date(2020, 8, 29), 0.2),
    ]
    history = to_history(daily([125.0, 125.0, 129.0], actions=actions, adjusts=True), DAY, LATER)
    assert [a.amount for a in history.actions if a.kind == "dividend"] == [0.82, 0.2]


def test_dividend_is_left_alone_where_the_prices_were_not_divided() -> None:
    actions = [a_dividend(date(2020, 8, 27), 0.82), a_split(date(2020, 8, 29), 4)]
    history = to_history(daily([500.0, 500.0, 129.0], actions=actions, adjusts=False), DAY, LATER)
    assert history.actions[0].amount == 0.82


def test_minute_bars_split_at_midnight_of_the_exchange() -> None:
    # after hours of the 28th last until 20:00 in New York, which is midnight UTC, and later in winter
    starts = np.array([ns("2020-08-28T23:59:00"), ns("2020-08-29T00:30:00"), ns("2020-08-31T12:00:00")])
    columns = {name: np.full(3, 125.0) for name in FIELDS}
    answer = Answer(starts, columns, "America/New_York", [a_split(date(2020, 8, 31), 4)], adjusts=True)
    assert to_history(answer, MINUTE, LATER).columns["open"].tolist() == [500, 500, 125]
    answer = Answer(starts, columns, "America/New_York", [a_split(date(2020, 8, 29), 4)], adjusts=True)
    assert to_history(answer, MINUTE, LATER).columns["open"].tolist() == [500, 500, 125]
    answer = Answer(starts, columns, "UTC", [a_split(date(2020, 8, 29), 4)], adjusts=True)
    assert to_history(answer, MINUTE, LATER).columns["open"].tolist() == [500, 125, 125]


@pytest.mark.parametrize(
    ("given", "expected"),
    [(189.9499969482422, 189.95), (0.07123456150293350, 0.07123456), (27_465.328125, 27_465.33)],
)
def test_prices_of_single_precision_lose_its_noise_only(given: float, expected: float) -> None:
    assert np.float32(given) == given  # as it is sent
    assert closes(daily([given], precision=2.0**-24)) == [pytest.approx(expected, rel=2e-7)]


def test_exact_prices_are_kept_to_the_last_digit() -> None:
    assert closes(daily([0.1234567890123, 98_765.4321])) == [0.1234567890123, 98_765.4321]


@pytest.mark.skipif(not DATA.is_dir(), reason="the real market data is not here: no folder ../shared/data")
def test_real_prices_come_back_to_the_cent_from_what_yahoo_would_give() -> None:
    import pandas as pd

    frame = pd.read_csv(DATA / "daily" / "aapl_1998-2021_unadjusted.csv.gz")
    days = pd.to_datetime(frame["date"])
    splits = [("2000-06-21", 2), ("2005-02-28", 2), ("2014-06-09", 7), ("2020-08-31", 4)]
    factor = np.ones(len(frame))
    for day, ratio in splits:
        factor[(days < pd.Timestamp(day)).to_numpy()] *= ratio
    given: dict[str, Any] = {}
    for name in FIELDS:
        column = frame[name].to_numpy(np.float64)
        given[name] = (
            column * factor
            if name == "volume"
            else np.float32(np.round(column / factor, 6)).astype(np.float64)
        )
    starts = days.to_numpy().astype("datetime64[ns]").astype(np.int64)
    actions = [a_split(date.fromisoformat(day), ratio) for day, ratio in splits]
    answer = Answer(starts, given, "America/New_York", actions, adjusts=True, precision=2.0**-24)
    history = to_history(answer, DAY, LATER)
    assert len(history.columns["ts"]) == len(frame)
    for name in ("open", "high", "low", "close"):
        raw = frame[name].to_numpy()
        assert np.max(np.abs(history.columns[name] - raw)) <= 0.0006  # sixteenths have four decimals
        cents = np.abs(raw * 100 - np.rint(raw * 100)) < 1e-6
        assert cents.mean() > 0.8
        assert np.array_equal(history.columns[name][cents], np.round(raw[cents], 2))
    assert np.array_equal(history.columns["volume"], frame["volume"])


@pytest.mark.parametrize(
    ("zone", "now", "expected"),
    [
        ("America/New_York", "2020-08-29T03:59:59", 1),  # 23:59:59 on the 28th
        ("America/New_York", "2020-08-29T04:00:00", 2),
        ("UTC", "2020-08-28T23:59:59", 1),
        ("UTC", "2020-08-29T00:00:00", 2),
        ("Asia/Tokyo", "2020-08-28T14:59:59", 1),
        ("Asia/Tokyo", "2020-08-28T15:00:00", 2),
    ],
)
def test_day_is_complete_when_it_is_over_at_the_exchange(zone: str, now: str, expected: int) -> None:
    answer = daily([1.0, 2.0])  # the 27th and 28th
    answer = Answer(answer.starts, answer.columns, zone)
    assert len(to_history(answer, DAY, ns(now)).columns["ts"]) == expected


def test_minute_is_complete_when_it_has_ended() -> None:
    starts = ns("2020-08-28T14:00:00") + MINUTE * np.arange(3)
    answer = Answer(starts, {name: np.ones(3) for name in FIELDS}, "America/New_York")
    for now, expected in (("2020-08-28T14:01:59", 1), ("2020-08-28T14:02:00", 2)):
        assert to_history(answer, MINUTE, ns(now)).columns["ts"].tolist() == starts[:expected].tolist()


def test_rows_that_cannot_be_are_left_out_and_counted() -> None:
    answer = daily([10.0] * 12)
    starts, columns = answer.starts, answer.columns
    columns["close"][1] = np.nan
    columns["high"][2] = 9.0
    columns["volume"][3] = -1.0
    starts[5] = starts[4]
    starts[7] = starts[0]
    history = to_history(answer, DAY, LATER)
    assert history.columns["ts"].tolist() == starts[[0, 4, 6, 8, 9, 10, 11]].tolist()
    assert history.refused == {
        "price is no positive number": 1,
        "high below low": 1,
        "size is negative or no number": 1,
        "second bar of the same time": 1,
        "time goes back": 1,
    }


def test_answer_of_mostly_bad_rows_is_refused() -> None:
    answer = daily([10.0, np.nan, np.nan])
    with pytest.raises(Refused, match=r"2 of 3 rows are bad \(price is no positive number: 2\)"):
        to_history(answer, DAY, LATER)


def test_answer_without_rows_is_a_history_without_rows() -> None:
    assert len(to_history(no_bars(), DAY, LATER).columns["ts"]) == 0


def test_pieces_are_joined_without_the_rows_that_two_of_them_have() -> None:
    day, whole = ns("2020-08-27"), daily([1.0, 2.0, 3.0])
    pieces = [within(whole, day, day + DAY), within(whole, day + DAY, day + 3 * DAY), no_bars()]
    both = joined(pieces)
    assert both.starts.tolist() == whole.starts.tolist()
    assert both.columns["close"].tolist() == [1.0, 2.0, 3.0]
    assert both.zone == "America/New_York"


@pytest.mark.parametrize(
    ("ratio", "terms"),
    [(4.0, (4, 1)), (1.5, (3, 2)), (0.1, (1, 10)), (1 / 30, (1, 30)), (1.046, (523, 500)), (7.0, (7, 1))],
)
def test_ratio_of_a_split_becomes_whole_numbers(ratio: float, terms: tuple[int, int]) -> None:
    split = a_split(date(2020, 8, 31), ratio)
    assert (split.numerator, split.denominator) == terms


@pytest.mark.parametrize("number", [0.0, -2.0, np.nan, np.inf])
def test_actions_of_no_positive_number_are_refused(number: float) -> None:
    for make in (a_split, a_dividend):
        with pytest.raises(Refused, match="on 2020-08-31"):
            make(date(2020, 8, 31), number)


def test_actions_come_in_the_order_of_their_days() -> None:
    actions: list[Action] = [a_split(date(2020, 8, 29), 1.05), a_dividend(date(2020, 8, 27), 1.0)]
    history = to_history(daily([1.0, 1.0], actions=actions), DAY, LATER)
    assert [a.ex_date.day for a in history.actions] == [27, 29]
