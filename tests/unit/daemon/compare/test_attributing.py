"""Parts that add up, and orders that two runs have in common."""

from daemon.compare.attributing import Cause, Part, disagreements
from daemon.compare.running import Executed, Run


def order(submitted, gain=0, side=1, lots=10, notional=1000, fee=0, strategy=0):
    return Executed(strategy, 0, side, submitted, lots, notional, fee, gain)


def ran(*orders):
    return Run({}, {}, {}, orders, 0)


def test_parts_are_the_steps_and_add_up():
    part = Part("desk", (7, 5, 0, -15, -16), (5, 6, 6, 4, 4))
    assert part.parts() == {Cause.TIMING: -2, Cause.FILLS: -5, Cause.MISSING: -15, Cause.PRICES: -1}
    assert part.fill_parts() == {Cause.TIMING: 1, Cause.FILLS: 0, Cause.MISSING: -2, Cause.PRICES: 0}


def test_orders_of_about_the_same_time_are_one_and_others_are_not():
    first = ran(order(100), order(200, gain=5), order(300, gain=2))
    # 204 is near 200, at another price; 340 is too far from 300; 100 sold is not 100 bought
    second = ran(
        order(100, gain=9), order(204, gain=3, notional=990), order(340, gain=1), order(100, side=-1, gain=-4)
    )
    same = second
    found = disagreements([first, second, same, same, same], 60)
    told = [
        (d.cause, d.before and d.before.submitted, d.after and (d.after.side * d.after.submitted), d.gain)
        for d in found
    ]
    assert told == [
        (Cause.TIMING, None, -100, -4),
        (Cause.TIMING, 200, 204, -2),
        (Cause.TIMING, 300, None, -2),
        (Cause.TIMING, None, 340, 1),
    ]


def test_orders_of_two_strategies_are_never_one():
    found = disagreements([ran(order(100)), *[ran(order(100, strategy=1))] * 4], 60)
    assert [(d.before is None, d.after is None) for d in found] == [(False, True), (True, False)]
