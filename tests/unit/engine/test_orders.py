"""The table of order states, each of its 81 pairs, and what an illegal step does: nothing, loudly."""

from itertools import product

import pytest

from engine.engine import EngineFault
from engine.orders import TRANSITIONS, move
from engine.records import DAY, Side, Status
from engine.sessions import session_end
from tests.builders import make_engine, make_ticks, order, plain

S = Status
MAY_BECOME = {
    S.PENDING_NEW: {S.NEW, S.DENIED, S.REJECTED, S.PENDING_CANCEL, S.CANCELED, S.EXPIRED},
    S.NEW: {S.PARTIALLY_FILLED, S.FILLED, S.PENDING_CANCEL, S.CANCELED, S.EXPIRED},
    S.PARTIALLY_FILLED: {S.PARTIALLY_FILLED, S.FILLED, S.PENDING_CANCEL, S.CANCELED, S.EXPIRED},
    S.PENDING_CANCEL: {S.PENDING_CANCEL, S.FILLED, S.CANCELED, S.EXPIRED},
    S.FILLED: set(),
    S.CANCELED: set(),
    S.EXPIRED: set(),
    S.REJECTED: set(),
    S.DENIED: set(),
}


def test_table_covers_every_pair_of_states() -> None:
    assert TRANSITIONS.shape == (9, 9)
    assert len(list(product(Status, Status))) == 81


@pytest.mark.parametrize(("before", "after"), list(product(Status, Status)))
def test_step_is_taken_if_and_only_if_the_table_knows_it(before: Status, after: Status) -> None:
    engine = make_engine()
    engine.process(make_ticks([(0, 100.0)]))
    order(engine, Side.BUY, 1, limit=50.0)
    record = engine.state.orders[engine.live_orders()[0]]
    record.status = before
    was = record.tobytes()
    taken = plain(move)(engine.state, record, after)
    if after in MAY_BECOME[before]:
        assert (bool(taken), Status(record.status), engine.state.clock[0].faults) == (True, after, 0)
    else:
        assert (bool(taken), record.tobytes(), engine.state.clock[0].faults) == (False, was, 1)


@pytest.mark.parametrize("ended", [S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED, S.DENIED])
def test_fill_of_an_order_that_has_ended_raises_and_changes_nothing(ended: Status) -> None:
    engine = make_engine()
    engine.process(make_ticks([(0, 100.0)]))
    order(engine, Side.BUY, 10)
    place = engine.live_orders()[0]
    engine.state.orders[place].status = ended
    was = [a.tobytes() for a in (engine.state.orders[place], engine.state.slots, engine.state.accounts)]
    with pytest.raises(EngineFault, match="step"):
        engine.process(make_ticks([(1, 101.0), (2, 102.0)]))
    assert was == [
        a.tobytes() for a in (engine.state.orders[place], engine.state.slots, engine.state.accounts)
    ]
    with pytest.raises(EngineFault):  # the state is not to be trusted: it does not go on
        engine.process(make_ticks([(3, 103.0)]))


def test_orders_are_numbered_and_kept_in_order_of_arrival() -> None:
    engine = make_engine()
    engine.process(make_ticks([(0, 100.0)]))
    ids = [order(engine, Side.BUY, 1, limit=50.0) for _ in range(5)]
    assert ids == [1, 2, 3, 4, 5]
    engine.cancel(1)
    engine.cancel(3)
    engine.cancel(5)
    ids.append(order(engine, Side.BUY, 1, limit=50.0))
    assert [engine.state.orders[p].id for p in engine.live_orders()] == [2, 4, 6]


def test_pool_of_orders_grows_without_losing_one() -> None:
    engine = make_engine()
    engine.process(make_ticks([(0, 100.0)]))
    n = 1_000
    first = len(engine.state.orders)
    ids = [order(engine, Side.BUY, 1, limit=50.0) for _ in range(n)]
    assert [engine.state.orders[p].id for p in engine.live_orders()] == ids
    for order_id in ids[::2]:
        assert engine.cancel(order_id)
    assert [engine.state.orders[p].id for p in engine.live_orders()] == ids[1::2]
    assert engine.state.clock[0].live_orders == n // 2
    assert engine.state.clock[0].free_orders == len(engine.state.orders) - n // 2
    assert len(engine.state.orders) > first


@pytest.mark.parametrize(
    ("ts", "offset", "end"),
    [
        (0, 0, DAY),
        (DAY - 1, 0, DAY),
        (DAY, 0, 2 * DAY),
        (DAY // 2, DAY // 4, DAY + DAY // 4),  # the day began at 06:00
        (DAY // 8, DAY // 4, DAY // 4),
        (-1, 0, 0),  # before 1970
        (DAY // 2, -DAY // 4, DAY - DAY // 4),
    ],
)
def test_around_the_clock_a_session_is_a_day(ts: int, offset: int, end: int) -> None:
    engine = make_engine(day_offset_ns=offset)
    assert plain(session_end)(engine.state, engine.state.instruments[0], ts) == end
