"""`papertape compare`: one session, worked out by hand, on its own tape and on a vendor's bars.

Prints of A come at seconds 0, 20 and 40 of each minute, ten units each, received 40 ms later. The strategy is told by the
minute what to do, without fees: so each step of the ladder changes one thing, by an amount that stands in the comments.
"""

import asyncio
import json
import subprocess
import sys

import pytest

from daemon import compiled
from daemon.compare.attributing import Cause
from daemon.compare.comparing import compare
from daemon.config.paper import load_paper
from daemon.config.types import ns_of
from daemon.live.core import Core
from daemon.live.rows import joined
from daemon.live.warmup import history, warm_up
from daemon.store.errors import StoreUseError
from daemon.store.migrating import upgrade
from daemon.store.store import Store, Taped
from engine.records import SECOND, RowKind
from tests.builders import make_ticks
from tests.service import taped
from tests.service.taped import MINUTE, T0

USD = 1_000_000
PAPERTAPE = (sys.executable, "-m", "daemon.cli")
TOLD = f"""
from strategies import Strategy


class Told(Strategy):
    def on_bar(self, ctx, bar):
        minute = (bar.start - {T0}) // {MINUTE}
        if minute == 0:
            ctx.buy("A", 10, limit=100.5)
        elif minute in (2, 6):
            ctx.sell("A", 10)
        elif minute in (4, 7):
            ctx.buy("A", 10)
        elif minute == 10 and bar.close > 102:
            ctx.buy("A", 5)

    def state_dict(self):
        return {{}}

    def load_state_dict(self, state):
        pass
"""
PRICES = {  # by minute
    0: (100, 100, 101),
    1: (101, 100, 102),
    2: (102, 101, 99),
    3: (99, 99.7, 99.8),  # its first print, at 98.5, never came
    **dict.fromkeys((4, 5, 6, 7, 9, 11), (100, 100, 100)),  # minute 8 lies in a gap
    10: (100, 100),  # and at 103, which comes too late
    12: (101, 101, 101),
}
LATE = (10 * MINUTE + 58 * SECOND, 11 * MINUTE + 5 * SECOND, 103.0)
VENDOR = [  # minute, open, high, low, close, volume
    (0, 100, 101, 100, 101, 30),
    (1, 101, 102, 100, 102, 30),
    (2, 102, 102, 99, 99, 30),
    (3, 98.5, 99.8, 98.5, 99.8, 40),
    (4, 100, 100, 100, 100, 30),
    (5, 100.01, 100.01, 100, 100, 30),  # a cent off
    (6, 100, 100, 100, 100, 30),
    (7, 100, 100, 100, 100, 30),
    (8, 101, 101, 100, 100, 30),
    (9, 100, 100, 100, 100, 30),
    (10, 100, 103, 100, 103, 30),
    (11, 100, 100, 100, 100, 30),
    (12, 101, 101, 101, 101, 30),
]


def prints():
    """As they were received."""
    rows = [
        (T0 + minute * MINUTE + i * 20 * SECOND, price, 10.0, 0)
        for minute, prices in PRICES.items()
        for i, price in enumerate(prices)
    ]
    paid_in = (T0 + 6 * MINUTE + 30 * SECOND, 1000.0, 0.0, 0, RowKind.CASH)  # which is no profit
    ticks = make_ticks([*rows, paid_in, (T0 + LATE[0], LATE[2], 10.0, 0)])
    received = ticks.ts_event + 40_000_000
    received[-1] = T0 + LATE[1]
    order = received.argsort(kind="stable")
    return type(ticks)(*(c[order] for c in ticks._replace(ts_recv=received)))


