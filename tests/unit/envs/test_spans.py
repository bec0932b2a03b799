"""Spans by hand, and what holds for every way of cutting them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records import DAY
from envs.spans import Shares, Span, SpanError, Split, TimeSpan, common_closes, split, walk_forward


def test_split_with_an_embargo_is_as_by_hand():
    # 120 bars less two embargoes of 10 are 100: 60, 20 and 20
    assert split(120, Shares(), 10) == Split(Span(0, 60), Span(70, 90), Span(100, 120))


def test_split_gives_what_rounding_leaves_over_to_training():
    # 29 % of 100 is 29, though 0.29 x 100 is a little less in binary; of 103 bars, 29.87 and 20.6 become 30 and 21
    assert split(100, Shares(0.51, 0.29, 0.2), 0) == Split(Span(0, 51), Span(51, 80), Span(80, 100))
    assert split(103, Shares(0.51, 0.29, 0.2), 0) == Split(Span(0, 52), Span(52, 82), Span(82, 103))


def test_walk_forward_rolls_as_by_hand():
    # 100 bars outside the embargoes are 1 + 2 x 0.2 windows of 71.4: tests and validations of 14, so that the training
    # spans have 100 - 14 - 3 x 14 = 44
    assert walk_forward(120, Shares(), 10, folds=3) == (
        Split(Span(0, 44), Span(54, 68), Span(78, 92)),
        Split(Span(14, 58), Span(68, 82), Span(92, 106)),
        Split(Span(28, 72), Span(82, 96), Span(106, 120)),
    )


def test_walk_forward_anchored_trains_from_the_first_bar():
    assert walk_forward(120, Shares(), 10, folds=3, anchored=True) == (
        Split(Span(0, 44), Span(54, 68), Span(78, 92)),
        Split(Span(0, 58), Span(68, 82), Span(92, 106)),
        Split(Span(0, 72), Span(82, 96), Span(106, 120)),
    )


@given(
    bars=st.integers(1, 3000),
    embargo=st.integers(0, 200),
    folds=st.integers(1, 8),
    anchored=st.booleans(),
    weights=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
)
def test_spans_are_in_order_apart_by_the_embargo_and_judge_each_bar_once(
    bars, embargo, folds, anchored, weights
):
    total = sum(weights)
    shares = Shares(*(weight / total for weight in weights))
    try:
        found = walk_forward(bars, shares, embargo, folds, anchored=anchored)
    except SpanError:
        # With w bars in a window and s the share of a span, s w is below 1.5 + folds / 2, for the rounding of every test
        # span is at the cost of training; w is at least a part in `folds` of the bars outside the embargoes.
        assert (bars - 2 * embargo) * min(weights) < (1.5 + folds / 2) * folds * total
        return
    for one in found:
        assert one.validation.start - one.train.end == embargo
        assert one.test.start - one.validation.end == embargo
    lengths = {(len(one.validation), len(one.test)) for one in found}
    assert len(lengths) == 1
    assert found[0].train.start == 0
    assert {one.train.start for one in found} == {0} or not anchored
    assert len({len(one.train) for one in found}) == 1 or anchored
    assert [one.test.start for one in found[1:]] == [one.test.end for one in found[:-1]]
    assert found[-1].test.end == bars
    window = bars - 2 * embargo - (folds - 1) * len(found[0].test)
    assert len(found[0].train) == pytest.approx(shares.train * window, abs=folds + 1)


@pytest.mark.parametrize(
    ("bars", "embargo", "folds", "shares", "name"),
    [
        (20, 10, 1, (0.6, 0.2, 0.2), "train"),
        (10, 40, 1, (0.6, 0.2, 0.2), "train"),
        (10, 0, 10, (0.6, 0.2, 0.2), "train"),
        (22, 6, 1, (0.5, 0.04, 0.46), "validation"),  # 10 bars: 0.4 and 4.6
        (22, 6, 1, (0.5, 0.46, 0.04), "test"),
    ],
)
def test_empty_span_is_refused_by_its_name(bars, embargo, folds, shares, name):
    message = (
        rf"spans\.{name} is empty: {bars} bars with two embargoes of {embargo} in {folds} .*take more bars"
    )
    with pytest.raises(SpanError, match=message):
        walk_forward(bars, Shares(*shares), embargo, folds)


@pytest.mark.parametrize(("bars", "embargo", "folds"), [(0, 0, 1), (10, -1, 1), (10, 0, 0)])
def test_spans_of_no_bars_folds_or_a_negative_embargo_are_refused(bars, embargo, folds):
    with pytest.raises(SpanError, match=f"{bars} bars, an embargo of {embargo}, {folds} folds"):
        walk_forward(bars, Shares(), embargo, folds)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ((0.6, 0.2, 0.3), "add up to 1.1"),
        ((0.6, 0.4, 0.0), "spans.test is 0.0"),
        ((1.2, -0.1, -0.1), "spans.train is 1.2"),
        ((0.6, float("nan"), 0.2), "spans.validation is nan"),
    ],
)
def test_shares_that_are_no_parts_of_a_whole_are_refused(shares, message):
    with pytest.raises(SpanError, match=message):
        Shares(*shares)


def test_shares_that_add_up_to_one_but_for_rounding_are_taken():
    assert 0.7 + 0.2 + 0.1 != 1.0
    assert split(10, Shares(0.7, 0.2, 0.1), 0).test == Span(9, 10)


def test_empty_span_cannot_be_made():
    for start, end in ((3, 3), (4, 3), (-1, 3)):
        with pytest.raises(SpanError, match="is empty"):
            Span(start, end)


def test_span_cuts_its_bars_out_of_an_array():
    bars = np.arange(10)
    assert bars[Span(2, 5).slice].tolist() == [2, 3, 4]
    assert len(Span(2, 5)) == 3


def test_span_in_time_has_both_its_closes():
    closes = np.arange(1, 11, dtype=np.int64) * DAY
    found = Span(2, 5).times(closes)
    assert found == TimeSpan(3 * DAY, 5 * DAY)
    assert found.iso == {"start": "1970-01-04T00:00:00Z", "end": "1970-01-06T00:00:00Z"}
    assert found.bars(closes) == Span(2, 5)
    with pytest.raises(SpanError, match="before bar 11, of 10 bars"):
        Span(2, 11).times(closes)
    with pytest.raises(SpanError, match="ends before it begins"):
        TimeSpan(2, 1)


def test_instruments_of_other_histories_are_cut_at_the_same_times():
    # one trades on days 1 to 10, the other on the even days from 6 to 20: in all on 1 to 10, 12, 14, 16, 18, 20
    long, late = np.arange(1, 11) * DAY, np.arange(6, 21, 2) * DAY
    closes = common_closes([long, late])
    assert (closes // DAY).tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20]
    found = split(len(closes), Shares(), 0)  # 9, 3 and 3
    train, validation, test = (span.times(closes) for span in (found.train, found.validation, found.test))
    assert (train.bars(long), train.bars(late)) == (Span(0, 9), Span(0, 2))
    assert (validation.bars(long), validation.bars(late)) == (Span(9, 10), Span(2, 5))
    assert test.bars(late) == Span(5, 8)
    with pytest.raises(SpanError, match="no bar closes from 1970-01-17T00:00:00Z to 1970-01-21T00:00:00Z"):
        test.bars(long)


def test_closes_of_no_instrument_are_refused():
    with pytest.raises(SpanError, match="no instrument"):
        common_closes([])
