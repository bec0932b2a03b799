"""The runner: how a tape ends, what reaches the bus, what broken observers cannot do, and run_backtest as a whole."""

import asyncio
import gc

import numpy as np
import pandas as pd
import pytest

from daemon import backtest as module
from daemon.backtest import EmptyTapeError, Processed, Progress, replay, run_backtest, run_blocking
from daemon.bus import Bus, Overflow
from daemon.config.errors import ConfigError
from daemon.config.loader import load
from daemon.config.spec import engine_spec, sources
from daemon.data.errors import DataError
from daemon.data.feed import open_feed
from daemon.folder import ResultFolderError
from engine.engine import Engine
from engine.policies import Policy
from engine.records import RowKind
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from tests.builders import MINUTE, cut, make_bars, make_engine

DAYS = pd.date_range("2001-01-01", periods=80, tz="UTC")


def closes(seed=3):
    random = np.random.Generator(np.random.PCG64(seed))
    return np.round(50 + np.cumsum(random.normal(0, 1, len(DAYS))), 2)


@pytest.fixture
def config(tmp_path):
    close = closes()
    frame = pd.DataFrame({"Date": DAYS.strftime("%Y-%m-%d"), "Open": close, "High": close + 1})
    frame["Low"], frame["Close"], frame["Volume"] = close - 1, close, 1000
    frame.to_csv(tmp_path / "a.csv", index=False)
    return {
        "name": "test",
        "data": [{"source": "csv", "path": str(tmp_path / "a.csv"), "instrument": "A", "bar": "1d"}],
        "instruments": {"A": {"fees": {"bps": 10}}},
        "accounts": [
            {
                "name": "sma",
                "cash": 100_000,
                "strategies": [
                    {
                        "use": "sma_cross",
                        "instruments": ["A"],
                        "timeframe": "1d",
                        "params": {"fast": 3, "slow": 8},
                        "size": {"units": 100},
                    }
                ],
            },
            {
                "name": "hold",
                "cash": 100_000,
                "strategies": [
                    {
                        "use": "buy_and_hold",
                        "instruments": ["A"],
                        "timeframe": "1d",
                        "size": {"units": 1000},
                    }
                ],
            },
        ],
    }


async def heard(engine, feed):
    batches, progress = [], []
    async with Bus() as bus:

        async def batch(message):
            batches.append(message)

        async def far(message):
            progress.append(message)

        bus.subscribe(Processed, batch, name="batches", overflow=Overflow.BLOCK, bound=9)
        bus.subscribe(Progress, far, name="progress", overflow=Overflow.BLOCK, bound=9)
        seen = await replay(engine, feed, bus)
    return seen, batches, progress


def test_last_bar_of_a_tape_closes_though_no_row_follows_it():
    engine = make_engine()
    tape = make_bars([(1, 2, 1, 2), (2, 3, 2, 3)])
    seen, batches, progress = asyncio.run(heard(engine, [tape]))
    assert engine.state.clock[0].bars == 2
    assert engine.now == 2 * MINUTE  # a nanosecond after the last close
    assert (seen.rows, seen.first_ts, seen.last_ts) == (8, 0, 2 * MINUTE - 1)
    assert [b.ticks.flags.tolist() for b in batches[1:]] == [[RowKind.TIMER], [RowKind.TIMER]]
    assert (progress[-1].fraction, progress[-1].rows) == (1.0, 8)


def test_last_bar_closes_after_its_grace():
    spec = EngineSpec(
        (InstrumentSpec("A"),),
        (AccountSpec("a", 1.0),),
        (StrategySpec("s", "a", ("A",), MINUTE, (), Policy.BUY_AND_HOLD, size_value=1),),
        grace_ns=7,
    )
    engine = Engine(spec)
    asyncio.run(heard(engine, [make_bars([(1, 2, 1, 2)])]))
    assert engine.state.clock[0].bars == 1


def test_bar_whose_path_has_not_come_whole_stays_open():
    engine = make_engine()
    asyncio.run(heard(engine, [cut(make_bars([(1, 2, 1, 2), (2, 3, 2, 3)]), 0, 5)]))
    assert engine.state.clock[0].bars == 1