async def recorded(url, folder):
    (folder / "told.py").write_text(TOLD)
    given = taped.config_of(
        [{"use": "told:Told", "instruments": ["A"], "timeframe": "1m"}], strategy_folder=str(folder)
    )
    given["instruments"]["A"].pop("fees")
    core = taped.fresh(given)
    ticks = prints()
    since, until = T0 + 8 * MINUTE, T0 + 9 * MINUTE
    at = int(ticks.ts_recv.searchsorted(until))
    async with await Store.open(url) as store:
        session, epoch = await taped.opened(store, core)
        await taped.put(store, session, core, taped.cut(ticks, 0, at), each=4)
        for end in (None, until):
            gap = {"instruments": ["A"], "since": since, "until": end, "why": "the feed was down"}
            row, payload = taped.noted(core, "gap", gap, until)
            await store.commit(session, core.take(row, [payload]))
        await taped.put(store, session, core, taped.cut(ticks, at, len(ticks.price)), each=4)
        await taped.closed(store, session, epoch, core, T0 + 13 * MINUTE + 5 * SECOND)
    assert core.lost == {}


def vendor_file(folder, bars=VENDOR):
    """A configuration with the vendor's bars beside it."""
    lines = ["time,open,high,low,close,volume"]
    lines += [f"{(T0 + m * MINUTE) // SECOND},{','.join(map(str, row))}" for m, *row in bars]
    (folder / "vendor.csv").write_text("\n".join(lines) + "\n")
    file = folder / "history.yaml"
    file.write_text("data:\n  - {source: csv, path: vendor.csv, instrument: A, bar: 1m, time_format: s}\n")
    return file


@pytest.fixture
def url(tmp_path, monkeypatch):
    address = f"sqlite:///{tmp_path}/tape.db"
    asyncio.run(upgrade(address))
    monkeypatch.delitem(sys.modules, "told", raising=False)
    asyncio.run(recorded(address, tmp_path))
    yield address
    sys.modules.pop("told", None)


def compared(url, file, *overrides):
    async def story():
        async with await Store.open(url) as store:
            return await compare(store, await taped.desk(store), file, overrides, build=compiled.key())

    return asyncio.run(story())


def test_each_cause_gets_what_it_changed_to_the_unit(url, tmp_path):
    found = compared(url, vendor_file(tmp_path))
    (desk,) = found.accounts
    # recorded: bought at 100 in minute 1, sold at 99.7 in minute 3 (the print of its second 0 came before the decision,
    # which waited for the grace); bought and sold at 100; bought at 100 after the gap and worth 101 at the end
    #   -3 + 0 + 10 = 7
    # timing: sold at 99 at the minute's start; the late print closes minute 10 at 103, so 5 are bought at 100: -7 + 5 = -2
    # fills: the limit of 100.5 is reached on the way from 101 to the bar's low, not jumped past: 10 x -0.5 = -5
    # missing prints: sold at the open that never came, 98.5: -5; bought in the gap at 101, worth 101: -10
    # prices: bought at 100.01: -0.1
    assert desk.profits == (7 * USD, 5 * USD, 0, -15 * USD, -15_100_000)
    assert desk.parts() == {
        Cause.TIMING: -2 * USD,
        Cause.FILLS: -5 * USD,
        Cause.MISSING: -15 * USD,
        Cause.PRICES: -100_000,
    }
    assert sum(desk.parts().values()) == desk.profits[-1] - desk.profits[0]
    assert desk.fills == (5, 6, 6, 6, 6)
    (told,) = found.strategies
    assert (told.name, told.profits, told.fills) == ("desk/Told", desk.profits, desk.fills)
    assert found.late == 1


def test_facts_count_bars_that_lack_prints_and_bars_that_differ(url, tmp_path):
    facts = compared(url, vendor_file(tmp_path)).facts["A"]
    assert (facts.both, facts.missing, facts.gaps, facts.short, facts.prices, facts.lacking) == (
        12,
        0,
        1,
        1,
        1,
        0,
    )
    assert facts.largest == pytest.approx(0.01, abs=1e-12)


def test_largest_disagreements_come_first_with_their_cause(url, tmp_path):
    found = compared(url, vendor_file(tmp_path)).disagreements
    shown = [
        (
            d.cause,
            d.gain,
            d.before and (d.before.side, d.before.notional),
            d.after and (d.after.side, d.after.notional),
        )
        for d in found
    ]
    assert shown == [
        (Cause.MISSING, -10 * USD, (1, 1000 * USD), (1, 1010 * USD)),
        (Cause.TIMING, -7 * USD, (-1, 997 * USD), (-1, 990 * USD)),
        (Cause.TIMING, 5 * USD, None, (1, 500 * USD)),
        (Cause.FILLS, -5 * USD, (1, 1000 * USD), (1, 1005 * USD)),
        (Cause.MISSING, -5 * USD, (-1, 990 * USD), (-1, 985 * USD)),
        (Cause.PRICES, -100_000, (1, 1000 * USD), (1, 1_000_100_000)),
    ]
    by_cause = {cause: sum(d.gain for d in found if d.cause == cause) for cause in Cause}
    assert by_cause == compared(url, vendor_file(tmp_path)).accounts[0].parts()


