"""`papertape verify`: sessions as they were recorded, and as somebody left them, on real databases."""

import asyncio
import json
import subprocess
import sys

import pytest
from sqlalchemy import text

from daemon import compiled
from daemon.live.core import Core
from daemon.store.exporting import export_tape
from daemon.store.migrating import upgrade
from daemon.store.store import Store, Taped
from daemon.store.tape import packed, unpacked
from daemon.verify.facts import Kind
from daemon.verify.replaying import verify
from engine.engine import operator_row
from engine.records import SECOND, OperatorAction
from tests.service import taped
from tests.service.postgres import MISSING, programs, running
from tests.service.taped import MINUTE, T0, config_of, walk
from tests.trained import store_model

COMMAND = {"portfolio": "desk", "action": "halt", "reason": "lunch", "who": "ann"}
PAPERTAPE = (sys.executable, "-m", "daemon.cli")
BUYER = """
from strategies import Strategy


class Buyer(Strategy):
    def on_bar(self, ctx, bar):
        if bar.close < LEVEL:
            ctx.buy(bar.instrument, 1)

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass
"""


@pytest.fixture(scope="module")
def server():
    if programs() is None:
        pytest.skip(MISSING)
    with running() as postgres:
        yield postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request, tmp_path):
    """The address of a database with tables, of each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/tape.db"
    else:
        url = request.getfixturevalue("server").emptied()
    asyncio.run(upgrade(url))
    return url


@pytest.fixture
def url(tmp_path):
    """The address of a database with tables."""
    address = f"sqlite:///{tmp_path}/tape.db"
    asyncio.run(upgrade(address))
    return address


async def verified(url, build=None):
    async with await Store.open(url) as store:
        return await verify(store, await taped.desk(store), build=build or compiled.key())


async def execute(url, *statements, **values):
    async with await Store.open(url) as store, store.writing() as connection:
        for statement in statements:
            done = await connection.execute(text(statement), values)
            assert done.rowcount == 1, statement


async def value(url, query):
    async with await Store.open(url) as store, store.reading() as connection:
        return (await connection.execute(text(query))).scalar()


def failure_of(url, build=None):
    found = asyncio.run(verified(url, build))
    assert found.failure is not None, "nothing was found"
    return found.failure


# -- as it was recorded -----------------------------------------------------------------------------------------------


def test_recorded_session_gives_what_was_recorded(both):
    async def story():
        core = await taped.recorded(both)
        found = await verified(both)
        there = {table: await value(both, f"SELECT COUNT(*) FROM {table}") for table in found.counts}
        return core, found, there

    core, found, there = asyncio.run(story())
    assert found.failure is None
    assert found.notes == []
    assert found.counts == there
    assert found.counts["fills"] > 20
    assert found.rows == core.seq == 602
    assert found.states == 2  # of the snapshots, the last two are kept
    assert found.state_hash == core.engine.state_hash()


def test_session_with_new_settings_in_a_second_epoch_gives_what_was_recorded(url):
    other = config_of()
    other["accounts"][0]["strategies"][0]["size"] = {"units": 7}

    async def story():
        core = await taped.recorded(url)
        core = Core.load(core.save().content)
        async with await Store.open(url) as store:
            session = (await taped.desk(store)).id
            late = T0 + 700 * 10 * SECOND
            changed = taped.fresh(other).content
            epoch = await store.begin_epoch(session, compiled.key(), changed.hash, changed.text, late)
            ticks, payload = taped.noted(
                core, "settings", {"config": changed.text} | changed.described(), late
            )
            for batch in core.replay(Taped(core.seq + 1, ticks, (payload,))):
                await store.commit(session, batch)
            await taped.put(store, session, core, walk(200, seed=4, start=late))
            await taped.closed(store, session, epoch, core, late + 210 * 10 * SECOND)
            lots = {row["lots"] for row in await store.rows("fills", session)}
        return core, lots, await verified(url)

    core, lots, found = asyncio.run(story())
    assert found.failure is None
    assert {7, 100} <= lots
    assert (found.epochs, found.rows, found.state_hash) == (2, core.seq, core.engine.state_hash())


def test_session_that_goes_on_is_verified_as_far_as_it_was_committed_when_asked(url):
    async def story():
        core = taped.fresh()
        async with await Store.open(url) as store:
            session, _ = await taped.opened(store, core)
            prints = walk(400)
            await taped.put(store, session, core, taped.cut(prints, 0, 200))
            at = await taped.desk(store)
            await taped.put(store, session, core, taped.cut(prints, 200, 400))
            return at, await verify(store, at, build=compiled.key())

    at, found = asyncio.run(story())
    assert found.failure is None
    assert found.rows == at.seq == 201
    assert found.notes == ["the session goes on; positions as they stand were not compared"]


def test_session_that_ended_in_a_crash_is_verified_to_its_last_commit(url):
    async def story():
        core = taped.fresh()
        async with await Store.open(url) as store:
            session, _ = await taped.opened(store, core)
            await taped.put(store, session, core, walk(300), each=7)
        return core, await verified(url)

    core, found = asyncio.run(story())
    assert found.failure is None
    assert found.state_hash == core.engine.state_hash()


def test_days_that_were_exported_are_read_from_their_files(url, tmp_path):
    folder = tmp_path / "tape"

    async def story():
        core = taped.fresh()
        async with await Store.open(url) as store:
            session, epoch = await taped.opened(store, core)
            await taped.put(store, session, core, walk(2000, every=100 * SECOND), snapshots=(38, 39))
            row, command = taped.noted(core, "command", COMMAND, T0 + 2001 * 100 * SECOND)
            row = operator_row(int(row.ts_recv[0]), 0, OperatorAction.HALT)
            await store.commit(session, core.take(row._replace(flags=row.flags | 0x80), [command]))
            await taped.closed(store, session, epoch, core, T0 + 300_000 * SECOND)
            at = await taped.desk(store)
            days = await export_tape(store, at, folder, T0 + 400_000 * SECOND)
            left = await value(url, "SELECT MIN(first) FROM tape")
            without = await verify(store, at, build=compiled.key())
            return core, days, left, without, await verify(store, at, build=compiled.key(), folder=folder)

    core, days, left, without, found = asyncio.run(story())
    # from 22:14 of the first, 55.6 hours of prints, and the end, 83.3 hours behind the beginning
    assert len(days) == 5
    assert left > days[0].last > 1
    assert without.failure.cause.kind == Kind.GAP
    assert found.failure is None
    assert (found.rows, found.state_hash) == (core.seq, core.engine.state_hash())
    assert found.counts["risk"] == 1


# -- as somebody left it ----------------------------------------------------------------------------------------------


def test_price_of_a_fill_that_was_changed_is_found_in_its_row(both):
    async def story():
        await taped.recorded(both)
        number = await value(both, "SELECT number FROM fills ORDER BY number LIMIT 1 OFFSET 9")
        price = await value(both, f"SELECT price FROM fills WHERE number = {number}")
        await execute(both, f"UPDATE fills SET price = price + 0.25 WHERE number = {number}")
        return price, await value(both, f"SELECT order_id FROM fills WHERE number = {number}")

    price, order = asyncio.run(story())
    failure = failure_of(both)
    of = failure.difference
    assert (of.table, of.column, of.replayed["order_id"]) == ("fills", "price", order)
    assert (of.stored["price"], of.replayed["price"]) == (price + 0.25, price)
    assert failure.cause.kind == Kind.ROWS
    assert failure.seq == of.replayed["seq"]
    assert f"price is {price + 0.25!r} in the database, {price!r} in the replay" in failure.what


def test_posting_that_was_deleted_is_found_missing(both):
    async def story():
        await taped.recorded(both)
        number = await value(both, "SELECT number FROM postings ORDER BY number LIMIT 1 OFFSET 31")
        async with await Store.open(both) as store:
            (row,) = await store.rows("postings", 1, number - 1, 1)
        await execute(both, f"DELETE FROM postings WHERE number = {number}")
        return row

    row = asyncio.run(story())
    failure = failure_of(both)
    of = failure.difference
    assert (of.table, of.stored, of.column) == ("postings", None, "")
    assert {k: of.replayed[k] for k in ("seq", "order_id", "debit", "credit", "amount")} == {
        k: row[k] for k in ("seq", "order_id", "debit", "credit", "amount")
    }
    assert failure.cause.kind == Kind.ROWS
    assert failure.what.endswith("is missing in the database")


@pytest.mark.parametrize(
    ("statement", "table", "column", "said"),
    [
        ("UPDATE orders SET lots = 99 WHERE id = 4", "orders", "lots", "lots is 99 in the database, 100"),
        ("UPDATE orders SET model = 'q@1' WHERE id = 4", "orders", "model", "model is q@1 in the database, none"),
        ("UPDATE orders SET status = 5 WHERE id = 4", "orders", "status", "CANCELED in the database, FILLED in"),
        ("UPDATE orders SET id = 900 WHERE id = 2", "orders", "", "order 2, input"),
        ("UPDATE equity SET equity = equity + 1000000 WHERE number = 50", "equity", "equity", "in the replay"),
        ("DELETE FROM equity WHERE number = 50", "equity", "", "is missing in the database"),
        ("DELETE FROM equity WHERE number = 100", "equity", "", "is missing in the database"),
        ("UPDATE postings SET amount = 1 WHERE number = 1", "postings", "amount", "0.000001 USD in the database, 100,000"),
        ("UPDATE positions SET realized = realized + 5", "positions", "realized", "in the replay"),
        (
            f"INSERT INTO risk (session, seq, ts, account, strategy, kind, code, became, reason) VALUES (1, 100, {T0 + 900 * SECOND}, 0, -1, 2, 30, 2, -1)",
            "risk", "", "desk, OPERATOR, input 100, 2023-11-14T22:29:00Z is in the database, and the replay does not give it",
        ),
    ],
)  # fmt: skip
def test_row_that_was_tampered_with_is_found(url, statement, table, column, said):
    async def story():
        await taped.recorded(url)
        async with await Store.open(url) as store, store.writing() as connection:
            await connection.execute(text("PRAGMA defer_foreign_keys = ON"))
            await connection.execute(
                text("DELETE FROM fills WHERE order_id = 2" if "900" in statement else "SELECT 1")
            )
            await connection.execute(text(statement))

    asyncio.run(story())
    failure = failure_of(url)
    assert (failure.difference.table, failure.difference.column) == (table, column)
    assert said in failure.what
    assert failure.cause.kind == Kind.ROWS


def test_tape_that_was_changed_is_said_to_be_so(url):
    async def story():
        await taped.recorded(url)
        content = await value(url, "SELECT content FROM tape WHERE first = 202")
        ticks = unpacked([content])
        price = ticks.price.copy()
        price[20:26] += 3.0
        await execute(
            url, "UPDATE tape SET content = :c WHERE first = 202", c=packed(ticks._replace(price=price))
        )

    asyncio.run(story())
    failure = failure_of(url)
    assert failure.cause.kind == Kind.TAPE
    assert 202 + 20 <= failure.seq <= 202 + 20 + 8
    assert "the states agree after input 0: the tape between inputs 1 and" in failure.cause.why


def test_print_that_nothing_came_of_is_found_by_the_state(url):
    async def story():  # a size enters the volume of a bar, on which nothing was decided
        await taped.recorded(url)
        content = await value(url, "SELECT content FROM tape WHERE first = 552")
        ticks = unpacked([content])
        await execute(
            url,
            "UPDATE tape SET content = :c WHERE first = 552",
            c=packed(ticks._replace(size=ticks.size + 1.0)),
        )

    asyncio.run(story())
    failure = failure_of(url)
    assert (failure.difference, failure.cause.kind, failure.seq) == (None, Kind.TAPE, 602)
    assert "no row of the database differs up to there" in failure.what


def test_tape_with_a_hole_is_a_gap(url):
    async def story():
        await taped.recorded(url)
        await execute(url, "DELETE FROM tape WHERE first = 252")

    asyncio.run(story())
    failure = failure_of(url)
    assert failure.cause.kind == Kind.GAP
    assert "lacks the input 252" in failure.cause.why


def test_other_build_that_decides_the_same_is_a_note(url):
    asyncio.run(taped.recorded(url, build="0123456789"))
    found = asyncio.run(verified(url))
    assert found.failure is None
    assert found.notes == [
        f"epoch 1 ran on build 0123456789 of the engine, and this is {compiled.key()}; it decided the same"
    ]


def test_other_build_that_decides_otherwise_is_the_cause(url):
    async def story():  # as a change of the engine would show: the replay gives something else, and rows agree with states
        await taped.recorded(url, build="0123456789")
        content = await value(url, "SELECT content FROM tape WHERE first = 202")
        ticks = unpacked([content])
        await execute(
            url,
            "UPDATE tape SET content = :c WHERE first = 202",
            c=packed(ticks._replace(price=ticks.price * 2)),
        )

    asyncio.run(story())
    failure = failure_of(url)
    assert failure.cause.kind == Kind.BUILD
    assert "build 0123456789" in failure.cause.why


def test_configuration_that_was_changed_is_the_cause(url):
    async def story():
        await taped.recorded(url)
        await execute(url, "UPDATE epochs SET config = replace(config, 'cash: 100000.0', 'cash: 100001.0')")
        assert "100001" in await value(url, "SELECT config FROM epochs")

    asyncio.run(story())
    failure = failure_of(url)
    assert failure.cause.kind == Kind.CONFIGURATION


def test_snapshot_that_was_changed_is_the_cause(url):
    async def story():
        await taped.recorded(url)
        await execute(url, "UPDATE snapshots SET state_hash = 'f00d' WHERE seq = 0")

    asyncio.run(story())
    failure = failure_of(url)
    assert failure.cause.kind == Kind.SNAPSHOT
    assert "f00d was written beside it" in failure.cause.why
    assert (failure.what, failure.seq) == ("it cannot be replayed", None)


def test_snapshot_that_cannot_be_unpacked_is_the_cause(url):
    async def story():
        await taped.recorded(url)
        await execute(url, "UPDATE snapshots SET content = x'00112233' WHERE seq = 0")

    asyncio.run(story())
    assert failure_of(url).cause.kind == Kind.SNAPSHOT


def test_snapshot_that_is_gone_is_the_cause(url):
    async def story():
        await taped.recorded(url)
        await execute(url, "DELETE FROM snapshots WHERE seq = 0")

    asyncio.run(story())
    failure = failure_of(url)
    assert failure.cause.kind == Kind.SNAPSHOT
    assert "is not in the database; restore a copy" in failure.cause.why


def test_model_whose_file_was_changed_is_the_cause(url, tmp_path):
    actions = {"kind": "discrete", "size": {"units": 5}}
    ref = store_model(
        tmp_path / "models", "q", ("return_1",), actions, timeframe_ns=MINUTE, instruments=["A"]
    )
    given = config_of([{"use": f"model:{ref}", "instruments": ["A"]}], models=str(tmp_path / "models"))

    async def story():
        await taped.recorded(url, given)
        return await verified(url), await value(url, "SELECT model FROM orders LIMIT 1")

    found, model = asyncio.run(story())
    assert found.failure is None
    assert model.startswith(ref)
    (weights,) = (tmp_path / "models").rglob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    failure = failure_of(url)
    assert failure.cause.kind == Kind.MODEL
    assert "weights.safetensors: was changed since it was written" in failure.cause.why


# -- the command ------------------------------------------------------------------------------------------------------


def papertape(*arguments):
    return subprocess.run([*PAPERTAPE, *arguments], capture_output=True, text=True, timeout=300, check=False)


def test_command_says_what_it_found_and_ends_accordingly(url):
    core = asyncio.run(taped.recorded(url))
    fine = papertape("verify", "desk", "--url", url)
    assert fine.returncode == 0
    assert f"the tape gives what was recorded; state {core.engine.state_hash()}" in fine.stdout
    asyncio.run(execute(url, "UPDATE fills SET price = 1.0 WHERE number = 5"))
    told = papertape("verify", "desk", "--url", url, "--json")
    assert told.returncode == 1
    found = json.loads(told.stdout)
    assert (found["verified"], found["failure"]["table"], found["failure"]["column"]) == (
        False,
        "fills",
        "price",
    )
    assert found["failure"]["cause"] == "rows of the database"
    assert found["failure"]["stored"]["price"] == 1.0
    assert "DIFFERS at epoch 1" in papertape("verify", "desk", "--url", url).stdout


def test_command_without_a_session_lists_them(url):
    asyncio.run(taped.recorded(url))
    told = papertape("verify", "--url", url)
    assert (told.returncode, told.stdout) == (0, "desk: 602 inputs, begun 2023-11-14T22:14:00Z\n")
    unknown = papertape("verify", "dask", "--url", url)
    assert unknown.returncode == 2
    assert "there is no session 'dask'; there are: desk" in unknown.stderr


def python_session(url, folder, level):
    (folder / "buying.py").write_text(BUYER.replace("LEVEL", str(level)))
    strategy = {"use": "buying:Buyer", "instruments": ["A"], "timeframe": "1m"}
    return config_of([strategy], strategy_folder=str(folder))


def test_strategy_whose_code_was_changed_is_the_cause(url, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "buying", raising=False)
    asyncio.run(taped.recorded(url, python_session(url, tmp_path, 101)))
    assert papertape("verify", "desk", "--url", url).returncode == 0
    python_session(url, tmp_path, 99)  # in this process the old code stays
    told = papertape("verify", "desk", "--url", url, "--json")
    found = json.loads(told.stdout)
    assert told.returncode == 1
    assert found["failure"]["cause"] == "strategy code"
    assert found["failure"]["table"] == "orders"
    monkeypatch.delitem(sys.modules, "buying", raising=False)
