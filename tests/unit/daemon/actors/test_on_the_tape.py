"""Signals, and what becomes of actors, as inputs of a live session: they are decided on, kept, and replayed alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daemon.config.paper import load_paper
from daemon.live import rows
from daemon.live.core import Core
from daemon.store.batch import Payload
from engine.records import SECOND, Code, Status, Ticks
from tests.builders import make_ticks, read
from tests.unit.daemon.actors.cast import HERE

T0 = 1_700_000_040 * SECOND  # a full minute
SIGNAL = {
    "actor": "x", "instrument": "A", "ts": T0, "until": T0 + SECOND, "value": 1.0, "low": None, "high": None, "data": {}
}  # fmt: skip
LOST = {"actor": "x", "event": "lost", "why": "bad luck"}


def core(on_crash: str = "cancel", **strategy: Any) -> Core:
    """A session in which one strategy listens to actor x, and another to y."""
    actors = [
        {"name": name, "use": f"{HERE}:Echo", "instruments": ["A"], "timeframe": "1m", "on_crash": on_crash}
        for name in ("x", "y")
    ]
    usual = {"use": f"{HERE}:Patient", "instruments": ["A"], "timeframe": "1m"}
    strategies = [
        {**usual, "name": "one", "signals": ["x"], **strategy},
        {**usual, "name": "two", "signals": ["y"]},
    ]
    return Core.fresh(
        load_paper(
            {
                "name": "desk",
                "feed": {"source": "finnhub"},
                "instruments": {"A": {"tick_size": 0.01, "lot_size": 1, "currency": "USD"}},
                "actors": actors,
                "accounts": [{"name": "desk", "cash": 1000, "strategies": strategies}],
            }
        ).config,
        T0,
    )


def tape() -> tuple[Ticks, list[Payload]]:
    """A price, a signal for each strategy, a price, x lost, a price; seq from 1 on."""
    prices = [make_ticks([(T0 + k * SECOND, 100.0, 1.0, 0)]) for k in (0, 3, 5)]
    notes = [rows.timer(T0 + k * SECOND) for k in (1, 2, 4)]
    parts = (prices[0], notes[0], notes[1], prices[1], notes[2], prices[2])
    payloads = [
        Payload(2, "signal", SIGNAL),
        Payload(3, "signal", {**SIGNAL, "actor": "y"}),
        Payload(5, "actor", LOST),
    ]
    return rows.joined(parts), payloads


def statuses(events: Any) -> list[tuple[int, Status, Code]]:
    return [(e["order_id"], e["status"], e["code"]) for e in read(events)]


def test_order_on_a_signal_is_in_the_batch_that_brought_it_and_goes_when_the_actor_is_lost() -> None:
    session = core()
    ticks, payloads = tape()
    batch = session.take(ticks, payloads)
    found = statuses(batch.out)
    assert [(order, status) for order, status, _ in found if status == Status.NEW] == [
        (1, Status.NEW),
        (2, Status.NEW),
    ]
    ended = [(order, code) for order, status, code in found if status == Status.CANCELED]
    assert ended == [(1, Code.DISCONNECT)]  # the other listens to y
    assert session.lost_actors == {"x": "bad luck"}
    session.take(rows.timer(T0 + 6 * SECOND), [Payload(session.seq + 1, "actor", {**LOST, "event": "back"})])
    assert session.lost_actors == {}


@pytest.mark.parametrize(
    ("on_crash", "strategy"), [("keep", {}), ("cancel", {"cancel_on_disconnect": False})]
)
def test_orders_stay_where_the_actor_or_the_strategy_says_so(on_crash: str, strategy: dict[str, Any]) -> None:
    batch = core(on_crash, **strategy).take(*tape())
    assert Status.CANCELED not in [status for _, status, _ in statuses(batch.out)]


def test_replay_in_other_batches_gives_the_same() -> None:
    whole, single = core(), core()
    ticks, payloads = tape()
    events = whole.take(ticks, payloads).out.events
    parts = []
    for i in range(len(ticks.price)):
        row = Ticks(*(column[i : i + 1] for column in ticks))
        parts.append(single.take(row, [p for p in payloads if p.seq == i + 1]).out.events)
    assert len(events) == 3
    assert np.concatenate(parts).tobytes() == events.tobytes()
    assert single.engine.state_hash() == whole.engine.state_hash()
