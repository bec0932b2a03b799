"""Records of the engine become rows of tables, and the books that they keep are the engine's."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from daemon.store import rows
from daemon.store.batch import CLOSED_BAR, Batch, Payload, Saved, joined
from daemon.store.errors import SequenceError, StoreUseError
from daemon.store.schema import LedgerAccount as L
from engine.records import NONE, Code, EventKind, OrderType, RowKind, Side, Status, TimeInForce
from tests.builders import USD, make_engine, make_ticks, order
from tests.service.recorded import recorded, world_of

S = 1_000_000_000


def story(*steps):
    """Batches of one engine: a step is rows of the tape, or what is done before the next ones."""
    engine = make_engine(cash=10_000.0, taker_bps=10.0)
    engine.start()
    batches, seq = [], 0
    for step in steps:
        if callable(step):
            step(engine)
            continue
        ticks = make_ticks(step)
        out = engine.process(ticks)
        batches.append(Batch(seq + 1, ticks, out, np.array(engine.state.slots)))
        seq += len(ticks.price)
    return batches


def moves(columns):
    names = ("debit", "credit", "amount")
    return [(L(d), L(c), a) for d, c, a in zip(*(columns[n].tolist() for n in names), strict=True)]


def test_round_trip_is_posted_by_hand():
    batches = story(
        [(1 * S, 20.0, 1e6, 0)],
        lambda e: order(e, Side.BUY, 100),
        [(2 * S, 20.0, 1e6, 0)],
        lambda e: order(e, Side.SELL, 40),
        [(3 * S, 25.0, 1e6, 0)],
    )
    # 100 at 20 are 2,000, the fee 10 bp: 2. Then 40 at 25 are 1,000, the fee 1; they had cost 800: profit 200.
    assert [moves(rows.postings(1, b.out.events)) for b in batches] == [
        [],
        [(L.POSITIONS, L.CASH, 2000 * USD), (L.FEES, L.CASH, 2 * USD)],
        [(L.CASH, L.POSITIONS, 1000 * USD), (L.POSITIONS, L.REALIZED, 200 * USD), (L.FEES, L.CASH, 1 * USD)],
    ]
    bought = rows.fills(7, batches[1].out.events)
    assert {name: column.tolist() for name, column in bought.items()} == {
        "session": [7], "order_id": [1], "seq": [1], "ts": [2 * S], "account": [0], "strategy": [0],
        "instrument": [0], "side": [1], "lots": [100], "price": [20.0], "notional": [2000 * USD], "fee": [2 * USD],
        "realized": [0], "position": [100], "cash": [10_000 * USD - 2002 * USD], "cum_lots": [100], "maker": [False],
    }  # fmt: skip
    assert rows.positions(7, batches[2]) == [
        {
            "session": 7, "strategy": 0, "instrument": 0, "lots": 60, "cost": 1200 * USD, "realized": 200 * USD,
            "fees": 3 * USD, "income": 0,
        },
        {"session": 7, "strategy": 1, "instrument": 0, "lots": 0, "cost": 0, "realized": 0, "fees": 0, "income": 0},
    ]  # fmt: skip


def test_loss_of_a_short_sale_is_posted_the_other_way_round():
    events = np.zeros(1, story([(1 * S, 20.0, 1e6, 0)])[0].out.events.dtype)
    events["kind"], events["side"], events["status"] = EventKind.FILL, Side.BUY, Status.FILLED
    # sold at 20, bought back at 23, of a maker who is paid 1: 69 go from cash, of which 9 are lost
    events["last_notional"], events["realized"], events["last_fee"] = 69, -9, -1
    assert moves(rows.postings(1, events)) == [
        (L.POSITIONS, L.CASH, 69),
        (L.REALIZED, L.POSITIONS, 9),
        (L.CASH, L.FEES, 1),
    ]


SEEDS = (*range(20), 59, 76, 137, 172)  # the last ones for borrowing, and for what trades no more


@pytest.mark.parametrize("seed", SEEDS)
def test_ledger_of_any_world_is_the_engines(seed):
    world = world_of(seed)
    engine, batches = recorded(world, range(0, world.rows, 7))
    initial = engine.state.accounts["initial"].tolist()
    books: Counter[tuple[int, L]] = Counter()
    columns = [rows.opening(1, 0, 0, initial), *(rows.postings(1, b.out.events) for b in batches)]
    for posted in columns:
        for account, (debit, credit, amount) in zip(posted["account"].tolist(), moves(posted), strict=True):
            assert amount > 0
            books[account, debit] += amount
            books[account, credit] -= amount
    for k, account in enumerate(engine.state.accounts):
        slots = engine.state.slots[engine.state.slots["account"] == k]
        assert {ledger: books[k, ledger] for ledger in L} == {
            L.CASH: account.cash,
            L.POSITIONS: slots["cost"].sum(),
            L.CAPITAL: -account.initial - account.deposits,
            L.REALIZED: -account.realized,
            L.FEES: account.fees,
            L.INCOME: -account.income,
            L.INTEREST: -account.interest,
        }


def test_worlds_reach_all_that_is_posted():
    codes = set()
    for seed in SEEDS:
        world = world_of(seed)
        for batch in recorded(world, ())[1]:
            e = batch.out.events
            codes |= set(e["code"][(e["kind"] == EventKind.CASH) & (e["status"] != Status.DENIED)].tolist())
    told = {
        Code.DEPOSIT,
        Code.WITHDRAWAL,
        Code.INTEREST,
        Code.BORROW,
        Code.DIVIDEND,
        Code.SPLIT,
        Code.DELISTED,
    }
    assert codes == told


def test_cash_of_an_unknown_cause_is_no_posting():
    events = np.zeros(1, story([(1 * S, 20.0, 1e6, 0)])[0].out.events.dtype)
    events["kind"], events["code"], events["last_notional"] = EventKind.CASH, Code.MARGIN, 5
    with pytest.raises(ValueError, match="no ledger account for cash of MARGIN"):
        rows.postings(1, events)


def test_order_has_the_cause_of_its_first_event_and_the_state_of_its_last():
    batches = story(
        [(1 * S, 20.0, 1e6, 0)],
        lambda e: order(e, Side.BUY, 10, limit=19.0),
        lambda e: order(e, Side.BUY, 1_000_000),  # more than the cash is there for
        [(2 * S, 20.0, 1e6, 0)],
        lambda e: e.amend(1, limit=18.0),
        [(3 * S, 18.5, 1e6, 0), (4 * S, 17.0, 1e6, 0)],
    )
    placed, denied = rows.orders(3, batches[1])
    assert (placed["status"], placed["verdict"], placed["code"], placed["limit"]) == (Status.NEW, 0, 0, 19.0)
    assert (placed["type"], placed["tif"], placed["seq"]) == (OrderType.LIMIT, TimeInForce.GTC, 1)
    assert (denied["status"], denied["verdict"], denied["code"]) == (Status.DENIED, Code.CASH, Code.CASH)
    assert (denied["measure"], denied["bound"], denied["model"], denied["observation"]) == (None,) * 4
    (filled,) = rows.orders(3, dataclasses.replace(batches[2], models=["sma@3"]))
    assert (filled["status"], filled["limit"], filled["cum_lots"], filled["notional"]) == (
        Status.FILLED, 18.0, 10, 170 * USD,
    )  # fmt: skip
    assert (filled["updated"], filled["model"]) == (4 * S, "sma@3")


def test_working_order_keeps_its_verdict_where_new_terms_are_refused():
    (batch,) = story([(1 * S, 20.0, 1e6, 0)])
    events = np.zeros(2, batch.out.events.dtype)
    events["order_id"], events["status"], events["observation"] = 1, Status.NEW, NONE
    events["code"] = [Code.NONE, Code.ORDER_NOTIONAL]
    (row,) = rows.orders(1, dataclasses.replace(batch, out=batch.out._replace(events=events)))
    assert (row["verdict"], row["code"]) == (Code.NONE, Code.NONE)


def test_joined_batches_are_the_uncut_run():
    world = world_of(9)
    whole = recorded(world, ())[1]
    parts = recorded(world, range(0, world.rows, 3))[1]
    one, other = joined(whole), joined(parts)
    assert one.first == other.first == 1
    for name in ("events", "observations", "equity", "grades"):
        assert getattr(one.out, name).tobytes() == getattr(other.out, name).tobytes(), name
    assert all(a.tobytes() == b.tobytes() for a, b in zip(one.ticks, other.ticks, strict=True))
    assert one.slots.tobytes() == other.slots.tobytes()
    assert (one.out.events["observation"] != NONE).any()


def test_joined_batches_have_the_bars_of_all():
    a, b = story([(1 * S, 20.0, 1e6, 0)], [(2 * S, 20.0, 1e6, 0)])
    closed = np.zeros(3, CLOSED_BAR)
    closed["start"] = [1, 2, 3]
    both = joined([dataclasses.replace(a, bars=closed[:2]), dataclasses.replace(b, bars=closed[2:])])
    assert both.bars.tobytes() == closed.tobytes()
    assert len(joined([a, b]).bars) == 0


def test_batches_that_do_not_belong_together_are_not_joined():
    a, b = story([(1 * S, 20.0, 1e6, 0)], [(2 * S, 20.0, 1e6, 0)])
    with pytest.raises(SequenceError, match="a batch from seq 1 does not follow one to 2"):
        joined([b, a])
    with pytest.raises(StoreUseError, match="another model decides from seq 2 on"):
        joined([a, dataclasses.replace(b, models=["q@2"])])
    with pytest.raises(StoreUseError, match="the snapshot of seq 1 is not at the end"):
        joined([dataclasses.replace(a, snapshot=Saved(1, "h", b"x")), b])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ticks": make_ticks([])}, "a batch without inputs"),
        (
            {"ticks": make_ticks([(1, 1.0, 1.0, 0), (2, float("nan"), 1.0, 0)])},
            "seq 2: its price is no finite",
        ),
        ({"ticks": make_ticks([(1, 1.0, float("inf"), 0)])}, "seq 1: its size is no finite number"),
        ({"payloads": [Payload(2, "command", {})]}, "a payload of seq 2 in a batch of 1 to 1"),
        (
            {"payloads": [Payload(1, "command", {"portfolio": "a", "who": "me"})]},
            "the command of seq 1 does not say its action, reason",
        ),
        ({"snapshot": Saved(3, "h", b"")}, "a snapshot of seq 3 in a batch that ends at 1"),
    ],
)
def test_batch_that_makes_no_sense_is_refused(change, said):
    (batch,) = story([(1 * S, 20.0, 1e6, 0)])
    batch.check()
    with pytest.raises(StoreUseError, match=said):
        dataclasses.replace(batch, **change).check()


def test_column_of_another_type_is_refused():
    (batch,) = story([(1 * S, 20.0, 1e6, RowKind.PRINT)])
    wrong = batch.ticks._replace(price=batch.ticks.price.astype(np.float32))
    with pytest.raises(StoreUseError, match="column price is float32 with 1 rows; wanted are 1 of float64"):
        dataclasses.replace(batch, ticks=wrong).check()
