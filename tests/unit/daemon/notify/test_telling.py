"""What a batch says to people: the engine's own events, in words."""

import math

import numpy as np
import pytest

from daemon.feeds.items import Status, StatusKind
from daemon.live.messages import Notice
from daemon.notify.telling import MOST_LINES, Line, Teller, Told, fed, noticed
from daemon.store.batch import Batch, Gap, Payload
from engine.engine import Engine, Events
from engine.records import (
    EVENT,
    NONE,
    SECOND,
    Code,
    EventKind,
    Level,
    LimitAction,
    OperatorAction,
    OrderType,
    RowKind,
    Side,
    Ticks,
    TimeInForce,
)
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
DRAWDOWN = RiskLimits(drawdown=LimitSpec(0.1, warning=0.05, action=LimitAction.HALT))
SPEC = EngineSpec(
    (InstrumentSpec("A", lot_size=0.1, taker_bps=10.0), InstrumentSpec("BTC", lot_size=1e-8, currency="BTC")),
    (AccountSpec("a", 10_000.0, limits=LimitsSpec(risk=DRAWDOWN)), AccountSpec("b", 2.0, "BTC")),
    (StrategySpec("a/s", "a", ("A",), MINUTE), StrategySpec("b/s", "b", ("BTC",), MINUTE)),
    scales={"BTC": 100_000_000},
    reasons=("the desk is closed",),
)


class Desk:
    """A session whose strategies ask by hand; `told` is what people hear of its last row."""

    def __init__(self, spec: EngineSpec = SPEC) -> None:
        self.engine = Engine(spec)
        self.teller = Teller(spec)
        self.first = 1
        self.told: list[Told] = []

    def row(
        self,
        price: float,
        instrument: int = 0,
        *payloads: Payload,
        kind: RowKind = RowKind.PRINT,
        size: float = 1e9,
    ) -> list[str]:
        ticks = make_ticks([(NOON + self.first * SECOND, price, size, instrument, kind)])
        return self.batch(ticks, self.engine.process(ticks), payloads)

    def batch(self, ticks: Ticks, out: Events, payloads: tuple[Payload, ...] = ()) -> list[str]:
        batch = Batch(self.first, ticks, out, np.array(self.engine.state.slots), payloads=payloads)
        self.first += len(ticks.price)
        self.told = self.teller.committed(batch)
        return self.texts

    @property
    def texts(self) -> list[str]:
        return [line.text for told in self.told for line in told.first()]

    @property
    def lines(self) -> list[Line]:
        return [line for told in self.told for line in told.first()]

    def ask(self, side: Side, units: float, slot: int = 0) -> None:
        lots = round(units / SPEC.instruments[slot].lot_size)
        self.engine.submit(slot, side, lots, OrderType.MARKET, TimeInForce.GTC)


def test_fill_names_quantity_in_units_price_value_fee_and_what_is_held() -> None:
    desk = Desk()
    desk.row(100.0)
    desk.ask(Side.BUY, 50.5)
    # 50.5 x 100 = 5,050, of which 10 basis points are 5.05
    assert desk.row(100.0) == ["a/s bought 50.5 A at 100 for 5,050.00 USD (fee 5.05); it holds 50.5 now"]
    (line,) = desk.lines
    assert (line.event, line.account, line.ts) == ("fills", "a", NOON + 2 * SECOND)
    assert line.facts == {
        "seq": 1, "order": 1, "strategy": "a/s", "instrument": "A", "side": "BUY", "quantity": "50.5", "price": 100.0,
        "position": "50.5", "fee": "5.05", "profit": "0", "currency": "USD",
    }  # fmt: skip


def test_fill_that_closes_says_what_it_earned() -> None:
    desk = Desk()
    desk.row(100.0)
    desk.ask(Side.BUY, 50)
    desk.row(100.0)
    desk.ask(Side.SELL, 20)
    # 20 x (101.25 - 100) = 25; the fee is 20 x 101.25 / 1000 = 2.025
    assert desk.row(101.25) == [
        "a/s sold 20 A at 101.25 for 2,025.00 USD (fee 2.02, profit +25.00); it holds 30 now"
    ]


