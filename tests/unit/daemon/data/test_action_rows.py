"""Corporate actions on the tape: where their rows lie, what they hold, and that they belong to the prices."""

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.data.action_rows import rows_of
from daemon.data.actions import Action, ActionKind
from daemon.data.errors import DataError
from daemon.data.feed import Feed, Source, open_feed
from engine.records import DAY, RowKind
from tests.unit.daemon.data.reading import (
    BARS_HEADER,
    HOUR,
    MINUTE,
    TICKS_HEADER,
    ns,
    rows,
    source,
    write,
)

DATA = Path(__file__).parents[5] / "shared" / "data"
real_files = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real market data is not here: no folder ../shared/data"
)
NEW_YORK = "America/New_York"
PRINT, EXTREME, CLOSE = RowKind.PRINT, RowKind.EXTREME, RowKind.CLOSE


def days(*closes: float, first: int = 1) -> str:
    """Flat daily bars from 2024-01-0`first` on."""
    return BARS_HEADER + "".join(
        f"2024-01-{day:02},{c},{c},{c},{c},4\n" for day, c in enumerate(closes, first)
    )


def feed(
    folder: Path, text: str, actions: str, bar_ns: int = DAY, batch_rows: int = 1000, **more: Any
) -> Feed:
    file = write(folder, "date,kind,value\n" + actions, "actions.csv")
    return open_feed([source(write(folder, text), bar_ns, actions=file, **more)], batch_rows)


def actions_on(tape: Feed) -> list[tuple[int, float, float, int]]:
    """(time, price, size, kind) of the rows that are no prices."""
    return [(r[0], r[3], r[4], r[5]) for r in rows(tape) if r[5] >= RowKind.SPLIT]


def test_each_kind_of_action_has_the_row_of_the_contract() -> None:
    day = date(2024, 7, 1)
    actions = [
        Action(day, ActionKind.SPLIT, 7, 1),
        Action(day, ActionKind.SPLIT, 1, 10),
        Action(day, ActionKind.DIVIDEND, amount=0.82),
        Action(day, ActionKind.SYMBOL, symbol="META"),
        Action(day, ActionKind.DELISTING, amount=12.5),
        Action(day, ActionKind.DELISTING, amount=0.0),
        Action(day, ActionKind.DELISTING),
    ]
    made = rows_of(actions, 3, DAY, NEW_YORK, ("X", "META"))
    assert [(p, s, k) for p, s, k in zip(made.price, made.size, made.flags, strict=True)] == [
        (7, 1, RowKind.SPLIT),
        (1, 10, RowKind.SPLIT),
        (0.82, 0, RowKind.DIVIDEND),
        (1, 0, RowKind.SYMBOL),
        (12.5, 1, RowKind.DELISTING),
        (0, 1, RowKind.DELISTING),
        (0, 0, RowKind.DELISTING),
    ]
    assert set(made.instrument.tolist()) == {3}
    assert set(made.ts_event.tolist()) == {ns("2024-07-01")}
    assert made.ts_recv is made.ts_event


@pytest.mark.parametrize(
    ("bar_ns", "zone", "time"),
    [
        (DAY, NEW_YORK, "2024-07-01T00:00"),
        (7 * DAY, NEW_YORK, "2024-07-01T00:00"),
        (HOUR, NEW_YORK, "2024-07-01T00:00-04:00"),
        (0, NEW_YORK, "2024-07-01T00:00-04:00"),
        (0, "Asia/Tokyo", "2024-07-01T00:00+09:00"),
        (MINUTE, "UTC", "2024-07-01T00:00"),
    ],
)
def test_action_begins_at_midnight_of_the_exchange_but_of_utc_for_bars_of_days(
    bar_ns: int, zone: str, time: str
) -> None:
    action = Action(date(2024, 7, 1), ActionKind.DIVIDEND, amount=1.0)
    assert rows_of([action], 0, bar_ns, zone, ()).ts_event.tolist() == [ns(time)]


def test_action_comes_after_the_last_close_and_before_the_first_open(tmp_path: Path) -> None:
    tape = rows(feed(tmp_path, days(70, 10), "2024-01-02,dividend,1\n2024-01-02,split,7:1\n"))
    assert [(r[0], r[3], r[5]) for r in tape[3:7]] == [
        (ns("2024-01-02") - 1, 70.0, CLOSE),
        (ns("2024-01-02"), 1.0, RowKind.DIVIDEND),  # one day's actions in the order of the file
        (ns("2024-01-02"), 7.0, RowKind.SPLIT),
        (ns("2024-01-02"), 10.0, PRINT),
    ]
    assert len(tape) == 10