def test_bars_that_the_prints_make_leave_timing_and_fills(url, tmp_path):
    own = [(m, *r) for m, *r in VENDOR if m != 8]
    own[3] = (3, 99, 99.8, 99, 99.8, 30)
    own[5] = (5, 100, 100, 100, 100, 30)
    parts = compared(url, vendor_file(tmp_path, own)).accounts[0].parts()
    assert parts == {Cause.TIMING: -2 * USD, Cause.FILLS: -5 * USD, Cause.MISSING: 0, Cause.PRICES: 0}


def test_bar_of_fewer_units_at_the_vendors_is_another_price_and_no_missing_print(url, tmp_path):
    bars = [(3, 98.5, 99.8, 98.5, 99.8, 20) if m == 3 else (m, *r) for m, *r in VENDOR]
    parts = compared(url, vendor_file(tmp_path, bars)).accounts[0].parts()
    assert (parts[Cause.MISSING], parts[Cause.PRICES]) == (-10 * USD, -5_100_000)


def test_bar_that_the_vendor_lacks_counts_among_prices(url, tmp_path):
    # without minute 5 the order of minute 4 fills at the open of minute 6: 100; the tape's own minute 5 was at 100, too
    bars = [(m, *r) for m, *r in VENDOR if m != 5]
    found = compared(url, vendor_file(tmp_path, bars))
    assert found.facts["A"].lacking == 1
    assert found.accounts[0].parts()[Cause.PRICES] == 0


def test_session_that_was_tampered_with_is_refused(url, tmp_path):
    async def story():
        async with await Store.open(url) as store, store.writing() as connection:
            await connection.exec_driver_sql("UPDATE fills SET price = 1.0 WHERE number = 1")

    asyncio.run(story())
    with pytest.raises(
        StoreUseError, match="is not what its tape gives, so nothing can be attributed: fills: desk/Told"
    ):
        compared(url, vendor_file(tmp_path))


def test_command_prints_a_table_or_json(url, tmp_path):
    file = vendor_file(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    moved = (tmp_path / "vendor.csv").rename(tmp_path / "elsewhere" / "vendor.csv")
    command = [
        *PAPERTAPE,
        "compare",
        "desk",
        "--url",
        url,
        "--history",
        str(file),
        "--set",
        f"data.0.path={moved}",
    ]
    told = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=300, check=True)
    found = json.loads(told.stdout)
    (desk,) = found["accounts"]
    assert desk["recorded"] == {"profit_micros": 7 * USD, "fills": 5}
    assert {name: part["profit_micros"] for name, part in desk["causes"].items()} == {
        "timing": -2 * USD, "fills": -5 * USD, "missing prints": -15 * USD, "prices": -100_000,
    }  # fmt: skip
    assert desk["vendor"] == {"profit_micros": -15_100_000, "fills": 6}
    assert found["disagreements"][0]["after"] == {
        "decided": "2023-11-14T22:22:00Z", "side": "buy", "quantity": 10.0, "avg_px": 101.0,
    }  # fmt: skip
    shown = subprocess.run(
        [*command, "--top", "1"], capture_output=True, text=True, timeout=300, check=True
    ).stdout
    assert "-15.10 USD" in shown
    assert "buys 10 at 101, decided 2023-11-14T22:22:00Z" in shown
    assert "and 5 smaller ones" in shown
    missing = subprocess.run(
        [*command[:-4], "--history", "nowhere.yaml"], capture_output=True, text=True, timeout=300, check=False
    )
    assert missing.returncode == 2
    assert (
        "nowhere.yaml:1: cannot be read: No such file or directory; give a YAML file with `data:`"
        in missing.stderr
    )