def test_fill_in_satoshis_is_exact_to_the_last_one() -> None:
    desk = Desk()
    desk.row(0.5, 1)
    desk.ask(Side.BUY, 0.00000003, slot=1)
    assert desk.row(0.5, 1) == [
        "b/s bought 0.00000003 BTC at 0.5 for 0.00000002 BTC; it holds 0.00000003 now"
    ]


def test_denial_says_why_in_words() -> None:
    desk = Desk()
    desk.row(100.0)
    desk.ask(Side.BUY, 200)
    told = "a/s: order to buy 200 A denied: it costs more than the cash that is free (CASH)"
    assert desk.row(100.0) == [told]
    assert desk.lines[0].event == "denials"
    assert desk.lines[0].facts["reason"] == "CASH"


def test_drawdown_tells_of_its_warning_then_of_the_limit_and_the_halt_at_once() -> None:
    desk = Desk()
    desk.row(100.0)
    desk.ask(Side.BUY, 90)
    desk.row(100.0)  # 10,000 - 9 of fees
    # 9 of fees and 90 x 6 = 540: 5.49 %
    assert desk.row(94.0) == [
        "account a: drawdown has reached its warning level; 5.49 % of equity against 5 %"
    ]
    # 9 and 90 x 12 = 1,080: 10.89 %
    assert desk.row(88.0) == [
        "account a is halted: too much was lost since the highest equity (DRAWDOWN)",
        "account a: drawdown is beyond its limit; 10.89 % of equity against 10 %",
    ]
    assert [line.event for line in desk.lines] == ["halts", "drift"]
    desk.ask(Side.BUY, 1)
    assert desk.row(88.0) == [
        "a/s: order to buy 1 A denied: trading is halted, or positions may only shrink (TRADING_STATE)"
    ]


def test_operators_command_says_who_and_why() -> None:
    desk = Desk()
    desk.row(100.0)
    content = {"portfolio": "a", "action": "halt", "reason": "odd\nprices", "who": "eve@desk"}
    other = {"portfolio": "a/s", "action": "halt", "reason": "no", "who": "nobody"}
    payloads = Payload(2, "command", content), Payload(2, "command", other)
    halt = float(OperatorAction.HALT)
    told = desk.row(halt, 0, *payloads, kind=RowKind.OPERATOR, size=NONE)
    assert told == ["account a is halted, by eve@desk: odd prices"]


def test_operators_row_of_the_configuration_has_its_reason() -> None:
    desk = Desk()
    desk.row(100.0)
    place = SPEC_PORTFOLIOS.index("a/s")
    told = desk.row(float(OperatorAction.REDUCE_ONLY), place, kind=RowKind.OPERATOR, size=0.0)
    assert told == ["strategy a/s may only reduce its positions, by the configuration: the desk is closed"]
    told = desk.row(float(OperatorAction.RESET), place, kind=RowKind.OPERATOR, size=float(NONE))
    assert told == ["strategy a/s trades again, by the configuration: no reason given"]


SPEC_PORTFOLIOS = ["a", "b", "a/s", "b/s"]


def events(n: int, **fields: float) -> Events:
    found = np.zeros(n, EVENT)
    for name, value in {"ts": NOON, "observation": NONE, **fields}.items():
        found[name] = value
    empty = Engine(SPEC).take_events()
    return empty._replace(events=found)


def told_of(**fields: float) -> str:
    desk = Desk()
    (text,) = desk.batch(make_ticks([(NOON, 1.0)]), events(1, **fields))
    return text


def test_model_that_outcomes_reject_is_told_with_its_exceedances() -> None:
    fields = {"kind": EventKind.RISK, "code": Code.MODEL, "strategy": NONE}
    # 12 of 250 against 1 %
    assert told_of(**fields, lots=1, measure=12 / 250, bound=0.01) == (
        "account a: outcomes reject the risk model: losses beyond VaR in 4.8 % of the periods, expected 1 %"
    )
    assert told_of(**fields, lots=0, measure=0.012, bound=0.01).startswith(
        "account a: outcomes accept the risk model again"
    )