@pytest.mark.parametrize("batch_rows", [1, 4, 1000])
@pytest.mark.parametrize("alone", [True, False])
def test_action_at_the_time_of_a_close_and_a_print_lies_between_them(
    tmp_path: Path, batch_rows: int, alone: bool
) -> None:
    # a bar's close is a nanosecond before its end: these begin a nanosecond late, so that the first closes at midnight
    midnight = ns("2024-01-02")
    begins = midnight - MINUTE + 1, midnight + MINUTE
    lines = "".join(f"{begin},5,6,4,5,1\n" for begin in begins)
    bar = write(tmp_path, "time,open,high,low,close,volume\n" + lines, "bar.csv")
    file = write(tmp_path, "date,kind,value\n2024-01-02,dividend,1\n", "actions.csv")
    other = write(tmp_path, f"time,price,size\n{midnight},8,1\n", "tick.csv")
    sources = [
        source(bar, MINUTE, time_format="ns", actions=file, instrument=1),
        source(other, 0, time_format="ns", instrument=0),
    ]
    tape = rows(open_feed(sources[:1] if alone else sources, batch_rows))
    expected = [(1, EXTREME), (1, EXTREME), (1, CLOSE), (1, RowKind.DIVIDEND), (0, PRINT)]
    assert [(r[2], r[5]) for r in tape if r[0] == midnight] == expected[: 4 if alone else 5]


def test_action_on_a_day_without_trading_comes_before_the_next_print(tmp_path: Path) -> None:
    text = BARS_HEADER + "2024-01-05,5,5,5,5,1\n2024-01-08,5,5,5,5,1\n"
    tape = rows(feed(tmp_path, text, "2024-01-06,dividend,1\n"))
    assert [(r[0], r[5]) for r in tape[3:6]] == [
        (ns("2024-01-06") - 1, CLOSE),
        (ns("2024-01-06"), RowKind.DIVIDEND),
        (ns("2024-01-08"), PRINT),
    ]


def test_actions_before_the_first_price_and_after_the_last_are_left_out_but_a_delisting(
    tmp_path: Path,
) -> None:
    actions = (
        "2023-06-01,split,7:1\n2024-01-01,dividend,1\n2024-01-02,dividend,2\n"
        "2024-01-04,dividend,3\n2024-02-01,delisting,4\n"
    )
    tape = feed(tmp_path, days(50, 50, 50), actions)
    assert actions_on(tape) == [
        (ns("2024-01-02"), 2.0, 0.0, RowKind.DIVIDEND),
        (ns("2024-02-01"), 4.0, 1.0, RowKind.DELISTING),
    ]
    assert (tape.first_ts, tape.last_ts) == (ns("2024-01-01"), ns("2024-02-01"))


def test_window_holds_for_actions_too(tmp_path: Path) -> None:
    actions = "2024-01-02,dividend,1\n2024-01-03,dividend,2\n2024-01-04,dividend,3\n2024-02-01,delisting,4\n"
    tape = feed(
        tmp_path, days(50, 50, 50, 50), actions, start=ns("2024-01-02"), end=ns("2024-01-04"), batch_rows=3
    )
    assert actions_on(tape) == [(ns("2024-01-03"), 2.0, 0.0, RowKind.DIVIDEND)]


def test_symbol_of_before_the_first_price_is_told_with_it(tmp_path: Path) -> None:
    tape = feed(tmp_path, days(50, 50), "2023-06-01,symbol,B\n2024-01-02,symbol,C\n")
    assert actions_on(tape) == [
        (ns("2024-01-01"), 0.0, 0.0, RowKind.SYMBOL),
        (ns("2024-01-02"), 1.0, 0.0, RowKind.SYMBOL),
    ]


def test_rows_are_of_the_old_symbol_before_the_change_and_of_the_new_one_after_it(tmp_path: Path) -> None:
    text = (
        "date,symbol,open,high,low,close,volume\n"
        "2022-06-07,META,9,9,9,9,1\n"  # another fund
        "2022-06-08,FB,196,196,196,196,1\n"
        "2022-06-08,META,x,9,9,9,1\n"  # whose defects are not ours
        "2022-06-09,META,184,184,184,184,1\n"
        "2022-06-09,FB,8,8,8,8,1\n"
        "2022-06-10,META,175,175,175,175,1\n"
    )
    for batch_rows in (1, 1000):
        tape = rows(feed(tmp_path, text, "2022-06-09,symbol,META\n", name="FB", batch_rows=batch_rows))
        assert [(r[0], r[3]) for r in tape if r[5] == PRINT] == [
            (ns("2022-06-08"), 196.0),
            (ns("2022-06-09"), 184.0),
            (ns("2022-06-10"), 175.0),
        ]
        assert [(r[0], r[3]) for r in tape if r[5] == RowKind.SYMBOL] == [(ns("2022-06-09"), 0.0)]
    header, *lines = text.splitlines(keepends=True)
    ours = header + lines[3].replace("184,1\n", "x,1\n")
    with pytest.raises(DataError, match=r":2: close: 'x' is no number"):
        rows(feed(tmp_path, ours, "2022-06-09,symbol,META\n", name="FB"))


