"""A paper replay gives what the backtest of the same configuration gives, stopped and started anew as often as one likes."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from daemon import backtest
from daemon.bus import Bus, Overflow
from daemon.config.loader import load
from daemon.config.paper import load_paper
from daemon.config.spec import engine_spec
from daemon.config.types import ns_of
from daemon.feeds import paced
from daemon.live import inbox, running
from daemon.live.deciding import Decider
from daemon.live.errors import EndedError
from daemon.store import rows
from daemon.store.batch import Batch
from engine.engine import Engine, Events
from engine.models import Network, QTable
from engine.records import NONE, SECOND, TICK_DTYPES, RowKind, Ticks
from strategies.models import Registry
from strategies.models.card import make_card

FOLDER = Path(__file__).parents[2] / "configs" / "backtest"
MINUTE = 60 * SECOND
# what is of the session and not of trading: its key, the place on the tape (which has the session's own rows, too)
BESIDE = {"number", "session", "seq"}
TABLES = ("orders", "fills", "postings", "equity", "risk", "grades")
Rows = dict[str, list[tuple[Any, ...]]]


class Killed(BaseException):
    """The process ends where it stands."""


# -- the two ways -----------------------------------------------------------------------------------------------------


def given(name: str, **changed: Any) -> dict[str, Any]:
    """A configuration of this repository, with other values of some of its keys."""
    config: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    if "strategy_folder" in config:
        config["strategy_folder"] = str(FOLDER / config["strategy_folder"])
    return config | changed


def in_a_backtest(config: dict[str, Any]) -> tuple[Rows, int]:
    """What the backtest does from its start on, as rows of the store; and how many rows its tape has from there on."""
    loaded = load(config).config
    spec, actors = engine_spec(loaded)
    engine = Engine(spec, actors)
    assert loaded.start is not None
    since, n = ns_of(loaded.start), 0
    parts: list[Events] = []

    async def run() -> None:
        async with Bus() as bus:

            async def take(taken: backtest.Processed) -> None:
                nonlocal n
                parts.append(taken.out)
                n += int(np.count_nonzero(taken.ticks.ts_recv >= since))

            bus.subscribe(
                backtest.Processed, take, name="test", overflow=Overflow.BLOCK, bound=4, required=True
            )
            await backtest.replay(engine, backtest.open_tape(loaded), bus)

    asyncio.run(run())
    found = as_rows(engine, parts, since)
    assert found["fills"]
    return found, n


def as_rows(engine: Engine, parts: Sequence[Events], since: int) -> Rows:
    events, offset = [], 0
    for part in parts:
        own = np.array(part.events)
        own["observation"][own["observation"] != NONE] += offset
        offset += len(part.observations)
        events.append(own)
    whole = Events(np.concatenate(events), *(np.concatenate(c) for c in list(zip(*parts, strict=True))[1:]))
    nothing = Ticks(*(np.zeros(1, dtype) for dtype in TICK_DTYPES))
    batch = Batch(1, nothing, whole, np.array(engine.state.slots), [None] * len(engine.spec.strategies))
    columns = {
        "fills": rows.fills(1, whole.events),
        "postings": rows.postings(1, whole.events),
        "equity": rows.equity(1, whole.equity),
        "risk": rows.risk(1, whole.events),
        "grades": rows.grades(1, whole.grades[whole.grades["until"] >= since]),
    }
    found = {"orders": [dict(row) for row in rows.orders(1, batch)]}
    for table, its in columns.items():
        names = list(its)
        found[table] = [
            dict(zip(names, values, strict=True))
            for values in zip(*(c.tolist() for c in its.values()), strict=True)
        ]
    return {table: [plain(row) for row in its] for table, its in found.items()}


def plain(row: dict[str, Any]) -> tuple[Any, ...]:
    """The columns by name, without those beside trading; no number is NULL, as in the database."""
    kept = sorted((k, v) for k, v in row.items() if k not in BESIDE | {"model"})
    return tuple((k, None if isinstance(v, float) and np.isnan(v) else v) for k, v in kept)


def in_the_store(file: Path) -> Rows:
    """What a session has in its database, but for the cash that it began with."""
    found: Rows = {}
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        for table in TABLES:
            order = "id" if table == "orders" else "number"
            its = [dict(row) for row in connection.execute(f"select * from {table} order by {order}")]
            if table == "postings":
                began = connection.execute("select min(first) - 1 from tape").fetchone()[0]
                its = [row for row in its if row["seq"] > began]
            found[table] = [plain(row) for row in its]
    return found


class Session:
    """Paper replays of one session, one after the other, in a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]) -> None:
        monkeypatch.setenv("STATE_DIRECTORY", str(folder))
        monkeypatch.delenv("PAPERTAPE_DATABASE", raising=False)
        self.file = folder / "papertape.db"
        self._monkeypatch = monkeypatch
        self._config = config | {
            "feed": {"source": "replay", "speed": None},
            "service": {"listen": None, "control": str(folder / "control.sock")},
        }

    def run(self, stop: int | None = None, kill: int | None = None, **changed: Any) -> None:
        """Until its end, or a SIGTERM or the end of the process behind so many rows of the feed."""
        config = load_paper(self._config | changed).config
        take = Decider.take

        def taken(decider: Decider, group: Any, snapshot: bool = False) -> None:
            if kill is not None and decider.core.feed_rows >= kill:
                raise Killed
            take(decider, group, snapshot)
            if stop is not None and decider.core.feed_rows >= stop:
                signal.raise_signal(signal.SIGTERM)

        with self._monkeypatch.context() as patched:
            patched.setattr(Decider, "take", taken)
            try:
                asyncio.run(running.run(config, lambda: config))
            except* Killed:
                pass

    def payloads(self) -> list[tuple[str, dict[str, Any]]]:
        """What stands on its tape beside rows of the feed: (kind, content), in order."""
        with closing(sqlite3.connect(self.file)) as connection:
            found = connection.execute("select kind, content from payloads order by seq")
            return [(kind, json.loads(content)) for kind, content in found]


