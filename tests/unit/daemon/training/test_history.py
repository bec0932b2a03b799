"""The spans of several instruments that do not trade at the same hours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daemon.training.history import History, _apart, of_instrument
from engine.records import RowKind
from envs.spans import Span, SpanError, TimeSpan
from tests.builders import join, make_ticks

DAY = 86_400 * 10**9


class Days:
    """What the cut of spans looks at of a tape: a close on each of these days."""

    def __init__(self, name: str, days: Any, ready: int = 0) -> None:
        self.name, self.ready = name, ready
        self.times = np.asarray(list(days), np.int64) * DAY

    def __len__(self) -> int:
        return len(self.times)


def between(first: int, last: int) -> TimeSpan:
    return TimeSpan(first * DAY, last * DAY)


def apart(after: TimeSpan, *tapes: Any, embargo: int = 10) -> TimeSpan:
    return _apart(between(0, 100), after, tapes, embargo)


def test_span_begins_when_each_instrument_has_the_embargo_behind_it() -> None:
    every_day, each_third = Days("A", range(300)), Days("B", range(0, 300, 3))
    # A: days 101 to 110 are the embargo. B's last day before is 99: ten of its days are 102 to 129, the next is 132
    assert apart(between(111, 200), every_day) == between(111, 200)
    assert apart(between(111, 200), every_day, each_third) == between(132, 200)
    assert apart(between(140, 200), every_day, each_third) == between(140, 200)
    assert apart(between(111, 200), every_day, each_third, embargo=0) == between(111, 200)


def test_instrument_that_was_not_there_in_the_span_before_pushes_nothing() -> None:
    every_day = Days("A", range(300))
    assert apart(between(111, 200), every_day, Days("B", range(150, 300))) == between(111, 200)
    # it had bars there, but not yet its features
    assert apart(between(111, 200), every_day, Days("B", range(0, 300, 3), ready=34)) == between(111, 200)


def test_embargo_that_leaves_nothing_of_a_span_is_refused() -> None:
    with pytest.raises(
        SpanError, match="an embargo of 40 bars leaves nothing of the span that ends 1970-07-20"
    ):
        apart(between(111, 200), Days("A", range(300)), Days("B", range(0, 300, 3)), embargo=40)


def test_spans_are_bars_with_all_features_and_name_the_instrument_that_has_none() -> None:
    tapes: Any = (Days("A", range(300), ready=20), Days("B", range(50, 300), ready=5))
    history = History(*(None,) * 3, tapes, *(None,) * 4)  # type: ignore[arg-type]  # nothing else is looked at
    assert history.spans(between(0, 100)) == [Span(20, 101), Span(5, 51)]
    assert history.spans(between(100, 120)) == [Span(100, 121), Span(50, 71)]
    with pytest.raises(
        SpanError, match="B has no bars with all features from 1970-01-01T00:00:00Z to 1970-02-24"
    ):
        history.spans(between(0, 54))


def test_rows_of_one_instrument_are_its_prices_and_actions_and_no_deposits() -> None:
    rows = join(
        make_ticks([(1, 10.0)], instrument=0),
        make_ticks([(2, 20.0)], instrument=1),
        make_ticks([(3, 500.0)], instrument=1, kind=RowKind.CASH),
        make_ticks([(4, 2.0, 1.0)], instrument=1, kind=RowKind.SPLIT),
        make_ticks([(5, 10.5)], instrument=1),
    )
    mine = of_instrument(rows, 1)
    assert mine.ts_event.tolist() == [2, 4, 5]
    assert mine.instrument.tolist() == [0, 0, 0]
    assert mine.price.tolist() == [20.0, 2.0, 10.5]
