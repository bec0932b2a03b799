"""What is committed is in the log, in words; why something does not trade is known until it trades again."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from structlog.testing import capture_logs

from daemon.bus import Bus
from daemon.live import rows, saying
from daemon.live.messages import Committed
from daemon.live.saying import Saying
from daemon.store.batch import Batch, Gap, Payload
from engine.engine import Engine
from engine.records import SECOND, LimitAction, OperatorAction, OrderType, Side, Ticks, TimeInForce
from engine.spec import (
    AccountSpec,
    EngineSpec,
    InstrumentSpec,
    LimitSpec,
    LimitsSpec,
    RiskLimits,
    StrategySpec,
)
from tests.builders import MINUTE, make_ticks

NOON = 1_767_268_800 * SECOND  # 2026-01-01 12:00:00 UTC
SPEC = EngineSpec(
    (InstrumentSpec("A"),),
    (
        AccountSpec(
            "a",
            10_000.0,
            limits=LimitsSpec(risk=RiskLimits(drawdown=LimitSpec(0.1, action=LimitAction.HALT))),
        ),
        AccountSpec("b", 10_000.0),
    ),
    (StrategySpec("a/s", "a", ("A",), MINUTE), StrategySpec("b/s", "b", ("A",), MINUTE)),
)


class Desk:
    """A session whose rows are committed one by one, and told."""

    def __init__(self) -> None:
        self.engine = Engine(SPEC)
        self.why: dict[str, str] = {}
        self._saying = Saying(SPEC, self.why)
        self._first = 1

    def row(self, price: float) -> list[dict[str, Any]]:
        """The lines of a print, one second behind the last."""
        return self.commit(make_ticks([(NOON + self._first * SECOND, price, 1e9)]))

    def operate(self, portfolio: int, action: OperatorAction) -> list[dict[str, Any]]:
        content = {"portfolio": "a", "action": action.name.lower(), "reason": "news", "who": "ann@box"}
        ticks = rows.command(NOON + self._first * SECOND, portfolio, action)
        return self.commit(ticks, payloads=[Payload(self._first, "command", content)])

    def commit(self, ticks: Ticks, **given: Any) -> list[dict[str, Any]]:
        batch = Batch(
            self._first, ticks, self.engine.process(ticks), np.array(self.engine.state.slots), **given
        )
        self._first += 1

        async def publish() -> None:
            async with Bus() as bus:
                self._saying.subscribe(bus)
                await bus.publish(Committed(batch, 0, 0, 0))
            assert [one.error for one in bus.subscriptions] == [None]

        with capture_logs() as lines:
            asyncio.run(publish())
        return [dict(line) for line in lines]

    def buy(self, units: int, slot: int = 0) -> None:
        self.engine.submit(slot, Side.BUY, units, OrderType.MARKET, TimeInForce.GTC)


def test_fill_and_denial_are_lines_with_account_and_seq() -> None:
    desk = Desk()
    assert desk.row(100.0) == []
    desk.buy(50)
    desk.buy(200, slot=1)  # 20,000 of 10,000
    fill, denial = desk.row(100.0)
    assert fill == {
        "event": "a/s bought 50 A at 100 for 5,000.00 USD; it holds 50 now",
        "kind": "fills", "account": "a", "seq": 1, "log_level": "info",
    }  # fmt: skip
    assert denial["event"].startswith("b/s: order to buy 200 A denied: it costs more than the cash")
    assert {k: denial[k] for k in ("kind", "account", "log_level")} == {
        "kind": "denials", "account": "b", "log_level": "info"
    }  # fmt: skip


def test_drawdown_that_halts_is_a_warning_and_remembered_until_the_account_trades_again() -> None:
    desk = Desk()
    desk.row(100.0)
    desk.buy(90)
    desk.row(100.0)
    lines = desk.row(88.0)  # 90 x 12 of 10,000 are 10.8 %
    halt = next(line for line in lines if line["kind"] == "halts")
    assert (halt["log_level"], halt["account"], halt["seq"]) == ("warning", "a", 3)
    assert "a is halted" in halt["event"]
    assert desk.why == {"a": f"since 2026-01-01 12:00:03 UTC: {halt['event']}"}
    (line,) = [one for one in desk.operate(0, OperatorAction.RESET) if one["kind"] == "halts"]
    assert "ann@box" in line["event"]
    assert desk.why == {}


def test_halt_of_an_operator_says_who_and_why() -> None:
    desk = Desk()
    desk.row(100.0)
    (line,) = desk.operate(0, OperatorAction.HALT)
    assert line["log_level"] == "warning"
    assert "ann@box" in line["event"]
    assert "news" in line["event"]
    assert desk.why["a"].endswith(line["event"])
    desk.operate(0, OperatorAction.REDUCE_ONLY)
    assert "reduce" in desk.why["a"]


def test_lines_of_a_kind_and_account_are_counted_behind_a_most() -> None:
    desk = Desk()
    desk.row(100.0)
    for _ in range(saying.MOST_LINES + 5):
        desk.buy(1)
    *lines, last = desk.row(100.0)
    assert [line["kind"] for line in lines] == ["fills"] * saying.MOST_LINES
    assert (last["event"], last["account"], last["more"]) == ("and more of them", "a", 5)


def test_gap_is_not_said_a_second_time() -> None:
    desk = Desk()
    ticks = make_ticks([(NOON + SECOND, 100.0, 1.0)])
    gap = {"instruments": ["A"], "since": NOON, "until": None, "why": "the stream was lost"}
    payloads = [Payload(1, "gap", gap)]
    assert desk.commit(ticks, payloads=payloads, gaps=[Gap(0, NOON, None, "the stream was lost")]) == []