def same(mine: Rows, theirs: Rows) -> None:
    for table in TABLES:
        for one, other in zip(mine[table], theirs[table], strict=False):
            assert one == other, table
        assert len(mine[table]) == len(theirs[table]), table


# -- configurations ---------------------------------------------------------------------------------------------------


def rule(_: Path) -> dict[str, Any]:
    return given("one-asset-rule.yaml", end="2009-01-01")


def python_strategy(_: Path) -> dict[str, Any]:
    return given("python-strategy.yaml", end="2008-01-01")


def risk_limits(_: Path) -> dict[str, Any]:
    return given("risk-limits.yaml", start="2008-01-02", warmup="1000d", end="2009-06-01")


def brackets(_: Path) -> dict[str, Any]:
    return given("margin-brackets.yaml", end="2008-06-01")


def splits(_: Path) -> dict[str, Any]:
    return given("split-crossing.yaml", end="2005-09-01")


def deposits(_: Path) -> dict[str, Any]:
    config = given("crypto-fractional.yaml", start="2024-01-05", warmup="4d", end="2024-02-20")
    config["accounts"][0]["deposits"] = [
        {"at": "2024-01-08", "amount": 50, "every": "week"},
        {"at": "2024-02-01", "amount": -60},
        {"at": "2024-02-02", "amount": -1_000_000},  # refused
    ]
    return config


def volume_bars(_: Path) -> dict[str, Any]:
    config = given("volume-bars.yaml", start="2024-01-05", warmup="3d")
    config["data"][0] |= {"days": 5, "ticks_per_day": 2000}
    return config


def models(folder: Path) -> dict[str, Any]:
    # a table that trades on the sign of two features, and a network whose target follows them
    features, numbers = ("return_1", "sma_gap_5"), np.random.default_rng(3)
    edges = (np.zeros(1),) * 2
    made: dict[str, tuple[QTable | Network, dict[str, Any]]] = {
        "goer": (QTable(edges, numbers.normal(size=(4, 3))), {"kind": "discrete", "size": {"units": 300}}),
        "sizer": (
            Network(np.zeros(2), np.full(2, 0.02), 5.0, (numbers.normal(size=(1, 2)),), (np.full(1, 0.4),)),
            {"kind": "target", "size": {"fraction": 0.4}},
        ),
    }
    used = []
    for name, (model, actions) in made.items():
        card = make_card(
            name=name, features=features, actions=actions, created=datetime(2024, 1, 1, tzinfo=UTC), code_version="1",
            algorithm="qlearning", timeframe_ns=86_400 * SECOND,
        )  # fmt: skip
        used.append(
            {"use": f"model:{Registry(folder).store(model, card)}", "name": name, "instruments": ["AAPL"]}
        )
    config = given("one-asset-rule.yaml", end="2006-01-01", models=str(folder))
    config["accounts"][0]["strategies"] = used
    return config


