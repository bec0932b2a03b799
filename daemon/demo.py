"""The main job, offline: agents with an account each trade eight years of real daily prices."""

from __future__ import annotations

from typing import Any

INSTRUMENTS = ["AAPL", "GOOG", "IBM", "MSFT"]
CASH = 100_000
AGENTS: dict[str, dict[str, Any]] = {
    "buy-and-hold": {"use": "buy_and_hold"},
    "sma-cross": {"use": "sma_cross", "params": {"fast": 20, "slow": 100}},
    "momentum": {"use": "momentum"},
    "mean-reversion": {"use": "rsi_reversion"},
}
NEXT_STEPS = """
Next: papertape config schema              what a configuration may hold
      papertape backtest CONFIG.yaml       your own data, agents, fees and limits
      the folder's config.yaml is a complete configuration of what has just run
      prices are as they were traded: a split looks like a crash, so the demo begins after the last"""


def config() -> dict[str, Any]:
    """The demo's configuration."""
    return {
        "name": "demo",
        "start": "2005-07-01",  # after the last split of these prices, which are as they were traded
        "data": [{"source": "sample", "instrument": name, "bar": "1d"} for name in INSTRUMENTS],
        "instruments": {name: {"fees": {"bps": 5}} for name in INSTRUMENTS},
        "execution": {"slippage_bps": 2},
        "accounts": [
            {
                "name": name,
                "cash": CASH,
                "limits": {"on_breach": "resize"},  # where the cash is short, buy what it pays for
                "strategies": [
                    {"instruments": INSTRUMENTS, "timeframe": "1d", "size": {"fraction": 0.95}, **agent}
                ],
            }
            for name, agent in AGENTS.items()
        ],
    }