def test_row_of_a_later_symbol_with_an_unreadable_time_is_refused(tmp_path: Path) -> None:
    # whose it is cannot be known
    text = "date,symbol,price,size\n2022-06-08,FB,196,1\nyesterday,META,184,1\n"
    with pytest.raises(DataError, match=r":3: date: 'yesterday' is no time"):
        rows(feed(tmp_path, text, "2022-06-09,symbol,META\n", 0, name="FB"))


# -- actions that do not belong to the prices -----------------------------------------------------------------------


@pytest.mark.parametrize("batch_rows", [1, 2, 7, 1000])
@pytest.mark.parametrize("after", [10.0, 15.0, 5.0])
def test_split_that_shows_is_played(tmp_path: Path, after: float, batch_rows: int) -> None:
    # 7:1 of 70 is 10: a day that rises or falls by half besides does not hide it
    tape = feed(tmp_path, days(70, 70, after, after, after), "2024-01-03,split,7:1\n", batch_rows=batch_rows)
    assert actions_on(tape) == [(ns("2024-01-03"), 7.0, 1.0, RowKind.SPLIT)]


@pytest.mark.parametrize("batch_rows", [1, 2, 7, 1000])
@pytest.mark.parametrize(("ratio", "before", "after"), [("7:1", 10, 10.3), ("1:10", 5, 5), ("3:2", 30, 31)])
def test_split_that_does_not_show_is_refused(
    tmp_path: Path, ratio: str, before: float, after: float, batch_rows: int
) -> None:
    text = days(before, before, after, after, after)
    with pytest.raises(DataError) as refused:
        rows(feed(tmp_path, text, f"2024-01-03,split,{ratio}\n", batch_rows=batch_rows))
    assert str(refused.value).startswith(
        f"AAPL: the split {ratio} on 2024-01-03 does not show in the prices: they are about {before:g} before it and "
        f"{after:g} after; if they are adjusted for splits already write `adjusted: splits`"
    )
    for adjusted in ("splits", "all"):
        played = feed(tmp_path, text, f"2024-01-03,split,{ratio}\n", adjusted=adjusted)
        assert actions_on(played) == []


def test_split_is_judged_where_the_tape_ends_soon_after_it(tmp_path: Path) -> None:
    ticks = TICKS_HEADER + "2024-01-02,70,1\n2024-01-03,70,1\n"
    with pytest.raises(DataError, match="does not show"):
        rows(feed(tmp_path, ticks, "2024-01-03,split,7:1\n", 0))
    good = ticks.replace("03,70", "03,10")
    assert len(rows(feed(tmp_path, good, "2024-01-03,split,7:1\n", 0))) == 3


def test_split_of_nearly_one_cannot_be_judged_and_is_played(tmp_path: Path) -> None:
    tape = feed(tmp_path, days(70, 70, 50, 50), "2024-01-03,split,1.046:1\n")
    assert actions_on(tape) == [(ns("2024-01-03"), 1.046, 1.0, RowKind.SPLIT)]


def test_two_splits_close_together_are_judged_each_by_itself(tmp_path: Path) -> None:
    actions = "2024-01-03,split,7:1\n2024-01-04,split,2:1\n"
    assert len(actions_on(feed(tmp_path, days(70, 70, 10, 5, 5, 5), actions))) == 2
    with pytest.raises(DataError, match="the split 2:1 on 2024-01-04 does not show"):
        rows(feed(tmp_path, days(70, 70, 10, 10, 10, 10), actions))
    with pytest.raises(DataError, match="the split 7:1 on 2024-01-03 does not show"):
        rows(feed(tmp_path, days(70, 70, 70, 35, 35, 35), actions))


def test_dividend_as_large_as_the_price_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="AAPL: the dividend of 5 on 2024-01-02 is not below the price before it, 5;"
    ):
        rows(feed(tmp_path, days(5, 5), "2024-01-02,dividend,5\n"))


def test_two_files_of_actions_of_one_instrument_are_refused(tmp_path: Path) -> None:
    one, two = (write(tmp_path, "date,kind,value\n2024-01-02,dividend,1\n", f"{n}.csv") for n in (1, 2))
    prices = write(tmp_path, days(5, 5))
    with pytest.raises(DataError, match=f"{two}: AAPL has actions already, of {one}"):
        open_feed([source(prices, actions=one), source(prices, actions=two)])