def test_tape_without_rows_is_an_error():
    with pytest.raises(EmptyTapeError, match="no rows"):
        asyncio.run(heard(make_engine(), [cut(make_bars([(1, 2, 1, 2)]), 0, 0)]))


def test_result_has_frames_summary_and_no_files_that_outlive_it(config):
    result = run_backtest(config)
    assert result.summary["rows"] == 4 * len(DAYS)
    assert result.summary["bars"] == len(DAYS)
    assert result.summary["first_ts"] == "2001-01-01T00:00:00Z"
    assert len(result.fills) == sum(a["fills"] for a in result.summary["accounts"])
    assert len(result.orders) == sum(a["orders"] for a in result.summary["accounts"])
    assert len(result.equity) == 2 * len(DAYS)
    folder = result.folder
    assert folder.is_dir()
    del result
    gc.collect()
    assert not folder.exists()
    assert not folder.parent.exists()


def test_buy_and_hold_ends_with_what_arithmetic_says(config):
    result = run_backtest(config)
    account = result.summary["accounts"][1]
    # decided on the first close, bought at the second day's open
    price, last = closes()[1], closes()[-1]
    cost = round(1000 * price * 1e6)
    fee = round(cost * 0.001)
    assert account["fills"] == 1
    assert account["fees_micros"] == fee
    assert account["cash_micros"] == 100_000_000_000 - cost - fee
    assert account["equity_micros"] == account["cash_micros"] + round(1000 * last * 1e6)
    assert account["return"] == pytest.approx(account["equity_micros"] / 1e11 - 1)


def test_sharpe_and_drawdown_are_those_of_the_equity_frame(config):
    result = run_backtest(config)
    for account in result.summary["accounts"]:
        equity = result.equity.query("account == @account['name']").equity_micros / 1e6
        returns = equity.pct_change().dropna()
        assert account["sharpe"] == pytest.approx(returns.mean() / returns.std() * 252**0.5, rel=1e-9)
        peak = equity.cummax().clip(lower=100_000)
        assert account["max_drawdown"] == pytest.approx((1 - equity / peak).max(), rel=1e-9)


