"""Sessions of a calendar, against a search through all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import sessions as module
from engine.build import build
from engine.records import DAY, NEVER, State
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, Sessions, SpecError, StrategySpec
from tests.builders import MINUTE

HOUR = 60 * MINUTE


@pytest.fixture(autouse=True, scope="module")
def plain() -> Iterator[None]:
    """The functions as plain Python: compiled one by one, with all of the state, they would take minutes."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (
            "_session_at",
            "_day_start",
            "_open_before",
            "session_end",
            "session_start",
            "open_between",
        ):
            function = getattr(module, name)
            patch.setattr(module, name, getattr(function, "py_func", function))
        yield


def make(*calendars: list[tuple[int, int]], day_offset: int = 0) -> State:
    """An instrument for each calendar, "A", "B", ..., and at last one that trades around the clock."""
    names = [chr(ord("A") + i) for i in range(len(calendars) + 1)]
    spec = EngineSpec(
        tuple(
            InstrumentSpec(name, calendar=name if i < len(calendars) else "", day_offset_ns=day_offset)
            for i, name in enumerate(names)
        ),
        (AccountSpec("a", 1.0),),
        (StrategySpec("s", "a", tuple(names), MINUTE),),
        calendars={
            name: Sessions(*(np.array(column, np.int64) for column in zip(*sessions, strict=True)))
            for name, sessions in zip(names, calendars, strict=False)
        },
    )
    return build(spec)


def session_end(state: State, k: int, ts: int) -> int:
    return int(module.session_end(state, state.instruments[k], ts))


def session_start(state: State, k: int, ts: int) -> int:
    return int(module.session_start(state, state.instruments[k], ts))


def open_between(state: State, k: int, since: int, until: int) -> int:
    return int(module.open_between(state, state.instruments[k], since, until))


@st.composite
def calendars(draw: Any) -> list[tuple[int, int]]:
    """Sessions in order, some of which touch."""
    times = [draw(st.integers(-50, 50))]
    for i in range(1, 2 * draw(st.integers(1, 6))):
        times.append(times[-1] + draw(st.integers(i % 2, 20)))
    return list(zip(times[::2], times[1::2], strict=True))


@given(calendars(), calendars(), st.integers(-80, 300), st.integers(0, 200))
def test_sessions_are_those_that_a_search_through_all_finds(
    first: list[tuple[int, int]], second: list[tuple[int, int]], ts: int, later: int
) -> None:
    state = make(first, second)
    for k, sessions in enumerate((first, second)):
        coming = [(o, c) for o, c in sessions if c > ts]
        assert session_end(state, k, ts) == (coming[0][1] if coming else NEVER)
        inside = [o for o, c in sessions if o <= ts < c]
        assert session_start(state, k, ts) == (inside[0] if inside else NEVER)
        moments = sum(o <= t < c for t in range(ts, ts + later) for o, c in sessions)
        assert open_between(state, k, ts, ts + later) == moments


FRIDAY, MONDAY = 25 * DAY, 28 * DAY  # 1970-01-26 was a Monday
WEEK = [
    (FRIDAY + 14 * HOUR + 30 * MINUTE, FRIDAY + 21 * HOUR),
    (MONDAY + 14 * HOUR + 30 * MINUTE, MONDAY + 18 * HOUR),  # a half day
]


@pytest.mark.parametrize(
    ("ts", "end", "start"),
    [
        (FRIDAY, WEEK[0][1], NEVER),  # before the open: the end of the session that comes
        (WEEK[0][0], WEEK[0][1], WEEK[0][0]),
        (WEEK[0][1] - 1, WEEK[0][1], WEEK[0][0]),
        (WEEK[0][1], WEEK[1][1], NEVER),  # closed at its end already
        (FRIDAY + DAY, WEEK[1][1], NEVER),
        (WEEK[1][1] - 1, WEEK[1][1], WEEK[1][0]),
        (WEEK[1][1], NEVER, NEVER),
    ],
)
def test_times_around_a_weekend(ts: int, end: int, start: int) -> None:
    state = make(WEEK)
    assert session_end(state, 0, ts) == end
    assert session_start(state, 0, ts) == start


def test_market_was_open_only_in_its_sessions() -> None:
    state = make(WEEK)
    friday, monday = WEEK
    # Friday 20:00 to Monday 15:00: an hour and half an hour
    assert open_between(state, 0, FRIDAY + 20 * HOUR, MONDAY + 15 * HOUR) == 90 * MINUTE
    assert open_between(state, 0, friday[1], monday[0]) == 0
    assert open_between(state, 0, FRIDAY, MONDAY + DAY) == 10 * HOUR  # 6.5 and 3.5
    assert open_between(state, 0, MONDAY + 2 * DAY, MONDAY + 9 * DAY) == 0


@pytest.mark.parametrize("offset", [0, 5 * HOUR])
@pytest.mark.parametrize(
    ("ts", "day"), [(0, 0), (1, 0), (DAY - 1, 0), (DAY, 1), (-1, -1), (-DAY, -1), (-DAY - 1, -2)]
)
def test_around_the_clock_a_session_is_a_day_from_its_offset_on(ts: int, day: int, offset: int) -> None:
    state = make(day_offset=offset)
    assert session_start(state, 0, ts + offset) == day * DAY + offset
    assert session_end(state, 0, ts + offset) == (day + 1) * DAY + offset
    assert open_between(state, 0, ts, ts + 3 * DAY) == 3 * DAY


def test_calendar_out_of_order_is_refused() -> None:
    with pytest.raises(SpecError, match="calendar 'A' has no sessions, or they are not in order"):
        make([(10, 20), (15, 30)])
    with pytest.raises(SpecError, match="not in order"):
        make([(10, 5)])


def test_instrument_of_an_unknown_calendar_is_refused() -> None:
    spec = EngineSpec(
        (InstrumentSpec("A", calendar="XNYS"),),
        (AccountSpec("a", 1.0),),
        (StrategySpec("s", "a", ("A",), MINUTE),),
    )
    with pytest.raises(SpecError, match="instrument 'A': there is no calendar 'XNYS'"):
        build(spec)
