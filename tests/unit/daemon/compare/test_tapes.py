"""The tapes between a recorded one and a vendor's bars, row by row."""

import numpy as np

from daemon.compare.tapes import Bars, Tape, ladder
from daemon.live.rows import OURS, joined, mark, timer
from daemon.store.batch import Gap, Payload
from engine.records import SECOND, RowKind
from tests.builders import MINUTE, make_ticks


def bars(*rows):
    """Of (minute, open, high, low, close, volume)."""
    minute, *rest = (np.array(column) for column in zip(*rows, strict=True))
    return Bars(minute * MINUTE, *(column.astype(float) for column in rest))


def prints(*rows, delay=0):
    """Of (second, price[, size[, instrument]])."""
    ticks = make_ticks([(int(r[0] * SECOND), float(r[1]), *r[2:], *(1.0, 0)[len(r) - 2 :]) for r in rows])
    return ticks._replace(ts_recv=ticks.ts_event + delay)


def shown(tape, instrument=0):
    """(seconds, price, kind) of an instrument's prices."""
    t = tape.ticks
    mine = (t.instrument == instrument) & ((t.flags & 15) < RowKind.TIMER)
    assert (t.ts_event == t.ts_recv).all()
    return [
        (ts / SECOND, float(price), RowKind(flags & 15))
        for ts, price, flags in zip(
            t.ts_event[mine].tolist(), t.price[mine], t.flags[mine].tolist(), strict=True
        )
    ]


def path(minute, open_, second, third, close):
    end = (minute + 1) * 60 - 1e-9
    kinds = (RowKind.PRINT, RowKind.EXTREME, RowKind.EXTREME, RowKind.CLOSE)
    times = (minute * 60.0, end, end, end)
    return list(zip(times, map(float, (open_, second, third, close)), kinds, strict=True))


def steps(ticks, vendor, gaps=(), begin=0, payloads=()):
    return ladder(Tape(ticks, payloads), begin, gaps, {0: vendor}, {0: MINUTE})


THREE = prints((0, 10), (30, 12), (50, 11), (60, 11), (70, 9), (120, 10), (150, 8), (180, 8))


def test_prints_become_bars_and_the_minute_in_which_it_ended_stays():
    _, prompt, made, _, theirs = steps(THREE, bars((0, 10, 12, 10, 11, 3), (1, 11, 11, 9, 9, 2))).tapes
    assert [(ts, price) for ts, price, _ in shown(prompt)] == [(0, 10), (30, 12), (50, 11), (60, 11), (70, 9), (120, 10), (150, 8), (180, 8)]  # fmt: skip
    tail = [(180.0, 8.0, RowKind.PRINT)]
    assert shown(made) == path(0, 10, 10, 12, 11) + path(1, 11, 11, 9, 9) + path(2, 10, 10, 8, 8) + tail
    assert shown(theirs) == path(0, 10, 10, 12, 11) + path(1, 11, 11, 9, 9) + tail


def test_late_print_takes_its_place_in_the_order_of_what_happened():
    late = THREE._replace(ts_recv=THREE.ts_event + np.array([0, 0, 45, 0, 0, 0, 0, 0]) * SECOND)
    order = np.argsort(late.ts_recv, kind="stable")
    recorded = type(late)(*(c[order] for c in late))
    _, prompt, made, *_ = steps(recorded, bars((0, 1, 1, 1, 1, 1))).tapes
    assert [ts for ts, *_ in shown(prompt)] == [0, 30, 50, 60, 70, 120, 150, 180]
    assert shown(made)[:4] == path(0, 10, 10, 12, 11)


def test_minute_in_which_it_began_stays_as_it_was():
    _, _, made, filled, theirs = steps(THREE, bars((0, 1, 1, 1, 1, 1), (1, 11, 11, 9, 9, 2)), begin=1).tapes
    for tape in (made, filled, theirs):
        assert shown(tape)[:3] == [
            (0.0, 10.0, RowKind.PRINT),
            (30.0, 12.0, RowKind.PRINT),
            (50.0, 11.0, RowKind.PRINT),
        ]