def test_calendar_around_the_clock_has_365_days_a_year(config):
    plain = run_backtest(config).summary["accounts"]
    config["instruments"]["A"]["calendar"] = "24/7"
    round_the_clock = run_backtest(config).summary["accounts"]
    for one, other in zip(plain, round_the_clock, strict=True):
        assert other["sharpe"] / one["sharpe"] == pytest.approx((365 / 252) ** 0.5)


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_batch_size_changes_neither_hash_nor_figures(config, rows):
    def figures(result):
        return {k: v for k, v in result.summary.items() if k not in ("run_id", "wall_s", "rows_per_s")}

    one, other = run_backtest(config, batch_rows=rows), run_backtest(config)
    assert figures(one) == figures(other)
    for name in ("orders", "fills", "equity"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


DEPOSITS = [
    {"at": "2001-01-10", "amount": 25_000, "every": "month", "until": "2001-03-01"},
    {"at": "2001-02-20T12:00:00Z", "amount": -30_000},
    {"at": "2001-02-21", "amount": -10_000_000},  # more than there is
    {"at": "2001-06-01", "amount": 1},  # after the last row: it never comes
]


def test_deposits_are_no_profit_and_figures_are_those_of_the_money_that_was_there(config):
    plain = run_backtest(config)
    config["accounts"][1]["deposits"] = DEPOSITS
    result = run_backtest(config)
    account, before = result.summary["accounts"][1], plain.summary["accounts"][1]
    more = result.summary["more"]["accounts"]["hold"]
    # 25000 on 10 January and 10 February, 30000 out on 20 February
    assert account["equity_micros"] == before["equity_micros"] + 20_000 * 10**6
    assert (more["deposits_micros"], more["refused_withdrawals"]) == (20_000 * 10**6, 1)
    assert result.cash["amount_micros"].tolist() == [25e9, 25e9, -30e9, -1e13]

    # by hand: the account without payments, day by day, and beside it the money that was paid
    equity = plain.equity.query("account == 'hold'").equity_micros.to_numpy() / 1e6
    ends = DAYS + pd.Timedelta(days=1)
    growth, level = [], 100_000.0
    for value, end in zip(equity, ends, strict=True):
        paid = sum(
            amount
            for at, amount in (("2001-01-10", 25e3), ("2001-02-10", 25e3), ("2001-02-20T12", -30e3))
            if pd.Timestamp(at, tz="UTC") < end
        )
        fresh = sum(
            amount
            for at, amount in (("2001-01-10", 25e3), ("2001-02-10", 25e3), ("2001-02-20T12", -30e3))
            if end - pd.Timedelta(days=1) <= pd.Timestamp(at, tz="UTC") < end
        )
        growth.append((value + paid) / (level + fresh))
        level = value + paid
    returns = np.array(growth[1:]) - 1
    assert account["return"] == pytest.approx(np.prod(growth) - 1, rel=1e-12)
    assert account["sharpe"] == pytest.approx(returns.mean() / returns.std(ddof=1) * 252**0.5, rel=1e-9)
    index = np.cumprod(growth)
    peak = np.maximum.accumulate(np.append(1.0, index))[1:]
    assert account["max_drawdown"] == pytest.approx((1 - index / peak).max(), rel=1e-9)
    assert more["annual_return"] == pytest.approx(np.prod(growth[1:]) ** (252 / 79) - 1, rel=1e-9)


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_batch_size_changes_nothing_of_deposits_either(config, rows):
    config["accounts"][1]["deposits"] = DEPOSITS
    one, other = run_backtest(config, batch_rows=rows).summary, run_backtest(config).summary
    for summary in (one, other):
        for key in ("run_id", "wall_s", "rows_per_s"):
            del summary[key]
    assert one == other


def test_drawdown_without_deposits_is_the_engines_to_the_bit(config):
    spec, actors = engine_spec(load(config).config)
    engine = Engine(spec, actors)
    for ticks in open_feed(sources(load(config).config)):
        engine.process(ticks)
    engine.process(module.timer_row(engine.now + 1))
    for account, shown in zip(engine.state.accounts, run_backtest(config).summary["accounts"], strict=True):
        at_the_end = (int(account.peak) - shown["equity_micros"]) / int(account.peak)
        assert shown["max_drawdown"] == max(float(account.max_drawdown), at_the_end)


def test_margin_account_of_a_dict_owes_and_pays_for_it(config):
    account = config["accounts"][1]
    account["margin"] = {"leverage": 2, "debit_rate": 0.0365}
    account["cash"] = 40_000  # for 1000 at about 50
    result = run_backtest(config)
    # at the end of each day but the first, on which nothing was held yet, a ten-thousandth of what is owed
    equity = result.equity.query("account == 'hold'")
    charged = -result.cash.query("account == 'hold'")["amount_micros"].sum()
    assert equity.cash_micros.min() < 0
    assert charged == pytest.approx(-equity.cash_micros.iloc[1:].sum() * 1e-4, rel=0.02)
    assert result.summary["more"]["accounts"]["hold"]["interest_micros"] == -charged


LONGER = """
from strategies import Strategy


class Longer(Strategy):
    features = ("close@2d",)
    timeframes = ("2d",)

    def on_bar(self, ctx, bar):
        of_class, of_configuration = ctx.bars(3, timeframe="2d"), ctx.bars(3, timeframe="96h")
        if len(of_configuration) and ctx.ready():
            assert of_class[-1]["close"] == ctx.feature("close@2d")
            assert of_configuration[-1]["close"] == ctx.feature("close@96h")
            assert (bar.end - of_configuration[-1]["end"]) // (24 * 3600 * 10**9) < 4
            ctx.buy(bar.instrument, 1, tag=round(100 * ctx.feature("close@96h")))
"""


def test_class_sees_longer_bars_of_its_own_and_of_the_configuration_by_the_names_they_were_given(
    config, tmp_path
):
    (tmp_path / "longer_bars.py").write_text(LONGER)
    config["strategy_folder"] = str(tmp_path)
    strategy = {"use": "longer_bars:Longer", "instruments": ["A"], "timeframe": "1d"}
    more = {"timeframes": ["96h"], "features": ["close@96h"]}
    config["accounts"] = [{"name": "a", "cash": 1e6, "strategies": [{**strategy, **more}]}]
    orders = run_backtest(config).orders
    # stretches of four days since 1970: the close of the last day of each, known from the next midnight on
    day = (DAYS - pd.Timestamp(0, tz="UTC")).days.to_numpy()
    expected, last = [], None
    for d, close in zip(day, closes(), strict=True):
        if d % 4 == 3:
            last = close
        if last is not None:
            expected.append(round(100 * last))
    assert orders["tag"].tolist() == expected[-len(orders) :]
    assert len(orders) >= len(DAYS) - 4


def test_override_changes_the_run(config):
    result = run_backtest(config, ["accounts.1.cash=70000"])
    assert result.summary["accounts"][1]["equity_micros"] < 80_000_000_000


def test_folder_holds_the_nine_files_and_its_configuration_runs_to_the_same_hash(config, tmp_path):
    result = run_backtest(config, out=tmp_path / "deep" / "out")
    names = sorted(p.name for p in (tmp_path / "deep" / "out").iterdir())
    assert names == [
        "actions.parquet",
        "cash.parquet",
        "config.yaml",
        "equity.parquet",
        "fills.parquet",
        "grades.parquet",
        "orders.parquet",
        "risk.parquet",
        "summary.json",
    ]
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["out"]
    again = run_backtest(tmp_path / "deep" / "out" / "config.yaml")
    assert again.summary["result_hash"] == result.summary["result_hash"]


def test_run_inside_a_running_event_loop_gives_the_same(config):
    async def notebook():
        return run_backtest(config)

    assert asyncio.run(notebook()).summary["result_hash"] == run_backtest(config).summary["result_hash"]


def test_error_inside_a_running_event_loop_is_raised_as_it_is(config):
    config["data"][0]["path"] = "nowhere.csv"

    async def notebook():
        run_backtest(config)

    with pytest.raises((ConfigError, DataError), match=r"nowhere\.csv"):
        asyncio.run(notebook())


def test_bad_row_leaves_no_folder(config, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(path.read_text().replace("2001-02-01", "2001-01-01"))
    with pytest.raises(DataError, match=r"a\.csv:33"):
        run_backtest(config, out=tmp_path / "results" / "run")
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_folder_with_files_is_refused_and_untouched(config, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(ResultFolderError, match="not empty; remove it, or name another"):
        run_backtest(config, out=out)
    assert [p.name for p in out.iterdir()] == ["mine.txt"]


def run_observed(config, tmp_path, observe):
    said: list[str] = []
    work = module.backtest(
        load(config), tmp_path / "observed", observe=observe, tell=said.append, batch_rows=16
    )
    return run_blocking(work), said


@pytest.mark.parametrize("topic", [Processed, Progress])
def test_broken_observer_cannot_change_a_result_and_is_reported(config, tmp_path, topic):
    async def broken(message):
        raise ZeroDivisionError("display")

    def observe(bus):
        bus.subscribe(topic, broken, name="display", overflow=Overflow.BLOCK)

    summary, said = run_observed(config, tmp_path, observe)
    assert summary["result_hash"] == run_backtest(config).summary["result_hash"]
    assert any("display failed and was left out" in message for message in said)


def test_slow_observer_cannot_change_a_result(config, tmp_path):
    async def slow(message):
        await asyncio.sleep(0.001)

    def observe(bus):
        bus.subscribe(Processed, slow, name="slow", overflow=Overflow.BLOCK)
        bus.subscribe(Processed, slow, name="lossy", overflow=Overflow.DROP_OLDEST, bound=2)

    summary, _ = run_observed(config, tmp_path, observe)
    assert summary["result_hash"] == run_backtest(config).summary["result_hash"]


def test_observer_that_writes_into_what_it_hears_cannot_change_a_result(config, tmp_path):
    async def vandal(message):
        message.out.events["cash"] = 0
        message.out.equity["equity"] = 0

    def observe(bus):
        bus.subscribe(Processed, vandal, name="vandal", overflow=Overflow.DROP_OLDEST, bound=100)

    summary, said = run_observed(config, tmp_path, observe)
    assert summary["result_hash"] == run_backtest(config).summary["result_hash"]
    assert any("vandal failed" in message for message in said)


def test_results_that_cannot_be_written_fail_the_run_and_leave_nothing(config, tmp_path, monkeypatch):
    from daemon.bus import ObserverError
    from daemon.results import ResultFiles

    def full(self, out):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ResultFiles, "add", full)
    with pytest.raises(ObserverError, match="No space left on device"):
        run_backtest(config, out=tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
