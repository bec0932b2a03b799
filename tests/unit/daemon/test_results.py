"""The result files and the result hash against the engine's own records and a ledger kept by hand."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from daemon import results
from daemon.columns import ACTIONS, CASH, EQUITIES, FILLS, GRADES, ORDERS, RISKS
from daemon.results import OrderStates, ResultFiles, ResultHash
from engine.engine import Engine, Events, Terms
from engine.policies import Policy
from engine.records import (
    DAY,
    EQUITY,
    EVENT,
    NEVER,
    NONE,
    Code,
    EventKind,
    Level,
    Method,
    OrderType,
    RowKind,
    Side,
    Status,
    TimeInForce,
    TradingState,
    Trail,
)
from engine.records_risk import GRADE
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, MarginSpec, StrategySpec
from tests.builders import MINUTE, USD, cut, join, make_bars, make_ticks, timer_at

SPEC = EngineSpec(
    (InstrumentSpec("A", lot_size=0.1, taker_bps=10.0), InstrumentSpec("B", participation=0.5)),
    (AccountSpec("first", 10_000.0), AccountSpec("second", 2_000.0)),
    (
        StrategySpec("cross", "first", ("A",), MINUTE, ("sma_2", "sma_3"), Policy.SMA_CROSS, size_value=10.0),
        StrategySpec("hold", "second", ("B",), MINUTE, (), Policy.BUY_AND_HOLD, size_value=4.0),
        StrategySpec(
            "rsi", "first", ("B",), MINUTE, ("rsi_2",), Policy.RSI_REVERSION, (30.0, 70.0), size_value=3
        ),
    ),
)


def wave(n, seed=0):
    """Bars of A and B that wander, n of each; B fills in parts."""
    random = np.random.Generator(np.random.PCG64(seed))
    parts = []
    prices = 100.0 + np.cumsum(random.normal(0.0, 1.0, (2, n)), axis=1)
    for i in range(n):
        for k in range(2):
            p = round(float(prices[k, i]), 2)
            parts.append(make_bars([(p, p + 1, p - 1, p + 0.5, 16.0)], instrument=k, first=i * MINUTE))
    return join(*parts)


def replayed(tape, sizes, folder=None, spec=SPEC):
    """The result hash of a tape cut into batches of the given sizes (the last repeats); files, if a folder is given."""
    engine = Engine(spec)
    engine.start()
    files = ResultFiles(folder, spec) if folder else None
    result_hash = ResultHash(spec)
    outs = []
    first = i = 0
    while first < len(tape.price):
        size = sizes[min(i, len(sizes) - 1)]
        outs.append(engine.process(cut(tape, first, first + size)))
        first += size
        i += 1
    outs += [engine.process(timer_at(int(tape.ts_recv[-1]) + 1)), engine.stop()]
    for out in outs:
        result_hash.add(out)
        if files:
            files.add(out)
    if files:
        files.finish()
    return result_hash.hexdigest(engine.state_hash()), outs, engine


@pytest.mark.parametrize("sizes", [[1], [7], [1, 2, 3, 1000], [10**9]])
def test_result_hash_and_files_do_not_depend_on_the_cut(tmp_path, sizes):
    tape = wave(60)
    (tmp_path / "cut").mkdir()
    (tmp_path / "whole").mkdir()
    assert replayed(tape, sizes, tmp_path / "cut")[0] == replayed(tape, [100], tmp_path / "whole")[0]
    for name in ("orders", "fills", "equity"):
        one, other = (pq.read_table(tmp_path / f / f"{name}.parquet") for f in ("cut", "whole"))
        assert one.equals(other)
        assert one.num_rows > 10


def test_result_hash_notices_a_price_in_the_last_row():
    tape = wave(60)
    changed = join(tape)
    changed.price[-1] += 0.01
    assert replayed(tape, [100])[0] != replayed(changed, [100])[0]


def events_of(**fields):
    event = np.zeros(1, EVENT)
    event["observation"] = -1
    event["expires"] = NEVER
    for name, value in fields.items():
        event[name] = value
    return event


NO_EVENTS = np.zeros(0, EVENT)
NO_EQUITY = np.zeros(0, EQUITY)
NO_GRADES = np.zeros(0, GRADE)


def caused(events=NO_EVENTS, observations=None, equity=NO_EQUITY, grades=NO_GRADES):
    """What a batch caused, of these parts."""
    return Events(events, np.zeros((0, 2)) if observations is None else observations, equity, grades)


def hash_of(*outs):
    result_hash = ResultHash(SPEC)
    for out in outs:
        result_hash.add(out)
    return result_hash.hexdigest("00")


@pytest.mark.parametrize(
    "name", [n for n in EVENT.names or () if n != "observation" and not n.startswith("_")]
)
def test_result_hash_covers_every_field_of_an_event(name):
    assert hash_of(caused(events_of())) != hash_of(caused(events_of(**{name: 1})))


@pytest.mark.parametrize("name", GRADE.names or ())
def test_result_hash_covers_every_field_of_a_grade(name):
    grade, other = np.zeros(1, GRADE), np.zeros(1, GRADE)
    other[name] = 1
    assert hash_of(caused(grades=grade)) != hash_of(caused(grades=other))


def test_result_hash_does_not_depend_on_how_grades_lie_among_events():
    events = np.concatenate((events_of(tag=1), events_of(tag=2)))
    grades = np.zeros(2, GRADE)
    grades["at_risk"] = 1.0, 2.0
    whole = hash_of(caused(events, grades=grades))
    assert hash_of(caused(grades=grades[:1]), caused(events), caused(grades=grades[1:])) == whole
    assert hash_of(caused(events, grades=grades[::-1])) != whole


def test_result_hash_leaves_padding_out():
    padding = [n for n in EVENT.names or () if n.startswith("_pad")]
    event = events_of(**dict.fromkeys(padding, 7))
    assert hash_of(caused(event)) == hash_of(caused(events_of()))


def test_result_hash_covers_an_observation_but_not_what_lies_beyond_its_features():
    def seen(strategy, values, place=0):
        rows = np.zeros((place + 1, 2))
        rows[place] = values
        return hash_of(caused(events_of(strategy=strategy, observation=place), rows))

    assert seen(0, (1.0, 2.0)) != seen(0, (1.0, 3.0))
    assert seen(0, (1.0, 2.0)) == seen(0, (1.0, 2.0), place=3)
    assert seen(2, (1.0, 2.0)) == seen(2, (1.0, 3.0))  # "rsi" has one feature
    assert seen(0, (np.nan, 2.0)) == seen(0, (-np.nan, 2.0))


def test_result_hash_covers_the_final_state():
    assert ResultHash(SPEC).hexdigest("00") != ResultHash(SPEC).hexdigest("01")


def test_files_agree_with_the_ledger(tmp_path):
    _, _, engine = replayed(wave(200), [64], tmp_path)
    fills = pq.read_table(tmp_path / "fills.parquet").to_pandas()
    orders = pq.read_table(tmp_path / "orders.parquet").to_pandas()
    equity = pq.read_table(tmp_path / "equity.parquet").to_pandas()
    for account, spec in zip(engine.state.accounts, SPEC.accounts, strict=True):
        mine = fills[fills.account == spec.name]
        signed = mine.notional_micros * mine.side.map({"BUY": -1, "SELL": 1}).astype(int)
        assert spec.cash * USD + signed.sum() - mine.fee_micros.sum() == account.cash
        assert mine.cash_micros.iloc[-1] == account.cash
        assert len(mine) == account.fills
        assert mine.realized_micros.sum() == account.realized
        assert (orders.account == spec.name).sum() == account.orders
        assert orders.fees_micros[orders.account == spec.name].sum() == account.fees
        last = equity[equity.account == spec.name].iloc[-1]
        assert (last.cash_micros, last.equity_micros) == (account.cash, account.equity)
    by_order = fills.groupby("order_id")
    traded = orders[orders.cum_qty > 0].set_index("id")
    np.testing.assert_allclose(by_order.last_qty.sum(), traded.sort_index().cum_qty, rtol=1e-12)
    average = by_order.apply(lambda f: (f.last_qty * f.last_px).sum() / f.last_qty.sum())
    np.testing.assert_allclose(average, traded.sort_index().avg_px, rtol=1e-6)
    held = fills[fills.strategy == "cross"].position.iloc[-1]
    assert held == pytest.approx(engine.state.slots[0].lots * 0.1)


def test_order_that_is_still_working_at_the_end_is_written(tmp_path):
    engine = Engine(SPEC)
    files = ResultFiles(tmp_path, SPEC)
    files.add(engine.process(make_ticks([(MINUTE, 100.0)])))
    slot = engine.operator_slot("first", "A")
    done = engine.submit(slot, Side.BUY, 3, tag=5)
    resting = engine.submit(slot, Side.BUY, 7, OrderType.LIMIT, TimeInForce.DAY, limit=90.0)
    denied = engine.submit(slot, Side.BUY, 10**7)
    files.add(engine.take_events())
    files.add(engine.process(make_ticks([(2 * MINUTE, 100.5)])))
    assert files.finish() == 1
    table = pq.read_table(tmp_path / "orders.parquet").to_pylist()
    by_id = {row["id"]: row for row in table}
    assert [row["id"] for row in table] == [denied, done, resting]  # as they ended, then the working one
    one = by_id[done]
    assert (one["status"], one["quantity"], one["cum_qty"], one["tag"]) == ("FILLED", 0.3, 0.3, 5)
    assert (one["avg_px"], one["limit"], one["stop"], one["code"]) == (100.5, None, None, None)
    assert (one["account"], one["strategy"], one["instrument"]) == ("first", "operator:first", "A")
    assert one["fees_micros"] == 30_150  # 0.3 x 100.5 = 30.15, of which 10 bps
    assert (one["seq"], one["submitted"].value, one["updated"].value) == (1, MINUTE, 2 * MINUTE)
    assert one["observation"] is None
    assert str(one["submitted"].tz) == "UTC"
    two = by_id[resting]
    assert (two["status"], two["type"], two["time_in_force"], two["limit"]) == ("NEW", "LIMIT", "DAY", 90.0)
    assert (two["cum_qty"], two["avg_px"]) == (0.0, None)
    assert (by_id[denied]["status"], by_id[denied]["code"]) == ("DENIED", Code.CASH.name)


def test_order_carries_the_observation_on_which_it_was_decided(tmp_path):
    # closes 1, 2, 3: the averages over 2 and 3 are 2.5 and 2 when the cross buys; it fills a bar later
    tape = make_bars([(p, p, p, p) for p in (1.0, 2.0, 3.0, 3.0)])
    spec = EngineSpec(SPEC.instruments, SPEC.accounts, SPEC.strategies[:1])
    replayed(tape, [1], tmp_path, spec)
    file = pq.read_table(tmp_path / "orders.parquet")
    assert file.column("observation").to_pylist() == [[2.5, 2.0]]
    assert json.loads(file.schema.metadata[b"features"]) == {"cross": ["sma_2", "sma_3"]}


def test_order_states_join_first_and_last_events_over_batches():
    def batch(*events, observations=()):
        return caused(np.concatenate(events), np.array(observations, np.float64).reshape(-1, 2))

    states = OrderStates(2)
    order = EventKind.ORDER
    ended = states.add(
        batch(
            events_of(order_id=1, kind=order, status=Status.NEW, observation=0),
            events_of(order_id=2, kind=order, status=Status.NEW, observation=1),
            events_of(order_id=0, kind=EventKind.STATE, status=0),
            observations=[(1.0, 2.0), (3.0, 4.0)],
        )
    )
    assert len(ended) == 0
    ended = states.add(
        batch(
            events_of(order_id=2, kind=EventKind.FILL, status=Status.PARTIALLY_FILLED),
            events_of(order_id=3, kind=order, status=Status.DENIED, observation=0),
            events_of(order_id=1, kind=EventKind.FILL, status=Status.FILLED),
            observations=[(5.0, 6.0)],
        )
    )
    assert ended["event"]["order_id"].tolist() == [3, 1]
    assert ended["values"].tolist() == [[5.0, 6.0], [1.0, 2.0]]
    assert states.working["event"]["order_id"].tolist() == [2]
    assert states.working["event"]["status"].tolist() == [Status.PARTIALLY_FILLED]
    assert states.working["values"].tolist() == [[3.0, 4.0]]


def test_order_states_pass_over_events_that_are_no_orders():
    kinds = [kind for kind in EventKind if kind not in (EventKind.ORDER, EventKind.FILL)]
    events = np.concatenate([events_of(kind=kind, code=Code.DEPOSIT, status=Status.DENIED) for kind in kinds])
    states = OrderStates(2)
    assert len(states.add(caused(events))) == 0
    assert len(states.working) == 0


BRACKET = (
    Terms(Side.BUY, OrderType.MARKET, TimeInForce.GTC, 20, tag=3),
    Terms(Side.SELL, OrderType.STOP_LIMIT, TimeInForce.GTC, 20, limit=89.0, stop=90.0),
    Terms(Side.SELL, OrderType.TRAILING_STOP, TimeInForce.GTC, 20, trail=0.05, trail_kind=Trail.PERCENT),
)


def by_id(folder, name="orders"):
    return {row["id"]: row for row in pq.read_table(folder / f"{name}.parquet").to_pylist()}


def test_orders_of_each_kind_are_written_with_their_terms(tmp_path):
    engine = Engine(SPEC)
    files = ResultFiles(tmp_path, SPEC)
    files.add(engine.process(make_ticks([(MINUTE, 100.0)])))
    slot = engine.operator_slot("first", "A")
    parent, loss, trailing = engine.submit_bracket(slot, BRACKET[0], BRACKET[1:])
    good_till = engine.submit(
        slot, Side.BUY, 5, OrderType.LIMIT, TimeInForce.GTD, 95.0, expires=DAY, post_only=True
    )
    amount = engine.submit(slot, Side.BUY, 5, OrderType.TRAILING_STOP, trail=2.5)
    files.add(engine.take_events())
    files.add(engine.process(make_ticks([(2 * MINUTE, 100.0)])))
    assert files.finish() == 4
    orders = by_id(tmp_path)
    terms = (
        "type",
        "limit",
        "stop",
        "trail",
        "trail_percent",
        "post_only",
        "reduce_only",
        "parent_id",
        "tag",
    )
    assert [[orders[i][name] for name in terms] for i in (parent, loss, trailing, good_till, amount)] == [
        ["MARKET", None, None, None, None, False, False, None, 3],
        ["STOP_LIMIT", 89.0, 90.0, None, None, False, True, parent, 0],
        ["TRAILING_STOP", None, 95.0, None, 0.05, False, True, parent, 0],  # 5 % below 100
        ["LIMIT", 95.0, None, None, None, True, False, None, 0],
        ["TRAILING_STOP", None, 102.5, 2.5, None, False, False, None, 0],
    ]
    assert orders[good_till]["expires"].value == DAY
    assert orders[parent]["expires"] is None
    assert [orders[i]["status"] for i in (parent, loss)] == ["FILLED", "NEW"]


@pytest.mark.parametrize("at_once", [True, False])
def test_code_of_a_refused_amendment_is_not_the_orders_own(tmp_path, at_once):
    engine = Engine(SPEC)
    files = ResultFiles(tmp_path, SPEC)
    engine.process(make_ticks([(MINUTE, 100.0)]))
    slot = engine.operator_slot("first", "A")
    filled, ended, working, denied = (
        engine.submit(slot, Side.BUY, lots, OrderType.LIMIT, limit=limit)
        for lots, limit in ((1, 99.0), (1, 50.0), (1, 51.0), (10**7, 99.0))
    )
    if not at_once:
        files.add(engine.take_events())
    for order_id in (filled, ended, working):
        assert engine.amend(order_id, 10**7) == Code.CASH
        if not at_once:
            files.add(engine.take_events())
    engine.cancel(ended)
    files.add(engine.process(make_ticks([(2 * MINUTE, 98.0)])))
    files.finish()
    orders = by_id(tmp_path)
    assert [(orders[i]["status"], orders[i]["code"]) for i in (filled, ended, working, denied)] == [
        ("FILLED", None),
        ("CANCELED", None),
        ("NEW", None),
        ("DENIED", "CASH"),
    ]


MARGIN = EngineSpec(
    (InstrumentSpec("A", symbols=("ALPHA",)), InstrumentSpec("B", symbols=("BETA", "BETTER"))),
    (AccountSpec("first", 1000.0), AccountSpec("second", 1000.0, margin=MarginSpec(2.0, debit_rate=0.0365))),
    (StrategySpec("s", "second", ("A", "B"), MINUTE),),
)


def test_cash_and_actions_are_written_with_the_sums_by_hand(tmp_path):
    engine = Engine(MARGIN)
    files = ResultFiles(tmp_path, MARGIN)
    engine.process(make_ticks([(0, 10.0), (0, 10.0, 1.0, 1, RowKind.PRINT)]))
    engine.submit(0, Side.BUY, 101)
    rows = [
        (1, 10.0, 1.0, 0, RowKind.PRINT),  # 101 at 10: cash -10
        (2, 0.5, 0.0, 0, RowKind.DIVIDEND),  # 50.5 come in: 40.5; the price is 9.5
        (
            3,
            3.0,
            2.0,
            0,
            RowKind.SPLIT,
        ),  # 151 and a half; half of 9.5 x 2 / 3, rounded with the holding's value
        (4, 1.0, 0.0, 1, RowKind.SYMBOL),
        (5, 100.0, 0.0, 0, RowKind.CASH),
        (6, -5000.0, 0.0, 1, RowKind.CASH),  # refused
        (7, -20.0, 0.0, 1, RowKind.CASH),
        (8, 4.0, 1.0, 0, RowKind.DELISTING),  # 151 x 4 come in
    ]
    files.add(engine.process(make_ticks(rows)))
    files.finish()
    fraction = round((101 * 9.5 - 151 * 9.5 * 2 / 3) * USD)  # 3.166667
    realized = 604 * USD - (1010 * USD - 1010 * USD // 303)
    cash = pq.read_table(tmp_path / "cash.parquet").to_pylist()
    names = ("account", "strategy", "instrument", "code", "amount_micros", "cash_micros", "refused")
    left = 40_500_000 + fraction
    assert [tuple(row[name] for name in names) for row in cash] == [
        ("second", "s", "A", "DIVIDEND", 50_500_000, 40_500_000, False),
        ("second", "s", "A", "SPLIT", fraction, left, False),
        ("first", None, None, "DEPOSIT", 100 * USD, 1100 * USD, False),
        ("second", None, None, "WITHDRAWAL", -5000 * USD, left, True),
        ("second", None, None, "WITHDRAWAL", -20 * USD, left - 20 * USD, False),
        ("second", "s", "A", "DELISTED", 604 * USD, left + 584 * USD, False),
    ]
    # the fraction's cost is one of 303 halves of a share of 1010
    assert [row["realized_micros"] for row in cash] == [
        0, fraction - 1010 * USD // 303, 0, 0, 0, realized,
    ]  # fmt: skip
    assert sum(row["realized_micros"] for row in cash) == engine.state.accounts[1].realized
    assert [row["ts"].value for row in cash] == [2, 3, 5, 6, 7, 8]
    actions = pq.read_table(tmp_path / "actions.parquet").to_pylist()
    names = ("instrument", "code", "numerator", "denominator", "amount", "symbol", "seq")
    assert [tuple(row[name] for name in names) for row in actions] == [
        ("A", "DIVIDEND", None, None, 0.5, None, 3),
        ("A", "SPLIT", 3.0, 2.0, None, None, 4),
        ("B", "SYMBOL", None, None, None, "BETTER", 5),
        ("A", "DELISTED", None, None, 4.0, None, 9),
    ]
    assert [row["ts"].value for row in actions] == [2, 3, 4, 8]


def test_symbol_that_the_specification_does_not_know_is_null(tmp_path):
    engine = Engine(MARGIN)
    files = ResultFiles(tmp_path, MARGIN)
    files.add(
        engine.process(make_ticks([(0, 1.0, 0.0, 0, RowKind.SYMBOL), (0, 0.0, 0.0, 0, RowKind.SYMBOL)]))
    )
    files.finish()
    actions = pq.read_table(tmp_path / "actions.parquet").to_pylist()
    assert [row["symbol"] for row in actions] == [None, "ALPHA"]


def test_interest_is_written_for_the_account_alone(tmp_path):
    engine = Engine(MARGIN)
    files = ResultFiles(tmp_path, MARGIN)
    engine.process(make_ticks([(0, 10.0)]))
    engine.submit(0, Side.BUY, 150)
    files.add(engine.process(make_ticks([(1, 10.0), (DAY + 1, 10.0)])))
    files.finish()
    # 500 are owed for a day at 3.65 %: 0.05
    (row,) = pq.read_table(tmp_path / "cash.parquet").to_pylist()
    assert (row["account"], row["strategy"], row["instrument"], row["code"]) == (
        "second",
        None,
        None,
        "INTEREST",
    )
    assert (row["amount_micros"], row["cash_micros"]) == (-50_000, -500_050_000)


def rows_of(folder, name, *outs, spec=SPEC):
    files = ResultFiles(folder, spec)
    for out in outs:
        files.add(out)
    files.finish()
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


def test_order_that_a_limit_on_risk_denied_or_cut_says_what_was_measured(tmp_path):
    order: dict[str, Any] = {
        "kind": EventKind.ORDER,
        "account": 0,
        "strategy": 0,
        "instrument": 0,
        "side": Side.BUY,
    }
    denied: dict[str, Any] = {**order, "status": Status.DENIED}
    orders = rows_of(
        tmp_path,
        "orders",
        caused(
            np.concatenate(
                (
                    events_of(order_id=1, code=Code.VAR, measure=0.031, bound=0.03, **denied),
                    events_of(order_id=2, code=Code.HISTORY, measure=np.nan, bound=0.03, **denied),
                    events_of(order_id=3, code=Code.CASH, **denied),
                    events_of(
                        order_id=4, code=Code.CVAR, measure=0.05, bound=0.05, status=Status.NEW, **order
                    ),
                    # new terms that the gate refused are not what the order was let in with
                    events_of(
                        order_id=4, code=Code.VAR, measure=0.04, bound=0.03, status=Status.NEW, **order
                    ),
                    events_of(order_id=5, code=Code.DRAWDOWN, measure=0.0, bound=0.2, **denied),
                )
            )
        ),
    )
    told = {row["id"]: (row["code"], row["measure"], row["bound"]) for row in orders}
    assert told == {
        1: ("VAR", 0.031, 0.03),
        2: ("HISTORY", None, 0.03),
        3: ("CASH", None, None),
        4: ("CVAR", 0.05, 0.05),
        5: ("DRAWDOWN", 0.0, 0.2),
    }


def test_limits_models_and_trading_states_are_written_as_they_came(tmp_path):
    spec = replace(SPEC, reasons=("a look at the books", "all is well"))
    risk, state = EventKind.RISK, EventKind.STATE
    account = {"account": 1, "strategy": NONE}
    cross = {"account": 0, "strategy": 0}
    told: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
        (
            {
                "code": Code.VAR,
                "kind": risk,
                "lots": Level.WARNING,
                "measure": 0.021,
                "bound": 0.02,
                **account,
            },
            ("second", None, "VAR", "WARNING", 0.021, 0.02, None),
        ),
        (
            {
                "code": Code.DRAWDOWN,
                "kind": risk,
                "lots": Level.BEYOND,
                "measure": 0.1,
                "bound": 0.1,
                **cross,
            },
            ("first", "cross", "DRAWDOWN", "BEYOND", 0.1, 0.1, None),
        ),
        (
            {"code": Code.DRAWDOWN, "kind": state, "lots": TradingState.HALTED, **cross},
            ("first", "cross", "DRAWDOWN", "HALTED", None, None, None),
        ),
        (
            {"code": Code.CVAR, "kind": risk, "lots": Level.WITHIN, "measure": 0.0, "bound": 0.03, **account},
            ("second", None, "CVAR", "WITHIN", 0.0, 0.03, None),
        ),
        (
            {"code": Code.MODEL, "kind": risk, "lots": 1, **account},
            ("second", None, "MODEL", "REJECTED", None, None, None),
        ),
        (
            {"code": Code.MODEL, "kind": risk, "lots": 0, **account},
            ("second", None, "MODEL", "ACCEPTED", None, None, None),
        ),
        (
            {"code": Code.OPERATOR, "kind": state, "lots": TradingState.ACTIVE, "tag": 1, **account},
            ("second", None, "OPERATOR", "ACTIVE", None, None, "all is well"),
        ),
        (
            {"code": Code.LIQUIDATION, "kind": state, "lots": TradingState.REDUCE_ONLY, **account},
            ("second", None, "LIQUIDATION", "REDUCE_ONLY", None, None, None),
        ),
        (
            {"code": Code.OPERATOR, "kind": state, "lots": TradingState.HALTED, "tag": NONE, **account},
            ("second", None, "OPERATOR", "HALTED", None, None, None),
        ),
    ]
    events = [events_of(ts=n, seq=10 + n, **fields) for n, (fields, _) in enumerate(told)]
    written = rows_of(
        tmp_path, "risk", *(caused(np.concatenate(part)) for part in (events[:4], events[4:])), spec=spec
    )
    names = ("account", "strategy", "code", "became", "measure", "bound", "reason")
    assert [tuple(row[name] for name in names) for row in written] == [row for _, row in told]
    assert [(row["ts"].value, row["seq"]) for row in written] == [(n, 10 + n) for n in range(len(told))]


def test_every_level_verdict_and_trading_state_has_its_own_word(tmp_path):
    def of(kind, code, values):
        return [events_of(kind=kind, code=code, lots=value, account=0, strategy=NONE) for value in values]

    events = [
        *of(EventKind.RISK, Code.VAR, Level),
        *of(EventKind.RISK, Code.MODEL, (0, 1)),
        *of(EventKind.STATE, Code.OPERATOR, TradingState),
    ]
    words = [row["became"] for row in rows_of(tmp_path, "risk", caused(np.concatenate(events)))]
    assert words == [*(x.name for x in Level), "ACCEPTED", "REJECTED", *(x.name for x in TradingState)]
    assert len(set(words)) == 8


def test_operators_switch_without_a_reason_of_the_tape_has_none(tmp_path):
    switched = events_of(kind=EventKind.STATE, code=Code.OPERATOR, account=0, strategy=NONE, lots=2)
    (row,) = rows_of(tmp_path, "risk", caused(switched))
    assert (row["became"], row["reason"]) == ("HALTED", None)


def test_grades_are_written_with_fractions_of_units(tmp_path):
    grades = np.zeros(2, GRADE)
    grades[0] = (DAY, 2 * DAY, 1, Method.EWMA, 2_000 * USD, 12.5, 15.25, -13.0)
    grades[1] = (2 * DAY, 3 * DAY, 0, Method.MONTE_CARLO, 10_000 * USD, -1.0, 0.0, 2.0)
    written = rows_of(tmp_path, "grades", caused(grades=grades[:1]), caused(grades=grades[1:]))
    assert [tuple(row.values())[2:] for row in written] == [
        ("second", "EWMA", 2_000 * USD, 12.5, 15.25, -13.0),
        ("first", "MONTE_CARLO", 10_000 * USD, -1.0, 0.0, 2.0),
    ]
    assert [(row["ts"].value, row["until"].value) for row in written] == [
        (DAY, 2 * DAY), (2 * DAY, 3 * DAY),
    ]  # fmt: skip


def test_row_groups_are_of_one_size_whatever_the_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "ROW_GROUP", 100)
    files = ResultFiles(tmp_path, SPEC)
    for n in (30, 30, 30, 245):
        equity = np.zeros(n, EQUITY)
        files.add(caused(equity=equity))
    files.finish()
    metadata = pq.read_metadata(tmp_path / "equity.parquet")
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sizes == [100, 100, 100, 35]


def test_run_without_orders_leaves_empty_files_with_their_columns(tmp_path):
    files = ResultFiles(tmp_path, SPEC)
    files.finish()
    for name, columns in (
        ("orders", ORDERS),
        ("fills", FILLS),
        ("equity", EQUITIES),
        ("cash", CASH),
        ("actions", ACTIONS),
        ("risk", RISKS),
        ("grades", GRADES),
    ):
        table = pq.read_table(tmp_path / f"{name}.parquet")
        assert (table.num_rows, table.column_names) == (0, list(columns))
