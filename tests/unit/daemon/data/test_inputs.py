"""Inputs on a tape: where they stand among other rows, and that only those come whose time comes."""

import numpy as np
import pytest

from daemon.data.feed import Source, open_feed
from daemon.data.inputs import enter
from daemon.data.merge import cut, merge
from engine.records import RowKind
from tests.builders import join, make_ticks

DAY = 86_400 * 10**9


def tape():
    return make_ticks(
        [
            (10, 1.0, 1.0, 0, RowKind.PRINT),
            (20, 2.0, 1.0, 0, RowKind.CLOSE),
            (20, 7.0, 1.0, 0, RowKind.SPLIT),
            (20, 3.0, 1.0, 0, RowKind.PRINT),
            (30, 4.0, 1.0, 0, RowKind.PRINT),
        ]
    )


def paid(*rows):
    return make_ticks([(ts, amount, 0.0, 5, RowKind.CASH) for ts, amount in rows])


def played(batch_rows, *rows):
    parts = list(enter(cut(tape(), batch_rows), paid(*rows)))
    whole = join(*parts)
    return list(zip(whole.ts_event.tolist(), whole.price.tolist(), whole.instrument.tolist(), strict=True))


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 100])
def test_payment_comes_after_closes_and_actions_of_its_time_and_before_prints(batch_rows):
    assert played(batch_rows, (5, 100.0), (20, -50.0), (20, 60.0), (25, 70.0)) == [
        (5, 100.0, 5),
        (10, 1.0, 0),
        (20, 2.0, 0),
        (20, 7.0, 0),
        (20, -50.0, 5),
        (20, 60.0, 5),
        (20, 3.0, 0),
        (25, 70.0, 5),
        (30, 4.0, 0),
    ]


@pytest.mark.parametrize("batch_rows", [1, 2, 100])
def test_payment_after_the_last_row_does_not_come(batch_rows):
    assert played(batch_rows, (31, 1.0), (32, 1.0)) == played(batch_rows)


def test_tape_without_payments_in_it_is_handed_on_as_it_is():
    (given,) = [tape()]
    assert next(enter(iter([given]), paid((99, 1.0)))) is given


@pytest.mark.parametrize("batch_rows", [5, 64, 100_000])
def test_feed_pays_among_the_rows_of_all_instruments(batch_rows):
    sources = [Source("sample", None, k, name, DAY) for k, name in enumerate(("AAPL", "IBM"))]
    every_hundredth_day = np.arange(0, 40_000, 100) * DAY
    feed = open_feed(
        sources, batch_rows, paid(*((int(t), float(i + 1)) for i, t in enumerate(every_hundredth_day)))
    )
    whole = join(*feed)
    plain = join(*open_feed(sources, batch_rows))
    cash = whole.flags == RowKind.CASH
    assert (np.diff(whole.ts_event) >= 0).all()
    assert whole.price[~cash].tolist() == plain.price.tolist()
    wanted = every_hundredth_day[every_hundredth_day <= plain.ts_event[-1]]
    assert whole.ts_event[cash].tolist() == wanted.tolist()
    # at midnight: the bars of the day before have closed, those of the day have not begun
    at = np.flatnonzero(cash)
    inside = at[(at > 0)]
    assert (whole.ts_event[inside - 1] <= whole.ts_event[inside]).all()
    following = whole.flags[inside + 1][whole.ts_event[inside + 1] == whole.ts_event[inside]]
    assert set(following.tolist()) <= {RowKind.PRINT, RowKind.CASH}


def test_merge_of_one_stream_with_payments_counts_them_as_rows():
    feed = open_feed([Source("sample", None, 0, "IBM", DAY)], 1000, paid((0, 1.0)))
    n = sum(len(t.price) for t in feed)
    assert feed.rows == n
    assert feed.first_ts == 0


@pytest.mark.parametrize("kind", [RowKind.CASH, RowKind.OPERATOR])
def test_merge_ranks_inputs_with_actions(kind):
    a = make_ticks([(20, 3.0, 1.0, 0, RowKind.PRINT)])
    b = make_ticks([(20, 9.0, 0.0, 1, kind)])
    (merged,) = merge([iter([a]), iter([b])])
    assert merged.flags.tolist() == [kind, RowKind.PRINT]