def test_replay_of_a_vendors_bars_agrees_with_them(tmp_path):
    url = f"sqlite:///{tmp_path}/replay.db"
    names = ("AAPL", "GOOG", "IBM")
    strategy = {"use": "momentum", "instruments": list(names), "timeframe": "1d", "params": {"lookback": 10}, "size": {"fraction": 0.9}}  # fmt: skip
    given = {
        "name": "desk", "feed": {"source": "replay"}, "start": "2010-01-04", "end": "2011-01-04", "warmup": "60d",
        "data": [{"source": "sample", "instrument": name} for name in names],
        "instruments": {n: {"tick_size": 0.01, "lot_size": 1, "currency": "USD", "fees": {"bps": 10}} for n in names},
        "accounts": [{"name": "desk", "cash": 100_000, "strategies": [strategy]}],
    }  # fmt: skip
    file = tmp_path / "vendor.yaml"
    file.write_text("data: [{source: sample, instrument: AAPL}, {source: sample, instrument: GOOG}]\n")

    async def story():
        await upgrade(url)
        config = load_paper(given).config
        assert config.start is not None
        begin = ns_of(config.start)
        core = taped.fresh(given, begin)
        tape = list(history(config, begin))
        warm_up(core, tape, begin, lambda taken: None)
        ticks = joined(tape)
        async with await Store.open(url) as store:
            session, epoch = await taped.opened(store, core, ts=begin)
            await taped.put(
                store,
                session,
                core,
                taped.cut(ticks, int(ticks.ts_recv.searchsorted(begin)), len(ticks.price)),
            )
            await taped.closed(store, session, epoch, core, int(ticks.ts_recv[-1]) + 1)

    asyncio.run(story())
    found = compared(url, file)
    (desk,) = found.accounts
    assert desk.fills[0] > 20
    assert len(set(desk.profits)) == 1
    assert found.disagreements == []
    assert found.uncovered == ["IBM"]
    # 252 trading days of 2010, and 2011-01-03
    assert [facts.both for facts in found.facts.values()] == [253, 253]


def test_session_with_new_settings_in_a_second_epoch_is_compared_whole(tmp_path):
    url = f"sqlite:///{tmp_path}/two.db"
    other = taped.config_of()
    other["accounts"][0]["strategies"][0]["size"] = {"units": 7}
    late = T0 + 100 * MINUTE + 30 * SECOND

    async def story():
        await upgrade(url)
        await taped.recorded(url, n=580)
        async with await Store.open(url) as store:
            session = (await taped.desk(store)).id
            saved = await store.snapshot(session)
            assert saved is not None
            core = Core.load(saved.content)
            changed = taped.fresh(other).content
            epoch = await store.begin_epoch(session, compiled.key(), changed.hash, changed.text, late)
            start, begins = taped.noted(
                core, "start", {"epoch": epoch, "why": "test", "version": "0"} | changed.described(), late
            )
            row, settings = taped.noted(
                core, "settings", {"config": changed.text} | changed.described(), late
            )
            both = [begins, settings._replace(seq=settings.seq + 1)]
            for batch in core.replay(Taped(core.seq + 1, joined([start, row]), tuple(both))):
                await store.commit(session, batch)
            await taped.put(store, session, core, taped.walk(300, seed=5, start=late))
            await taped.closed(store, session, epoch, core, late + 60 * MINUTE)
            return {row["lots"] for row in await store.rows("fills", session)}

    lots = asyncio.run(story())
    assert lots == {100, 7}
    rows = [(m, 50, 50, 50, 50, 1) for m in range(200)]
    found = compared(url, vendor_file(tmp_path, rows))
    (desk,) = found.accounts
    assert desk.profits[0] not in desk.profits[1:]  # the grace, then bars that never move
    assert sum(desk.parts().values()) == desk.profits[4] - desk.profits[0]
    assert {d.before.lots for d in found.disagreements if d.before} == {100, 7}
    # prints in minutes 0 to 96 and 100 to 150 of the 160 whole ones
    assert (found.facts["A"].both, found.facts["A"].missing) == (97 + 51, 3 + 9)