def test_denial_by_var_says_what_was_measured() -> None:
    fields = {"kind": EventKind.ORDER, "status": 8, "side": 1, "lots": 10, "code": Code.VAR, "bound": 0.03}
    assert told_of(**fields, measure=0.03214).endswith("(VAR); 3.214 % of equity against 3 %")
    assert told_of(**fields, measure=math.nan).endswith("(VAR); it cannot be computed against 3 %")


def test_margin_call_is_told_though_it_switches_nothing() -> None:
    text = told_of(kind=EventKind.STATE, code=Code.LIQUIDATION, strategy=NONE)
    assert text == "account a has too little equity for its margin, and is sold out"


def test_limit_that_is_left_is_told() -> None:
    text = told_of(kind=EventKind.RISK, code=Code.VAR, strategy=0, lots=Level.WITHIN, measure=0.0, bound=0.02)
    assert text == "strategy a/s: VaR is back within its limit; 0 % of equity against 2 %"


def test_rejection_by_the_broker_is_a_denial_and_a_cancellation_is_not() -> None:
    fields = {"kind": EventKind.ORDER, "side": -1, "lots": 5, "code": Code.POST_ONLY}
    assert told_of(**fields, status=7) == "a/s: order to sell 0.5 A rejected by the broker: POST_ONLY"
    desk = Desk()
    assert desk.batch(make_ticks([(NOON, 1.0)]), events(1, **fields, status=5)) == []


def test_flood_is_counted_and_a_few_lines_are_made() -> None:
    desk = Desk()
    out = events(70_000, kind=EventKind.ORDER, status=8, side=1, lots=10, code=Code.ORDER_RATE)
    out.events["account"][60_000:] = 1
    desk.batch(make_ticks([(NOON, 1.0)]), out)
    assert [(t.event, t.account, len(t.first()), t.count) for t in desk.told] == [
        ("denials", "a", MOST_LINES, 60_000),
        ("denials", "b", MOST_LINES, 10_000),
    ]


def test_gap_of_many_instruments_is_one_line_and_its_end_another() -> None:
    names = [f"I{i}" for i in range(7)]
    spec = EngineSpec(tuple(InstrumentSpec(n) for n in names), SPEC.accounts[:1], ())
    ticks = make_ticks([(NOON, 1.0)])
    out = Engine(spec).process(ticks)
    gaps = [Gap(i, NOON, None, "nothing came") for i in range(7)]
    gaps.append(Gap(3, NOON - 60 * SECOND, NOON, "nothing came"))
    (told,) = Teller(spec).committed(Batch(1, ticks, out, np.zeros(0), gaps=gaps))
    assert [line.text for line in told.first()] == [
        "no prices of I0, I1, I2, I3, I4 and 2 more since 2026-01-01 12:00:00 UTC: nothing came",
        "prices of I3 again; missing from 2026-01-01 11:59:00 UTC to 2026-01-01 12:00:00 UTC",
    ]
    assert (told.event, told.account, told.count) == ("gaps", "", 2)
    assert told.first()[0].facts["instruments"] == names


def test_quiet_batch_has_nothing_to_tell() -> None:
    desk = Desk()
    assert desk.row(100.0) == []
    assert desk.told == []


@pytest.mark.parametrize(("kind", "there"), [("database", True), ("gap", False), ("halt", False)])
def test_notice_is_told_unless_the_batch_tells_of_the_same(kind: str, there: bool) -> None:
    told = noticed(Notice("error", kind, "a\nb", NOON))
    assert [(t.event, line.level, line.text) for t in told for line in t.first()] == (
        [("notices", "error", f"{kind}: a b")] if there else []
    )


@pytest.mark.parametrize(
    ("kind", "level"),
    [(StatusKind.CONNECTED, "info"), (StatusKind.HUNG, "warning"), (StatusKind.REFUSED, "error")],
)
def test_feeds_status_has_a_level(kind: StatusKind, level: str) -> None:
    (told,) = fed(Status(kind, NOON, "why"))
    assert (told.event, told.first()[0].level, told.first()[0].text) == ("feed", level, f"feed {kind}: why")