CONFIGURATIONS = [rule, python_strategy, risk_limits, brackets, splits, deposits, volume_bars, models]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items of few rows, so that a session has many places at which it can be stopped."""
    monkeypatch.setattr(paced, "MOST_ROWS", 47)
    monkeypatch.setattr(inbox, "TAKEN", 50)
    monkeypatch.setattr(
        inbox.Inbox.__init__, "__defaults__", (60,)
    )  # rows that wait; a stop still decides them


@pytest.mark.parametrize("make", CONFIGURATIONS)
def test_replay_gives_what_the_backtest_gives(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make(tmp_path / "models")
    expected, _ = in_a_backtest(config)
    Session(tmp_path, monkeypatch, config).run()
    same(in_the_store(tmp_path / "papertape.db"), expected)


@pytest.mark.parametrize("make", CONFIGURATIONS)
def test_replay_stopped_and_killed_on_its_way_gives_what_the_backtest_gives(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make(tmp_path / "models")
    expected, n = in_a_backtest(config)
    session = Session(tmp_path, monkeypatch, config)
    session.run(stop=1)
    session.run(kill=n // 4)
    session.run(stop=n // 2)
    session.run(kill=n // 2 + 1)
    session.run(stop=3 * n // 4)
    session.run()
    told = [content["why"] for _, content in session.payloads()]
    assert told.count("SIGTERM") == 3
    assert told.count("recovered") >= 3  # what a killed one began with may not have been committed
    assert told[-1] == "the tape is over"
    same(in_the_store(session.file), expected)


def test_replay_that_has_ended_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(tmp_path, monkeypatch, rule(tmp_path))
    session.run()
    before = in_the_store(session.file)
    with pytest.raises(EndedError, match="its tape is over"):
        session.run()
    same(in_the_store(session.file), before)


# -- ticks that come late ---------------------------------------------------------------------------------------------


def late_ticks(n: int = 3000) -> Ticks:
    """Prints of a random walk, up to 900 ms late, so that some come behind the close of their bar, in order of arrival."""
    numbers = np.random.default_rng(5)
    event = 1_704_207_600 * SECOND + np.sort(numbers.integers(0, 60 * MINUTE, n))
    received = event + numbers.choice([0, 50, 300, 900], n) * 1_000_000
    order = np.argsort(received, kind="stable")
    price = np.round(100 + np.cumsum(numbers.normal(0, 0.03, n)), 2)
    columns = (event, received, np.zeros(n), price, numbers.integers(1, 500, n), np.full(n, RowKind.PRINT))
    return Ticks(*(np.asarray(c)[order].astype(d) for c, d in zip(columns, TICK_DTYPES, strict=True)))


@pytest.mark.parametrize("late", ["drop", "merge"])
@pytest.mark.parametrize("stops", [(), (0.2, 0.6)])
def test_replay_of_ticks_that_come_late_gives_what_the_backtest_gives(
    late: str, stops: Iterable[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = late_ticks()
    monkeypatch.setattr(backtest, "open_tape", lambda *_: [ticks])
    file = tmp_path / "ticks.csv"  # stands for them
    file.write_text("timestamp,price,size\n2024-01-02T15:00:00Z,100,1\n")
    config = {
        "name": "late",
        "start": "2024-01-02T15:10:00Z",
        "data": [{"source": "csv", "path": str(file), "instrument": "A", "bar": "tick"}],
        "instruments": {"A": {"tick_size": 0.01, "lot_size": 1, "currency": "USD", "fees": {"bps": 1}}},
        "execution": {"grace_ms": 250, "latency_ms": 40, "slippage_ticks": 1, "participation": 0.3, "late_prints": late},
        "accounts": [
            {
                "name": "a",
                "cash": 100_000,
                "strategies": [
                    {
                        "use": "sma_cross", "name": name, "instruments": ["A"], "timeframe": "1m",
                        "params": {"fast": 2, "slow": 5}, "size": {"fraction": 0.45},
                    }
                    for name in ("one", "two")
                ],
            }
        ],
    }  # fmt: skip
    expected, n = in_a_backtest(config)
    session = Session(tmp_path, monkeypatch, config)
    for stop in stops:
        session.run(stop=int(stop * n))
    session.run()
    same(in_the_store(session.file), expected)