def test_bar_is_taken_where_more_prints_could_have_made_it():
    own = (1, 11, 11, 9, 9, 2)
    for vendor, taken in (
        ((0, 10, 13, 10, 11, 4), True),  # another print, at 13
        ((0, 10, 12, 10, 11, 4), True),  # of the same range
        ((0, 10, 13, 10, 11, 3), False),  # of no more volume: another price
        (
            (0, 10, 11, 10, 11, 4),
            False,
        ),  # the tape has a print at 12, which the vendor's volume does not explain
    ):
        found = steps(THREE, bars(vendor, own))
        _, _, _, filled, theirs = found.tapes
        facts = found.facts[0]
        assert (facts.short, facts.prices) == ((1, 0) if taken else (0, 1))
        assert shown(filled)[:4] == (shown(theirs)[:4] if taken else path(0, 10, 10, 12, 11))


def test_bar_without_prints_and_bar_in_a_gap_are_taken():
    ticks = prints((0, 10), (60, 11), (130, 12), (240, 13))
    vendor = bars(
        (0, 20, 20, 20, 20, 1), (1, 21, 21, 21, 21, 1), (2, 22, 22, 22, 22, 1), (3, 23, 23, 23, 23, 1)
    )
    gap = Gap(0, 80 * SECOND, 100 * SECOND, "the feed was down")
    other = Gap(1, 0, None, "of another instrument")
    found = steps(ticks, vendor, [gap, other])
    assert [price for _, price, kind in shown(found.tapes[3]) if kind == RowKind.PRINT] == [
        10,
        21,
        12,
        23,
        13,
    ]
    facts = found.facts[0]
    assert (facts.both, facts.gaps, facts.missing, facts.short, facts.prices, facts.largest) == (
        3,
        1,
        1,
        0,
        2,
        10.0,
    )


def test_gap_that_never_closed_lasts_to_the_end():
    ticks = prints((0, 10), (60, 11), (180, 12))
    vendor = bars((0, 20, 20, 20, 20, 1), (1, 21, 21, 21, 21, 1), (2, 22, 22, 22, 22, 1))
    facts = steps(ticks, vendor, [Gap(0, 90 * SECOND, None, "down")]).facts[0]
    assert (facts.gaps, facts.missing) == (2, 0)


def test_bars_of_the_tape_begin_where_the_vendors_do():
    # a vendor's minutes begin at second 15; prints beside them go on in its step
    vendor = Bars(np.array([15 * SECOND]), *(np.array([x]) for x in (12.0, 12.0, 10.0, 10.0, 2.0)))
    ticks = prints((15, 12), (70, 10), (80, 9), (140, 7), (200, 7))
    made = steps(ticks, vendor).tapes[2]
    assert [(ts, p) for ts, p, kind in shown(made) if kind == RowKind.PRINT][:3] == [
        (15, 12),
        (75, 9),
        (135, 7),
    ]


def test_marks_and_unusable_prices_are_no_part_of_bars():
    ticks = joined(
        [prints((0, 10), (20, -1.0)), mark(30 * SECOND, 30 * SECOND, 0, 99.0), prints((40, 11), (60, 11))]
    )
    made = steps(ticks, bars((0, 10, 11, 10, 11, 2))).tapes[2]
    assert shown(made)[:4] == path(0, 10, 10, 11, 11)
    assert 99.0 not in made.ticks.price
    assert 99.0 in steps(ticks, bars((0, 10, 11, 10, 11, 2))).tapes[1].ticks.price


def test_timers_go_and_what_carries_something_keeps_its_time():
    note = timer(65 * SECOND)
    ticks = joined([prints((0, 10), delay=5), timer(60 * SECOND), note, prints((70, 11), (120, 12), delay=5)])
    payload = Payload(3, "signal", {"value": 1.0})
    _, prompt, made, *_ = steps(ticks, bars((0, 10, 10, 10, 10, 1)), payloads=[(2, payload)]).tapes
    for tape in (prompt, made):
        ((i, kept),) = tape.payloads
        assert kept == payload
        assert (tape.ticks.ts_recv[i], tape.ticks.flags[i]) == (65 * SECOND, RowKind.TIMER | OURS)
        others = np.delete(tape.ticks.flags & 15, i)
        assert (others[:-1] != RowKind.TIMER).all()
        assert (others[-1], tape.ticks.ts_recv[-1]) == (
            RowKind.TIMER,
            120 * SECOND + 5,
        )  # time goes on to the end


def test_instrument_that_the_vendor_has_none_of_keeps_its_prints():
    ticks = prints((0, 10), (10, 5, 1.0, 1), (20, 6, 1.0, 1), (60, 11))
    made = steps(ticks, bars((0, 10, 10, 10, 10, 1))).tapes[4]
    assert shown(made, 1) == [(10, 5, RowKind.PRINT), (20, 6, RowKind.PRINT)]
