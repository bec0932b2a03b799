"""What a session has, for people: amounts in currency, quantities in units, what is missing in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.config.paper import load_paper
from daemon.live import standing
from daemon.live.core import Core
from daemon.live.warmup import missing, warm_up
from engine.records import SECOND, OrderType, Side, TradingState
from tests.builders import MINUTE, make_ticks
from tests.service.taped import T0, config_of


def core_of(**given: Any) -> Core:
    core = Core.fresh(load_paper(config_of(**given)).config, T0)
    core.start()
    return core


def see(core: Core, *prices: float) -> None:
    """Prints of A, a second apart."""
    first = max(core.engine.now, T0)
    core.engine.process(make_ticks([(first + (i + 1) * SECOND, p, 1e6) for i, p in enumerate(prices)]))


def test_account_with_a_position_is_told_in_its_currency() -> None:
    core = core_of()
    see(core, 50.0)
    core.engine.submit(0, Side.BUY, 200)
    see(core, 50.0)  # 10,000 dollars, and 10 bps of them
    core.engine.submit(0, Side.SELL, 50)
    see(core, 60.0)  # 3,000 dollars, and 3 dollars
    core.engine.submit(0, Side.SELL, 10, OrderType.LIMIT, limit=90.0)
    see(core, 54.0)
    (account,) = standing.accounts(core)
    assert (account["name"], account["currency"], account["state"]) == ("desk", "USD", "active")
    assert account["cash"] == 100_000 - 10_000 - 10 + 3_000 - 3
    assert account["equity"] == account["cash"] + 150 * 54
    assert (account["realized"], account["fees"], account["orders"]) == (500.0, 13.0, 1)
    assert account["positions"] == [
        {"instrument": "A", "quantity": 150.0, "price": 54.0, "value": 8_100.0, "profit": 600.0}
    ]
    assert [(s["name"], s["state"], s["model"], s["lost"]) for s in account["strategies"]] == [
        ("desk/sma_cross", "active", None, None)
    ]


def test_drawdown_is_from_the_peak_that_is_watched() -> None:
    given = config_of()
    given["accounts"][0]["limits"] = {"drawdown": {"limit": 0.5, "action": "halt"}}
    core = Core.fresh(load_paper(given).config, T0)
    core.start()
    see(core, 100.0)
    core.engine.submit(0, Side.BUY, 900)
    see(core, 100.0, 110.0, 90.0)
    # 90 dollars of fees: 108,910 at the best, 90,910 now
    (account,) = standing.accounts(core)
    assert account["drawdown"] == pytest.approx(1 - 90_910 / 108_910, rel=1e-12)


def test_states_and_what_is_lost_are_told_of_account_and_strategy() -> None:
    core = core_of()
    see(core, 100.0)
    core.engine.set_trading_state("desk", TradingState.REDUCE_ONLY)
    core.engine.set_trading_state("desk/sma_cross", TradingState.HALTED)
    core.lost_actors["desk/sma_cross"] = "it hangs"
    (account,) = standing.accounts(core)
    assert account["state"] == "reduce_only"
    assert (account["strategies"][0]["state"], account["strategies"][0]["lost"]) == ("halted", "it hangs")


def test_fractions_of_a_unit_are_written_as_one_would() -> None:
    instrument = {"tick_size": 0.01, "lot_size": 0.1, "currency": "USD"}
    core = core_of(instruments={"A": instrument})
    see(core, 100.0)
    core.engine.submit(0, Side.BUY, 3)
    see(core, 100.0)
    assert standing.accounts(core)[0]["positions"][0]["quantity"] == 0.3


def test_what_is_missing_goes_away_as_bars_come() -> None:
    core = core_of()
    assert missing(core.engine)[0] == "no price yet: A"
    assert missing(core.engine)[1] == "desk/sma_cross: not enough bars of A (sma_2, sma_3)"
    ticks = make_ticks([(T0 - 10 * MINUTE + m * MINUTE + SECOND, 100.0) for m in range(3)])
    assert warm_up(core, [ticks], T0, lambda _: None) == 3  # two bars have closed
    assert missing(core.engine) == ["desk/sma_cross: not enough bars of A (sma_3)"]
    later = make_ticks([(T0 - 6 * MINUTE, 100.0)])
    warm_up(core, [later], T0, lambda _: None)
    assert missing(core.engine) == []


def test_warm_up_takes_what_lies_before_and_nothing_else() -> None:
    core, told = core_of(), list[int]()
    batches = [make_ticks([(T0 + (b * 10 + i - 25) * SECOND, 100.0) for i in range(10)]) for b in range(4)]
    assert warm_up(core, iter(batches), T0, told.append) == 25  # a row at T0 is the session's
    assert told == [10, 20, 25]
    assert core.seq == 25
    assert core.engine.now == T0 - SECOND


def test_warm_up_of_nothing_is_nothing(tmp_path: Path) -> None:
    core = core_of()
    assert warm_up(core, [], T0, lambda _: None) == 0
    assert np.isnan(core.engine.state.features["value"]).all()
