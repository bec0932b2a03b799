"""Each configuration runs offline, from what the installation has, and shows what it is for."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from daemon.backtest import BacktestResult, open_tape, run_backtest, timer_row
from daemon.config.loader import load
from daemon.config.risk_history import lines
from daemon.config.spec import engine_spec, sources
from daemon.data.feed import open_feed
from daemon.data.merge import piece
from engine.engine import Engine

FOLDER = Path(__file__).parents[2] / "configs" / "backtest"


def run(name: str, *overrides: str) -> BacktestResult:
    return run_backtest(FOLDER / f"{name}.yaml", overrides)


def cash_by_the_books(result: BacktestResult, account: str, cash: int) -> int:
    """What an account began with, less what its fills and fees cost, and all other cash that moved."""
    fills = result.fills.query("account == @account")
    sides = np.where(fills["side"].astype(str) == "BUY", -1, 1)
    other = result.cash.query("account == @account and not refused")["amount_micros"].sum()
    return int(cash + (sides * fills["notional_micros"]).sum() - fills["fee_micros"].sum() + other)


@pytest.mark.parametrize("name", ["one-asset-rule", "four-assets-three-accounts", "python-strategy"])
def test_configuration_trades_in_each_of_its_accounts(name: str) -> None:
    result = run(name)
    assert [a["fills"] > 0 for a in result.summary["accounts"]] == [True] * len(result.summary["accounts"])
    assert result.summary["refused_rows"] == result.summary["more"]["bad_rows"] == 0


def test_ticks_become_minutes(tmp_path: Path) -> None:
    random = np.random.Generator(np.random.PCG64(5))
    n = 20_000
    ts = pd.date_range("2013-10-07 13:30", periods=n, freq="1s", tz="UTC")
    price = np.round(168 + np.cumsum(random.normal(0, 0.01, n)), 2)
    ticks = pd.DataFrame({"timestamp": ts, "price": price, "size": random.integers(100, 5000, n)})
    ticks.to_parquet(tmp_path / "ticks.parquet")
    result = run("ticks-to-minutes", f"data.0.path={tmp_path / 'ticks.parquet'}")
    assert result.summary["bars"] == n // 60  # the last is not whole
    assert result.summary["accounts"][0]["fills"] > 5


def test_brackets_of_a_margin_account_go_long_and_short_and_end_on_either_side() -> None:
    result = run("margin-brackets")
    orders, fills = result.orders, result.fills
    ended = orders.groupby(["type", "side", "status"], observed=True).size()
    for side in ("BUY", "SELL"):
        for kind in (
            "MARKET",
            "LIMIT",
            "STOP",
        ):  # entries, profits taken, losses stopped: each long and short
            assert ended[kind, side, "FILLED"] > 3
    assert fills["position"].min() < 0 < fills["position"].max()

    # of the two that close a bracket one fills, or what one fills the other loses
    children = orders[orders["parent_id"].notna() & (orders["parent_id"] != 0)]
    parents = orders.set_index("id")["cum_qty"]
    closed = children.groupby("parent_id")["cum_qty"].sum()
    assert (children.groupby("parent_id").size() == 2).all()
    assert (closed <= parents[closed.index]).all()
    assert (closed == parents[closed.index]).sum() > 50

    # it owed, and paid for that; and its books balance
    more = result.summary["more"]["accounts"]["margin"]
    assert result.equity["cash_micros"].min() < 0
    assert more["interest_micros"] < 0
    assert more["brackets"] == (closed > 0).sum()
    account = result.summary["accounts"][0]
    assert account["cash_micros"] == cash_by_the_books(result, "margin", 100_000 * 10**6)


def test_share_crosses_its_split_without_a_jump_and_pays_its_dividends() -> None:
    result = run("split-crossing")
    split, *dividends = result.actions.to_dict("records")
    assert (str(split["ts"]), split["code"]) == ("2005-02-28 00:00:00+00:00", "SPLIT")
    assert [str(d["ts"].date()) for d in dividends] == ["2012-08-09", "2012-11-07"]

    (bought,) = result.fills.query("account == 'hold'").to_dict("records")
    held = 2 * bought["last_qty"]  # two for one
    paid = result.cash.query("account == 'hold'")
    # 2.65 a share each time, as Apple paid then
    assert paid["amount_micros"].tolist() == [round(held * 2.65 * 1e6)] * 2
    equity = result.equity.set_index("ts").equity_micros
    for account in ("hold", "sma"):
        mine = equity[(result.equity["account"] == account).to_numpy()]
        assert mine.pct_change().abs().max() < 0.2  # a split for which nothing follows is half of it

    # bought for 95 % at the second day's open, and worth twice as many shares at the last close, 532.1729
    account = result.summary["accounts"][0]
    assert account["equity_micros"] == account["cash_micros"] + round(held * 532.1729 * 1e6)
    assert account["cash_micros"] == cash_by_the_books(result, "hold", 100_000 * 10**6)


def test_averages_see_no_signal_in_the_split() -> None:
    orders = run("split-crossing").orders.query("account == 'sma'")
    # Apple rose for weeks around the split: who is long stays so, while a halved price would have sold at once
    around = orders["submitted"].between(
        pd.Timestamp("2005-02-15", tz="UTC"), pd.Timestamp("2005-03-10", tz="UTC")
    )
    assert not around.any()


def test_bars_are_cut_where_the_sums_of_the_trades_say() -> None:
    result = run("volume-bars")
    config = load(FOLDER / "volume-bars.yaml").config
    tape = [(t.ts_event, t.price, t.size) for t in open_feed(sources(config))]
    ts, price, size = (np.concatenate(column) for column in zip(*tape, strict=True))
    for account, amounts, threshold in (
        ("by-volume", size, 50_000),
        ("by-value", price * size, 2_500_000),
        ("by-trades", np.ones(len(ts)), 250),
    ):
        ends, amount = [], 0.0
        for at, add in zip(ts.tolist(), amounts.tolist(), strict=True):
            amount += add
            if amount >= threshold:
                ends.append(at)
                amount = 0.0
        # equity is taken whenever a bar closes
        found = result.equity["ts"][(result.equity["account"] == account).to_numpy()]
        assert found.astype("int64").tolist() == ends
    assert all(a["fills"] > 10 for a in result.summary["accounts"])


def test_coins_are_traded_in_fractions_and_counted_in_satoshis() -> None:
    result = run("crypto-fractional")
    for account, cash in (("saver", 100 * 10**6), ("hodler", 75_000_000)):
        fills = result.fills.query("account == @account")
        lots = fills["last_qty"] * 1e8
        assert len(fills) > 20
        assert np.allclose(lots, lots.round(), rtol=1e-14, atol=1e-6)
        assert (fills["last_qty"] % 1 > 0).any()
        summary = next(a for a in result.summary["accounts"] if a["name"] == account)
        assert summary["cash_micros"] == cash_by_the_books(result, account, cash)
    more = result.summary["more"]["accounts"]
    assert (more["saver"]["units_per_currency"], more["hodler"]["units_per_currency"]) == (10**6, 10**8)
    # 52 Mondays from 8 January to 30 December, and 200 out
    assert more["saver"]["deposits_micros"] == (52 * 50 - 200) * 10**6
    # what a fill of ether costs, in satoshis: rounded once
    bought = result.fills.query("account == 'hodler'").iloc[0]
    assert bought["notional_micros"] == round(bought["last_qty"] * bought["last_px"] * 1e8)


def test_risk_limits_cut_orders_halt_the_account_and_let_it_go_on_after_the_reset() -> None:
    result = run("risk-limits")
    risk = result.risk.query("account == 'guarded' and strategy.isna()")
    halted, active = risk[risk["became"].isin(["HALTED", "ACTIVE"])].to_dict("records")
    assert (halted["code"], halted["became"]) == ("DRAWDOWN", "HALTED")
    assert (active["code"], active["became"]) == ("OPERATOR", "ACTIVE")
    assert active["ts"] == pd.Timestamp("2009-03-16", tz="UTC")
    assert active["reason"].startswith("reviewed the losses of the winter")
    # from the peak to the close of that day a fifth was lost; whoever has no limits is not stopped
    equity = result.equity.query("account == 'guarded' and ts <= @halted['ts'].ceil('D')")["equity_micros"]
    assert equity.iloc[-1] / equity.max() == pytest.approx(0.8, abs=0.02)
    assert (result.risk["account"] == "guarded").sum() > 50
    assert set(result.risk.query("account == 'unguarded'")["code"].astype(str)) == {"MODEL"}

    # in between exits alone fill, and all else is denied for that reason; at no other time is anything
    orders = result.orders.query("account == 'guarded'")
    stopped = orders["submitted"].between(halted["ts"], active["ts"], inclusive="left")
    refused = (orders["code"] == "TRADING_STATE").to_numpy()
    assert refused.any()
    assert set(orders["side"][stopped & ~refused].astype(str)) <= {"SELL"}
    assert not (refused & ~stopped).any()

    # what is beyond a limit on VaR is cut, and none is denied; stressed VaR cuts none
    beyond = orders.query("code in ['VAR', 'CVAR', 'STRESSED_VAR']")
    assert (beyond["measure"] > beyond["bound"]).all()
    cut = beyond["status"].astype(str).ne("DENIED")
    assert set(beyond["code"][cut].astype(str)) <= {"VAR", "CVAR"}
    assert cut.sum() > 5
    assert set(beyond["code"][~cut].astype(str)) == {"STRESSED_VAR"}

    graded = result.grades.groupby(["account", "method"], observed=True).size().unstack()
    assert set(graded.columns) == {"FILTERED", "HISTORICAL", "GAUSSIAN", "EWMA"}
    assert (graded > 1000).all(axis=None)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["risk.period=7d", "risk.stress=[]", "accounts.0.limits={}"],
        ["warmup=200d", "risk.stress=[]", "accounts.0.limits={}", "instruments.MSFT.calendar=24/7"],
    ],
)
def test_history_that_a_check_tells_of_is_what_the_engine_has(overrides: list[str]) -> None:
    config = load(FOLDER / "risk-limits.yaml", [*overrides, "risk.window=2000"]).config
    told = re.match(r"history: about (\d+)(?: to (\d+))? returns", next(lines(config, config.traded, [])))
    assert told
    spec, actors = engine_spec(config)
    engine = Engine(spec, actors)
    engine.start()
    for batch in open_tape(config):
        before = int(np.searchsorted(batch.ts_event, spec.trade_from))
        engine.process(piece(batch, 0, before))
    engine.process(timer_row(spec.trade_from))
    rows = {int(h.rows) for h in engine.state.histories}
    assert {int(n) for n in told.groups() if n} == rows


def test_demo_lasts_eight_years_and_crosses_a_split() -> None:
    from daemon.demo import config

    result = run_backtest(config())
    assert "SPLIT" in set(result.actions["code"][result.actions["ts"] >= "2005"].astype(str))
    ts = result.equity["ts"]
    assert 8 <= (ts.max() - ts.min()).days / 365.25 < 8.5
