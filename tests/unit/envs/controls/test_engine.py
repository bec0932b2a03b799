"""The controls' account beside the engine's own: the same policy, the same bars, the same equity."""

from __future__ import annotations

import numpy as np
import pytest

from engine.spec import InstrumentSpec
from envs.controls.markets import Leaked, Market, MarkovSwitching, OrnsteinUhlenbeck
from envs.controls.policies import rewards_of
from strategies import Bar, Context, Strategy
from tests.builders import MINUTE, join, make_bars, timer_at
from tests.unit.strategies.worlds import make_world

N = 400
FINE = InstrumentSpec("A", tick_size=1e-6, lot_size=1e-6, taker_bps=20.0)


@pytest.mark.parametrize(
    "market", [MarkovSwitching(), OrnsteinUhlenbeck(), Leaked()], ids=lambda m: type(m).__name__
)
def test_rewards_are_those_of_the_engine(market: Market) -> None:
    path, policy = market.paths(1, N), market.solve(20.0).policy
    feature = path.columns[market.features[0]]
    equity: list[float] = []

    class Playing(Strategy):
        held = 0

        def on_bar(self, ctx: Context, bar: Bar) -> None:
            wanted = policy.act(float(feature[len(equity)]), self.held)
            equity.append(ctx.account.equity)
            if wanted != self.held:
                ctx.target_fraction("A", float(wanted))
                self.held = wanted

    engine, _ = make_world(Playing, instruments=(FINE,))
    engine.start()
    columns = [np.round(path.bars[name], 6) for name in ("open", "high", "low", "close")]
    rows = np.stack([*columns, path.bars["volume"]], axis=1)
    engine.process(join(make_bars(rows.tolist()), timer_at(N * MINUTE)))

    positions = policy.positions(feature[:-1])
    assert np.count_nonzero(np.diff(positions)) > 10
    rewards = rewards_of(positions, path.returns, 20.0)
    assert np.diff(np.log(equity)) == pytest.approx(rewards, abs=1e-7)