def test_actions_given_once_hold_for_all_files_of_the_instrument(tmp_path: Path) -> None:
    file = write(tmp_path, "date,kind,value\n2024-01-03,split,7:1\n", "actions.csv")
    first, second = write(tmp_path, days(70, 70), "1.csv"), write(tmp_path, days(10, 10, first=3), "2.csv")
    for of_first in (file, None):
        sources = [source(first, actions=of_first), source(second, actions=file)]
        assert actions_on(open_feed(sources)) == [(ns("2024-01-03"), 7.0, 1.0, RowKind.SPLIT)]


@given(batch_rows=st.integers(1, 60), data=st.data())
def test_any_size_of_batches_gives_the_same_tape(
    tmp_path_factory: pytest.TempPathFactory, batch_rows: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("tape")
    when = sorted(data.draw(st.sets(st.integers(1, 28), max_size=6)))
    actions = "".join(f"2024-01-{day:02},dividend,{day / 100}\n" for day in when)
    text = days(*(5 for _ in range(2, 20)), first=2)
    file = write(folder, "date,kind,value\n" + actions, "actions.csv")
    path, other = write(folder, text), write(folder, TICKS_HEADER + "2024-01-05,5,1\n" * 30, "t.csv")

    def tape(size: int) -> list[tuple[Any, ...]]:
        made = open_feed([source(path, actions=file), source(other, 0, instrument=1)], size)
        got = rows(made)
        assert made.rows == len(got)
        return got

    whole = tape(1000)
    assert tape(batch_rows) == whole
    inside = [day for day in when if 2 < day <= 19]
    assert [r[3] for r in whole if r[5] == RowKind.DIVIDEND] == [day / 100 for day in inside]
    rank = {EXTREME: 0, CLOSE: 1, RowKind.DIVIDEND: 2, PRINT: 3}
    assert whole == sorted(whole, key=lambda r: (r[0], rank[r[5]]))


# -- real files -----------------------------------------------------------------------------------------------------


@real_files
@pytest.mark.parametrize(("name", "bar_ns"), [("daily/aapl_1998-2021", DAY), ("hour/aapl_1998-2021", HOUR)])
def test_all_actions_of_apple_lie_between_the_prices_that_they_part(name: str, bar_ns: int) -> None:
    path = DATA / f"{name}_unadjusted.csv.gz"
    actions = DATA / "daily/aapl_factors.csv"
    tape = rows(open_feed([source(path, bar_ns, actions=actions, exchange_zone=NEW_YORK)], 5000))
    splits = {}
    for i, row in enumerate(tape):
        if row[5] == RowKind.SPLIT:
            assert (tape[i - 1][5], tape[i + 1][5]) == (CLOSE, PRINT)
            assert tape[i - 1][3] / tape[i + 1][3] == pytest.approx(row[3] / row[4], rel=0.11)
            splits[str(pd.Timestamp(tape[i + 1][0], tz="UTC").date())] = row[3]
    assert splits == {"2000-06-21": 2.0, "2005-02-28": 2.0, "2014-06-09": 7.0, "2020-08-31": 4.0}
    assert sum(row[5] == RowKind.DIVIDEND for row in tape) == 35


@real_files
def test_stale_print_on_the_morning_of_a_split_does_not_hide_it() -> None:
    # the first bar of 2014-06-09 opens at 645.57, as if there were no split, and closes at 92.42
    path = DATA / "minute/aapl_2014-06-05_2014-06-09_unadjusted_split.csv.gz"
    tape = open_feed([source(path, MINUTE, actions=DATA / "daily/aapl_factors.csv", exchange_zone=NEW_YORK)])
    flat = rows(tape)
    (at,) = (i for i, row in enumerate(flat) if row[5] == RowKind.SPLIT)
    assert flat[at][0] == ns("2014-06-09T00:00-04:00")
    assert flat[at + 1][3] == 645.57


@real_files
def test_prices_adjusted_already_refuse_splits_and_take_fitted_dividends() -> None:
    path = DATA / "daily/bigtech14_2010-2022_split_adjusted.csv.gz"
    actions = DATA / "daily/aapl_factors.csv"
    with pytest.raises(DataError, match="the split 7:1 on 2014-06-09 does not show in the prices"):
        rows(open_feed([source(path, actions=actions)]))
    tape = rows(open_feed([source(path, actions=actions, adjusted="splits")]))
    paid = [row[3] for row in tape if row[5] >= RowKind.SPLIT]
    assert paid[0] == pytest.approx(2.65 / 28)
    assert len(paid) == 35


def test_sample_has_its_splits_and_dividends_on_the_tape() -> None:
    found = {}
    for name in ("AAPL", "GOOG", "IBM", "MSFT"):
        tape = rows(open_feed([Source("sample", None, 0, name, DAY)]))
        kinds = [row[5] for row in tape]
        found[name] = (kinds.count(RowKind.SPLIT), kinds.count(RowKind.DIVIDEND))
    assert found == {"AAPL": (2, 3), "GOOG": (0, 0), "IBM": (0, 52), "MSFT": (1, 37)}
